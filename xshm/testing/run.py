"""The hooks of a run that uses the plugin: registered when the first test, option or ini name asks for it.

Always true:

1. A test that is watched has its display from before its first fixture until after its last one.
2. One test at a time is watched in a process, and at most one watch is open.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from xshm.testing import reports
from xshm.testing.displays import Displays, NoDisplay
from xshm.testing.results import Results
from xshm.testing.settings import depth_of, size_of
from xshm.testing.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from xshm.testing.displays import Shown
    from xshm.testing.settings import Settings

_WORDS: Final = ("fresh", "size", "depth")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a test's markers ask for: a display of its own, and of which kind. Raises UsageError for what can't be."""

    is_marked: bool
    fresh: bool
    size: tuple[int, int] | None
    depth: int | None

    @classmethod
    def of(cls, item: pytest.Item) -> Wish:
        """Read the markers of a test; those nearer to it win."""
        marks = list(item.iter_markers("xshm"))
        given: dict[str, Any] = {}
        for mark in reversed(marks):
            given |= mark.kwargs
            if mark.args or not set(mark.kwargs) <= set(_WORDS):
                wrong = ", ".join([*map(repr, mark.args), *(set(mark.kwargs) - set(_WORDS))])
                raise pytest.UsageError(f"@pytest.mark.xshm takes fresh=, size= and depth=, not {wrong}")
            _check_fresh(mark.kwargs)
        size, depth = given.get("size"), given.get("depth")
        if size is not None:
            size = size_of("size= of @pytest.mark.xshm", size)
        if depth is not None:
            depth = depth_of("depth= of @pytest.mark.xshm", depth)
        return cls(bool(marks), bool(given.get("fresh", size or depth)), size, depth)


class Run:
    """The run of this process: its displays, its results, and the test that is watched now."""

    def __init__(self, config: pytest.Config, settings: Settings, shared: str | None, worker: str) -> None:
        self.settings = settings
        self.interrupted: list[str] = []  # lines about the files of tests that Ctrl-C has ended
        self._config = config
        self._base = config.invocation_params.dir
        self._displays = Displays(settings, shared)
        self._worker = worker
        self._results = Results(settings.output, worker)
        self._watch: Watch | None = None
        self._item: pytest.Item | None = None  # that runs now
        self._held = contextlib.ExitStack()  # a fresh display of the test that is watched
        self._process = os.getpid()

    def start(self) -> None:
        """Start the display of the run before the first module is imported, if all tests are on it.

        Raises UsageError where there is none; in a worker of pytest-xdist, which that would crash, each test says so.
        """
        if self.settings.is_asked:
            try:
                self._displays.session()
            except NoDisplay as error:
                if not self._worker:
                    raise pytest.UsageError(str(error)) from None

    @staticmethod
    def wish(item: pytest.Item) -> Wish:
        """Return what a test's markers ask for; for wrong ones nothing, which its set-up reports."""
        try:
            return Wish.of(item)
        except pytest.UsageError:
            return Wish(is_marked=True, fresh=False, size=None, depth=None)

    # -- for the fixtures ----------------------------------------------------------------------------------------------

    def session(self) -> Shown:
        """Return the display of the run; a test that is the first to ask, by getfixturevalue, is watched from here."""
        shown = self._displays.session()
        if self._item is not None and self._watch is None:
            self._begin_watch(self._item, shown)
        return shown

    def watch(self) -> Watch:
        """Return the watch over the test that runs."""
        if self._watch is None:
            self.session()
        if self._watch is None:
            raise pytest.UsageError("there is no test whose trace or display this could be: no test runs")
        return self._watch

    # -- hooks ---------------------------------------------------------------------------------------------------------

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin to watch a test that uses a display; after the skips, before the fixtures."""
        self._end()
        self._item = item
        try:
            wish = Wish.of(item)
            if not (self.settings.is_asked or wish.is_marked or "xshm_display" in getattr(item, "fixturenames", ())):
                return
            if wish.fresh:
                self._begin_watch(item, self._held.enter_context(self._displays.fresh(wish.size, wish.depth)))
            else:
                if self._displays.forget_ended():
                    _tear_down_display(item)
                self.session()
        except (NoDisplay, pytest.UsageError) as error:
            pytest.fail(str(error), pytrace=False)

    def pytest_runtest_teardown(self) -> None:
        """Look at the screen before the fixtures are torn down: this is called before pytest does that."""
        if self._watch is not None:
            self._watch.before_teardown()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what belongs to a phase: the outermost hook, as others change the outcome (xfail)."""
        report = yield
        if (watch := self._watch) is not None:
            watch.phase_ended(report, call)
            if report.when == "teardown":
                watch.end()
                reports.add_to_end(report, watch, self._config)
            if report.failed:
                reports.add_to_failure(report, watch, self._base)
        if report.when == "teardown":
            self._end()
        return report

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep what there is of the test that was interrupted."""
        if self._watch is not None and excinfo.errisinstance(KeyboardInterrupt):
            self._watch.interrupted()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the watch of an interrupted test: its fixtures are torn down by now."""
        if (watch := self._watch) is not None:
            self._end()
            self.interrupted += (
                f"{watch.nodeid}: {reports.shown(path, self._base)}" for path in watch.written().values()
            )

    def close(self) -> None:
        """End all that was begun; what a forked process would have to do with it is nothing."""
        if os.getpid() == self._process:
            self._end()
            self._displays.close()
            self._results.close()

    # -- the watch -----------------------------------------------------------------------------------------------------

    def _begin_watch(self, item: pytest.Item, shown: Shown) -> None:
        with contextlib.suppress(OSError):  # a test that fails says it: nothing can be kept of it, either
            self._results.begin()
        self._watch = Watch(item, shown, self.settings, self._results)
        self._watch.begin()

    def _end(self) -> None:
        watch, self._watch, self._item = self._watch, None, None
        try:
            if watch is not None:
                watch.end()
        finally:
            self._held.close()


def _check_fresh(given: Mapping[str, Any]) -> None:
    """Raise UsageError for a marker whose fresh= is no bool, or contradicts its own size= or depth=."""
    fresh = given.get("fresh", True)
    if not isinstance(fresh, bool):
        raise pytest.UsageError(f"fresh= of @pytest.mark.xshm is True or False, not {fresh!r}")
    if not fresh and (given.get("size"), given.get("depth")) != (None, None):
        raise pytest.UsageError(
            "@pytest.mark.xshm has fresh=False beside size= or depth=, which only a fresh display has; the size of the "
            "run's is --xshm-size"
        )


def _tear_down_display(item: pytest.Item) -> None:
    """Tear down `xshm_display` and what depends on it, fixtures of wider scopes, too: they are set up anew."""
    manager: Any = item.session._fixturemanager  # noqa: SLF001 - pytest does this for parameters alone
    for fixture in manager.getfixturedefs("xshm_display", item.session) or ():
        fixture.finish(getattr(item, "_request", None))
