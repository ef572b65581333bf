"""Pipeline: a recording at work: one thread captures and paints, another encodes and writes, three pictures between.

Always true:

1. The first picture is taken by the thread that starts the recording: what the source refuses, `start` raises.
2. The capture thread never waits for the encoder: where that is slower, or hangs, pictures are dropped and counted.
3. However capturing ends (`stop`, an error, the end of the server or the window), the encoder thread completes the file
   with what was captured until then; however that ends, capturing ends too.
4. A sink that hangs is aborted (`SinkWriter.is_stalled`): both threads ask, of which one goes on in any case.
5. Both threads are daemons, and go on to the end after an exception in `stop`, Ctrl-C too. What is not stopped when the
   interpreter ends is stopped then.
6. They are started by a third thread, which no signal interrupts: Thread.start waits by a lock that an exception in it
   leaves taken, and the new thread needs that lock.
"""

from __future__ import annotations

import _thread
import atexit
import os
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import leave_signals
from xshm.errors import PoolExhausted, RequestTimeout, WindowGone, WindowNotViewable, XshmError
from xshm.geometry import Rect, subtract
from xshm.record.feeds.untorn import read_untorn
from xshm.record.pictures.handover import End, Finished, Handover
from xshm.record.timing import SECOND, Clock, Grid, Pace, shown_alone
from xshm.record.writer import SinkWriter

if TYPE_CHECKING:
    from xshm.record.feeds.feed import Captured, Feed
    from xshm.record.pictures.handover import Kept
    from xshm.record.pictures.painter import Painter
    from xshm.record.sinks.sink import Sink

_PATROL: Final = 2.0  # seconds after which a thread that waits looks whether it is to end, or the sink does nothing
_LAST_LOOK: Final = 2.0  # seconds for the server's answer when a recording ends
_CATCH_UP: Final = 2.0  # seconds for all that is there to be written
_RETRY: Final = 0.02  # seconds after which what was refused for a moment is tried again
_PICTURES: Final = 3

_running: weakref.WeakSet[Pipeline] = weakref.WeakSet()


