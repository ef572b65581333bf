"""Where a source was drawn to since it was asked last, inside one rectangle: a region that the server keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.errors import XshmError
from xshm.x11.protocol import regions, xfixes
from xshm.x11.protocol.requests import Request, bounded_request
from xshm.x11.server.damage import NAME as DAMAGE
from xshm.x11.server.damage import Damage

if TYPE_CHECKING:
    from collections import deque

    from xshm.capture.source import Source
    from xshm.geometry import Rect


class DamageRegion:
    """What was drawn inside `rect` of a source. Needs DAMAGE and XFIXES 2; XshmError says what is missing.

    DAMAGE reports drawing, not difference: the same pixels drawn again are reported, the pointer is not.
    """

    def __init__(self, source: Source, rect: Rect) -> None:
        self._connection = connection = source._session.connection
        self.opcode = xfixes.start(connection, "telling what changed").major
        extension = connection.extension(DAMAGE)
        if extension is None:
            raise XshmError(
                f"telling what changed needs the DAMAGE extension, which the server at {connection.address} does not "
                f"have; take a picture after another, and compare"
            )
        self._most = regions.most_bytes(rect)
        self.fresh, self._bounds = (xfixes.new_region(connection, self.opcode) for _ in range(2))
        self._damage = Damage(connection, extension, source._damage_target)
        xfixes.create_region(connection, self.opcode, self.fresh)
        xfixes.create_region(connection, self.opcode, self._bounds, rect)

    @property
    def events(self) -> deque[bytes]:
        """Not empty once something was drawn after `collect` was sent last, inside of the rectangle or beside it."""
        return self._damage.route.queue

    def collect(self) -> list[Request]:
        """Return the requests that move what was drawn into the region `fresh`, cut to the rectangle."""
        subtract = self._damage.pack_subtract(self.fresh)
        return [
            Request(subtract),
            Request(regions.pack_intersect(self.opcode, self.fresh, self._bounds, self.fresh)),
        ]

    def fetch(self, keep: object = None) -> Request:
        """Return the request whose answer `read` understands."""
        return bounded_request(self._most, regions.pack_fetch(self.opcode, self.fresh), keep)

    def read(self, fetched: Request, *others: Request) -> list[Rect]:
        """Wait for the answer, and raise the errors of the others, which were sent before; return the rectangles."""
        answer = self._connection.wait_reply(fetched, "XFixesFetchRegion")
        with self._connection.decoding("XFixesFetchRegion"):
            rects = regions.unpack(answer)
        for each in others:
            if each.error is not None:
                raise self._connection.error(each.error, "bringing a picture up to date")
        return rects

    def close(self) -> None:
        """Stop listening, as when this goes."""
        self._damage.close()
        self._connection.holdings.free(self.fresh, self._bounds)
