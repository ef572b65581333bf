"""GrowingFile: an animation's file that is complete after each frame, whatever ends the program.

1. In a regular file each frame is written together with the trailer, over the trailer before, and then the numbers in
   the header that count frames or bytes are corrected. A process that is killed leaves the frames written so far.
2. A frame that can't be written whole, on a full disk, is taken back: the file ends with the frame before.
3. To a pipe, and to a file that is only appended to, the trailer goes last and nothing is corrected.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from xshm._signal_safety import Ignored, is_a_handlers
from xshm.system.replacement import about_target

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTHING: Final[Mapping[int, bytes]] = {}


class Output(Protocol):
    """An open file, as a Replacement has it."""

    @property
    def name(self) -> str:
        """What errors call it."""

    @property
    def descriptor(self) -> int:
        """Where to write. Asked for when there is something to write: that may empty an old file."""

    def commit(self) -> None:
        """Give the file its name."""

    def close(self) -> None:
        """Close it, and report the disk's last errors."""

    def discard(self) -> None:
        """Close it; without `commit` nothing of it remains."""


@runtime_checkable
class Stream(Protocol):
    """An Output that has a way of its own to write, so that a reader that hangs is an error in time."""

    def write(self, data: bytes | memoryview) -> int:
        """Write all of it."""

    def abort(self) -> None:
        """End a write that hangs."""


class GrowingFile:
    """A file over an Output: frames are appended, and after each one it is complete."""

    def __init__(self, output: Output, trailer: bytes) -> None:
        self.nbytes = 0
        self.end = 0  # of the last whole frame, in bytes from the beginning
        self._output = output
        self._trailer = trailer
        self._descriptor = -1
        self._start: int | None = None  # where in the file it begins; None where nothing can be corrected
        self._stream: Stream | None = output if isinstance(output, Stream) else None
        if self._stream is not None:  # else see `Output.descriptor`
            self._open()

    @property
    def is_corrected(self) -> bool:
        """Whether what was written can be corrected; True also where that is not known before the first frame."""
        return self._start is not None or self._descriptor < 0

    def append(self, data: bytes, corrections: Mapping[int, bytes] = _NOTHING) -> None:
        """Write a frame, after the header where it is the first; `corrections` are bytes by their offset in the file.

        The file then has its name. Raises OSError, with the file's name.
        """
        if self._descriptor < 0:
            self._open()
        if self._start is None:
            self._write(data)
            self.end = self.nbytes = self.end + len(data)
        else:
            self._write_frame(data, corrections)
            self.nbytes = self.end + len(self._trailer)
        self._output.commit()

    def close(self) -> None:
        """Complete and close the file; without a frame it is discarded."""
        if not self.end:
            self._output.discard()
            return
        if self._start is None:
            self._write(self._trailer)
            self.nbytes += len(self._trailer)
        else:
            # Another program that writes to the same open file, as after `> file` in a shell, goes on behind it.
            os.lseek(self._descriptor, self._start + self.nbytes, os.SEEK_SET)
        self._output.close()

    def end_write(self) -> None:
        """End a write to a Stream that hangs. Any thread may call it. Raises nothing."""
        if self._stream is not None:
            self._stream.abort()

    def discard(self) -> None:
        """Close the file as it is, complete up to its last frame. Raises nothing."""
        with Ignored(OSError):
            self._output.discard()

    def _open(self) -> None:
        descriptor = self._output.descriptor
        appended = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND  # such a file ignores the offset of pwrite(2)
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and not appended:
            self._start = os.lseek(descriptor, 0, os.SEEK_CUR)
        self._descriptor = descriptor

    def _write(self, data: bytes) -> None:
        """Write to what is only appended to."""
        assert self._stream is not None  # noqa: S101 - what is no Stream is a file of its own
        self._stream.write(data)

    def _write_frame(self, data: bytes, corrections: Mapping[int, bytes]) -> None:
        try:
            self._write_at(self.end, data + self._trailer)
            self.end += len(data)
            for offset, corrected in corrections.items():
                self._write_at(offset, corrected)
        except OSError as error:
            if is_a_handlers(error):
                raise
            self._take_back()
            raise about_target(self._output.name, error) from error

    def _write_at(self, offset: int, data: bytes) -> None:
        assert self._start is not None  # noqa: S101 - callers have tested it
        left, at = memoryview(data), self._start + offset
        while left:
            written = os.pwrite(self._descriptor, left, at)
            left, at = left[written:], at + written

    def _take_back(self) -> None:
        """End the file with the last whole frame again."""
        if self._start is None or not self.end:
            return
        with Ignored(OSError):
            os.ftruncate(self._descriptor, self._start + self.end)
            self._write_at(self.end, self._trailer)
