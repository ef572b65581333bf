"""RowRefresher: frames refreshed by fetching the rows that were drawn to, for servers without shared pixmaps.

`changes.ChangeTracker` uses it in place of PixmapRefresher, whose methods it has. A refresh costs two round trips: the
damage, then one (Shm)GetImage for each range of stale rows. Whole rows, since ShmGetImage writes a rectangle without
gaps between its rows: of part of a row it could not write to the right place.

Always true:

1. A slot's stale rows, which are kept in this process, cover all that was drawn since its pixels were copied. All rows
   of a new slot are stale.
2. Only a free slot is copied into, as in PixmapRefresher.

On the core transport the slots are memory of this process alone, and the replies are copied into it.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm.capture.damage_region import Refreshed, Refreshing, SlotRefresher
from xshm.shm.pool import Pool
from xshm.x11.protocol import core
from xshm.x11.protocol.mit_shm import pack_get_image
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.shm.segment import Segment
    from xshm.shm.transport import Transport

Rows = list[tuple[int, int]]  # ranges, each (first row, row after the last), in order, with gaps between


class _Slots:
    """The stale rows of each slot, by shmseg, and the pool's callbacks; apart from RowRefresher to avoid a cycle."""

    def __init__(self, transport: Transport, height: int) -> None:
        self._transport = transport
        self._height = height
        self._numbers = count()  # in place of shmsegs, where there is no MIT-SHM
        self.stale: dict[int, Rows] = {}

    def attach(self, segment: Segment) -> int:
        """Attach a segment; all its rows are stale (1)."""
        if self._transport.kind == "core":
            segment.close_descriptor()  # it is for a server; here the mapping is enough
            shmseg = next(self._numbers)
        else:
            shmseg = self._transport.attach(segment)
        self.stale[shmseg] = [(0, self._height)]
        return shmseg

    def detach(self, shmseg: int) -> None:
        """Release a slot."""
        self.stale.pop(shmseg, None)
        if self._transport.kind != "core":
            self._transport.detach(shmseg)


class RowRefresher(SlotRefresher):
    """Refreshed slots with the rows of `rect`; `limit` is how many slots frames can hold."""

    def __init__(self, source: Source, rect: Rect, limit: int) -> None:
        super().__init__(source, rect)
        self._stride = source._format.stride(rect.width)
        slots = _Slots(self._transport, rect.height)
        self._stale = slots.stale
        self._pool = Pool(self._transport.segment_kind, slots.attach, slots.detach, limit, self._staging)

    def begin(self) -> Refreshing:
        """Query the damage, for a free slot. Raises PoolExhausted, before anything is sent."""
        owner, shmseg, staged = self._acquire()
        damage = self.damage
        damage.events.clear()  # first: what is drawn from here on sends a new event
        collect, fetched = damage.collect(), damage.fetch()
        self._connection.wire.send_all((*collect, fetched))
        return Refreshing(owner, shmseg, fetched, tuple(collect), staged)

    def finish(self, pending: Refreshing) -> Refreshed:
        """Copy the slot's stale rows: one more round trip. Raises the ServerError of any request."""
        drawn = self.damage.read(pending.fetched, *pending.sent)
        rows = [self._rows_of(rect) for rect in drawn]  # may overlap: `merge_ranges` joins them
        # The rows become stale in all slots; those that frames hold are refreshed once they are free.
        for shmseg, stale in self._stale.items():
            self._stale[shmseg] = merge_ranges(stale + rows)
        if pending.slot is None:
            reply = self._connection.wait_reply(self._connection.wire.send(self._image_request()), "GetImage")
            picture = core.unpack_image(reply, self._nbytes)
            return Refreshed(picture, None, drawn, staged=True, nbytes=self._nbytes)
        self._copy(self._stale[pending.slot], pending.owner, pending.slot)
        self._stale[pending.slot] = []  # after the last reply: an interrupted copy leaves the rows stale
        return Refreshed(pending.owner, pending.slot, drawn, pending.staged, self._nbytes)

    def mark_stale(self, slot: int, rect: Rect) -> None:
        """Add a rectangle's rows to a slot's stale ones: its pixels are about to be overwritten on this side."""
        self._stale[slot] = merge_ranges([*self._stale[slot], self._rows_of(rect)])

    def _rows_of(self, rect: Rect) -> tuple[int, int]:
        return rect.y - self.rect.y, rect.bottom - self.rect.y

    def _copy(self, rows: Rows, owner: Any, shmseg: int) -> None:
        """Fetch ranges of rows into a slot: all requests are sent before the first reply is waited for."""
        wire, stride, (x, y) = self._connection.wire, self._stride, self._corner
        by_core = self._transport.kind == "core"
        sent = []
        for top, bottom in rows:
            where = (self._drawable, x, y + top, self.rect.width, bottom - top)
            if by_core:
                request = core.image_request(*where)
            else:
                request = Request(pack_get_image(self._transport.opcode, *where, shmseg, top * stride), owner)
            sent.append(wire.send(request))
        for (top, bottom), request in zip(rows, sent, strict=True):
            reply = self._connection.wait_reply(request, "GetImage")
            if by_core:
                size = (bottom - top) * stride
                np.frombuffer(owner, np.uint8)[top * stride :][:size] = core.unpack_image(reply, size)


def merge_ranges(rows: Rows) -> Rows:
    """Put ranges of rows in order, and join those that touch."""
    joined: Rows = []
    for top, bottom in sorted(rows):
        if joined and top <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(bottom, joined[-1][1]))
        else:
            joined.append((top, bottom))
    return joined
