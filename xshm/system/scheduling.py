"""Scheduling: what a library does to the priority of this process's threads is undone.

SVT-AV1, where it runs as root, puts its threads and the one that opens it under SCHED_FIFO at the highest priority. One
that is busy then leaves no time to the X server, nor to anybody else on its core, and each program that is started from
there inherits it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_REAL_TIME: Final = (os.SCHED_FIFO, os.SCHED_RR)


@contextlib.contextmanager
def without_real_time() -> Iterator[None]:
    """Run a block; no thread of this process is real-time after it that was not before."""
    before = set(_real_time_threads())
    try:
        yield
    finally:
        for thread in _real_time_threads():
            if thread not in before:
                with contextlib.suppress(OSError):  # it has ended
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _real_time_threads() -> Iterator[int]:
    for thread in map(int, os.listdir("/proc/self/task")):  # noqa: PTH208 - names
        with contextlib.suppress(OSError):
            if os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK in _REAL_TIME:
                yield thread
