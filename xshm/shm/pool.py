"""A pool of slots for frames: segments that the server has attached, each used by one frame at a time, and again.

A slot is held as long as any view of its frame. A frame's memory is a ctypes array that is made for it over the slot's
segment. When the last ndarray, slice or memoryview over that array dies, the callback of a weak reference appends the
slot to its size class's free list. So no view dangles, and the garbage collector is not needed.

Invariants, of the slots in `_slots`:
1. A slot is free (in its size class's deque), held (its array, to which the weak reference in `_references` refers,
   lives) or orphaned (neither). It is orphaned only where a signal handler raised within `acquire`; the next `acquire`
   that finds no free slot finds it.
2. A held slot is not acquired again: only the death of its array makes it free, and at most one array over it lives.
3. There are at most `limit` slots. Staging slots, out of which frames are copied, are in a pool of their own, so that
   no frame stays in one of them.
4. Everything is changed under the lock, except that an array's death appends to `free` at any moment, in any thread. So
   a free list may grow while the lock is held, and does not shrink.
5. A slot that leaves the pool leaves `_references` and `_slots` before it is detached. Interrupted in between, it is
   orphaned, or the last reference to its shmseg goes, which detaches it, too (`AttachedId`).

What does not work:
- A finalizer in Python on the array: a signal handler may raise in it, and the slot is lost (`_signal_safety`, 4).
- A finalizer that takes the lock: it may run in a thread that has the lock.
- One free list for all sizes: a small region would get the segment of a large one, and the next large one a new
  segment.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections import deque
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import TaggedRef, WeakRegistry
from xshm.errors import Closed, InvalidArgument, PoolExhausted
from xshm.shm.segment import Segment, round_up
from xshm.system import logs
from xshm.system.deadlines import ENDS, holding

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.shm.segment import Kind

    # The weak reference to the array over a slot, which puts the slot back when the array dies.
    _SlotRef = TaggedRef[Any, "Slot"]

# A slot that was not acquired in the last _IDLE_TAKES calls of `acquire` is detached, which every _LOOK_EVERY calls
# check. A stream at 60 frames a second detaches the slots of a former region within about 5 seconds.
_IDLE_TAKES, _LOOK_EVERY = 256, 64
_MOST_CACHED = 4096  # byte counts whose size class is remembered; programs that grab regions of every size have more
_NO_ROOM: Final = (errno.ENOSPC, errno.ENOMEM, errno.EINVAL, errno.EFBIG, errno.EMFILE, errno.ENFILE)
_MORE_ROOM: Final = {
    "sysv": "raise its limits (kernel.shmmni, shmall, shmmax), or open the screen with transport='fd'",
    "memfd": "raise its limits (memory, and files that may be open: ulimit -n)",
}
_SHMSEG_AND_OFFSET = struct.Struct("=II")
_pools: WeakRegistry[Pool] = WeakRegistry()


class Slot:
    """A segment that the server has attached as `shmseg`: room for one frame."""

    __slots__ = ("__weakref__", "array", "last_take", "memory", "place", "segment", "shmseg")

    def __init__(self, segment: Segment, shmseg: int) -> None:
        self.segment = segment
        self.memory = segment.memory
        self.shmseg = shmseg  # the object that `attach` returned: an AttachedId, which detaches when it dies
        self.place = _SHMSEG_AND_OFFSET.pack(shmseg, 0)  # the end of a ShmGetImage request, encoded once
        self.array: Any = ctypes.c_ubyte * segment.size
        self.last_take = 0


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What a pool holds and has done. `held` slots are pinned by frames or views; `idle` ones wait for the next.

    `limit` bounds what frames hold. The slots out of which frames beyond it were copied are counted too.
    """

    slots: int
    held: int
    idle: int
    bytes: int
    takes: int
    grown: int
    given_back: int
    limit: int


