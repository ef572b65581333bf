"""Output: a file, a pipe or a URL, as a muxer writes to it.

A file is opened by libav itself, through its descriptor: nothing of Python is called for each packet then. Everything
else is written to by Python, with limits of time.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from xshm.errors import Closed
from xshm.record.libav.network import Line
from xshm.record.sinks.timed_writer import TimedWriter
from xshm.system.replacement import about_target

if TYPE_CHECKING:
    from xshm.system.replacement import Replacement

_BUFFER: Final = 32768  # bytes, PyAV's own
_HEADER: Final = 4096  # bytes, more than that of each container


class Output(Protocol):
    """What a Muxer writes to."""

    name: str
    is_seekable: bool
    buffer_size: int

    def opened(self) -> Any:
        """Return what PyAV opens: a path, or an object with `write`."""

    def nbytes(self) -> int:
        """Return how many bytes were written."""

    def take_back(self, nbytes: int) -> None:
        """End a file after so many bytes: what comes behind was not written whole. Raises nothing."""

    def commit(self) -> None:
        """Let a file have its name."""

    def close(self) -> None:
        """Close it, after the muxer; raise OSError where the last bytes were not written."""

    def discard(self) -> None:
        """Close it; without `commit` nothing of a file remains. Raises nothing."""

    def abort(self) -> None:
        """End a write that waits; from any thread. Raises nothing."""


class FileOutput:
    """A regular file, written from its begin."""

    is_seekable = True
    buffer_size = _BUFFER

    def __init__(self, file: Replacement) -> None:
        self.name = file.name
        self._file = file
        self._nbytes = 0
        self.commit = file.commit

    def opened(self) -> str:
        """Return its path, which libav opens anew: it may have no name, or get another one. Raises OSError.

        There is room for a header: PyAV never closes a file whose header it could not write.
        """
        descriptor = self._file.descriptor
        try:
            os.posix_fallocate(descriptor, 0, _HEADER)
        except OSError as error:
            raise about_target(self.name, error) from error
        finally:
            os.ftruncate(descriptor, 0)
        return f"/proc/self/fd/{descriptor}"

    def nbytes(self) -> int:
        """Return its size; that of the end once it is closed."""
        try:
            self._nbytes = os.fstat(self._file.descriptor).st_size
        except Exception:  # noqa: BLE001 - Closed, or by another thread at this moment
            return self._nbytes
        return self._nbytes

    def take_back(self, nbytes: int) -> None:
        """Cut off what comes behind so many bytes."""
        with suppress(OSError, Closed):
            os.ftruncate(self._file.descriptor, nbytes)

    def close(self) -> None:
        """Note its size, and close it."""
        self.nbytes()
        self._file.close()

    def discard(self) -> None:
        """Note its size, and close it at once."""
        self.nbytes()
        self._file.discard()

    def abort(self) -> None:
        """Do nothing: a disk ends by itself."""


class StreamOutput:
    """A pipe, a device, a socket, a URL: it takes bytes one after the other."""

    is_seekable = False

    def __init__(self, writer: TimedWriter | Line, file: Replacement | None = None) -> None:
        self.name = writer.name
        self.buffer_size = writer.buffer_size if isinstance(writer, Line) else _BUFFER
        self._writer, self._file = writer, file
        self.abort = writer.abort

    def opened(self) -> TimedWriter | Line:
        """Return what has `write`."""
        return self._writer

    def nbytes(self) -> int:
        """Return how many bytes were taken."""
        return self._writer.nbytes

    def take_back(self, nbytes: int) -> None:
        """Cut off what comes behind so many bytes of a file; else it is with its reader."""
        if isinstance(self._writer, TimedWriter):
            self._writer.take_back(nbytes)

    def commit(self) -> None:
        """Do nothing: what is written is with its reader."""

    def close(self) -> None:
        """Close it."""
        self._writer.close()
        if self._file:
            self._file.close()

    def discard(self) -> None:
        """Close it at once."""
        self._writer.abort()
        if isinstance(self._writer, Line):
            self._writer.close()  # it does not wait, after `abort`
        else:
            self._writer.discard()
        if self._file:
            self._file.discard()


def to_output(target: Replacement | TimedWriter | str) -> Output:
    """Return the Output for what is open already; or for a URL, which is connected to.

    A Replacement that is empty still is asked for its descriptor first here, which may empty the old file.
    """
    if isinstance(target, str):
        return StreamOutput(Line(target))
    if isinstance(target, TimedWriter):
        return StreamOutput(target)
    descriptor = target.descriptor
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return FileOutput(target)
    return StreamOutput(TimedWriter(descriptor, target.name), target)
