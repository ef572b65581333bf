"""DamageRegion: where a source was drawn to since the last query, inside one rectangle, as a region on the server.

With it what both refreshers share: SlotRefresher, and the two values that they work with: Refreshing, a slot whose
requests were sent, and Refreshed, the result.

A query is a batch: `collect`, then what the caller does with the region `fresh`, then `fetch`; `read` waits for the
reply. The caller clears `events` before it sends `collect`. Drawing before DamageSubtract is in this query's region;
drawing after it is in the next one's, and sends a new event: none is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import PoolExhausted
from xshm.x11.protocol import core, xfixes
from xshm.x11.protocol.requests import Request, bounded_request
from xshm.x11.server.damage import NAME as DAMAGE
from xshm.x11.server.damage import Damage

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.shm.pool import Pool
    from xshm.x11.connection import Connection
    from xshm.x11.io.resources import ServerResource

_PURPOSE: Final = "telling what changed"


@dataclass(frozen=True, slots=True)
class Refreshing:
    """A slot that is being refreshed: `fetched`'s reply comes after everything in `sent`, so after the copy.

    `owner` keeps the slot's memory alive; `staged`: it is a staging slot, which the frame will be a copy of. Without a
    slot (None) the picture comes over the socket: it is `owner`'s reply (PixmapRefresher), or is requested once the
    reply has arrived (RowRefresher).
    """

    owner: Any
    slot: int | None
    fetched: Request
    sent: tuple[Request, ...]
    staged: bool


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A slot that is up to date: the `owner` of its memory, its shmseg, the rectangles drawn to since the last refresh.

    `staged`: it is a staging slot, or the owner is a reply; a frame is made of a `copy`.
    """

    owner: Any
    slot: int | None
    drawn: list[Rect]
    staged: bool
    nbytes: int

    def copy(self) -> bytearray:
        """Return the picture in memory of its own."""
        # A slot is as large as its size class, which may be more than the picture.
        return bytearray(memoryview(self.owner)[: self.nbytes])


def create_region(connection: Connection, opcode: int, *rects: Rect) -> ServerResource:
    """Queue CreateRegion, and return the id, with whose last reference the region is destroyed.

    The region is the union of the rectangles, or without any it is empty.
    """
    region = connection.resources.new_id(xfixes.DestroyRegion, "region", opcode=opcode)
    boxes = [(rect.x, rect.y, rect.width, rect.height) for rect in rects]
    connection.send(xfixes.CreateRegion, opcode=opcode, region=region, rectangles=boxes)
    return region


class DamageRegion:
    """The damage inside `rect` of a source. Needs DAMAGE and XFIXES 2; XshmError names the one that is missing.

    DAMAGE reports drawing, not difference: the same pixels drawn again are reported, the pointer is not.
    """

    def __init__(self, source: Source, rect: Rect) -> None:
        self._connection = connection = source._session.connection
        self.opcode = connection.require(xfixes.NAME, xfixes.VERSION, _PURPOSE).major
        extension = connection.require(DAMAGE, (1, 1), _PURPOSE, "take a picture after another, and compare")
        self._most = xfixes.fetched_region_limit(rect)  # of the reply to `fetch`
        # What is drawn from here on is in the first `collect`.
        self._damage = Damage(connection, extension, source._damage_target)
        # Holds an event once anything was drawn on the source after the last `collect`, outside the rectangle too.
        self.events = self._damage.route.queue
        # The damage of the last query, and the rectangle that it is cut to.
        self.fresh = create_region(connection, self.opcode)
        self._bounds = create_region(connection, self.opcode, rect)

    def collect(self) -> list[Request]:
        """Return the requests that move the damage into the region `fresh`, cut to the rectangle."""
        # Cut on the server: damage outside the rectangle would only make the reply longer.
        return [
            Request(self._damage.pack_subtract(self.fresh)),
            Request(xfixes.pack_intersect_region(self.opcode, self.fresh, self._bounds, self.fresh)),
        ]

    def fetch(self, keepalive: object = None) -> Request:
        """Return the request for the rectangles of `fresh`, whose reply `read` takes."""
        # Bounded, so that a server that announces gigabytes ends the connection and not the process.
        return bounded_request(self._most, xfixes.pack_fetch_region(self.opcode, self.fresh), keepalive)

    def read(self, fetched: Request, *sent: Request) -> list[Rect]:
        """Wait for the reply, and return the rectangles. Raise the error of any request in `sent`, sent before it."""
        reply = self._connection.wait_reply(fetched, "XFixesFetchRegion")
        with self._connection.decoding("XFixesFetchRegion"):
            rects = xfixes.unpack_fetched_region(reply)
        for request in sent:  # the server has processed all of them: their errors have arrived
            if request.error is not None:
                raise self._connection.error(request.error, "bringing a picture up to date")
        return rects

    def close(self) -> None:
        """Release the damage and the regions on the server, as dropping this does."""
        self._damage.close()
        self._connection.resources.free(self.fresh, self._bounds)


class SlotRefresher:
    """What PixmapRefresher and RowRefresher have in common: `rect` of a source's present drawable, and its damage.

    Needs DAMAGE and XFIXES 2. A subclass makes `_pool`, with `_staging` staging slots. Its `begin` and `finish` are one
    refresh, and no other begins in between.
    """

    _pool: Pool

    def __init__(self, source: Source, rect: Rect) -> None:
        session = source._session
        self.rect = rect
        self._connection = session.connection
        self._transport = session.transport
        self._drawable, border = source._location
        self._corner = rect.x + border, rect.y + border  # in the drawable's coordinates
        self._nbytes = source._format.nbytes(rect.width, rect.height)
        self.damage = DamageRegion(source, rect)
        # None where a frame that has no slot is to get no memory of its own either.
        self._staging = 1 if session.copies else 0

    def close(self) -> None:
        """Release everything on the server, as dropping this does; frames stay valid. Closing twice is fine."""
        self._pool.close()
        self.damage.close()

    def _acquire(self) -> tuple[Any, int | None, bool]:
        """Return a slot's owner, its shmseg, and whether it is a staging slot; no slot where the kernel has no room.

        Raises PoolExhausted, before anything is sent.
        """
        try:
            owner, slot, staged = self._pool.acquire_or_stage(self._nbytes)
        except PoolExhausted:
            if not self._staging:
                raise
            return None, None, True
        return owner, slot.shmseg, staged

    def _image_request(self) -> Request:
        """Return the request for the whole picture over the socket."""
        return core.image_request(self._drawable, *self._corner, self.rect.width, self.rect.height)
