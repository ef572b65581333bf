"""The file that a server's messages go to: always one that can be read back, since errors quote it.

A regular file takes them itself. A terminal, pipe, FIFO or socket can't be read back: then the log is a file in memory
(memfd_create(2)), and the supervisor copies it (`log_tee`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from dataclasses import dataclass
from typing import Final

from xshm._signal_safety import Descriptor, is_the_kernels, owned
from xshm.errors import StartFailed
from xshm.system import limits
from xshm.system.printable import printable

_QUOTED_LINES: Final = 8
_FATAL: Final = "Fatal server error:"
_USAGE: Final = "use: X"  # begins what a server prints when it is given an option that it does not know
_FIRST_FREE: Final = 3  # lower numbers are the standard streams', also where the process has closed those
_STREAMS: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


@dataclass(slots=True)
class ServerLog:
    """Descriptors: `log` is a file in memory or on a disk, `target` what it is copied to, or -1."""

    log: int
    target: int = -1

    def close(self) -> None:
        """Close both (a Descriptor closes when its last reference goes); the supervisor has its own."""
        self.log = self.target = -1


def open_log(path: str | os.PathLike[str] | None) -> ServerLog:
    """Open the file for a server's messages; without a path one in memory. Raises OSError, StartFailed."""
    if path is None:
        return ServerLog(_memory())
    target = above_standard(_open(os.fspath(path)))
    # Xvfb appends to a regular file itself.
    if stat.S_ISREG(os.fstat(target).st_mode):
        return ServerLog(target)
    return ServerLog(_memory(), target)


def quote_messages(text: str) -> str:
    """Return the last lines of a server's messages, each once, as a sentence's end, and the limit that they mean."""
    lines = [printable(re.sub(r"\(EE\)\s*", "", line).strip()) for line in text.splitlines()]
    usage = next((number for number, line in enumerate(lines) if line.startswith(_USAGE)), None)
    if usage is not None:  # a hundred lines; older servers name the option before it
        lines = lines[lines.index(_FATAL) :] if _FATAL in lines else lines[:usage]
    # Of equal lines the last one counts. A server that ends complains of framebuffers that are gone ("unlink").
    quoted = [line for line in dict.fromkeys(reversed(lines)) if line and not line.startswith("unlink")][::-1]
    cut = ["…"] if len(quoted) > _QUOTED_LINES else []
    why = limits.explain_messages(text)
    end = f"; {why}" if why else ""
    return f"; it said: {' | '.join(cut + quoted[-_QUOTED_LINES:])}{end}" if quoted else "; it said nothing"


def above_standard(descriptor: Descriptor) -> Descriptor:
    """Return the descriptor, or a duplicate where its number is that of a standard stream.

    A process with closed standard streams gets their numbers for what it opens, and subprocess would replace them by
    the child's own streams.
    """
    if descriptor >= _FIRST_FREE:
        return descriptor
    return owned(fcntl.fcntl, descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)


def _memory() -> Descriptor:
    return above_standard(owned(os.memfd_create, "xshm-log", os.MFD_CLOEXEC))


def _open(path: str) -> Descriptor:
    """Open a file to append to, and to read back if it is a regular one; do not wait for a FIFO's reader."""
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
        # A socket, which open(2) refuses by its name in /dev/fd.
        return owned(fcntl.fcntl, descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)


def _own_descriptor(path: str) -> int | None:
    """Return the descriptor of this process that a path such as /dev/stderr or /dev/fd/2 names."""
    number = re.fullmatch(r"(?:/dev|/proc/self)/fd/(\d+)", path)
    return int(number[1]) if number else _STREAMS.get(path)
