"""Trace: everything that is on a screen, a window or a pixmap, from `start` to `stop`; what `trace` returns.

Its states are new, running, over. The work is the Engine's, of which a Trace has one from `start` on. In a process that
was forked from the tracing one it does nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn, Self

from xshm import _arguments
from xshm.errors import Closed, InvalidArgument, InvalidType, RecordingFailed, WindowGone
from xshm.record.course import Course
from xshm.system import limits, logs
from xshm.system.printable import printable
from xshm.system.replacement import Replacement
from xshm.trace import export
from xshm.trace.engine import Engine
from xshm.trace.noting.follower import Follower
from xshm.trace.noting.notes import LogHandler, Notes, of_exception
from xshm.trace.noting.redaction import Redaction
from xshm.trace.reader import TraceReader
from xshm.trace.settings import page_path

if TYPE_CHECKING:
    import subprocess
    from types import TracebackType
    from typing import Any

    from xshm.capture.source import Source
    from xshm.geometry import Region
    from xshm.image.frame import Frame
    from xshm.trace.settings import TraceSettings

    Name = str | bytes | os.PathLike[str]

_SECOND: Final = 10**9  # nanoseconds

_running: weakref.WeakSet[Trace] = weakref.WeakSet()


class Trace:
    """Everything that is on a screen, in memory, and in one HTML file. `with` starts and stops it.

        with screen.trace("login.html") as trace:      # written on leaving, also when an exception passes
            trace.mark("open the form")
        with screen.trace(keep_last=60) as trace:      # the last minute, written only when asked for
            trace.save("failed.html")

    Kept are each rectangle that changes, without loss; the windows, as they come, go, move and get another title; the
    pointer; the input made through the same screen or a window of it; marks, and lines of logs. `at` gives the picture
    of any instant.

    `start` takes the first picture, and raises what the source refuses; then a thread does the work. `stop` raises what
    has ended the trace before, such as DisplayGone; what was recorded until then is in the file. A window that was
    closed is no error: the trace ends with it, and `ended` tells. An exception that leaves `with` is a "failure" in the
    trace. Times are seconds since the first picture.

    Windows and pointer of a Window's trace are those of its screen, in the window's own coordinates. A pixmap is
    nowhere on a screen, and has neither, nor input. Any thread may call `mark`, `failure`, `log`, `save` and `reader`.

    A Trace that is dropped stops without a file, and what runs at the interpreter's end is stopped and written.
    """

    def __init__(self, source: Source, path: Name | None, region: Region | None, settings: TraceSettings) -> None:
        self._course = Course[Engine]("trace", "trace")
        self._is_written = self._has_raised = False
        self._process = os.getpid()
        self._source = source
        self._region = region
        self._settings = settings
        self._path = None if path is None else page_path(path)
        self._target: Replacement | None = None  # the file of `path`, from the start on
        self._followers: list[Follower] = []
        if path is None and settings.keep_last is None and settings.spill is None:
            raise InvalidArgument(
                "a trace needs a path, which is written at the end; or keep_last=, the seconds that are kept for save()"
            )
        source._check_open()
        self._redaction = Redaction(settings.redact, source)
        self._notes = Notes(self._redaction.clean)
        name = f"{source._name()} of {source._session.connection.display_name}"
        self._title = self._redaction.clean(printable(name) if settings.title is None else settings.title)

    @staticmethod
    def open(path: Name) -> TraceReader:
        """Open a trace's file to read it: an HTML file, or what `spill` has left."""
        return TraceReader.open(os.fsdecode(path))

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """How pixels are read, and why so; "" before the start."""
        return "" if self._engine is None else self._engine.how

    @property
    def started_ns(self) -> int:
        """CLOCK_MONOTONIC at the trace's time 0, nanoseconds: its first picture; 0 before the start."""
        return 0 if self._engine is None else self._engine.started_ns

    @property
    def duration(self) -> float:
        """Seconds from the first picture until now, or until the end."""
        return 0.0 if self._engine is None else self._engine.length / _SECOND

    @property
    def bytes(self) -> int:
        """How many bytes are kept now, compressed as in the file."""
        return 0 if self._engine is None or self._is_elsewhere() else self._engine.log.nbytes

    @property
    def dropped(self) -> int:
        """How many pictures were kept once, and had to go: older than `keep_last`, or beyond `max_bytes`."""
        return 0 if self._engine is None or self._is_elsewhere() else self._engine.log.dropped

    @property
    def lines_dropped(self) -> int:
        """How many lines, marks and inputs were not kept, since memory was full while the screen stood still."""
        return 0 if self._engine is None or self._is_elsewhere() else self._engine.log.lines_dropped

    @property
    def spill_error(self) -> OSError | None:
        """What has ended the `spill` file, as a full disk does; the trace itself goes on."""
        return None if self._engine is None or self._is_elsewhere() else self._engine.log.spill_error

    @property
    def fps(self) -> float:
        """Pictures a second at most, at present: fewer than asked for while what happens is too much."""
        return self._settings.fps if self._engine is None else self._engine.fps

    @property
    def ended(self) -> BaseException | None:
        """What has ended the trace by itself: WindowGone, DisplayGone, Closed; None as long as nothing has."""
        return None if self._engine is None else self._engine.ended

    @property
    def is_running(self) -> bool:
        """Whether it records: started, not stopped, and not ended by itself."""
        return self._engine is not None and not self._course.is_over and self._engine.is_running

    # -- its course ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the first picture, and go on in a thread. Raises what the source or the file refuse, as `record` does.

        Nothing is begun or written then. Closed where it was stopped, also meanwhile.
        """
        if not self._is_elsewhere():
            self._course.start(self._begin)

    def _begin(self) -> None:
        source = self._source
        # A round trip: the trace has the size of now, and events that tell of it may be on their way.
        source._session.connection.wire.sync()
        rect = None if self._region is None else source._within(self._region)
        engine: Engine | None = None
        try:
            self._target = None if self._path is None else Replacement(self._path)
            engine = Engine(source, rect, self._settings, self._redaction, self._notes, self._title)
            with limits.Explained(RecordingFailed, "the trace can't be started"):
                engine.start()
            logs.info("trace", "%s: %s", source._name(), engine.how)
            if not self._course.publish(engine):
                engine.stop()
                engine.log.close()
                self._course.check()
        except BaseException:  # not only Exception: Ctrl-C must leave nothing open
            if engine is not None:
                self._course.withdraw(engine)
                engine.abandon() if engine.has_begun else engine.discard()
            target, self._target = self._target, None
            if target is not None:
                target.discard()
            raise
        _running.add(self)

    def stop(self) -> None:
        """End the trace, and write the file, if it has one. Twice is fine; before the start nothing is written.

        Raises what has ended the trace before, once, after the file is written; but not that the window was closed.
        """
        if self._is_elsewhere():
            return
        engine = self._course.end()
        if engine is None:
            return
        self._pump(is_last=True)
        self._course.close()
        engine.stop()
        self._write(engine)
        engine.log.close()
        _running.discard(self)
        error = engine.ended
        if error is not None and not isinstance(error, WindowGone) and not self._has_raised:
            self._has_raised = True
            raise error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not _is_proper_end(error):
            with suppress(Closed):
                self._note("failure", **of_exception(error))
        try:
            self.stop()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"The trace failed, too: {type(failure).__name__}: {failure}")

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None and not self._is_elsewhere():
            # Without a wait, nor a request: this may be any thread, in the middle of anything. Also after `stop`, which
            # may have been interrupted before it did anything.
            engine.abandon()

    def catch_up(self) -> None:
        """Return when all that the source shows by now is recorded; or after 2 s, where it does not answer."""
        if self._engine is not None and not self._is_elsewhere():
            self._pump()
            self._engine.catch_up()

    @property
    def changed_ns(self) -> int:
        """When the last change that is recorded was there (CLOCK_MONOTONIC, ns); 0 before the start."""
        return 0 if self._engine is None else self._engine.started_ns + self._engine.log.last_picture

    # -- what is said in it --------------------------------------------------------------------------------------------

    def mark(self, title: str) -> None:
        """Set a mark at this moment; before the start: at its beginning.

        Raises InvalidType and InvalidArgument for what is no text, Closed where the file is written already.
        """
        _arguments.text(title, "a mark's title")
        self._note("mark", title=title)

    def failure(
        self,
        title: str,
        text: str = "",
        file: str | None = None,
        line: int | None = None,
        *,
        seen_ns: int | None = None,
    ) -> None:
        """Set a failure at this moment: `text` is the report, several lines, `file` and `line` where it was.

        `seen_ns` (CLOCK_MONOTONIC) says that it was there earlier, when windows were still open that it has closed: the
        viewer opens at that moment. Raises InvalidType, and Closed where the file is written already.
        """
        _arguments.text(title, "a failure's title")
        _arguments.text(text, "a failure's report")
        where = {} if file is None else {"file": os.fsdecode(file)}
        number = {} if line is None else {"line": _arguments.integer(line, "a line's number is a whole number")}
        at = None if seen_ns is None else _arguments.integer(seen_ns, "seen_ns is a whole number of nanoseconds")
        seen = {} if at is None else {"seen": max(0, at - self.started_ns)}
        self._note("failure", title=title, text=text, **where, **number, **seen)

    def log(self, text: str, *, source: str = "log", level: str = "") -> None:
        """Add lines to the log, as of this moment. `source` says whose they are, `level` is as logging's names.

        Of a line the first 10,000 characters are kept. Raises InvalidType, Closed where the file is written already.
        """
        for value, what in ((text, "a log's text"), (source, "a log's source"), (level, "a log's level")):
            _arguments.text(value, what)
        self._check_not_written()
        self._notes.lines(text, source, level)

    def follow(self, program: subprocess.Popen[Any], name: str | None = None) -> None:
        """Add what a program writes to its log, line by line as it comes, under its name.

        Of a Popen both pipes are read, which nothing else may read then; of a Program that `launch` has started what it
        writes to standard error, which `said` still tells. Of more than 2,000 lines or 1 MB in a second the first are
        kept, and of a line the first 10,000 characters. Raises InvalidArgument where it has no output that can be read,
        InvalidType, Closed as `log` does.
        """
        if self._is_elsewhere():
            return
        self._check_not_written()
        follower = Follower(program, None if name is None else _arguments.text(name, "a program's name"), self._notes)
        with limits.Explained(RecordingFailed, "what it writes can't be followed"):
            follower.start()
        self._followers.append(follower)
        follower.pump()

    def handler(self, level: int | str = logging.NOTSET) -> logging.Handler:
        """Return a handler for `logging`, whose records become lines of the log: getLogger().addHandler(…).

        What it is given after the end is dropped: it may stay where it was added.
        """
        return LogHandler(self._notes, level)

    # -- what is kept --------------------------------------------------------------------------------------------------

    def save(self, path: Name) -> None:
        """Write what is kept as an HTML file, whole or not at all; the trace goes on. After `stop`, too.

        Raises InvalidArgument for a name that does not end in .html, RecordingFailed before the start, OSError with the
        file's name.
        """
        if self._is_elsewhere():
            return
        engine, name = self._begun(), page_path(path)
        self.catch_up()
        export.save(engine.kept(), self._title, name)

    def reader(self) -> TraceReader:
        """Return what is kept by now, to be read; what comes later is not in it.

        Raises RecordingFailed before the start, Closed in a process that was forked.
        """
        if self._is_elsewhere():
            raise Closed(f"this trace is that of process {self._process}, from which this one was forked")
        engine = self._begun()
        self.catch_up()
        return TraceReader(engine.kept(), f"the trace {self._title}")

    def at(self, seconds: float) -> Frame:
        """Return the picture of an instant (seconds); see `TraceReader.at`. For several instants keep a `reader`."""
        with self.reader() as reader:
            return reader.at(seconds)

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Trace belongs to its process and its connection; save it, and send the file's path")

    def __repr__(self) -> str:
        state = "over" if self._course.is_over else "new" if self._engine is None else "running"
        return f"<Trace of {self._source!r}, {state}, {self.bytes:,} bytes, {self.duration:.1f} s>"

    # -- helpers -------------------------------------------------------------------------------------------------------

    @property
    def _engine(self) -> Engine | None:
        return self._course.work

    def _note(self, kind: str, **values: Any) -> None:
        if not self._is_elsewhere():
            self._check_not_written()
            self._notes.note(kind, **values)

    def _pump(self, *, is_last: bool = False) -> None:
        """Read what programs that are followed have written by now; at last also lines that have no end yet."""
        for each in self._followers:
            each.pump(is_last=is_last)

    def _write(self, engine: Engine) -> None:
        """Write the file of `path`, unless it is written; where that was interrupted, anew."""
        if self._path is None or self._is_written:
            return
        target, self._target = self._target, None
        if target is None:
            target = Replacement(self._path)
        try:
            export.write(engine.kept(), self._title, target)
            target.close()
            self._is_written = True
        finally:
            target.discard()

    def _begun(self) -> Engine:
        if self._engine is None:
            raise RecordingFailed("this trace was not started yet; start() does, or `with`")
        return self._engine

    def _check_not_written(self) -> None:
        if self._course.is_over and self._path is not None:
            raise Closed("this trace has ended, and is written; begin a new one with trace()")

    def _is_elsewhere(self) -> bool:
        """Return whether this is a process that was forked: the trace is the other one's."""
        return os.getpid() != self._process


def _is_proper_end(error: BaseException) -> bool:
    """Return whether an exception that leaves the block tells of nothing that failed, as that of sys.exit()."""
    return isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and error.code in (None, 0))


def _stop_all() -> None:
    """Write the files of all traces, when the interpreter ends."""
    for trace in [each for each in _running if not each._is_elsewhere()]:
        with suppress(Exception):  # nobody is there to whom it could be told
            trace.stop()


atexit.register(_stop_all)
