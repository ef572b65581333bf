"""Do two parts of some work at the same time, where this process has a second processor.

For work in C that runs without the interpreter's lock, such as Pillow's resize and libisal's compression, and takes
milliseconds: the threads cost 0.1. With one processor, where the system has no more threads, or inside of such a part,
one part follows the other, and the result is the same.

Each part has a thread of its own, which begins on one half of the processors, while the caller waits. A processor of a
virtual machine that has nothing to do is asleep for the host, and Linux wakes no thread on it: two threads that hand
each other the interpreter's lock would share the other one for milliseconds, until they are balanced. After 20 ms of
rest a 1080p page made smaller takes 19 ms so, and 25 without; a JPEG of it 5 and 8. They may move on from there: bound
to its half for good, a thread beside one of a higher priority takes up to a hundred times as long.

OpenCV keeps 864 bytes of each thread that a conversion of its has run in, until the process ends (5.0; they are of its
trace, which is off). So a thread that goes on with such work for hours calls `keep_helpers` before.
"""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from typing import TYPE_CHECKING

from xshm._signal_safety import begun, leave_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

_parts: set[int] = set()  # the threads that do a part of such work
os.register_at_fork(after_in_child=_parts.clear)


class _Own(threading.local):
    """What a thread has for itself: a helper for each part, if it keeps them."""

    helpers: tuple[Executor, Executor] | None = None


_own = _Own()


def keep_helpers() -> None:
    """Let this thread have two helpers from now on, which end after it does, not new ones for each `together`.

    Not for a thread in which signal handlers run, the main one, nor for one that forks.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few need it

    one, other = (ThreadPoolExecutor(1, "xshm-files", leave_signals) for _ in range(2))
    _own.helpers = one, other


def together(here: Callable[[], None], there: Callable[[], None]) -> None:
    """Call both functions, each in a thread of its own where that is of use; raise what either raises.

    Where a signal handler raises meanwhile, those threads go on to their end, for a few milliseconds, and keep what
    they work on.
    """
    processors = sorted(os.sched_getaffinity(0))
    if threading.get_ident() in _parts or len(processors) == 1:
        there()
        here()
        return
    failed: list[BaseException] = []
    caller = threading.get_native_id()

    def run(part: Callable[[], None], half: Iterable[int]) -> None:
        try:
            if threading.get_native_id() != caller:  # that of a greenlet is
                with contextlib.suppress(OSError):  # they are this process's no longer
                    os.sched_setaffinity(0, half)
                    os.sched_setaffinity(0, processors)
            _do(part)
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            failed.append(error)

    own: list[Callable[[], object]] = []
    waits: list[Callable[[], object]] = []
    for number, part in enumerate((there, here)):
        work = partial(run, part, processors[number::2])
        wait = _begun(number, work)
        if wait is None:
            own.append(work)
        else:
            waits.append(wait)
    for do in (*own, *waits):
        do()
    if failed:
        raise failed[0]


def _do(part: Callable[[], None]) -> None:
    me = threading.get_ident()
    try:
        _parts.add(me)
        part()
    finally:
        _parts.discard(me)


def _begun(number: int, work: Callable[[], None]) -> Callable[[], object] | None:
    """Have a helper do it; return what waits for that, or None where there can be no helper."""
    if _own.helpers is None:
        return begun(work)
    try:
        return _own.helpers[number].submit(work).result
    except RuntimeError:  # as where `begun` returns None
        keep_helpers()  # this one would do it later, once it can
        return None
