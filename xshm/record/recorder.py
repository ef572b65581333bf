"""Recorder: a recording of a screen, a window or a pixmap, from `start` to `stop`; what `record` returns.

Its states are new, running (or paused), over. The work is the Pipeline's, of which a Recorder has one from `start` on.
In a process that was forked from the recording one it does nothing.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, NoReturn, Self

from xshm import _arguments
from xshm.errors import InvalidType, RecordingFailed
from xshm.record import choose
from xshm.record.course import Course
from xshm.record.feeds.opening import open_feed
from xshm.record.pictures.painter import Painter
from xshm.record.pictures.scale import scaled_size
from xshm.record.pipeline import Pipeline
from xshm.record.sinks.target import Target
from xshm.record.timing import SECOND
from xshm.system import limits, logs

if TYPE_CHECKING:
    from types import TracebackType

    from xshm.capture.source import Source
    from xshm.geometry import Region
    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.sink import Sink

    Name = str | bytes | os.PathLike[str]


class Recorder:
    """A recording to a file, a pipe or a URL. `with` starts and stops it; so do `start` and `stop`.

        with screen.record("out.mp4") as recorder:
            recorder.mark("form opened")               # a chapter

    `start` takes the first picture, and raises what the source or the target refuses. Then two threads do the work:
    nothing has to be called. `stop` completes the file, and raises what has ended the recording before: DisplayGone,
    OSError of a full disk, RecordingStalled. A file is complete up to then in each of these cases. A window that was
    closed is no error: the recording ends with it, and `ended` tells.

    `frames` counts the pictures that were written; with a constant rate repeated ones too, keep-alives of a still
    screen not. `dropped` counts those that were replaced by newer ones since encoder or target were slower.

    A Recorder that is dropped stops, and what runs at the interpreter's end is stopped: the files are completed. After
    a signal that ends the process at once (KILL, and TERM where nothing handles it) an .mp4, .mkv or .webm plays to
    within a second of that.
    """

    def __init__(self, source: Source, target: Name | Target, region: Region | None, settings: Settings) -> None:
        self._target = Target.parse(target, settings.format)
        self._prepare(source, region, choose.complete(self._target, settings))

    def _prepare(self, source: Source, region: Region | None, settings: Settings) -> None:
        self._course = Course[Pipeline]("recording", "record")
        self._has_raised = False
        self._process = os.getpid()
        self._settings = settings
        self._source = source
        self._region = region
        self._early_marks: list[str] = []
        self._limit = math.inf  # ns, beyond which nothing is recorded
        source._check_open()

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """How pixels are read, converted and encoded, and why so; before the start: nothing."""
        return self._pipeline.how if self._pipeline is not None else ""

    @property
    def frames(self) -> int:
        """How many pictures were written so far."""
        return self._pipeline.writer.frames if self._pipeline is not None else 0

    @property
    def dropped(self) -> int:
        """How many pictures were replaced by newer ones before they were written."""
        return self._pipeline.dropped if self._pipeline is not None else 0

    @property
    def duration(self) -> float:
        """Seconds recorded so far, without the pauses; after the end the recording's length."""
        return self._pipeline.duration if self._pipeline is not None else 0.0

    @property
    def bytes(self) -> int:
        """How many bytes were written so far."""
        return self._pipeline.nbytes if self._pipeline is not None else 0

    @property
    def ended(self) -> BaseException | None:
        """What has ended the recording by itself: WindowGone, DisplayGone, OSError; None as long as nothing has."""
        return self._pipeline.ended if self._pipeline is not None else None

    @property
    def is_running(self) -> bool:
        """Whether it records, or is paused: started, not stopped, and not ended by itself."""
        return self._pipeline is not None and not self._course.is_over and self._pipeline.is_running

    # -- its course ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the first picture, and go on in threads of its own. Raises what source or target refuse.

        WindowNotViewable for a window that has no picture, InvalidArgument for a codec or an option that is not there,
        MissingExtra, OSError of the target. Nothing is written then. Closed where it was stopped, also meanwhile: then
        the file is not there, or complete with the first picture.
        """
        if not self._is_elsewhere():
            self._course.start(self._begin)

    def _begin(self) -> None:
        settings = self._settings
        # A round trip: the recording has the size of now, and events that tell of it may be on their way.
        self._source._session.connection.wire.sync()
        rect = None if self._region is None else self._source._within(self._region)
        feed = open_feed(self._source, rect, cursor=settings.cursor is True)
        sink: Sink | None = None
        pipeline: Pipeline | None = None
        try:
            sink = self._open_sink(scaled_size(feed.size, settings.max_edge))
            painter = Painter(feed.format, feed.size, sink.layout, max_edge=settings.max_edge)
            pipeline = Pipeline(feed, painter, sink, settings.fps, constant=settings.constant)
            pipeline.clock.limit = self._limit
            for title in self._early_marks:
                pipeline.writer.mark(title)
            self._course.check()  # a FIFO's reader, or a URL's, may have let it wait
            with limits.Explained(RecordingFailed, "the recording can't be started"):
                pipeline.start()
            logs.info("record", "%s: %s", self._source._name(), pipeline.how)
            if not self._course.publish(pipeline):
                pipeline.stop()
                self._course.check()
        except BaseException:  # not only Exception: Ctrl-C must leave nothing open
            if pipeline is not None and pipeline.has_begun:
                self._course.withdraw(pipeline)
                pipeline.request_stop()
                raise
            if sink is not None:
                sink.abort()
            feed.close()
            raise

    def pause(self) -> None:
        """Let the recording's time stand still until `resume`. Again is fine."""
        if not self._is_elsewhere():
            self._running().pause()

    def resume(self) -> None:
        """Go on after a pause; what has changed meanwhile is captured at once."""
        if not self._is_elsewhere():
            self._running().resume()

    def mark(self, title: str) -> None:
        """Begin a chapter here; before the start: at the beginning. Containers without chapters drop it (`how`).

        .mp4 and .mov keep the first 255.
        """
        _arguments.text(title, "a chapter's title")
        if self._is_elsewhere():
            return
        if self._pipeline is None and not self._course.is_over:
            self._early_marks.append(title)
        else:
            self._running().writer.mark(title)

    def stop(self) -> None:
        """End the recording, and return when the file is complete. Twice is fine; before the start nothing is written.

        While another thread is in `start` it returns at once: that one ends the recording, and raises Closed.
        Raises what has ended the recording before, once; but not that the window was closed.
        """
        if self._is_elsewhere():
            return
        pipeline = self._course.end()
        self._course.close()
        if pipeline is None:
            return
        try:
            pipeline.stop()
        except Exception:
            if not self._has_raised:
                self._has_raised = True
                raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"The recording failed, too: {type(failure).__name__}: {failure}")

    def __del__(self) -> None:
        pipeline = getattr(self, "_pipeline", None)
        if pipeline is not None and not self._is_elsewhere():
            # Without a wait, nor a request: this may be any thread, in the middle of anything. Also after `stop`, which
            # may have been interrupted before it did anything.
            pipeline.abandon()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Recorder belongs to its process and its connection; send the path of what it has written")

    def __repr__(self) -> str:
        state = "over" if self._course.is_over else "new" if self._pipeline is None else "running"
        return f"<{type(self).__name__} of {self._source!r}, {state}, {self.frames} frames, {self.duration:.1f} s>"

    def _end_at(self, seconds: float) -> None:
        """Before the start: let the recording be no longer than that, though `stop` comes late."""
        self._limit = max(1, round(seconds * SECOND))

    def _give_up(self) -> None:
        """End a recording whose `stop` was interrupted, without a wait: what is not written yet is lost."""
        if self._pipeline is not None:
            self._pipeline.give_up()

    # -- shared with Ring ----------------------------------------------------------------------------------------------

    @property
    def _pipeline(self) -> Pipeline | None:
        return self._course.work

    def _open_sink(self, size: tuple[int, int]) -> Sink:
        return choose.open_sink(self._target, size, self._settings)

    def _running(self) -> Pipeline:
        """Return the pipeline, or raise why there is none at work."""
        self._course.check()
        if self._pipeline is None:
            raise RecordingFailed("this recording was not started yet; start() does, or `with`")
        return self._pipeline

    def _is_elsewhere(self) -> bool:
        """Return whether this is a process that was forked: the recording is the other one's."""
        return os.getpid() != self._process
