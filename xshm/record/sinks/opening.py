"""Opening what a recording is streamed to: standard output, a descriptor, a FIFO, a device.

1. Standard output is the recording's alone while it lasts: what this program or its children print goes to standard
   error, and not into the middle of a picture. Afterwards it is as it was.
2. A terminal is refused, and so is what can't be written to: a descriptor to read from, the file of a socket. A FIFO
   waits for its reader, for a limited time.
3. All descriptors are closed in programs that are started meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from typing import Final

from xshm._signal_safety import Descriptor, Ignored, is_a_handlers, owned
from xshm.errors import InvalidArgument, TargetTimeout
from xshm.record.sinks.timed_writer import TIMEOUT, TimedWriter
from xshm.system.atomic_write import check_owner, followed
from xshm.system.printable import printable
from xshm.system.replacement import about_target

_OUTPUT, _ERROR = 1, 2
_LOOK: Final = 0.03  # seconds between two looks for the reader of a FIFO, which no call waits for without blocking

_taken: set[int] = set()  # standard output, while a recording goes there


class StandardOutput(TimedWriter):
    """Standard output as a TimedWriter, which nothing else in this process writes to until it is closed."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        if _OUTPUT in _taken:
            raise InvalidArgument("a recording goes to standard output already; write this one to a file")
        _flush()  # what was printed before comes before
        _open_missing_error()
        self._process = os.getpid()
        self._original: Descriptor | None = _duplicate(_OUTPUT, "standard output")
        super().__init__(self._original, "standard output", timeout)
        try:
            _taken.add(_OUTPUT)
            os.dup2(_ERROR, _OUTPUT)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Give standard output back. Twice is fine. Raises nothing."""
        super().discard()
        original, self._original = self._original, None
        if original is None or os.getpid() != self._process:  # a forked child has its own
            return
        _flush()  # what was printed meanwhile
        with Ignored(OSError):
            os.dup2(original, _OUTPUT)
        _taken.discard(_OUTPUT)


def open_descriptor(descriptor: int, name: str, timeout: float = TIMEOUT) -> TimedWriter:
    """Return a TimedWriter to an open descriptor, which stays open; standard output is taken from all others."""
    if descriptor == _OUTPUT:
        return StandardOutput(timeout)
    return TimedWriter(_duplicate(descriptor, name), name, timeout)


def open_path(path: str, timeout: float = TIMEOUT) -> TimedWriter:
    """Return a TimedWriter to a FIFO, once it has a reader, or to a device. Raises TargetTimeout, OSError."""
    try:
        opened = _open(path, timeout)
        if opened is not None and (place := followed(path)) is not None:
            check_owner(place, os.fstat(opened))
    except OSError as error:
        if is_a_handlers(error):
            raise
        raise about_target(path, error) from error
    if opened is None:
        raise TargetTimeout(
            errno.ETIMEDOUT, f"no program has opened this FIFO to read within {timeout:g} s; start one first", path
        )
    return TimedWriter(_checked(opened, path), path, timeout)


def _open(path: str, timeout: float) -> Descriptor | None:
    """Open a FIFO or a device; None where nobody reads in time."""
    until = time.monotonic() + timeout
    while True:
        try:
            return owned(os.open, path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno != errno.ENXIO or is_a_handlers(error):
                raise
            kind = os.stat(path).st_mode  # noqa: PTH116 - a text, as the user wrote it
            if stat.S_ISSOCK(kind):
                place = os.path.abspath(path)  # noqa: PTH100 - as above
                raise InvalidArgument(
                    f"{printable(path)} is a socket; to connect to it, name its URL: unix://{printable(place)}"
                ) from None
            if not stat.S_ISFIFO(kind):
                raise
        if time.monotonic() >= until:
            return None
        time.sleep(_LOOK)


def _flush() -> None:
    for stream in (sys.stdout, sys.__stdout__):  # a program may have put another in place of Python's own
        if stream is not None:
            with Ignored(OSError, ValueError):  # closed
                stream.flush()


def _open_missing_error() -> None:
    """Open /dev/null as standard error where that is closed: else the video's own descriptor would get its number."""
    try:
        os.fstat(_ERROR)
    except OSError as error:
        if is_a_handlers(error):
            raise
        made = os.open(os.devnull, os.O_WRONLY)
        if made != _ERROR:  # standard input is closed, too
            os.dup2(made, _ERROR, inheritable=False)
            os.close(made)


def _duplicate(descriptor: int, name: str) -> Descriptor:
    try:
        return _checked(owned(os.dup, descriptor), name)
    except OSError as error:
        if is_a_handlers(error):
            raise
        if error.errno == errno.EBADF:
            raise InvalidArgument(f"{name} is closed; nothing can be written to it") from None
        raise about_target(name, error) from error


def _checked(descriptor: Descriptor, name: str) -> Descriptor:
    if os.isatty(descriptor):
        raise InvalidArgument(
            f"{name} is a terminal, which shows no video; redirect it: `> FILE` or `| ffplay -`, or name a file"
        )
    if not _is_writable(descriptor):
        raise InvalidArgument(f"{name} is open for reading alone; name a file, or '-' for standard output")
    return descriptor


def _is_writable(descriptor: int) -> bool:
    import fcntl  # noqa: PLC0415 - only for recordings to pipes

    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
