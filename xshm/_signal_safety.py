"""Signal safety: a signal handler may raise at any instruction, and nothing leaks, no state is left inconsistent.

Ctrl-C raises KeyboardInterrupt, a SIGALRM time-out an exception of the program's own; programs in notebooks go on after
both. CPython runs handlers, and switches threads, when a function in Python is entered, at a backward jump, and after a
call: not within a call into C, and not between two stores. Eight idioms follow from that. In `sysv`, `shm` and `x11.io`
a comment such as `# signal-safe (2)` names the idiom of a line that would be written otherwise; other packages use the
functions and classes below.

1. Store what a call returns inside the call. In `n = os.read(…)` a handler may raise before the store, and the bytes
   are lost; `chunks.extend(map(recv, (size,)))` is one call into C that receives and stores.
2. Commit by stores. State changes by `=`, `+=` and `del` with no call in between, so that it is the old or the new one.
   Work that was interrupted before its commit is done again from the old state.
3. Release in C. `__del__ = released_by(os.close)` gives an object a finalizer that no handler can enter.
4. Record a death in C. A weak reference's callback is a C function: `deque.append` of a TaggedRef, `dict.pop` in a
   WeakRegistry. The work that follows from the death is done later, where an exception does no harm.
5. Read errno with the call. Both are in one `map`, since a handler or a finalizer in between would leave its own errno.
6. Distinguish the kernel's OSError from a handler's. A handler may raise TimeoutError, which is an OSError, during a
   system call; that must not count as a failure of the file or the connection. See `is_the_kernels`.
7. Start a thread in one call into C: `begun`. A handler that raises in the midst of threading.Thread.start has it take
   the thread from a table, in which the thread then does not find itself, and ends before it has begun.
8. Leave signals to the main thread: `leave_signals`, first in each thread of ours.

What does not work:
- `try` and `finally` alone: a handler may raise between the call that opens and the store, and again in the `finally`.
- A `__del__` in Python: of 20,000 interrupts 450 came before its first instruction and left a segment attached, and
  5,000 were swallowed, as exceptions in `__del__` are. With idiom 3 there were none of either.
- A loop inside of `with` or `try`, a comprehension too: since 3.12 an exception at its backward jump leaves the block
  without its exit, a lock still taken. Put the loop into a function that is called there, or iterate in C.
- weakref.WeakMethod, WeakKeyDictionary and finalize: their callbacks are in Python, where exceptions are swallowed.
- A signal mask around the work: it costs 13 % of a small grab, and masks one thread only.
"""

from __future__ import annotations

import _thread
import os
import sys
import weakref
from contextlib import suppress
from functools import cache, partial
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, Final, Generic, TypeGuard, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_FAULTS: Final = ("ABRT", "BUS", "FPE", "ILL", "SEGV", "SYS", "TRAP")

_Referent = TypeVar("_Referent")
_Tag = TypeVar("_Tag")

# -- release in C (3) --------------------------------------------------------------------------------------------------


def released_by(release: Callable[[Any], object]) -> property:
    """Return a `__del__` for a subclass of int: it calls `release`, a function written in C, with the number."""
    # Looking up `__del__` evaluates the property, and so gives partial(release, number): no frame of Python is entered.
    return property(partial(partial, release))


class Descriptor(int):
    """A file descriptor that is closed when the last reference to it goes, exactly once. It is an int elsewhere."""

    __slots__ = ()
    __del__ = released_by(os.close)


def owned(opens: Callable[..., int], *arguments: object) -> Descriptor:
    """Call what opens a descriptor and is written in C, as `os.open` is; return the descriptor as a Descriptor."""
    return next(map(Descriptor, map(opens, *((each,) for each in arguments))))


def pipe() -> tuple[Descriptor, Descriptor]:
    """Make a pipe; return its two ends, the one to read from and the one to write to."""
    reads, writes = map(Descriptor, chain.from_iterable(starmap(os.pipe, ((),))))
    return reads, writes


# -- record a death in C (4) -------------------------------------------------------------------------------------------