class Pipeline:
    """A recording from its first picture to its completed file. `start` once, `stop` at the end, by any thread."""

    def __init__(self, feed: Feed, painter: Painter, sink: Sink, fps: float | None, *, constant: bool) -> None:
        self.clock = Clock()
        self._feed = feed
        self._painter = painter
        self._sink = sink
        self._pace = Pace(fps)
        self._handover = Handover([sink.new_picture() for _ in range(_PICTURES)], Rect(0, 0, *feed.size))
        grid = Grid(fps) if constant and fps is not None else None
        self.writer = SinkWriter(sink, self._handover, self.clock, grid, shown_alone(fps))
        self._stopping = False
        self._error: BaseException | None = None  # what ended the capture thread
        self.process = os.getpid()
        self._launched: list[int] = []  # the thread that starts the others
        self._begun, self._captured, self._written = End(), End(), End()
        self._capturing = threading.Thread(target=self._capture, name="xshm-record-capture", daemon=True)
        self._writing = threading.Thread(target=self._write, name="xshm-record-write", daemon=True)

    # -- what the Recorder shows ---------------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """How pixels are read, converted and encoded, and why so."""
        return f"{self._sink.how}; pixels by {self._feed.how}; converted by {self._painter.how}"

    @property
    def nbytes(self) -> int:
        """How many bytes the sink has written, or keeps."""
        return self._sink.nbytes

    @property
    def dropped(self) -> int:
        """How many pictures were replaced by newer ones since the sink was slower."""
        return self._handover.dropped

    @property
    def duration(self) -> float:
        """Seconds that are recorded so far, without the pauses."""
        end = self._handover.end
        return (self.clock.now() if end is None else end) / SECOND

    @property
    def has_begun(self) -> bool:
        """Whether its threads end it."""
        return bool(self._launched)

    @property
    def is_running(self) -> bool:
        """Whether it has begun, and nothing has ended it."""
        return self.has_begun and self._handover.end is None and not self._stopping

    @property
    def ended(self) -> BaseException | None:
        """What ended the recording before `stop`."""
        return self.writer.error or self._error

    # -- its course ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the first picture, and begin. Raises what the source raises; then nothing was begun."""
        if not self._look():
            raise WindowNotViewable("what is to be recorded has no picture: it is unmapped or iconified")
        # From here on the threads end it, also where this is interrupted. One call into C starts them and says so.
        self._launched.extend(map(_thread.start_new_thread, (self._launch,), ((),)))
        while not self._begun.wait(_PATROL):
            pass
        if self._error is not None and self._capturing.ident is None:
            raise self._error

    def pause(self) -> None:
        """Let the recording's time stand still."""
        with self._handover.lock:
            self.clock.pause()
            self._handover.condition.notify_all()

    def resume(self) -> None:
        """Go on: what has changed meanwhile is captured at once."""
        with self._handover.lock:
            self.clock.resume()
            self._handover.condition.notify_all()

    def catch_up(self) -> None:
        """Return when all that the source shows by now is written; or after a while, where it or the sink hangs.

        Of a source that hangs the last picture is written again, so that it lasts until now.
        """
        written = self._handover.ask()
        self._feed.wake()
        if not written.wait(_CATCH_UP):
            self._handover.stop_asking(written)
            written.wait(_CATCH_UP / 4)

    def abandon(self) -> None:
        """Have both threads finish by themselves, within _PATROL. For finalizers: it sends no request."""
        with self._handover.lock:
            self._stopping = True
            self._handover.condition.notify_all()

    def request_stop(self) -> None:
        """Have both threads finish by themselves, at once."""
        self.abandon()
        self._feed.wake()

    def stop(self) -> None:
        """End the recording, and wait until the file is complete; raise what ended it early, but for a closed window.

        Again it waits for what is not done yet, if it was interrupted, and raises the same.
        """
        self.request_stop()
        if self._captured.wait(_LAST_LOOK) and self._capturing.ident is not None:
            self._capturing.join()
        # By now it is, but for a server that doesn't answer: then the last picture was written again until now.
        self._handover.finish(self.clock.now())
        while not self._written.wait(_PATROL / 4) and not self.writer.is_stalled():
            pass
        if self._written.over and self._writing.ident is not None:
            self._writing.join()
        _running.discard(self)
        error = self.ended
        if error is not None and not (isinstance(error, WindowGone) and self.writer.frames):
            raise error

    def give_up(self) -> None:
        """End what hangs, and do not wait for it at the end of the program."""
        _running.discard(self)
        self._sink.abort()

    # -- the threads ---------------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        """Start both threads; what can't be started is over."""
        leave_signals()
        try:
            _running.add(self)
            self._writing.start()
            self._capturing.start()
        except BaseException as error:  # noqa: BLE001 - there are too many threads; `start` raises it
            self._error = error
            if self._writing.ident is None:
                self._sink.abort()
                self._written.come()
            self._handover.finish(self.clock.now())
            with suppress(XshmError, OSError):
                self._feed.close()
            self._captured.come()
        finally:
            self._begun.come()

    def _write(self) -> None:
        try:
            self.writer.run()
        finally:
            self._written.come()
            self._feed.wake()

    def _capture(self) -> None:
        try:
            while not self._stopping and self._handover.end is None:
                self._step()
                self.writer.is_stalled()
            if self._handover.end is None and not self.clock.paused:
                self._look()  # what was drawn last is in the recording, too
        except RequestTimeout:  # of the last look
            pass
        except BaseException as error:  # noqa: BLE001 - `stop` raises it, in a thread that can act on it
            self._error = error
        finally:
            self._handover.finish(self.clock.now())
            with suppress(XshmError, OSError):
                self._feed.close()
            self._captured.come()

    def _step(self) -> None:
        """Wait until a picture is due and likely, or for a while; capture it."""
        condition = self._handover.condition
        if self._handover.asked > self._handover.looked:
            self._look_now()
            return
        with self._handover.lock:
            if self._stopping or self._handover.asked > self._handover.looked:
                return
            if self.clock.paused:
                condition.wait(_PATROL)
                return
            left = self._pace.due - time.monotonic()
            if left > 0:
                condition.wait(min(left, _PATROL))
                return
        if not self._feed.wait(time.monotonic() + _PATROL):
            return
        try:
            if not self.clock.paused and not self._stopping:
                self._look()
        except (PoolExhausted, RequestTimeout):  # the caller holds all frames; the server is stopped or grabbed
            with self._handover.lock:
                condition.wait(_RETRY)

    def _look_now(self) -> None:
        """Look at the source for those who have asked for it, though none is due."""
        asked = self._handover.asked
        try:
            if not self.clock.paused:
                self._look()
        except (PoolExhausted, RequestTimeout):
            pass
        finally:
            self._handover.note_look(asked)

    def _look(self) -> bool:
        """Bring a free picture up to date, and hand it over; return whether anything has changed."""
        kept = self._handover.begin()
        changed: list[Rect] = []
        try:
            at = read_untorn(self._feed, partial(self._convert, kept, changed))
        except BaseException:
            self._handover.give_back(kept)
            raise
        if at is None:
            self._handover.recycle(kept)
            return False
        if not self.has_begun:
            self.clock.begin(at)
        self._pace.captured(at)
        time_ns = self.clock.at(at)
        if time_ns >= self.clock.limit:  # of what would not be shown any more
            self._handover.give_back(kept)
        else:
            self._handover.hand_over(Finished(kept, time_ns, changed))
        return True

    def _convert(self, kept: Kept, changed: list[Rect], captured: Captured) -> None:
        """Convert what was captured; add to `changed` where it differs from the picture before."""
        self._handover.note(captured.changed)
        # What is stale and what is new apart: only the latter differs from the picture before.
        stale = subtract(kept.stale, *captured.changed)
        if stale:
            self._painter.paint(kept.picture, captured.pixels, stale, captured.colormap)
        changed += self._painter.paint(kept.picture, captured.pixels, captured.changed, captured.colormap)
        kept.stale = []


def _stop_all() -> None:
    """Complete the files of all recordings, when the interpreter ends."""
    for pipeline in [each for each in _running if each.process == os.getpid()]:
        with suppress(Exception):  # nobody is there to whom it could be told
            pipeline.stop()


atexit.register(_stop_all)
