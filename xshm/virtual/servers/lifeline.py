"""A line that ends a server when its supervisor has ended, in whatever way: the kernel sends the signal.

The server inherits a pipe's reading end, of which it knows nothing; the one writing end is the supervisor's. When that
is closed, by kill -9 too, whoever owns the reading end (F_SETOWN) hears of it by the signal that F_SETSIG names. Unlike
PR_SET_PDEATHSIG it needs no program between fork and exec (setpriv(1) of util-linux, which not every system has), it
does not follow the thread that forked, and it can't be late: a pipe that nobody writes to is as good as a closed one.
Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import fcntl
import posix


def tie(reading_end: int, pid: int) -> int:
    """Have a process that has inherited this end ask by TERM to end with ours; return the writing end, to be kept."""
    writing_end = posix.open(f"/proc/self/fd/{reading_end}", posix.O_WRONLY | posix.O_CLOEXEC)
    fcntl.fcntl(reading_end, fcntl.F_SETOWN, pid)
    fcntl.fcntl(reading_end, fcntl.F_SETSIG, _signal.SIGTERM)
    fcntl.fcntl(reading_end, fcntl.F_SETFL, fcntl.fcntl(reading_end, fcntl.F_GETFL) | posix.O_ASYNC)
    return writing_end