class TaggedRef(weakref.ref[_Referent], Generic[_Referent, _Tag]):
    """A weak reference with a `tag`, by which the reader of the callback's deque knows which object has died.

    Set `tag` in the statement after the reference is made: between two stores no handler runs.
    """

    __slots__ = ("tag",)
    __hash__ = object.__hash__  # by identity: a weak reference's hash is its object's, and ctypes arrays have none
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    tag: _Tag


class WeakRegistry(dict[int, "weakref.ref[_Referent]"]):
    """Weak references to objects, by their id(); an entry is removed when its object dies."""

    def add(self, member: _Referent) -> None:
        """Add an object."""
        # The callback is called with the reference, which `pop` takes for the default.
        self[id(member)] = weakref.ref(member, partial(self.pop, id(member)))

    def discard(self, member: _Referent) -> bool:
        """Remove an object; return whether it was there: true for one of several threads that remove it."""
        return self.pop(id(member), None) is not None

    def living(self) -> list[_Referent]:
        """Return the objects, for as long as the list is kept."""
        # list() first: other threads add and remove entries while this one iterates.
        return [member for reference in list(self.values()) if (member := reference()) is not None]


# -- the kernel's OSErrors (6) -----------------------------------------------------------------------------------------

_OURS: Final = __name__.partition(".")[0]
PILLOW: Final = ("PIL", "numpy", *sys.stdlib_module_names)  # in their frames Pillow's own errors are raised


def is_the_kernels(error: BaseException, *through: str) -> TypeGuard[OSError]:
    """Return whether an exception that xshm caught is an OSError of a system call, and no signal handler's.

    `through` are the packages or modules in Python through which the call was made, such as "socket".
    """
    return isinstance(error, OSError) and not is_a_handlers(error, *through)


def is_a_handlers(error: BaseException, *through: str) -> bool:
    """Return whether an exception that xshm caught was raised by a signal handler.

    A handler has a frame of its own in the traceback, of a package that is neither xshm nor one of `through`; a call
    into C has none. The errno is no evidence: a handler may pass on the OSError of its own system call, or raise
    TimeoutError(ETIMEDOUT, …).
    """
    trace = error.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_globals
        package, name = str(names.get("__package__")).partition(".")[0], names.get("__name__")
        if package != _OURS and name not in through and package not in through:
            return True
        trace = trace.tb_next
    return False


class Ignored(suppress):
    """A with block that suppresses exceptions of these types, as contextlib.suppress does, but no signal handler's."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return super().__exit__(kind, error, trace) and error is not None and not is_a_handlers(error)


# -- a thread (7, 8) ---------------------------------------------------------------------------------------------------


def leave_signals() -> None:
    """Have the kernel give this process's signals to other threads than this one and those that it starts.

    Of the main thread nothing is changed.

    Handlers run in the main thread alone: a signal that comes to another one does not interrupt a wait of that, which
    ends when it would have ended. Of 160 TERMs to `xshm run --record` soon after its start 4 to 8 had no effect so.
    Nothing for a thread that starts programs: they inherit it, those too that a finalizer of somebody else's starts
    there. What tells of a fault in the thread still comes.
    """
    import signal  # noqa: PLC0415 - a screenshot needs neither
    import threading  # noqa: PLC0415

    if _thread.get_ident() == threading.main_thread().ident:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _left())


@cache
def _left() -> frozenset[int]:
    """Return the signals that are left: made once, since that takes 90 µs, and a picture's file may need a thread."""
    import signal  # noqa: PLC0415 - as above

    return frozenset(signal.valid_signals() - {signal.Signals[f"SIG{name}"] for name in _FAULTS})


def begun(work: Callable[[], object]) -> Callable[[], object] | None:
    """Have a new thread do some work, which raises nothing; return what waits for its end, to be called once.

    None where there can be no thread: the system has no more, or the interpreter is about to end. Where a handler
    raises, the work is begun or it is not; a thread that runs is waited for neither then nor at the interpreter's end.
    """
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            leave_signals()
            work()
        finally:
            ended.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError as error:
        if is_a_handlers(error):
            raise
        return None
    return ended.acquire
