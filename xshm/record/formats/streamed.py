"""Streamed: pictures as bare bytes, one after the other, for a pipe into another program: what y4m and bgr0 share.

1. The pictures lie in memory as they are written, so that nothing is copied before write(2).
2. Such a stream has no times: its rate is constant, and a picture is repeated where nothing has changed.
3. A pipe is written to without blocking, so that `abort` ends a write whose reader has stopped. Nobody else's writes
   change by that: the pipe is opened once more, for this alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

from xshm._signal_safety import Descriptor, is_a_handlers, owned
from xshm.errors import Closed, InvalidArgument
from xshm.system.polling import ready
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect
    from xshm.record.formats.growing_file import Output
    from xshm.record.pictures.picture import Layout, Picture
    from xshm.record.sinks.settings import Settings

# Of a pipe that has 64 KiB: a picture takes fewer turns of writer and reader. What the kernel does not give is no loss.
_PIPE: Final = 1 << 20


class Streamed:
    """A Sink of pictures one after the other, in memory that `_new_memory` makes."""

    kind: ClassVar[str]
    layout: Layout

    def __init__(self, output: Output, size: tuple[int, int], settings: Settings) -> None:
        if settings.codec is not None and settings.codec.lower() != self.kind:
            raise InvalidArgument(
                f"{self.kind} is pictures without a codec; leave codec={quoted(settings.codec)} out, or record to "
                f".mp4, .mkv or .webm"
            )
        if settings.options:
            raise InvalidArgument(
                f"{self.kind} has no options, so {', '.join(map(quoted, settings.options))} can't be set"
            )
        if settings.fps is None:
            raise InvalidArgument(f"{self.kind} has a constant rate: name it, as fps=30")
        self.size = size
        self.fps = settings.fps
        self.nbytes = 0
        self._output = output
        self._descriptor: Descriptor | None = None
        self._aborted = owned(os.eventfd, 0, os.EFD_CLOEXEC)

    @property
    def how(self) -> str:
        """What was chosen and why, in words."""
        raise NotImplementedError

    def new_picture(self) -> Picture:
        """Return a black picture; its `handle` is all of what is written for it."""
        raise NotImplementedError

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:  # noqa: ARG002 - of a constant rate
        """Write a picture. Raises OSError with the target's name: BrokenPipeError where its reader has gone."""
        try:
            if self._descriptor is None:
                self._descriptor = _unblocked(self._output.descriptor)
                self._write_all(memoryview(self._header()))
            self._write_all(picture.handle)
        except OSError as error:
            if is_a_handlers(error) or error.filename is not None:
                raise
            words = "its reader has gone" if error.errno == errno.EPIPE else error.strerror
            raise OSError(error.errno, words, self._output.name) from error
        self._output.commit()

    def mark(self, at: int, title: str) -> None:
        """Do nothing: the format has no chapters."""

    def finish(self, end: int) -> None:  # noqa: ARG002 - of a constant rate
        """Close the target."""
        self._descriptor = None
        self._output.close()

    def abort(self) -> None:
        """End a write that hangs, and close the target."""
        with suppress(OSError):
            os.eventfd_write(self._aborted, 1)
        self._output.discard()

    def _header(self) -> bytes:
        """Return what the stream begins with."""
        return b""

    def _write_all(self, data: memoryview) -> None:
        assert self._descriptor is not None  # noqa: S101 - `write` has opened it
        left = data
        while left:
            try:
                written = os.write(self._descriptor, left)
            except BlockingIOError as error:
                if is_a_handlers(error):
                    raise
                if self._aborted in ready((self._aborted,), (self._descriptor,), None):
                    raise Closed(f"writing to {self._output.name} was given up") from None
                continue
            self.nbytes += written
            left = left[written:]


def _unblocked(descriptor: int) -> Descriptor:
    """Return a pipe as a descriptor of its own that never blocks; anything else as a duplicate."""
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return owned(os.dup, descriptor)
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
    try:
        return owned(os.open, f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if is_a_handlers(error) or error.errno == errno.ENXIO:  # nobody reads any more
            raise
        return owned(os.dup, descriptor)  # no /proc
