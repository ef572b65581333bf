"""Pictures that are brought up to date in place, by the server, and cost what was drawn.

Each slot of a `PixmapRefresher` is a pixmap whose memory we share, and has a stale region on the server: what was drawn
since it was last up to date. One batch of requests, one round trip, adds what is new to the stale regions of all slots
and copies one slot's stale region, no more. A slot that is lent out is never copied into: its picture stays as it is.
When all are lent out, a landing slot, which is one more that is kept up to date, is copied from on our side; where the
kernel has no room for that either, the picture comes over the socket.

Where nearly all was drawn the last time, as in a film, the next picture may be had whole by ShmGetImage instead. Which
of the server's two ways of copying is the faster depends on its processor (0.8 to 1.3), so it is measured as it goes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xshm.capture.damage_region import DamageRegion
from xshm.errors import PoolExhausted, XshmError
from xshm.shm.segment import Pool
from xshm.x11.protocol import core, mit_shm, regions, xfixes
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.shm.segment import Kind, Segment
    from xshm.x11.io.release_queue import ServerResource

_INCLUDE_INFERIORS: Final = 1
_NEARLY_ALL: Final = 0.75  # of the pixels
_TRIALS: Final = 2


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A slot that is up to date: the memory's owner, the slot's name, and where was drawn since the last time.

    With `landing`, frames may not hold it: `copy` what is in it. Without a slot, `owner` is what came over the socket.
    """

    owner: Any
    slot: int | None
    drawn: list[Rect]
    landing: bool
    nbytes: int

    def copy(self) -> bytearray:
        """Return the picture in memory of its own."""
        return bytearray(memoryview(self.owner)[: self.nbytes])


@dataclass(frozen=True, slots=True)
class Refreshing:
    """A slot that is being brought up to date: `fetched` is answered when it is.

    Where there is no slot, `owner` is the request for the picture.
    """

    owner: Any
    slot: int | None
    fetched: Request
    sent: tuple[Request, ...]
    landing: bool
    by_image: bool = False
    since: float = 0.0


class _PixmapSlot:
    """A slot's server side: its pixmap and the region in which it is behind."""

    __slots__ = ("pixmap", "stale")

    def __init__(self, pixmap: ServerResource, stale: ServerResource) -> None:
        self.pixmap = pixmap
        self.stale = stale


class _Slots:
    """The server side of all slots, by shmseg. Apart from the PixmapRefresher: the pool, which it holds, has this."""

    def __init__(self, source: Source, rect: Rect, fixes: int) -> None:
        self._connection = source._session.connection
        self._transport = source._session.transport
        self._drawable = source._location[0]
        self._depth = source._format.depth
        self._rect = rect
        self._fixes = fixes
        self.painted: dict[int, _PixmapSlot] = {}

    def attach(self, segment: Segment) -> int:
        """Make a slot: the segment, a pixmap over it, and a region that says that all of it is behind."""
        connection, transport, rect = self._connection, self._transport, self._rect
        shmseg = transport.attach(segment)
        pixmap = connection.holdings.id(core.FreePixmap, "pixmap")
        painted = self.painted[shmseg] = _PixmapSlot(pixmap, xfixes.new_region(connection, self._fixes))
        made = connection.send(
            mit_shm.CreatePixmap,
            opcode=transport.opcode,
            pid=pixmap,
            drawable=self._drawable,
            width=rect.width,
            height=rect.height,
            depth=self._depth,
            shmseg=shmseg,
            offset=0,
        )
        xfixes.create_region(connection, self._fixes, painted.stale, rect)
        try:
            connection.check(made, doing="ShmCreatePixmap")
        except XshmError:
            if not connection.closed:
                self.detach(shmseg)
            raise
        return shmseg

    def detach(self, shmseg: int) -> None:
        """Give a slot back."""
        painted = self.painted.pop(shmseg)
        if not self._connection.closed:
            self._connection.holdings.free(painted.pixmap, painted.stale)
            self._transport.detach(shmseg)


class _CopyTimer:
    """Which way of copying a whole picture is the faster, by the better of the last two times of each."""

    def __init__(self) -> None:
        self._took: dict[bool, list[float]] = {False: [], True: []}

    def prefers_image(self) -> bool:
        """Whether the next picture shall come by ShmGetImage; each way has its trials first."""
        copies, images = self._took[False], self._took[True]
        if len(copies) < _TRIALS:
            return False
        return len(images) < _TRIALS or min(images) < min(copies)

    def took(self, seconds: float, *, by_image: bool) -> None:
        """Take note of what one took."""
        self._took[by_image] = [*self._took[by_image], seconds][-_TRIALS:]


