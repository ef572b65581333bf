"""Outputs of a muxer: an open file, a pipe, a URL.

A file is opened by libav itself, through its descriptor. Everything else is written to here: libav connects, and writes
a trailer, with the interpreter's lock held, so that a line that hangs would stop the whole program.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from xshm.record.libav.relay import Relay
from xshm.system.polling import ready

if TYPE_CHECKING:
    from collections.abc import Buffer

_LOOK: Final = 0.2  # s between two looks whether a write that waits was given up


class Target(Protocol):
    """An open file or pipe, as `xshm.system.replacement.Replacement` has it."""

    @property
    def name(self) -> str:
        """What errors call it."""

    @property
    def descriptor(self) -> int:
        """Where to write. Asked for when there is something to write: that may empty the old file."""

    def commit(self) -> None:
        """Give the file its name."""

    def close(self) -> None:
        """Close it, and report the disk's last errors."""

    def discard(self) -> None:
        """Close it; without `commit` nothing of it remains."""


class Output(Protocol):
    """What a Muxer writes to."""

    name: str
    is_seekable: bool

    def opened(self) -> Any:
        """Return what PyAV opens: a path, or an object with `write`."""

    def nbytes(self, packets: int) -> int:
        """Return how many bytes were written, where the packets written have so many."""

    def complete(self) -> None:
        """Let the last bytes be written; raise OSError where they were not."""

    def give_up(self) -> None:
        """End a write that waits; from any thread."""


class FileOutput:
    """A regular file that is open; it stays the caller's, and is written from its begin."""

    is_seekable = True

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor

    def opened(self) -> str:
        """Return its path, which libav opens anew."""
        return f"/proc/self/fd/{self._descriptor}"

    def nbytes(self, packets: int) -> int:
        """Return its size."""
        try:
            return os.fstat(self._descriptor).st_size
        except OSError:  # closed
            return packets

    def complete(self) -> None:
        """Do nothing: libav has written all of it."""

    def give_up(self) -> None:
        """Do nothing: a disk ends by itself."""


class PipeOutput:
    """A pipe, a terminal, a socket that is open; it stays the caller's."""

    is_seekable = False

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor
        self._written = 0
        self._given_up = threading.Event()

    def opened(self) -> PipeOutput:
        """Return itself."""
        return self

    def write(self, data: Buffer) -> int:
        """Write all bytes; waits as long as their reader, or until `give_up`."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            self._wait()
            # A pipe that poll(2) calls writable takes PIPE_BUF bytes without waiting.
            left = left[os.write(self._descriptor, left[: self._portion]) :]
        self._written += size
        return size

    _portion = 4096

    def _wait(self) -> None:
        while not ready((), (self._descriptor,), _LOOK):
            if self._given_up.is_set():
                raise OSError(errno.ECANCELED, "given up, since nobody took what was written", self.name)

    def nbytes(self, _packets: int) -> int:
        """Return how many bytes were taken."""
        return self._written

    def complete(self) -> None:
        """Do nothing: all was written."""

    def give_up(self) -> None:
        """End a write that waits."""
        self._given_up.set()


class UrlOutput(PipeOutput):
    """A URL, which a process of its own writes to. It is connected when this is made: raises OSError, XshmError."""

    def __init__(self, url: str) -> None:
        self._relay = Relay(url)
        super().__init__(self._relay.descriptor, url)

    def write(self, data: Buffer) -> int:
        """Write all bytes, or raise what the line's end was."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise self._relay.error() from None

    def complete(self) -> None:
        """Wait until the last bytes are sent."""
        self._relay.finish()

    def give_up(self) -> None:
        """End the process."""
        super().give_up()
        self._relay.kill()


def to_target(target: Target) -> Output:
    """Return the output for an open file or pipe."""
    descriptor = target.descriptor
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return FileOutput(descriptor, target.name)
    return PipeOutput(descriptor, target.name)
