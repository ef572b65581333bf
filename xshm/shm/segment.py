"""Memory that a server can be given, and the pool that lends it out frame by frame.

A `Segment` is private from birth (0600, or a sealed memfd nobody else has) and can't outlive its holders: a System V
segment is removed from the kernel's table before the server hears of it, which Linux allows while it is mapped. Only a
process that is killed between its shmget and its IPC_RMID, a few microseconds, leaves one behind: see own_segments.py.

Memory follows its views. What a frame stands on is a ctypes array made for it over the segment, which holds the
mapping. When the last ndarray, slice or memoryview over that array dies, a weak reference puts the slot back on its
shelf. Nothing dangles, nothing is handed out twice, and the garbage collector is not needed.

A signal handler that raises may come between any two steps. So what the kernel gives has its owner from inside the
call that gives it, and a slot that was on its way when that happened is found again.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import weakref
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal

from xshm import sysv
from xshm._signal_safety import owned
from xshm.errors import Closed, InvalidArgument, PoolExhausted
from xshm.shm import own_segments
from xshm.system.deadlines import ENDS, holding

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["sysv", "memfd"]
_PAGE: Final = mmap.PAGESIZE
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
# A slot that was not wanted for this many takes is given back; looked at every so many takes.
_IDLE_TAKES, _LOOK_EVERY = 256, 64
_NO_ROOM: Final = (errno.ENOSPC, errno.ENOMEM, errno.EINVAL, errno.EFBIG, errno.EMFILE, errno.ENFILE)
_MORE_ROOM: Final = {
    "sysv": "raise its limits (kernel.shmmni, shmall, shmmax), or open the screen with transport='fd'",
    "memfd": "raise its limits (memory, and files that may be open: ulimit -n)",
}
_PLACE = struct.Struct("=II")
_pools: dict[int, weakref.ref[Pool]] = {}


class Segment:
    """Shared memory of `size` bytes, zeroed at birth: `sysv` has a `shmid`, `memfd` a `descriptor` (else -1)."""

    __slots__ = ("__weakref__", "descriptor", "kind", "memory", "shmid", "size")

    def __init__(self, kind: Kind, size: int) -> None:
        if size < 1:
            raise InvalidArgument(f"a segment has at least 1 byte, not {size}")
        self.kind = kind
        self.size = size
        self.shmid = sysv.ShmId(-1)
        self.descriptor: int = -1
        self.memory: memoryview | mmap.mmap = self._make_sysv() if kind == "sysv" else self._make_memfd()

    def _make_sysv(self) -> memoryview:
        self.shmid, memory = own_segments.make(self.size)
        return memory

    def _make_memfd(self) -> mmap.mmap:
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        self.descriptor = descriptor = owned(os.memfd_create, "xshm", flags)
        os.ftruncate(descriptor, self.size)
        # Unsealed, whoever else has the descriptor could truncate it under the server, whose next write ends it.
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        return mmap.mmap(descriptor, self.size)

    def close_descriptor(self) -> None:
        """Let go of the memfd; the mapping stays. For when the server has it."""
        self.descriptor = -1


class Slot:
    """A segment that the server knows as `shmseg`, as a place for one frame."""

    __slots__ = ("__weakref__", "array", "last_take", "memory", "place", "segment", "shmseg")

    def __init__(self, segment: Segment, shmseg: int) -> None:
        self.segment = segment
        self.memory = segment.memory
        self.shmseg = shmseg  # the very object that `attach` gave, which may stand for more than the number
        self.place = _PLACE.pack(shmseg, 0)  # as requests name it: shmseg, and offset
        self.array: Any = ctypes.c_ubyte * segment.size
        self.last_take = 0


class _Return(weakref.ref):  # type: ignore[type-arg]
    """The weak reference that brings a slot home: its callback appends it to the shelf, in C, at once, anywhere."""

    __slots__ = ("slot",)
    __hash__ = object.__hash__  # by identity: ctypes arrays have no hash to lend
    __eq__ = object.__eq__
    slot: Slot


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What a pool holds and has done. `held` slots are pinned by frames or views; `idle` ones wait for the next.

    `limit` bounds what frames hold. Landing slots, out of which frames beyond it were copied, are counted too.
    """

    slots: int
    held: int
    idle: int
    bytes: int
    takes: int
    grown: int
    given_back: int
    limit: int


