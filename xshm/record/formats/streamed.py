"""Streamed: pictures as bare bytes, one after the other, for a pipe into another program: what y4m and bgr0 share.

1. The pictures lie in memory as they are written, so that nothing is copied before write(2).
2. Such a stream has no times: its rate is constant, and a picture is repeated where nothing has changed.
3. A picture that can't be written whole, on a full disk, is taken back: a file ends with the picture before.
4. The target is closed by whoever uses it last: `abort` from another thread ends a write that waits, and the writing
   thread closes the target then.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, ClassVar

from xshm._signal_safety import Ignored, is_a_handlers
from xshm.errors import Closed, InvalidArgument
from xshm.record.sinks.sink import KEEP_ALIVE
from xshm.record.sinks.timed_writer import TimedWriter
from xshm.system.atomic_write import write_all
from xshm.system.printable import quoted
from xshm.system.replacement import about_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect
    from xshm.record.pictures.picture import Layout, Picture
    from xshm.record.sinks.settings import Settings
    from xshm.system.replacement import Replacement


class Streamed:
    """A Sink of pictures one after the other; a Picture's `handle` is all of what is written for it."""

    kind: ClassVar[str]
    layout: Layout
    keep_alive = KEEP_ALIVE  # of no effect at a constant rate

    def __init__(self, output: Replacement | TimedWriter, size: tuple[int, int], settings: Settings) -> None:
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
        self._using = threading.Lock()  # held by `write` and `finish`
        self._aborted = False

    @property
    def how(self) -> str:
        """What was chosen and why, in words."""
        raise NotImplementedError

    def new_picture(self) -> Picture:
        """Return a black picture."""
        raise NotImplementedError

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:  # noqa: ARG002 - of a constant rate
        """Write a picture. Raises OSError with the target's name, also where its reader has gone, or takes nothing."""
        try:
            with self._using:
                if self._aborted:
                    raise Closed(f"nothing more is written to {self._output.name}: it was given up")
                if not self.nbytes:
                    self._write(self._header())
                self._write(picture.handle)
                self._output.commit()
        finally:
            self._after()

    def mark(self, at: int, title: str) -> None:
        """Do nothing: the format has no chapters."""

    def finish(self, end: int) -> None:  # noqa: ARG002 - of a constant rate
        """Close the target."""
        with self._using:
            self._output.close()

    def abort(self) -> None:
        """End a write that waits, and close the target."""
        self._aborted = True
        if isinstance(self._output, TimedWriter):
            self._output.abort()
        self._after()

    def _header(self) -> bytes:
        """Return what the stream begins with."""
        return b""

    def _write(self, data: bytes | memoryview) -> None:
        if isinstance(self._output, TimedWriter):
            before = self._output.nbytes
            try:
                self._output.write(data)
            except BaseException:
                self._output.take_back(before)
                raise
            finally:
                self.nbytes += self._output.nbytes - before
            return
        try:
            write_all(self._output.descriptor, data)
        except OSError as error:
            if is_a_handlers(error):
                raise
            with Ignored(OSError):
                os.ftruncate(self._output.descriptor, self.nbytes)
            raise about_target(self._output.name, error) from error
        self.nbytes += len(data)

    def _after(self) -> None:
        """Close the target after an abort, unless a write is at it still."""
        if self._aborted and self._using.acquire(blocking=False):
            try:
                with Ignored(OSError):
                    self._output.discard()
            finally:
                self._using.release()
