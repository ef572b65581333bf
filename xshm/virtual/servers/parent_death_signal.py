"""A parent-death signal for a server: the kernel sends it SIGTERM when its supervisor ends, by SIGKILL too.

The server inherits the reading end of a pipe and does not know of it; the supervisor has the only writing end. When the
kernel closes that, the owner of the reading end (F_SETOWN: the server) gets the signal that F_SETSIG names.

What does not work: PR_SET_PDEATHSIG. It has to be set between fork and exec, which takes setpriv(1) of util-linux that
not every system has; it is sent when the thread that forked ends; and set after the parent's end it does nothing.

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`; its enums take longer than all other imports
import fcntl
import posix


def arm(reading_end: int, pid: int) -> int:
    """Have a process that has inherited this end get SIGTERM when this process ends; return the writing end to keep."""
    # Opened by way of /proc: a writing end that was inherited would be the server's as well, and keep the pipe open.
    writing_end = posix.open(f"/proc/self/fd/{reading_end}", posix.O_WRONLY | posix.O_CLOEXEC)
    fcntl.fcntl(reading_end, fcntl.F_SETOWN, pid)
    fcntl.fcntl(reading_end, fcntl.F_SETSIG, _signal.SIGTERM)
    # O_ASYNC is a flag of the open file, which the server shares: it is set for the server's descriptor, too.
    fcntl.fcntl(reading_end, fcntl.F_SETFL, fcntl.fcntl(reading_end, fcntl.F_GETFL) | posix.O_ASYNC)
    return writing_end
