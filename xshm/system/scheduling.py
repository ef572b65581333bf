"""Scheduling: threads that a library starts in this process.

1. What it does to their priority is undone. SVT-AV1, where it runs as root, puts its threads and the one that opens it
   under SCHED_FIFO at the highest priority. One that is busy then leaves no time to the X server, nor to anybody else
   on its core, and each program that is started from there inherits it.
2. Whether they have come to rest is told by the kernel, for a library that does not wait for its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_REAL_TIME: Final = (os.SCHED_FIFO, os.SCHED_RR)
_TASKS: Final = "/proc/self/task"
_AT_REST: Final = (b"S", b"Z", b"X", b"")  # states of proc(5): asleep, ended
_PAUSE: Final = 0.0002  # seconds
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_numbers: Final = itertools.count(1)


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
    for thread in _threads():
        with contextlib.suppress(OSError):
            if os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK in _REAL_TIME:
                yield thread


def _threads() -> set[int]:
    """Return this process's threads. A list may lack one where another ended while it was read."""
    found: set[int] = set()
    while more := set(map(int, os.listdir(_TASKS))) - found:  # noqa: PTH208 - names
        found |= more
    return found


class StartedThreads:
    """The threads that the calling one starts within a block: they inherit its name, which is one of their own then."""

    def __init__(self) -> None:
        self._name = b"xshm %d" % next(_numbers)
        self._was = b""
        self._stats: list[str] = []  # files of proc(5)

    def __enter__(self) -> None:
        self._was = _rename(self._name)

    def __exit__(self, *_: object) -> None:
        _rename(self._was)
        named = [thread for thread in _threads() if _read(f"{_TASKS}/{thread}/comm").strip() == self._name]
        self._stats = [f"{_TASKS}/{thread}/stat" for thread in named]

    def wait_idle(self) -> None:
        """Return when all of them sleep, or have ended, as far as the kernel tells."""
        while any(_state(stat) not in _AT_REST for stat in self._stats):
            time.sleep(_PAUSE)


def _rename(name: bytes) -> bytes:
    """Give the calling thread a name, of which 15 bytes count; return the one that it had."""
    prctl = ctypes.CDLL(None).prctl
    was = ctypes.create_string_buffer(16)
    prctl(_PR_GET_NAME, was, 0, 0, 0)
    prctl(_PR_SET_NAME, name, 0, 0, 0)
    return was.value


def _read(path: str) -> bytes:
    """Return what a file of proc(5) says, b"" where the thread has ended, or no file more can be opened."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, 512)
    except OSError:
        return b""
    finally:
        os.close(file)


def _state(stat: str) -> bytes:
    """Return the letter of a thread's state, b"" where it can't be known."""
    line = _read(stat)
    return line[line.rindex(b")") + 2 :][:1] if line else b""
