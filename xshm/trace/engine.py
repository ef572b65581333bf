"""Engine: a trace at work: one thread waits for what happens, and records it.

Always true:

1. The first picture is taken by the thread that starts the trace: what the source refuses, `start` raises.
2. A picture is recorded only if nothing was drawn while it was read. Where the live memory of a screen is drawn to
   again and again, the server is grabbed for the moment of one copy.
3. However the thread ends (`stop`, an error, the end of the server or the window), what was recorded until then is in
   the log, and the log has its end.
4. The thread is a daemon, and is started by another one, as those of a recording (`record.pipeline`). It goes on to the
   end after an exception in `stop`, Ctrl-C too.
5. While nothing happens there is no request, and no wake-up but one in two seconds.

Locking rules: `_lock` guards what others ask of the thread, and is not held while it works. Other threads take it,
never the condition over it (`record.pictures.handover`).
"""

from __future__ import annotations

import _thread
import dataclasses
import sys
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import leave_signals
from xshm.errors import PoolExhausted, RequestTimeout, WindowNotViewable, XshmError
from xshm.record.feeds.opening import open_feed
from xshm.record.feeds.untorn import read_untorn
from xshm.record.pictures.handover import End
from xshm.trace import records
from xshm.trace.log import RecordLog
from xshm.trace.noting.happenings import Happenings
from xshm.trace.pace import Pace, bytes_a_second
from xshm.trace.rectangles import Shadow

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.record.feeds.feed import Captured
    from xshm.trace.noting.notes import Notes
    from xshm.trace.noting.redaction import Redaction
    from xshm.trace.records import Record
    from xshm.trace.settings import TraceSettings

_SECOND: Final = 10**9  # nanoseconds
_PATROL: Final = 2.0  # seconds after which the thread looks whether it is to end, though nothing has woken it
_LAST_LOOK: Final = 2.0  # seconds for the server's answer when a trace ends
_CATCH_UP: Final = 2.0
_RETRY: Final = 0.02  # seconds after which what was refused for a moment is tried again