class PixmapRefresher:
    """Pictures of `rect` of a source, as its drawable is now. Needs MIT-SHM's shared pixmaps, DAMAGE and XFIXES 2."""

    def __init__(self, source: Source, rect: Rect, limit: int) -> None:
        self.rect = rect
        self._transport = source._session.transport
        self._connection = source._session.connection
        self._drawable, self._inset = source._location
        self._nbytes = source._format.nbytes(rect.width, rect.height)
        self._nearly_all = False  # was drawn the last time
        self._race = _CopyTimer()
        self.drawn = DamageRegion(source, rect)
        self._gc = self._connection.holdings.id(core.FreeGC, "gc")
        self._connection.send(
            core.CreateGC,
            cid=self._gc,
            drawable=self._drawable,
            attrs={"subwindow_mode": _INCLUDE_INFERIORS, "graphics_exposures": 0},
        )
        self._spot = xfixes.new_region(self._connection, self.drawn.opcode)
        xfixes.create_region(self._connection, self.drawn.opcode, self._spot)
        self._slots = slots = _Slots(source, rect, self.drawn.opcode)
        self._painted = slots.painted
        kind: Kind = "sysv" if self._transport.kind == "sysv" else "memfd"
        self._pool = Pool(kind, slots.attach, slots.detach, limit, 1 if source._session.copies else 0)
        self._copies = source._session.copies

    def begin(self) -> Refreshing:
        """Have a free slot brought up to date: one batch of requests. Raises PoolExhausted, before anything is sent."""
        try:
            owner, slot, landing = self._pool.acquire_or_land(self._nbytes)
        except PoolExhausted:
            if not self._copies:
                raise
            return self._begin_by_socket()
        target, rect, fixes = self._painted[slot.shmseg], self.rect, self.drawn.opcode
        corner = rect.x + self._inset, rect.y + self._inset
        by_image = self._nearly_all and self._race.prefers_image()
        copying: tuple[Request, ...]
        if by_image:
            where = (self._drawable, *corner, rect.width, rect.height)
            copying = (Request(mit_shm.pack_get_image(self._transport.opcode, *where, slot.shmseg), owner),)
        else:
            # Regions are in the source's coordinates; the origin moves the clip to the pixmap's.
            clip = regions.pack_clip(fixes, self._gc, target.stale, -rect.x, -rect.y)
            copy = core.pack_copy_area(self._drawable, target.pixmap, self._gc, *corner, 0, 0, rect.width, rect.height)
            copying = (Request(clip), Request(copy))
        fetched, sent = self._send(copying, owner, Request(regions.pack_clear(fixes, target.stale)))
        return Refreshing(owner, slot.shmseg, fetched, sent, landing, by_image, time.perf_counter())

    def _begin_by_socket(self) -> Refreshing:
        """Ask for the whole picture by the core protocol, since the kernel has no room for a slot."""
        corner = self.rect.x + self._inset, self.rect.y + self._inset
        image = core.ask_image(self._drawable, *corner, self.rect.width, self.rect.height)
        fetched, sent = self._send((image,), None)
        return Refreshing(image, None, fetched, sent, landing=True)

    def _send(self, copying: tuple[Request, ...], owner: Any, *after: Request) -> tuple[Request, tuple[Request, ...]]:
        """Send what copies the picture, between what adds the fresh region to all stale ones, and what fetches it."""
        drawn = self.drawn
        drawn.events.clear()  # first: what is drawn from here on comes with a new event
        collect, fetched = drawn.collect(), drawn.fetch(owner)
        fixes, fresh = drawn.opcode, drawn.fresh
        union = [Request(regions.pack_union(fixes, each.stale, fresh, each.stale)) for each in self._painted.values()]
        sent = (*collect, *union, *copying)
        self._connection.wire.send_all((*sent, fetched, *after))
        return fetched, sent

    def finish(self, begun: Refreshing) -> Refreshed:
        """Wait until that is done."""
        drawn = self.drawn.read(begun.fetched, *begun.sent)
        pixels = sum(each.width * each.height for each in drawn)
        before, self._nearly_all = self._nearly_all, pixels >= _NEARLY_ALL * self.rect.width * self.rect.height
        if begun.slot is None:
            picture = core.unpack_image(begun.owner.reply, self._nbytes)
            return Refreshed(picture, None, drawn, landing=True, nbytes=self._nbytes)
        if before and self._nearly_all:
            self._race.took(time.perf_counter() - begun.since, by_image=begun.by_image)
        return Refreshed(begun.owner, begun.slot, drawn, begun.landing, self._nbytes)

    def mark_stale(self, slot: int, rect: Rect) -> None:
        """Count a part of a slot as behind, since something is about to be drawn there on our side."""
        stale, fixes, wire = self._painted[slot].stale, self.drawn.opcode, self._connection.wire
        wire.send(Request(regions.pack_set(fixes, self._spot, rect)))
        wire.send(Request(regions.pack_union(fixes, stale, self._spot, stale)))

    def close(self) -> None:
        """Give everything back, as when this goes; pictures stay valid. Closing twice is fine."""
        self._pool.close()
        for shmseg in list(self._painted):  # a signal handler raised while these were being made
            self._slots.detach(shmseg)
        self.drawn.close()
        self._connection.holdings.free(self._gc, self._spot)
