"""Pictures that are brought up to date in place by copying bands of rows: for servers without shared pixmaps.

Each slot remembers on our side which rows it is behind in. Two round trips: where was drawn, then the bands. Over the
core protocol the same is done with memory that no server knows.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm.capture.damage_region import DamageRegion
from xshm.capture.pixmap_refresher import Refreshed, Refreshing
from xshm.errors import PoolExhausted
from xshm.shm.segment import Pool
from xshm.x11.protocol import core
from xshm.x11.protocol.mit_shm import pack_get_image
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.shm.segment import Kind, Segment
    from xshm.shm.transport import Transport
    from xshm.x11.connection import Connection

Rows = list[tuple[int, int]]  # from the first to the one after the last, in order and apart


class _Slots:
    """Which rows each slot, by shmseg, is behind in. Apart from the RowRefresher, since the pool holds this."""

    def __init__(self, connection: Connection, transport: Transport, height: int) -> None:
        self._connection = connection
        self._transport = transport
        self._height = height
        self._numbers = count()
        self.stale: dict[int, Rows] = {}

    def attach(self, segment: Segment) -> int:
        """Make a slot, which is behind everywhere."""
        if self._transport.kind == "core":
            segment.close_descriptor()
            shmseg = next(self._numbers)
        else:
            shmseg = self._transport.attach(segment)
        self.stale[shmseg] = [(0, self._height)]
        return shmseg

    def detach(self, shmseg: int) -> None:
        """Give a slot back."""
        self.stale.pop(shmseg, None)
        if self._transport.kind != "core" and not self._connection.closed:
            self._transport.detach(shmseg)


class RowRefresher:
    """Pictures of `rect` of a source, as its drawable is now. Needs DAMAGE and XFIXES 2."""

    def __init__(self, source: Source, rect: Rect, limit: int) -> None:
        self.rect = rect
        self._connection = source._session.connection
        self._transport = transport = source._session.transport
        self._drawable, self._inset = source._location
        self._nbytes = source._format.nbytes(rect.width, rect.height)
        self._stride = source._format.stride(rect.width)
        slots = _Slots(self._connection, transport, rect.height)
        self._stale = slots.stale
        self.drawn = DamageRegion(source, rect)
        kind: Kind = "sysv" if transport.kind == "sysv" else "memfd"
        self._pool = Pool(kind, slots.attach, slots.detach, limit, 1 if source._session.copies else 0)
        self._copies = source._session.copies

    def begin(self) -> Refreshing:
        """Ask what a free slot lacks. Raises PoolExhausted, before anything is sent."""
        owner, shmseg, landing = self._take()
        drawn = self.drawn
        drawn.events.clear()  # first: what is drawn from here on comes with a new event
        collect, fetched = drawn.collect(), drawn.fetch()
        self._connection.wire.send_all((*collect, fetched))
        return Refreshing(owner, shmseg, fetched, tuple(collect), landing)

    def _take(self) -> tuple[Any, int | None, bool]:
        """Take a slot, and say whether it is to be copied from; none where the kernel has no room for one."""
        try:
            owner, slot, landing = self._pool.acquire_or_land(self._nbytes)
        except PoolExhausted:
            if not self._copies:
                raise
            return None, None, True
        return owner, slot.shmseg, landing

    def finish(self, begun: Refreshing) -> Refreshed:
        """Copy the rows that were drawn to: a round trip more."""
        rects = self.drawn.read(begun.fetched, *begun.sent)
        rows = [(rect.y - self.rect.y, rect.bottom - self.rect.y) for rect in rects]
        for each in self._stale:
            self._stale[each] = merge_ranges(self._stale[each] + rows)
        if begun.slot is None:
            return Refreshed(self._by_socket(), None, rects, landing=True, nbytes=self._nbytes)
        self._copy(self._stale[begun.slot], begun.owner, begun.slot)
        self._stale[begun.slot] = []
        return Refreshed(begun.owner, begun.slot, rects, begun.landing, self._nbytes)

    def mark_stale(self, slot: int, rect: Rect) -> None:
        """Count a part of a slot as behind, since something is about to be drawn there on our side."""
        self._stale[slot] = merge_ranges([*self._stale[slot], (rect.y - self.rect.y, rect.bottom - self.rect.y)])

    def close(self) -> None:
        """Give everything back, as when this goes; pictures stay valid. Closing twice is fine."""
        self._pool.close()
        self.drawn.close()

    def _by_socket(self) -> memoryview:
        rect, corner = self.rect, (self.rect.x + self._inset, self.rect.y + self._inset)
        request = core.ask_image(self._drawable, *corner, rect.width, rect.height)
        return core.unpack_image(
            self._connection.wait_reply(self._connection.wire.send(request), "GetImage"), self._nbytes
        )

    def _copy(self, rows: Rows, owner: Any, shmseg: int) -> None:
        wire, rect, corner = self._connection.wire, self.rect, (self.rect.x + self._inset, self.rect.y + self._inset)
        sent = []
        for top, bottom in rows:
            where = (self._drawable, corner[0], corner[1] + top, rect.width, bottom - top)
            if self._transport.kind == "core":
                request = core.ask_image(*where)
            else:
                request = Request(pack_get_image(self._transport.opcode, *where, shmseg, top * self._stride), owner)
            sent.append(wire.send(request))
        for (top, bottom), pending in zip(rows, sent, strict=True):
            reply = self._connection.wait_reply(pending, "GetImage")
            if self._transport.kind == "core":
                size = (bottom - top) * self._stride
                np.frombuffer(owner, np.uint8)[top * self._stride :][:size] = core.unpack_image(reply, size)


def merge_ranges(rows: Rows) -> Rows:
    """Put stretches of rows in order, those that touch joined."""
    joined: Rows = []
    for top, bottom in sorted(rows):
        if joined and top <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(bottom, joined[-1][1]))
        else:
            joined.append((top, bottom))
    return joined