class Engine:
    """A trace from its first picture to its end. `start` once, `stop` at the end, by any thread."""

    def __init__(
        self,
        source: Source,
        region: Rect | None,
        settings: TraceSettings,
        redaction: Redaction,
        notes: Notes,
        title: str,
    ) -> None:
        """Take the first picture. Raises what the source refuses; then nothing is left open."""
        self._source = source
        self._notes = notes
        self._pace = Pace(settings.fps, bytes_a_second(settings.max_bytes, settings.keep_last))
        self._happenings: Happenings | None = None
        self._gap = ""  # why there are no pictures at present
        self._lock = threading.RLock()  # the collector may interrupt its owner by a finalizer that takes it, too
        self._condition = threading.Condition(self._lock)
        self._askers: list[End] = []
        self._is_key_wanted = False  # memory is full of events
        self._stopping = False
        self._error: BaseException | None = None
        self._length: int | None = None  # once it is over
        self._launched: list[int] = []  # the thread that starts the other one
        self._begun, self._over = End(), End()
        self._thread = threading.Thread(target=self._run, name="xshm-trace", daemon=True)
        self._feed = open_feed(source, region, cursor=False)
        try:
            self._shadow = Shadow(self._feed.size, self._feed.format, redaction.within(self._feed.rect))
            self.started_ns = self._read_first()
            self._open_log(settings, redaction, title)
        except BaseException:  # not only Exception: Ctrl-C must leave nothing open
            self._close()
            raise

    def _read_first(self) -> int:
        at = self._read()
        if at is None:
            raise WindowNotViewable("what is to be traced has no picture: it is unmapped or iconified")
        return at

    def _open_log(self, settings: TraceSettings, redaction: Redaction, title: str) -> None:
        reference = weakref.ref(self)
        self.log = RecordLog(
            records.head(self._head(title)),
            seconds=settings.keep_last,
            max_bytes=settings.max_bytes,
            wants_key=lambda: None if (engine := reference()) is None else engine._want_key(),
            spill=settings.spill,
        )
        add = partial(_add, self.log)
        try:
            self._happenings = Happenings(
                self._source,
                self._feed.rect,
                self.started_ns,
                add,
                redaction.clean,
                typed_text=settings.typed_text,
            )
            self._happenings.begin()
            self._feed.also = self._happenings.also
            self.log.hold()
            self.log.add_key(0, self._shadow.key(), self._state(0))
            self._notes.begin(add, self.started_ns)
        except BaseException:
            self.log.close()
            raise

    # -- what the Trace shows ------------------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """How pixels are read, and why so."""
        return self._feed.how

    @property
    def fps(self) -> float:
        """The present step of the rate."""
        return self._pace.step.fps

    @property
    def length(self) -> int:
        """Nanoseconds from the start until now, or the end."""
        return time.monotonic_ns() - self.started_ns if self._length is None else self._length

    @property
    def has_begun(self) -> bool:
        """Whether its thread ends it."""
        return bool(self._launched)

    @property
    def is_running(self) -> bool:
        """Whether it has begun, and nothing has ended it."""
        return self.has_begun and self._length is None and not self._stopping

    @property
    def ended(self) -> BaseException | None:
        """What ended the trace before `stop`."""
        return self._error

    def kept(self) -> list[Record]:
        """Return what is kept by now, with an end."""
        last = () if self._length is not None else (self.log.end(self.length, ""),)
        return self.log.records(*last)

    # -- its course ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. Raises RuntimeError where no thread can be started."""
        # From here on the thread ends it, also where this is interrupted. One call into C starts it and says so.
        self._launched.extend(map(_thread.start_new_thread, (self._launch,), ((),)))
        while not self._begun.wait(_PATROL):
            pass
        if self._error is not None and self._thread.ident is None:
            raise self._error

    def catch_up(self) -> None:
        """Return when all that the source shows by now is recorded; or after a while, where it does not answer."""
        looked = End()
        with self._lock:
            if self._length is not None or self._stopping:
                return
            self._askers.append(looked)
            self._condition.notify_all()
        self._feed.wake()
        looked.wait(_CATCH_UP)

    def abandon(self) -> None:
        """Have the thread end by itself, within _PATROL. For finalizers: it sends no request."""
        with self._lock:
            self._stopping = True
            self._condition.notify_all()

    def discard(self) -> None:
        """End a trace whose thread was not started."""
        self._finish("")
        self._close()
        self.log.close()

    def stop(self) -> None:
        """End the trace, and return when all is in the log; what has ended it before is in `ended`."""
        self.abandon()
        self._feed.wake()
        if self._over.wait(_LAST_LOOK) and self._thread.ident is not None:
            self._thread.join()
        self._finish("")  # it has, but for a server that doesn't answer

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        """Start the thread; where it can't be started, the trace is over."""
        leave_signals()
        try:
            self._thread.start()
        except BaseException as error:  # noqa: BLE001 - there are too many threads; `start` raises it
            self._error = error
            self._finish(str(error))
            self._close()
            self._over.come()
        finally:
            self._begun.come()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._step()
            self._look(everything=True)  # what was drawn last is in the trace, too
        except RequestTimeout:  # of the last look
            pass
        except BaseException as error:  # noqa: BLE001 - `stop` raises it, in a thread that can act on it
            self._error = error
        finally:
            self._finish("" if self._error is None else f"{type(self._error).__name__}: {self._error}")
            self._close()
            self._over.come()
            with self._lock:
                asked, self._askers = self._askers, []
            for each in asked:
                each.come()

    def _step(self) -> None:
        """Wait until a look is likely to find something, or for a while; until it is due; look."""
        if self._askers or self._is_key_wanted:
            self._look_now()
            return
        # First the event, then the time: what is drawn now and then wakes the thread once, and not also when it is due.
        if not self._feed.wait(time.monotonic() + _PATROL):
            return
        with self._lock:
            if self._stopping or self._askers or self._is_key_wanted:
                return
            left = (self._pace.due - time.monotonic_ns()) / _SECOND
            if left > 0:
                self._condition.wait(min(left, _PATROL))
                return
        try:
            if not self._stopping:
                self._look(everything=False)
        except (PoolExhausted, RequestTimeout) as error:  # the caller holds all frames; the server is stopped
            self._note_gap(str(error))
            with self._lock:
                self._condition.wait(_RETRY)

    def _look_now(self) -> None:
        """Look for those who have asked for it, though no look is due."""
        with self._lock:
            asked, self._askers = self._askers, []
        try:
            self._look(everything=True)
        except (PoolExhausted, RequestTimeout) as error:
            self._note_gap(str(error))
        finally:
            for each in asked:
                each.come()

    def _look(self, *, everything: bool) -> None:
        """Record what has happened since the last look; `everything`: also what no event has told yet."""
        began, spent = time.monotonic_ns(), time.thread_time_ns()
        if self._happenings is not None:
            self._happenings.look(everything=everything)
        nbytes = self._take() if everything or self._feed.is_due else 0
        step = self._pace.note(began, time.thread_time_ns() - spent, nbytes)
        if step is not None:
            self.log.add(records.event(self.length, "rate", fps=step.fps, why=step.why))

    # -- pictures ------------------------------------------------------------------------------------------------------

    def _take(self) -> int:
        """Record what has changed of the picture; return how many bytes that takes."""
        self.log.hold()
        before, is_wanted = time.monotonic_ns(), self._is_key_wanted
        try:
            at = self._read()
            if is_wanted:
                at, is_key, patches = at or before, True, [self._shadow.key()]
                self._is_key_wanted = False
            else:
                is_key = at is not None and self.log.is_key_due(at - self.started_ns)
                patches = [] if at is None else self._shadow.take(key=is_key)
        except BaseException:
            self.log.release()
            raise
        if at is None or not patches or self._length is not None:  # `stop` has not waited for a hanging server
            self.log.release()
            if at is not None:
                self._gap = ""
            elif self._feed.is_hidden:
                self._note_gap("it has no picture: it is unmapped or iconified")
            return 0
        self._gap = ""
        at -= self.started_ns
        if is_key:
            return self.log.add_key(at, patches[0], self._state(at))
        return self.log.add_change(at, patches)

    def _read(self) -> int | None:
        """Read what has changed; return the moment that it shows, or None where nothing has."""
        return read_untorn(self._feed, self._copy)

    def _copy(self, captured: Captured) -> None:
        self._shadow.read(captured.pixels, captured.changed, captured.colormap)

    # -- what is said with them ----------------------------------------------------------------------------------------

    def _state(self, at: int) -> list[Record]:
        """Return the events that say how all is at a time, behind a key picture."""
        step = self._pace.step
        rate = ("rate", {"fps": step.fps, "why": step.why})
        others = self._happenings.state() if self._happenings is not None else ()
        return [records.event(at, kind, **values) for kind, values in (rate, *others)]

    def _want_key(self) -> None:
        """Have a key picture recorded, so that older ones can go; called by any thread that adds an event."""
        if self._is_key_wanted or not self.is_running:
            return
        with self._lock:
            self._is_key_wanted = True
            self._condition.notify_all()
        if threading.current_thread() is not self._thread:
            self._feed.wake()

    def _note_gap(self, why: str) -> None:
        if not self._gap:
            self._gap = why
            self.log.add(records.event(self.length, "gap", why=why))

    def _finish(self, why: str) -> None:
        """Set the trace's end, once."""
        with self._lock:
            if self._length is not None:
                return
            length = self._length = time.monotonic_ns() - self.started_ns
        self._notes.end(length)
        self.log.add(self.log.end(length, why))

    def _close(self) -> None:
        """Release what the server keeps."""
        with suppress(XshmError, OSError):
            if self._happenings is not None:
                self._happenings.close()
        with suppress(XshmError, OSError):
            self._feed.close()

    def _head(self, title: str) -> dict[str, Any]:
        started_at = time.time() - (time.monotonic_ns() - self.started_ns) / _SECOND
        rect, fmt = self._feed.rect, self._shadow.format
        return {
            "version": records.VERSION,
            "xshm": vars(sys.modules["xshm"])["__version__"],
            "title": title,
            "started_ns": self.started_ns,
            "started_at": started_at,
            "size": [rect.width, rect.height],
            "origin": [rect.x, rect.y],
            "source": repr(self._source),
            "how": self._feed.how,
            "fps": self._pace.step.fps,
            "format": {each.name: getattr(fmt, each.name) for each in dataclasses.fields(fmt) if each.init},
        }


def _add(log: RecordLog, at: int, kind: str, values: dict[str, Any]) -> None:
    log.add(records.event(at, kind, **values))
