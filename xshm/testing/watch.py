"""What is kept of one test: a picture of its screen, a trace, a video, and the list of windows.

Always true:

1. The picture of a failure is taken when it is reported, before any fixture is torn down; that of a failure in the
   teardown is the one from before the teardown; where the exception has left the `with` of a program of the display,
   it is the one from before that was ended. The first failure's picture stays.
2. A trace is written when the test fails, so that a debugger's user has it, and again when the test is over.
3. Picture and trace agree: the failure is in the trace at the moment of its picture, and nothing that changed before
   that moment is recorded later. A screen that never rests may be an exception.
4. Nothing here fails a test or hides its failure: what could not be kept is said among the files, with the reason.
"""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.system.deadlines import within

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from xshm.image.frame import Frame
    from xshm.record.recorder import Recorder
    from xshm.testing.displays import Shown
    from xshm.testing.results import Results
    from xshm.testing.settings import Kept, Settings
    from xshm.trace.trace import Trace

_ALL: Final = 24 * 3600.0  # seconds of a trace that are kept: all of any test; its bytes are bounded anyhow
_PATIENCE: Final = 3.0  # seconds for a picture and the list of windows
_LOOKS: Final = 4  # until a picture of a screen that changes agrees with the trace: a caret blinks once in 300 ms
_SUFFIXES: Final = {"picture": ".png", "trace": ".html", "video": ".mp4"}


class Look(NamedTuple):
    """The screen at one moment: its picture, and its windows as lines.

    `seen_ns`, just before the picture was asked for, is a moment at which the trace shows the same one.
    """

    frame: Frame
    seen_ns: int
    windows: list[str]


