"""Keep a library from making this process's threads real-time ones.

SVT-AV1, run by root, puts the threads that it starts, and the one that starts them, before all else on the machine
(SCHED_FIFO, 99). A program that computes in such a thread leaves a twentieth of the processor to everybody else, and so
do the programs that it starts, which inherit that.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_Scheduling = tuple[int, int]  # policy and priority


@contextlib.contextmanager
def no_realtime_threads() -> Iterator[None]:
    """Give threads that the block has made real-time ones what they had before; new ones what this thread had."""
    own = _of(0)
    before = _of_all()
    try:
        yield
    finally:
        for thread, now in _of_all().items():
            policy, priority = before.get(thread, own)
            if now[0] == os.SCHED_FIFO and now != (policy, priority):
                with contextlib.suppress(OSError):  # it has ended
                    os.sched_setscheduler(thread, policy, os.sched_param(priority))


def _of(thread: int) -> _Scheduling:
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority


def _of_all() -> dict[int, _Scheduling]:
    """Return how each thread of this process is scheduled; without /proc that of the calling one."""
    found = {}
    try:
        threads = [int(name) for name in os.listdir("/proc/self/task")]  # noqa: PTH208 - names are all that is needed
    except OSError:
        threads = [0]
    for thread in threads:
        with contextlib.suppress(OSError):  # it has ended
            found[thread] = _of(thread)
    return found