class Pool:
    """At most `limit` slots, and beside them up to `staging_slots` for frames that are copied.

    `attach` attaches a segment to the server and returns its shmseg, `detach` detaches it; both may raise. A shmseg may
    have a method `wait_released`, which waits until the server has detached the segments detached before: until then
    the kernel keeps their memory. In a forked child the pool is closed: the slots are the parent's.
    """

    def __init__(
        self,
        kind: Kind,
        attach: Callable[[Segment], Any],
        detach: Callable[[Any], None],
        limit: int,
        staging_slots: int = 0,
    ) -> None:
        if limit < 1:
            raise InvalidArgument(f"a pool needs a limit of at least 1 frame, not {limit}")
        self._staging = Pool(kind, attach, detach, staging_slots) if staging_slots else None
        self._last_staged = 0  # the value of `_takes` when a staging slot was last used; 0 after `trim` detached them
        self._kind: Kind = kind
        self._attach = attach
        self._detach = detach
        self.limit = limit
        self._lock = Lock()
        self._slots: set[Slot] = set()
        self._references: dict[Slot, _SlotRef] = {}  # to each slot's last array; only a living reference calls back
        self._size_classes: dict[int, deque[_SlotRef]] = {}  # by size, the free slots
        self._by_nbytes: dict[int, deque[_SlotRef]] = {}  # a cache, without the rounding
        self._takes = self._grown = self._given_back = 0
        self._wait_released: Callable[[], None] | None = None  # of the segment that was detached last
        self._closed = False
        _pools.add(self)

    def acquire(self, nbytes: int) -> tuple[Any, Slot]:
        """Return a ctypes array over a free slot of at least `nbytes`, and the slot.

        The slot is held until the array, and every view over it, has died. The memory's content is undefined.
        Raises PoolExhausted at the limit, or at the kernel's.
        """
        # A thread that attaches a new slot holds the lock while it waits for the server: a deadline bounds that too.
        if ENDS:
            return holding(self._lock, self._acquire, nbytes)
        with self._lock:
            return self._acquire(nbytes)

    def _acquire(self, nbytes: int) -> tuple[Any, Slot]:
        free = self._by_nbytes.get(nbytes)
        if free is None:
            free = self._size_class(nbytes)
        self._takes = takes = self._takes + 1
        if not takes % _LOOK_EVERY:
            self._release_idle(takes - _IDLE_TAKES)
        # A handler that raises from here to the end leaves the slot orphaned (1).
        slot = free.pop().tag if free else self._find_orphaned(nbytes) or self._grow(nbytes)
        slot.last_take = takes
        owner = slot.array.from_buffer(slot.memory)
        reference: _SlotRef = TaggedRef(owner, free.append)  # signal-safe (4)
        reference.tag = slot
        self._references[slot] = reference
        return owner, slot

    def acquire_or_stage(self, nbytes: int) -> tuple[Any, Slot, bool]:
        """Return as `acquire` does, and False; at the limit, a staging slot and True: the caller copies and drops it.

        Raises PoolExhausted where there is no staging slot either.
        """
        try:
            return *self.acquire(nbytes), False
        except PoolExhausted as full:
            if self._staging is None:
                raise
            self._stage(full)
            try:
                return *self._staging.acquire(nbytes), True
            except PoolExhausted as none:
                raise full from none

    def _stage(self, full: PoolExhausted) -> None:
        """Note that a staging slot is needed, and log why: for the first of some time, not for each frame."""
        is_first, self._last_staged = not self._last_staged, self._takes
        if is_first:
            logs.warning("pool", "frames are copies, which take longer: %s", str(full))

    def trim(self) -> None:
        """Detach every slot that no frame holds."""
        with self._lock:
            self._release_free()
        if self._staging is not None:
            self._staging.trim()

    def stats(self) -> PoolStats:
        """Return the counts, as they are at one moment while other threads work."""
        with self._lock:
            idle = sum(map(len, self._size_classes.values()))
            total = sum(slot.segment.size for slot in self._slots)
            count = len(self._slots)
        found = PoolStats(count, count - idle, idle, total, self._takes, self._grown, self._given_back, self.limit)
        return found if self._staging is None else _sum(found, self._staging.stats())

    def close(self) -> None:
        """Detach every slot; the memory of those that frames hold lives until their last view dies. May be repeated."""
        with self._lock:
            slots = self._clear()
        for slot in slots:
            self._detach(slot.shmseg)
        if self._staging is not None:
            self._staging.close()

    def abandon(self) -> None:
        """Close in a forked child, without detaching: the slots are the parent's, whose threads may hold the lock."""
        self._lock = Lock()
        self._clear()

    def _clear(self) -> set[Slot]:
        self._closed = True
        slots, self._slots = self._slots, set()
        self._references = {}
        self._size_classes = {}
        self._by_nbytes = {}  # empty, so that `acquire` comes by the check in `_size_class`
        return slots

    # -- under the lock ------------------------------------------------------------------------------------------------

    def _size_class(self, nbytes: int) -> deque[_SlotRef]:
        if self._closed:
            raise Closed("this pool was closed with its screen, or belongs to the process this one was forked from")
        free = self._size_classes.setdefault(round_up(nbytes), deque())
        if len(self._by_nbytes) > _MOST_CACHED:
            self._by_nbytes.clear()
        self._by_nbytes[nbytes] = free
        return free

    def _find_orphaned(self, nbytes: int) -> Slot | None:
        size = round_up(nbytes)
        return next((slot for slot in self._orphaned() if slot.segment.size == size), None)

    def _orphaned(self) -> set[Slot]:
        # The held slots first: a slot whose array dies in between is in a free list when those are read.
        held = {slot for slot, reference in self._references.items() if reference() is not None}
        free = [reference.tag for each in self._size_classes.values() for reference in list(each)]
        return self._slots.difference(held, free)

    def _grow(self, nbytes: int) -> Slot:
        if len(self._slots) >= self.limit:
            self._release_free()
        if len(self._slots) >= self.limit:
            raise PoolExhausted(
                f"{self._held()}, which is the limit; drop some, keep "
                f"frame.copy() in their place, or open the screen with a higher max_frames, or without copies=False"
            )
        segment = self._make_segment(round_up(nbytes))
        slot = Slot(segment, self._attach(segment))
        self._slots.add(slot)
        self._grown += 1
        return slot

    def _make_segment(self, size: int) -> Segment:
        """Make a segment; where the kernel has no room for it, detach what is free and try once more."""
        try:
            return Segment(self._kind, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:  # it may be a signal handler's TimeoutError, too
                raise
        before = self._given_back
        self._release_free()
        if self._given_back > before and self._wait_released:
            self._wait_released()
        try:
            return Segment(self._kind, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise PoolExhausted(
                f"the kernel has no room for a frame of {size:,} bytes ({error}); {self._held()}; drop some, keep "
                f"frame.copy() in their place, open the screen without copies=False, or {_MORE_ROOM[self._kind]}"
            ) from error

    def _held(self) -> str:
        held = sum(slot.segment.size for slot in self._slots)
        return f"{len(self._slots)} frames are held ({held / 1e6:.0f} MB)"

    def _release_idle(self, before: int) -> None:
        """Detach the free slots that were last acquired before the take of that number, staging slots too."""
        self._release_older(before)
        if self._staging is not None and 0 < self._last_staged < before:
            self._staging.trim()
            self._last_staged = 0

    def _release_free(self) -> None:
        """Detach all free slots, and all orphaned ones."""
        self._release_older(self._takes + 1)
        for slot in self._orphaned():
            self._detach_slot(slot)

    def _release_older(self, before: int) -> None:
        for free in self._size_classes.values():
            for reference in list(free):
                if reference.tag.last_take < before:
                    free.remove(reference)
                    self._detach_slot(reference.tag)

    def _detach_slot(self, slot: Slot) -> None:
        self._references.pop(slot, None)  # the order is invariant 5's
        self._slots.discard(slot)
        self._given_back += 1
        self._wait_released = getattr(slot.shmseg, "wait_released", None)  # None: `detach` has its effect at once
        self._detach(slot.shmseg)


def _sum(frames: PoolStats, staging: PoolStats) -> PoolStats:
    added = ("slots", "held", "idle", "bytes", "grown", "given_back")
    return replace(frames, **{name: getattr(frames, name) + getattr(staging, name) for name in added})


def _after_fork_in_child() -> None:
    for pool in _pools.living():
        pool.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
