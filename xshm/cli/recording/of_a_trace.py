"""Traces from the command line: of the display of `xshm run`, and one that a person attends to.

1. A run's trace is begun, or refused, before the command starts; that of a window, when the command has shown it.
2. A trace that is for a failure alone is written at the end, if there is one: nothing else leaves a file.
3. A command that fails is a failure in its trace, after the last picture. What ends the trace early ends nothing else,
   and is of no interest where a trace that is for a failure alone is not written.
4. A trace is not lost for its name: where another file has that by the end, it gets one beside it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from xshm.cli.options import window_title
from xshm.cli.recording.destination import Held, free_or_beside, names_beside, refuse_existing, tell_name
from xshm.cli.recording.progress import clock, size_of
from xshm.errors import Closed, InvalidArgument, XshmError
from xshm.system.printable import printable
from xshm.system.replacement import Replacement
from xshm.trace.noting.redaction import check_text
from xshm.trace.settings import TraceSettings, page_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from xshm.drawables.drawable import Drawable
    from xshm.trace.trace import Trace
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.programs.program import Program

_WINDOW_TIMEOUT: Final = 10.0  # seconds, as `xshm run --wait-window` has them
# Seconds that are kept of what is for a failure: all; memory is bounded by bytes.
_ALL: Final = 1e9
_BY_SIGNAL: Final = 128  # and the signal's number, of exit codes as shells have them


@dataclass(frozen=True, slots=True)
class Wanted:
    """A trace that is asked for. `command` is the report of a failure; `choices` go to `trace`.

    `window` is the title of one that the command shows; else `region` is a part of the screen, or None.
    """

    path: str
    command: str = ""
    overwrite: bool = False
    for_failures: bool = False
    region: str | None = None
    window: str | None = None
    duration: float | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> Self:
        """Refuse what can't be, before anything is started. Raises InvalidArgument, OSError with the file's name."""
        TraceSettings(**{name: value for name, value in self.choices.items() if value is not None})
        for text in self.choices.get("redact", ()):
            check_text(text)
        check_page(self.path, overwrite=self.overwrite)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(self.path).st_mode):  # noqa: PTH116 - as other files of this library have it
                return self  # a FIFO's reader would see its end
        Replacement(self.path).discard()  # which refuses what could not be written
        return self


def of_run(args: argparse.Namespace, command: list[str]) -> Wanted:
    """Return the trace that `xshm run` is asked for; refuse what can't be. Raises InvalidArgument."""
    if args.trace is not None and args.trace_on_failure is not None:
        raise InvalidArgument("--trace keeps the trace of a failure, too; leave --trace-on-failure out")
    for_failures = args.trace_on_failure is not None
    if for_failures and not command:
        raise InvalidArgument("--trace-on-failure is about a command; name one after --")
    choices = {} if args.framerate is None else {"fps": args.framerate}
    words = printable(shlex.join(command))  # an argument may be no text
    return Wanted(
        args.trace or args.trace_on_failure,
        words,
        overwrite=bool(args.overwrite),
        for_failures=for_failures,
        choices=choices | ({"title": words} if command else {}),
    ).check()


def check_page(path: str, *, overwrite: bool) -> None:
    """Refuse a name that no page has, and one that is taken. Raises InvalidArgument, TargetIsDirectory."""
    page_path(path)
    if not overwrite:
        refuse_existing(path)