class _SizeClass:
    """The slots of one size."""

    __slots__ = ("free", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.free: deque[_Return] = deque()


class Pool:
    """Lends slots; `limit` is how many there may be at once. Beside them are up to `landings` more to copy out of.

    `attach` makes a segment known to the server and returns its shmseg, `detach` undoes that; both may raise. If the
    shmseg has a method `settle`, it returns when the server has let go of what was detached: until then the kernel has
    the segment. In a process forked from the pool's it is closed: the slots are the parent's.
    """

    def __init__(
        self,
        kind: Kind,
        attach: Callable[[Segment], Any],
        detach: Callable[[Any], None],
        limit: int,
        landings: int = 0,
    ) -> None:
        if limit < 1:
            raise InvalidArgument(f"a pool needs a limit of at least 1 frame, not {limit}")
        # Landing slots are a pool apart: what comes home there must not be lent to a frame that keeps it.
        self._landing = Pool(kind, attach, detach, landings) if landings else None
        self._last_landing = 0  # at which take one was wanted last; 0 where all were given back since
        self._kind: Kind = kind
        self._attach = attach
        self._detach = detach
        self.limit = limit
        self._lock = Lock()
        self._slots: set[Slot] = set()
        self._lent: dict[Slot, _Return] = {}  # each slot's last; it does not come home without one that lives
        self._shelves: dict[int, _SizeClass] = {}
        self._by_bytes: dict[int, _SizeClass] = {}
        self._takes = self._grown = self._given_back = 0
        self._settle: Callable[[], None] = _nothing_to_settle
        self._closed = False
        _pools[id(self)] = weakref.ref(self, partial(_pools.pop, id(self)))

    def acquire(self, nbytes: int) -> tuple[Any, Slot]:
        """Return a ctypes array over a free slot of at least `nbytes`, and the slot.

        The slot is out of the pool until the array, and all that was made over it, is gone. What is in the memory is
        undefined. Raises PoolExhausted at the limit, or at the kernel's.
        """
        if ENDS:  # another thread may wait for the server, to which it makes a new slot known, without a limit
            return holding(self._lock, self._take, nbytes)
        with self._lock:
            return self._take(nbytes)

    def _take(self, nbytes: int) -> tuple[Any, Slot]:
        shelf = self._by_bytes.get(nbytes) or self._shelf_for(nbytes)
        self._takes = takes = self._takes + 1
        if not takes % _LOOK_EVERY:
            self._give_back_idle(takes - _IDLE_TAKES)
        slot = shelf.free.pop().slot if shelf.free else self._find(shelf) or self._grow(shelf)
        slot.last_take = takes
        owner = slot.array.from_buffer(slot.memory)
        home = _Return(owner, shelf.free.append)
        home.slot = slot
        self._lent[slot] = home
        return owner, slot

    def acquire_or_land(self, nbytes: int) -> tuple[Any, Slot, bool]:
        """As `take`, and where that is PoolExhausted a landing slot and True: copy out of it, and let go of it.

        Raises PoolExhausted where there is no landing slot either.
        """
        try:
            return *self.acquire(nbytes), False
        except PoolExhausted as full:
            if self._landing is None:
                raise
            self._last_landing = self._takes
            try:
                return *self._landing.acquire(nbytes), True
            except PoolExhausted as none:
                raise full from none

    def trim(self) -> None:
        """Give back every slot that no frame holds."""
        with self._lock:
            self._give_back_all()
        if self._landing is not None:
            self._landing.trim()

    def stats(self) -> PoolStats:
        """Count what there is; a momentary picture while other threads work."""
        with self._lock:
            idle = sum(len(shelf.free) for shelf in self._shelves.values())
            total = sum(slot.segment.size for slot in self._slots)
            count = len(self._slots)
        found = PoolStats(count, count - idle, idle, total, self._takes, self._grown, self._given_back, self.limit)
        return found if self._landing is None else _sum(found, self._landing.stats())

    def close(self) -> None:
        """Let go of every slot; those that frames hold live on until their last view is gone. Closing twice is fine."""
        with self._lock:
            slots = self._forget()
        for slot in slots:
            self._detach(slot.shmseg)
        if self._landing is not None:
            self._landing.close()

    def abandon(self) -> None:
        """After fork, in the child: let go of the parent's slots. The lock may be another thread's, of the parent."""
        self._lock = Lock()
        self._forget()

    def _forget(self) -> set[Slot]:
        self._closed = True
        slots, self._slots = self._slots, set()
        self._lent = {}
        self._shelves = {}
        self._by_bytes = {}
        return slots

    def _shelf_for(self, nbytes: int) -> _SizeClass:
        if self._closed:
            raise Closed("this pool was closed with its screen, or belongs to the process this one was forked from")
        size = round_up(nbytes)
        shelf = self._shelves.get(size)
        if shelf is None:
            shelf = self._shelves[size] = _SizeClass(size)
        if len(self._by_bytes) > 4096:  # noqa: PLR2004 - regions of every size: the short cut is not for them
            self._by_bytes.clear()
        self._by_bytes[nbytes] = shelf
        return shelf

    def _find(self, shelf: _SizeClass) -> Slot | None:
        return next((slot for slot in self._lost() if slot.segment.size == shelf.size), None)

    def _lost(self) -> set[Slot]:
        """Find the slots that no frame and no shelf holds: a signal handler raised while they were on their way."""
        # The living first: one that dies in between is on its shelf by then.
        lent = {slot for slot, home in self._lent.items() if home() is not None}
        free = [home.slot for shelf in self._shelves.values() for home in list(shelf.free)]
        return self._slots.difference(lent, free)

    def _grow(self, shelf: _SizeClass) -> Slot:
        if len(self._slots) >= self.limit:
            self._give_back_all()
        if len(self._slots) >= self.limit:
            held = sum(slot.segment.size for slot in self._slots)
            raise PoolExhausted(
                f"{len(self._slots)} frames are held ({held / 1e6:.0f} MB), which is the limit; let some go, keep "
                f"frame.copy() in their place, or open the screen with a higher max_frames, or without copies=False"
            )
        segment = self._segment(shelf.size)
        slot = Slot(segment, self._attach(segment))
        self._slots.add(slot)
        self._grown += 1
        return slot

    def _segment(self, size: int) -> Segment:
        """Make a segment; where the kernel has no room for it, what is idle is given back first."""
        try:
            return Segment(self._kind, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:  # a signal handler's, a TimeoutError perhaps
                raise
        idle = self._given_back
        self._give_back_all()
        if self._given_back > idle:
            self._settle()
        try:
            return Segment(self._kind, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            held = sum(slot.segment.size for slot in self._slots)
            raise PoolExhausted(
                f"the kernel has no room for a frame of {size:,} bytes ({error}); {len(self._slots)} frames are held "
                f"({held / 1e6:.0f} MB); let some go, keep frame.copy() in their place, open the screen without "
                f"copies=False, or {_MORE_ROOM[self._kind]}"
            ) from error

    def _give_back_idle(self, before: int) -> None:
        """Under the lock: give back what was not wanted since the take of that number, landing slots too."""
        self._give_back(before)
        if self._landing is not None and 0 < self._last_landing < before:
            self._landing.trim()
            self._last_landing = 0

    def _give_back(self, before: int) -> None:
        """Under the lock: detach the free slots that were last taken before the take of that number."""
        for shelf in self._shelves.values():
            for home in list(shelf.free):
                if home.slot.last_take < before:
                    shelf.free.remove(home)
                    self._drop(home.slot)

    def _give_back_all(self) -> None:
        self._give_back(self._takes + 1)
        for slot in self._lost():
            self._drop(slot)

    def _drop(self, slot: Slot) -> None:
        self._lent.pop(slot, None)  # first: a slot is found again by not being in here
        self._slots.discard(slot)
        self._given_back += 1
        self._settle = getattr(slot.shmseg, "settle", _nothing_to_settle)
        self._detach(slot.shmseg)


def _sum(frames: PoolStats, landing: PoolStats) -> PoolStats:
    return replace(
        frames,
        slots=frames.slots + landing.slots,
        held=frames.held + landing.held,
        idle=frames.idle + landing.idle,
        bytes=frames.bytes + landing.bytes,
        grown=frames.grown + landing.grown,
        given_back=frames.given_back + landing.given_back,
    )


def _nothing_to_settle() -> None:
    """Stand in where `detach` is done when it returns."""


def _after_fork_in_child() -> None:
    for reference in list(_pools.values()):
        pool = reference()
        if pool is not None:
            pool.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)


def round_up(nbytes: int) -> int:
    """Round to a size that slots come in: whole pages, in steps of an eighth, so that few sizes serve all regions."""
    pages = -(-nbytes // _PAGE)
    step = 1 << max(0, pages.bit_length() - 4)
    return -(-pages // step) * step * _PAGE