class Watch:
    """The watch over one test, from before its first fixture to after its last one."""

    def __init__(self, item: pytest.Item, shown: Shown, settings: Settings, results: Results) -> None:
        self.display = shown.display
        self.nodeid = item.nodeid
        self.files: dict[str, Path] = {}  # by what they are: those that were written, or will be at the end
        self.notes: list[str] = []  # what could not be kept, and why
        self.windows: list[str] | None = None  # at the first failure
        self.told: list[str] = []  # lines that the test wants to be read, passed or not
        self._item = item
        self._results = results
        self._screenshot = settings.screenshot or ("only-on-failure" if shown.is_ours else "off")
        self._keep_trace: Kept = settings.trace or ("retain-on-failure" if shown.is_ours else "off")
        self._keep_video = settings.video
        self._rerun = getattr(item, "execution_count", 1) - 1  # as pytest-rerunfailures counts
        self._has_failed = False
        self._before: Look | None = None  # as it was before the teardown
        self._passing: tuple[BaseException, Look] | None = None  # as an exception left a program's `with`
        self._trace: Trace | None = None
        self._handler: logging.Handler | None = None
        self._video: tuple[Recorder, Path] | None = None
        # Sections of captured output that are in the trace; a test that is run again has those of before.
        known = getattr(item, "_report_sections", ())
        self._logged = sum(what in ("stdout", "stderr") for _, what, _ in known)

    # -- its course ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin trace and video, as far as they were asked for."""
        self.display._before_failed_end = self._exception_passes  # noqa: SLF001 - the hook for this
        if self._keep_trace != "off":
            with self._noting("trace"):
                self.trace()
        if self._keep_video != "off":
            with self._noting("video"):
                path = self._place("video")
                video = self.display.screen.record(path)
                video.start()
                self._video = video, path

    def trace(self) -> Trace:
        """Return the test's trace, begun now if it was not."""
        if self._trace is None:
            trace = self.display.screen.trace(keep_last=_ALL, title=self.nodeid)
            trace.start()
            self._trace, self._handler = trace, trace.handler()
            logging.getLogger().addHandler(self._handler)
        return self._trace

    def interrupted(self) -> None:
        """Keep what there is of a test that Ctrl-C ends: nothing is reported of it."""
        self._has_failed = True
        if self._screenshot != "off" and "picture" not in self.files:
            with self._noting("picture"):
                self._save_picture(self._look())
        if self._trace is not None:
            with self._noting("trace"):
                self._trace.failure("KeyboardInterrupt")

    def place(self, suffix: str) -> Path:
        """Return the path for a further file of the test; if it is written, it belongs to what is kept."""
        path = self._results.place(self.nodeid, self._item.name, self._rerun, suffix)
        self.files[Path(suffix).stem.lstrip("-")] = path
        return path

    def written(self) -> dict[str, Path]:
        """Return what of the files is there, a video that is still recorded included; the picture first."""
        video = {} if self._video is None else {"video": self._video[1]}
        found = {what: path for what, path in {**self.files, **video}.items() if path.exists()}
        return {what: found[what] for what in sorted(found, key=lambda what: what != "picture")}

    def before_teardown(self) -> None:
        """Look at the screen once more, as fixtures are about to close their windows."""
        if self._screenshot == "off" or "picture" in self.files:
            return
        with self._noting("picture"):
            self._before = self._look()

    def phase_ended(self, report: pytest.TestReport, call: pytest.CallInfo[Any]) -> None:
        """Keep what belongs to a phase that is over: its output in the trace, and, where it has failed, its picture."""
        if report.failed:
            self._failed(report, call)
        self._log_output(report)
        if report.failed and self._trace is not None and self._keep_trace != "off":
            with self._noting("trace"):
                self._save_trace(self._trace)

    def end(self) -> None:
        """End trace and video, and write or drop them; all fixtures are torn down."""
        if self._screenshot == "on" and "picture" not in self.files and self._before is not None:
            with self._noting("picture"):
                self._save_picture(self._before)
        self._before = self._passing = None
        self.display._before_failed_end = None  # noqa: SLF001 - as above
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
            self._handler = None
        if self._trace is not None:
            self._end_trace(self._trace)
            self._trace = None
        if self._video is not None:
            self._end_video(*self._video)
            self._video = None

    # -- the parts -----------------------------------------------------------------------------------------------------

    def _failed(self, report: pytest.TestReport, call: pytest.CallInfo[Any]) -> None:
        is_first, self._has_failed = not self._has_failed, True
        look = self._passed(call)
        if is_first and self._screenshot != "off":
            with self._noting("picture"):
                look = self._look_of_failure(report, call)
                self.windows = look.windows
                self._save_picture(look)
        if self._trace is not None:
            with self._noting("trace"):
                self._trace.catch_up()
                title, file, line = _crash(report, call, self._item.path)
                seen = None if look is None else look.seen_ns
                self._trace.failure(_encodable(title), _encodable(report.longreprtext), file, line, seen_ns=seen)

    def _look_of_failure(self, report: pytest.TestReport, call: pytest.CallInfo[Any]) -> Look:
        """Return the screen as it was when the test failed, as nearly as it is known."""
        passing = self._passed(call)
        if passing is not None:
            return passing
        return self._before if report.when == "teardown" and self._before is not None else self._look()

    def _passed(self, call: pytest.CallInfo[Any]) -> Look | None:
        """Return the look at the screen as the failure's exception left a program's `with`."""
        if self._passing is not None and call.excinfo is not None:
            error, look = self._passing
            if any(error is each for each in _chain(call.excinfo.value)):
                return look
        return None

    def _exception_passes(self, error: BaseException) -> None:
        """Look at the screen as a program is ended that an exception leaves: it may be the failure."""
        if self._passing is not None and self._passing[0] is error:
            return
        with self._noting("picture"):
            self._passing = error, self._look()

    def _look(self) -> Look:
        """Look at the screen; raise RequestTimeout where the server does not answer: the report waits for it."""
        return within(time.monotonic() + _PATIENCE, self._looked)

    def _looked(self) -> Look:
        screen = self.display.screen
        for _ in range(_LOOKS):
            # Not the frame's own time: what changed after the server had copied it may be earlier than that.
            seen = time.monotonic_ns()
            frame = screen.grab()
            if self._trace is None:
                break
            self._trace.catch_up()
            if self._trace.changed_ns <= seen:
                break
        return Look(frame, seen, [str(each) for each in screen.windows()])

    def _save_picture(self, look: Look) -> None:
        path = self._place("picture")
        look.frame.save(path)
        self.files["picture"] = path

    def _save_trace(self, trace: Trace) -> None:
        path = self.files.get("trace") or self._place("trace")
        trace.save(path)
        self.files["trace"] = path

    def _end_trace(self, trace: Trace) -> None:
        with self._noting("trace"):
            trace.stop()
        if self._keep_trace == "on" or (self._has_failed and self._keep_trace == "retain-on-failure"):
            with self._noting("trace"):
                self._save_trace(trace)

    def _end_video(self, video: Recorder, path: Path) -> None:
        with self._noting("video"):
            video.stop()
        if (self._has_failed or self._keep_video == "on") and path.exists():
            self.files["video"] = path
        else:
            self._results.drop(path)

    def _log_output(self, report: pytest.TestReport) -> None:
        """Add what the test has written to the trace's log, phase by phase; logging's records are there already."""
        sections = [(name, text) for name, text in report.sections if name.startswith("Captured std")]
        new, self._logged = sections[self._logged :], len(sections)
        if self._trace is None:
            return
        with self._noting("trace"):
            for name, text in new:
                self._trace.log(_encodable(text), source=name.split()[1])

    def _place(self, what: str) -> Path:
        return self._results.place(self.nodeid, self._item.name, self._rerun, _SUFFIXES[what])

    @contextlib.contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Note what goes wrong instead of raising it (4)."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - of a server that is gone, a full disk, or an error of our own
            note = f"no {what}: {type(error).__name__}: {error}"
            if note not in self.notes:
                self.notes.append(note)


def _crash(report: pytest.TestReport, call: pytest.CallInfo[Any], test: Path) -> tuple[str, str | None, int | None]:
    """Return a failure in one line, and the file and line where it was: in the test's own file, if it was there."""
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    error = call.excinfo
    own = [each for each in (error.traceback if error is not None else ()) if str(each.path) == str(test)]
    text = error.exconly(tryshort=True) if error is not None else report.longreprtext
    title = next(iter(text.strip().splitlines()), "") or "failed"
    if own:
        return title, str(test), own[-1].lineno + 1
    return title, getattr(crash, "path", None), getattr(crash, "lineno", None)


def _encodable(text: str) -> str:
    """Return a text that has no surrogates, as names of files with odd bytes have: they are written out."""
    return text.encode(errors="backslashreplace").decode()


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception, what it was raised from, and what was handled when it was raised."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and not any(each is other for other in found):
            found.append(each)
            waiting += (each.__cause__, each.__context__)
    return found
