"""A pool of slots for frames: segments that the server has attached, each used by one frame at a time, and again.

A slot has one ctypes array over its segment, the `owner` of the memory: every ndarray, slice or memoryview of a frame
refers to it. So a slot is free when nothing but the slot itself refers to its owner, which is what CPython counts
anyway. No view dangles, nothing has to be put back, and the garbage collector is not needed.

Invariants:
1. A slot is held by references to its owner alone. Only the pool makes the first one of a free slot, under the lock;
   others are made from one that there is. So a slot that is found free stays free as long as the lock is held, and one
   that is held may become free at any moment, in any thread. The garbage collector's lists, which show all objects, do
   not have owners, and `Frame.memory` is a view. An owner that a program gets by `pixels.base` all the same, and passes
   to ctypes.cast, refers to itself from then on, and its slot is held as long as the pool lives.
2. There are at most `limit` slots, counted with those that are being made. Staging slots, out of which frames are
   copied, are in a pool of their own, so that no frame stays in one of them.
3. Everything else is changed under the lock, and nothing is waited for under it: a new slot is attached without, since
   that takes as long as the server does. A signal handler that raises leaves no slot in between: what its frame had
   referred to is free again when that frame goes.
4. A slot leaves the pool before it is detached. Interrupted in between, the last reference to its shmseg goes, which
   detaches it, too (`AttachedId`).

What does not work:
- An array for each frame, with a finalizer that puts the slot back: in Python a signal handler may raise in it, and the
  slot is lost; a weak reference's callback in C is safe, but making the array and the reference takes 0.5 us a frame.
- An order in which a free slot comes first however many are held: with 64 held it would save 1.5 us of a grab.
- Python without the GIL, where the count is a sum of two numbers that other threads change meanwhile. It is refused.
- One list for all sizes: a small region would get the segment of a large one, and the next large one a new segment.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
import weakref
from dataclasses import dataclass, replace
from sys import getrefcount
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import TaggedRef, WeakRegistry
from xshm.errors import Closed, InvalidArgument, PoolExhausted, TransportUnavailable
from xshm.shm.segment import Segment, round_up
from xshm.system import logs
from xshm.sysv.attached import untrack

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.shm.segment import Kind

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


class _Owned:
    """What has an owner, as a Slot has one."""

    __slots__ = ("owner",)

    def __init__(self, owner: object) -> None:
        self.owner = owner


_sample = _Owned(object())
# The references to an owner while nothing but its slot refers to it: the slot's, and the call's. Not more than these,
# though a tracer may have taken another one here: a slot would count as free while a frame is in it.
_ALONE: Final = min(2, getrefcount(_sample.owner))


class Slot:
    """A segment that the server has attached as `shmseg`: room for one frame, in the memory of `owner`."""

    __slots__ = ("__weakref__", "_named", "last_take", "owner", "place", "segment", "shmseg")

    def __init__(self, segment: Segment, shmseg: int) -> None:
        self.segment = segment
        self.shmseg = shmseg  # the object that `attach` returned: an AttachedId, which detaches when it dies
        self.place = _SHMSEG_AND_OFFSET.pack(shmseg, 0)  # the end of a ShmGetImage request, encoded once
        self.owner: Any = (ctypes.c_ubyte * segment.size).from_buffer(segment.memory)
        untrack(self.owner)  # what has all objects listed would hold the slot
        self._named: TaggedRef[Any, Segment] = TaggedRef(self.owner)  # where `segment_of` finds it
        self._named.tag = segment
        self.last_take = 0

    @property
    def is_free(self) -> bool:
        """Whether no frame and no view is in the slot's memory. Only under the pool's lock does it stay so."""
        return getrefcount(self.owner) == _ALONE


class _Growing:
    """A slot that is being made. It counts until it is discarded or dropped, wherever its thread was interrupted."""

    __slots__ = ("__weakref__",)


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
        if not _has_gil():
            raise TransportUnavailable(
                "this Python runs without the GIL, where a count of references may be wrong while other threads change "
                "it, and a frame be overwritten that is still in use; start it with PYTHON_GIL=1"
            )
        self._staging = Pool(kind, attach, detach, staging_slots) if staging_slots else None
        self._last_staged = 0  # the value of `_takes` when a staging slot was last used; 0 after `trim` detached them
        self._kind: Kind = kind
        self._attach = attach
        self._detach = detach
        self.limit = limit
        self._lock = Lock()
        self._size_classes: dict[int, list[Slot]] = {}  # all slots, by their segments' size
        self._by_nbytes: dict[int, list[Slot]] = {}  # a cache, without the rounding
        self._growing: WeakRegistry[_Growing] = WeakRegistry()
        self._takes = self._grown = self._given_back = 0
        self._wait_released: Callable[[], None] | None = None  # of the segment that was detached last
        self._closed = False
        _pools.add(self)

    def acquire(self, nbytes: int) -> tuple[Any, Slot]:
        """Return a ctypes array over a free slot of at least `nbytes`, and the slot.

        The slot is held until the array, and every view over it, has died. The memory's content is undefined.
        Raises PoolExhausted at the limit, or at the kernel's.
        """
        with self._lock:
            found = self._find(nbytes)
        return found or self._grow(nbytes)

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
            slots = self._slots()
            idle = sum(slot.is_free for slot in slots)
        total, count = sum(slot.segment.size for slot in slots), len(slots)
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

    def _clear(self) -> list[Slot]:
        self._closed = True
        slots = self._slots()
        self._size_classes = {}
        self._by_nbytes = {}  # empty, so that `acquire` comes by the check in `_size_class`
        return slots

    # -- a new slot ----------------------------------------------------------------------------------------------------

    def _grow(self, nbytes: int) -> tuple[Any, Slot]:
        growing = _Growing()
        try:
            with self._lock:
                self._reserve(growing)
            segment = self._make_segment(round_up(nbytes))
            slot = Slot(segment, self._attach(segment))
            owner = slot.owner  # before others see the slot, for which it is not free
            with self._lock:
                self._size_class(nbytes).append(slot)  # Closed, where the pool was closed meanwhile
                self._growing.discard(growing)  # here, or it would count twice for a moment
                slot.last_take = self._takes
                self._grown += 1
            return owner, slot
        finally:
            self._growing.discard(growing)

    def _make_segment(self, size: int) -> Segment:
        """Make a segment; where the kernel has no room for it, detach what is free and try once more."""
        try:
            return Segment(self._kind, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:  # it may be a signal handler's TimeoutError, too
                raise
        with self._lock:
            before = self._given_back
            self._release_free()
            wait_released = self._wait_released if self._given_back > before else None
        if wait_released:
            wait_released()
        try:
            return Segment(self._kind, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            with self._lock:
                held = self._held(len(self._slots()))
            raise PoolExhausted(
                f"the kernel has no room for a frame of {size:,} bytes ({error}); {held}; drop some, keep "
                f"frame.copy() in their place, open the screen without copies=False, or {_MORE_ROOM[self._kind]}"
            ) from error

    # -- under the lock ------------------------------------------------------------------------------------------------

    def _find(self, nbytes: int) -> tuple[Any, Slot] | None:
        """Return the owner of a free slot, and the slot; None where there is none: the hot path."""
        slots = self._by_nbytes.get(nbytes)
        if slots is None:
            slots = self._size_class(nbytes)
        self._takes = takes = self._takes + 1
        if not takes % _LOOK_EVERY:
            self._release_idle(takes - _IDLE_TAKES)
        for slot in slots:  # mostly the first or the second; each that is held takes 0.03 us
            if getrefcount(slot.owner) == _ALONE:  # `is_free`, written out
                slot.last_take = takes
                return slot.owner, slot
        return None

    def _reserve(self, growing: _Growing) -> None:
        """Count a slot that is to be made as one that there is. Raises PoolExhausted where it would be too many."""
        if self._count() >= self.limit:
            self._release_free()
        if self._count() >= self.limit:
            raise PoolExhausted(
                f"{self._held(self._count())}, which is the limit; drop some, keep "
                f"frame.copy() in their place, or open the screen with a higher max_frames, or without copies=False"
            )
        self._growing.add(growing)

    def _count(self) -> int:
        return len(self._slots()) + len(self._growing)

    def _slots(self) -> list[Slot]:
        return [slot for each in self._size_classes.values() for slot in each]

    def _size_class(self, nbytes: int) -> list[Slot]:
        if self._closed:
            raise Closed("this pool was closed with its screen, or belongs to the process this one was forked from")
        slots = self._size_classes.setdefault(round_up(nbytes), [])
        if len(self._by_nbytes) > _MOST_CACHED:
            self._by_nbytes.clear()
        self._by_nbytes[nbytes] = slots
        return slots

    def _held(self, count: int) -> str:
        nbytes = sum(slot.segment.size for slot in self._slots())
        return f"{count} frames are held ({nbytes / 1e6:.0f} MB)"

    def _release_idle(self, before: int) -> None:
        """Detach the free slots that were last acquired before the take of that number, staging slots too."""
        self._release_older(before)
        if self._staging is not None and 0 < self._last_staged < before:
            self._staging.trim()
            self._last_staged = 0

    def _release_free(self) -> None:
        """Detach all free slots."""
        self._release_older(self._takes + 1)

    def _release_older(self, before: int) -> None:
        for slots in self._size_classes.values():
            for slot in list(slots):
                if slot.last_take < before and slot.is_free:
                    slots.remove(slot)
                    self._given_back += 1
                    self._wait_released = getattr(slot.shmseg, "wait_released", None)  # None: `detach` does it at once
                    self._detach(slot.shmseg)


def _has_gil() -> bool:
    asked = getattr(sys, "_is_gil_enabled", None)  # Python 3.13 has it first
    return asked is None or bool(asked())


def segment_of(owner: Any) -> Segment | None:
    """Return the segment of the slot whose owner that is, None for anything else: a weak reference has that tag."""
    for reference in weakref.getweakrefs(owner) if isinstance(owner, ctypes.Array) else ():
        segment = getattr(reference, "tag", None)
        if isinstance(segment, Segment):
            return segment
    return None


def _sum(frames: PoolStats, staging: PoolStats) -> PoolStats:
    added = ("slots", "held", "idle", "bytes", "grown", "given_back")
    return replace(frames, **{name: getattr(frames, name) + getattr(staging, name) for name in added})


def _after_fork_in_child() -> None:
    for pool in _pools.living():
        pool.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
