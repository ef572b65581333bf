"""Where a server's words go: always to a file that can be read back, since errors quote it.

A regular file takes them itself. A terminal, pipe, FIFO or socket can't be read back: the log is then a file in memory,
and the supervisor copies it on (log_tee).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from dataclasses import dataclass
from typing import Final

from xshm._signal_safety import Descriptor, owned
from xshm.errors import StartFailed
from xshm.system.kernel_errors import is_the_kernels

_FIRST_FREE: Final = 3  # the standard streams' numbers are never ours, though the process may have closed them
_STREAMS: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


@dataclass(slots=True)
class ServerLog:
    """Descriptors: `log` is a file in memory or on a disk, `target` what it is copied on to, or -1."""

    log: int
    target: int = -1

    def close(self) -> None:
        """Close both, which nobody else has; the supervisor has its own."""
        self.log = self.target = -1


def open_log(path: str | os.PathLike[str] | None) -> ServerLog:
    """Open the file for the server's words; without a path one in memory. Raises OSError, StartFailed."""
    if path is None:
        return ServerLog(_memory())
    target = above_standard(_open(os.fspath(path)))
    if stat.S_ISREG(os.fstat(target).st_mode):
        return ServerLog(target)
    return ServerLog(_memory(), target)


def above_standard(descriptor: Descriptor) -> Descriptor:
    """Return the descriptor, or, for a number below 3, another one for the same file in its place.

    A process with closed standard streams gets their numbers for what it opens, and subprocess would put a child's own
    streams over them.
    """
    if descriptor >= _FIRST_FREE:
        return descriptor
    return owned(fcntl.fcntl, descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)


def _memory() -> Descriptor:
    return above_standard(owned(os.memfd_create, "xshm-log", os.MFD_CLOEXEC))


def _open(path: str) -> Descriptor:
    """Open a file to append to, and to read back if it is a regular one; never wait for a FIFO's reader."""
    flags = os.O_APPEND | os.O_CLOEXEC
    try:
        if stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a text throughout
            return owned(os.open, path, os.O_RDWR | flags)
    except FileNotFoundError as error:
        if not is_the_kernels(error):
            raise
        return owned(os.open, path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    try:
        return owned(os.open, path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | flags)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        descriptor = _own_descriptor(path)
        if descriptor is None and not stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116 - as above
            raise  # /dev/tty without a terminal
        if descriptor is None:
            raise StartFailed(f"nobody reads from {path}; start its reader before the display") from None
        # A socket, which has no name that could be opened again.
        return owned(fcntl.fcntl, descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)


def _own_descriptor(path: str) -> int | None:
    """Return the descriptor of this process that a path such as /dev/stderr or /dev/fd/2 names."""
    number = re.fullmatch(r"(?:/dev|/proc/self)/fd/(\d+)", path)
    return int(number[1]) if number else _STREAMS.get(path)