class RunTrace:
    """The trace of a run that is going on; a context manager, which keeps it unless `finish` said otherwise."""

    def __init__(self, display: VirtualDisplay, wanted: Wanted) -> None:
        self._display = display
        self._wanted = wanted
        self._opened = contextlib.ExitStack()
        self._trace: Trace | None = None
        self._held: Held | None = None
        self._timer: threading.Timer | None = None
        self._failed: Exception | None = None  # the end that the timer has made
        self._over = False
        try:
            if wanted.window is None:
                self._begin(display.screen)
            else:
                self._hold()
        except BaseException:
            self._opened.close()
            raise

    def started(self, program: Program) -> None:  # noqa: ARG002 - a Keeper's
        """Begin, if it is of a window: when that is shown. Raises WaitTimeout, WindowNotFound."""
        if self._wanted.window is not None:
            title = window_title(self._wanted.window)
            window = self._display.screen.wait_window(title, timeout=_WINDOW_TIMEOUT)
            self._begin(self._opened.enter_context(window))

    def drop_if_for_failures(self) -> None:
        """End it without a file if it is for a failure alone."""
        if self._wanted.for_failures:
            self.finish(0)

    def finish(self, code: int) -> None:
        """End it, and keep it if it is to be kept; an exit code that is not 0 is a failure in it."""
        self._end(keep=bool(code), failure=_failure(code) if code else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(keep=True)

    def _begin(self, source: Drawable) -> None:
        wanted, choices = self._wanted, dict(self._wanted.choices)
        if wanted.for_failures:
            choices.setdefault("keep_last", _ALL)
        trace = source.trace(None if wanted.for_failures else wanted.path, region=wanted.region, **choices)
        if wanted.window is None:
            self._hold()  # as late as can be, since a signal that kills the process would leave the name held
        trace.start()
        self._trace = trace
        if wanted.duration is not None:
            self._timer = threading.Timer(wanted.duration, self._stop_in_time)
            self._timer.daemon = True
            self._timer.start()

    def _hold(self) -> None:
        if not self._wanted.for_failures and not self._wanted.overwrite:
            self._held = self._opened.enter_context(Held([self._wanted.path]))

    def _stop_in_time(self) -> None:
        try:
            if self._trace is not None:
                _stop(self._trace, self._held)
        except (OSError, XshmError) as error:
            self._failed = error

    def _end(self, *, keep: bool, failure: str | None = None) -> None:
        if self._over:
            return
        self._over = True
        with self._opened:
            if self._timer is not None:
                self._timer.cancel()
                self._timer.join()
            trace, wanted = self._trace, self._wanted
            if trace is None:
                return
            if failure is not None:
                with contextlib.suppress(Closed):  # its time was over before
                    trace.catch_up()
                    trace.failure(failure, wanted.command)
            if wanted.for_failures and not keep:
                with contextlib.suppress(OSError, XshmError):
                    trace.stop()
                return
            try:
                _stop(trace, self._held)
                if self._failed is not None:
                    raise self._failed
            finally:
                if wanted.for_failures:
                    self._save(trace)
                if self._held is not None:
                    tell_name(wanted.path, self._held.name)

    def _save(self, trace: Trace) -> None:
        path = self._wanted.path
        if self._wanted.overwrite:
            trace.save(path)
            return
        with Held(free_or_beside(path)) as held:
            trace.save(held.name)
            tell_name(path, held.name)


def _stop(trace: Trace, held: Held | None) -> None:
    """End a trace; its file takes the place of a held one, and of nobody else's."""
    target = trace._target  # noqa: SLF001 - nothing for a program, whose files are replaced
    if held is not None and target is not None:
        try:
            target.redirect(held.claim())
        except BaseException:  # there is no name to write to
            trace._path = None  # noqa: SLF001 - as above
            target.discard()
            trace.stop()
            raise
    trace.stop()


def _failure(code: int) -> str:
    with contextlib.suppress(ValueError):
        return f"exit code {code}, {signal.Signals(code - _BY_SIGNAL).name}"
    return f"exit code {code}"


class AttendedTrace:
    """A trace as `attend` has it: one that does not pause, since nothing of it runs while the process is stopped."""

    def __init__(self, trace: Trace, path: str, held: Held | None = None) -> None:
        self.trace: Final = trace
        self._path = path
        self._held = held
        self.start = trace.start

    @property
    def name(self) -> str:
        """The name of the file."""
        return self._path if self._held is None else self._held.name

    def stop(self) -> None:
        """End it, and write the file."""
        _stop(self.trace, self._held)
        tell_name(self._path, self.name)

    @property
    def duration(self) -> float:
        """Seconds so far."""
        return self.trace.duration

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.trace.is_running

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    def _give_up(self) -> None:
        """Do nothing: `stop` waits for nobody who could hang."""

    def numbers(self) -> str:
        """Return its numbers in words."""
        gone = f", {self.trace.dropped:,} older changes gone" if self.trace.dropped else ""
        return f"{clock(self.duration)}  {size_of(self.trace.bytes)}{gone}, at most {self.trace.fps:g} a second"

    def save_meanwhile(self) -> str:
        """Write what is kept by now to a file of its own beside the one that was asked for, and return its name."""
        with Held(names_beside(self._path)) as held:
            self.trace.save(held.name)
            return held.name
