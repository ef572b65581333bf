"""Scheduling: threads that a library starts in this process.

1. What it does to their priority is undone. SVT-AV1, where it runs as root, puts its threads and the one that opens it
   under SCHED_FIFO at the highest priority. One that is busy then leaves no time to the X server, nor to anybody else
   on its core, and each program that is started from there inherits it.
2. Whether they have come to rest is told by the kernel, for a library that does not wait for its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_REAL_TIME: Final = (os.SCHED_FIFO, os.SCHED_RR)
_BUSY: Final = b"RD"  # states of proc(5): running or about to, waiting for a disk
_ENDED: Final = (errno.ENOENT, errno.ESRCH)
_PAUSE: Final = 0.0002  # seconds
_MOST_LOOKS: Final = 10_000


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


class StartedThreads:
    """The threads that are started within a block."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._stats: list[str] = []  # files of proc(5)

    def __enter__(self) -> None:
        self._before = set(os.listdir("/proc/self/task"))  # noqa: PTH208 - names

    def __exit__(self, *_: object) -> None:
        started = set(os.listdir("/proc/self/task")) - self._before  # noqa: PTH208 - names
        self._stats = [f"/proc/self/task/{thread}/stat" for thread in sorted(started, key=int)]

    def wait_idle(self) -> None:
        """Return when all of them sleep, or have ended.

        One that is busy for seconds on end is another's, which was started at the same time: it is waited for once.
        """
        busy, looks = "", 0
        while found := next((stat for stat in self._stats if _state(stat) in _BUSY), ""):
            busy, looks = found, looks + 1 if found == busy else 1
            if looks == _MOST_LOOKS:
                self._stats.remove(found)
            time.sleep(_PAUSE)


def _state(stat: str) -> bytes:
    """Return the letter of a thread's state: b"X" when it has ended, b"R" where that can't be known just now."""
    try:
        file = os.open(stat, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return b"X" if error.errno in _ENDED else b"R"
    try:
        line = os.read(file, 256)
    except OSError as error:
        return b"X" if error.errno in _ENDED else b"R"
    finally:
        os.close(file)
    return line[line.rindex(b")") + 2 :][:1]
