"""PixmapRefresher: frames in shared pixmaps, into which the server copies only what was drawn (as by buffer age).

`changes.ChangeTracker` uses it where the server has shared pixmaps, else `row_refresher`, which has the same methods. A
slot is shared memory with a pixmap over it (MIT-SHM, ShmCreatePixmap) and a stale region on the server: where the
slot's pixels are older than the source's. A refresh is one batch of requests and one round trip:

    DamageSubtract, IntersectRegion             what was drawn becomes the region `fresh`
    UnionRegion, for every slot                 its stale region grows by `fresh`
    SetGCClipRegion, CopyArea                   the free slot's stale pixels are copied
    FetchRegion, SetRegion                      the reply has `fresh`; the slot's stale region becomes empty

Always true:

1. A slot's stale region covers all that was drawn since its pixels were copied. A new slot's covers the whole picture.
2. Only a free slot is copied into: the pixels of a frame, which holds its slot, do not change.
3. The reply to FetchRegion comes after the copy: once it has arrived, the slot's memory is complete.

Where frames hold all slots, a staging slot is refreshed, and the frame is a copy of it. Where the kernel has no memory
for a staging slot either, the picture comes over the socket (GetImage).

What does not work: ShmGetImage in place of CopyArea where nearly all was drawn, as in a film. Which one is faster
depends on the processor; timing both and using the faster one took 1.01 to 1.02 times as long at 4K as CopyArea alone
(tests/bench/changes.py, the rows of 100 %).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.capture.damage_region import Refreshed, Refreshing, SlotRefresher, create_region
from xshm.errors import ServerError
from xshm.shm.pool import Pool
from xshm.shm.shared_pixmap import SharedPixmaps
from xshm.x11.protocol import core, xfixes
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.shm.segment import Segment
    from xshm.x11.io.resources import ServerResource

_INCLUDE_INFERIORS: Final = 1  # subwindow-mode: what child windows show is copied, too


class _PixmapSlot(NamedTuple):
    """A slot's resources on the server, freed with their last reference."""

    pixmap: ServerResource
    stale: ServerResource


class _Slots:
    """The resources of all slots, by shmseg, and the pool's callbacks that make and free them.

    Not methods of PixmapRefresher: the pool would refer back to it, and a refresher that is dropped would live until
    the garbage collector runs.
    """

    def __init__(self, source: Source, rect: Rect, fixes: int) -> None:
        self._connection = connection = source._session.connection
        self._transport = source._session.transport
        self._pixmaps = SharedPixmaps(connection, self._transport, connection.setup.root.id, source._format.depth)
        self._rect = rect
        self._fixes = fixes
        self.by_shmseg: dict[int, _PixmapSlot] = {}

    def attach(self, segment: Segment) -> int:
        """Attach a segment, make its pixmap, and its stale region, which is the whole picture (1)."""
        shmseg, rect = self._transport.attach(segment), self._rect
        try:  # two round trips for each new slot; slots are made once and used again
            pixmap = self._pixmaps.make(shmseg, rect.width, rect.height)
        except ServerError:
            self._transport.detach(shmseg)  # now, not when the traceback that refers to it goes
            raise
        self.by_shmseg[shmseg] = _PixmapSlot(pixmap, create_region(self._connection, self._fixes, rect))
        return shmseg

    def detach(self, shmseg: int) -> None:
        """Release a slot."""
        slot = self.by_shmseg.pop(shmseg)
        if not self._connection.closed:
            self._connection.resources.free(slot.pixmap, slot.stale)
            self._transport.detach(shmseg)


class PixmapRefresher(SlotRefresher):
    """Refreshed slots with a pixmap of `rect`, by shared pixmaps (MIT-SHM); `limit` is how many frames can hold."""

    def __init__(self, source: Source, rect: Rect, limit: int) -> None:
        super().__init__(source, rect)
        self._gc = self._connection.resources.new_id(core.FreeGC, "gc")
        self._connection.send(
            core.CreateGC,
            cid=self._gc,
            drawable=self._drawable,
            # Without graphics-exposures: each CopyArea would send an event.
            attrs={"subwindow_mode": _INCLUDE_INFERIORS, "graphics_exposures": 0},
        )
        self._spot = create_region(self._connection, self.damage.opcode)  # one rectangle, for `mark_stale`
        self._slots = _Slots(source, rect, self.damage.opcode)
        slots = self._slots
        self._pool = Pool(self._transport.segment_kind, slots.attach, slots.detach, limit, self._staging)

    def begin(self) -> Refreshing:
        """Send the batch for a free slot. Raises PoolExhausted, before anything is sent."""
        owner, shmseg, staged = self._acquire()
        if shmseg is None:  # a GetImage for the whole picture in place of the copy
            image = self._image_request()
            fetched, sent = self._send((image,), None)
            return Refreshing(image, None, fetched, sent, staged)
        target, rect, fixes = self._slots.by_shmseg[shmseg], self.rect, self.damage.opcode
        # Regions are in the source's coordinates; the clip's origin moves them to the pixmap's.
        clip = xfixes.pack_set_gc_clip_region(fixes, self._gc, target.stale, -rect.x, -rect.y)
        copy = core.pack_copy_area(
            self._drawable, target.pixmap, self._gc, *self._corner, 0, 0, rect.width, rect.height
        )
        clear = Request(xfixes.pack_clear_region(fixes, target.stale))
        fetched, sent = self._send((Request(clip), Request(copy)), owner, clear)
        return Refreshing(owner, shmseg, fetched, sent, staged)

    def _send(self, copying: tuple[Request, ...], owner: Any, *after: Request) -> tuple[Request, tuple[Request, ...]]:
        """Send the batch around the requests that copy; return FetchRegion, and the requests before it.

        FetchRegion keeps `owner` alive until its reply: the server writes into that memory whether or not the caller
        has dropped it.
        """
        damage = self.damage
        damage.events.clear()  # first: what is drawn from here on sends a new event
        collect, fetched = damage.collect(), damage.fetch(owner)
        fixes, fresh, slots = damage.opcode, damage.fresh, self._slots.by_shmseg.values()
        grow = [Request(xfixes.pack_union_region(fixes, slot.stale, fresh, slot.stale)) for slot in slots]
        sent = (*collect, *grow, *copying)
        self._connection.wire.send_all((*sent, fetched, *after))
        return fetched, sent

    def finish(self, pending: Refreshing) -> Refreshed:
        """Wait for the reply to a batch. Raises the ServerError of any of its requests."""
        drawn = self.damage.read(pending.fetched, *pending.sent)
        if pending.slot is None:
            picture = core.unpack_image(pending.owner.reply, self._nbytes)
            return Refreshed(picture, None, drawn, staged=True, nbytes=self._nbytes)
        return Refreshed(pending.owner, pending.slot, drawn, pending.staged, self._nbytes)

    def mark_stale(self, slot: int, rect: Rect) -> None:
        """Add a rectangle to a slot's stale region: its pixels are about to be overwritten on this side."""
        stale, fixes, wire = self._slots.by_shmseg[slot].stale, self.damage.opcode, self._connection.wire
        wire.send(Request(xfixes.pack_set_region(fixes, self._spot, rect)))
        wire.send(Request(xfixes.pack_union_region(fixes, stale, self._spot, stale)))

    def close(self) -> None:
        """Release everything on the server, as dropping this does; frames stay valid. Closing twice is fine."""
        super().close()
        for shmseg in list(self._slots.by_shmseg):  # those whose `attach` was interrupted: the pool does not have them
            self._slots.detach(shmseg)
        self._connection.resources.free(self._gc, self._spot)
