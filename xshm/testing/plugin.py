"""What pytest loads: options, fixtures, and the few hooks of a run that does not use them.

Always true:

1. Until a test, an option or an ini name asks for it, nothing is started, changed or imported but this file and
   `options`; each test costs one look into its names.
2. `screen` is another plugin's or a conftest's, where one has it; `xshm_screen` is always ours.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from xshm.testing import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.drawables.screen import Screen
    from xshm.testing.pictures.assertion import AssertScreenshot
    from xshm.testing.run import Run
    from xshm.trace.trace import Trace
    from xshm.virtual.display import VirtualDisplay

_RUN: pytest.StashKey[Run] = pytest.StashKey()
_SHARED = "xshm_shared_display"  # in the input of a worker of pytest-xdist: the $DISPLAY that all of them have


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def xshm_display(pytestconfig: pytest.Config) -> VirtualDisplay:
    """Give the run's display, a VirtualDisplay: the one in $DISPLAY, or one that was started for this run.

    With `@pytest.mark.xshm(fresh=True)`, or with size=(800, 600) or depth=16, the test's own, which ends with it.
    """
    from xshm.testing.displays import NoDisplay  # noqa: PLC0415 - 1

    try:
        return _run(pytestconfig).session().display
    except NoDisplay as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def xshm_screen(xshm_display: VirtualDisplay) -> Screen:
    """Give the display's Screen: grabs, waits, windows, input. As `screen`, too, where nobody else has a `screen`."""
    return xshm_display.screen


@pytest.fixture
def xshm_trace(xshm_display: VirtualDisplay, pytestconfig: pytest.Config) -> Trace:  # noqa: ARG001 - it comes first
    """Give the trace of this test, to add marks and lines to; it is kept as --xshm-trace says."""
    return _run(pytestconfig).watch().trace()


@pytest.fixture
def assert_screenshot(
    xshm_screen: Screen, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> AssertScreenshot:
    """Give `assert_screenshot("name.png")`, which passes as soon as the screen looks like a picture beside the test."""
    from xshm.testing.pictures.assertion import AssertScreenshot  # noqa: PLC0415 - 1

    run = _run(pytestconfig)
    watch = run.watch()
    return AssertScreenshot(xshm_screen, request.path, watch.place, watch.told.append, update=run.settings.update)


class _ScreenFixture:
    """The fixture `screen`, a plugin of its own, so that it is there only where nobody else has one."""

    @pytest.fixture
    def screen(self, xshm_screen: Screen) -> Screen:
        """Give the display's Screen, as `xshm_screen` does."""
        return xshm_screen


# -- hooks -------------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --xshm-display and the others."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check what was asked for; name the marker."""
    config.addinivalue_line(
        "markers", "xshm(fresh=False, size=None, depth=None): the test is on a display; one of its own, if so"
    )
    config.pluginmanager.register(_Reports(config), "xshm-reports")
    if not options.given(config):
        return
    from xshm.testing import settings  # noqa: PLC0415 - 1

    chosen = settings.read(config)
    workers = config.getoption("tx", None) or ()
    if chosen.display not in ("auto", "new") and (len(workers) > 1 or any("*" in each for each in workers)):
        raise pytest.UsageError(
            f"--xshm-display={chosen.display} is one display, which the workers of pytest-xdist would share; "
            "with auto or new each of them has its own"
        )
    if not _is_controller(config):
        _run(config)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Register `screen`, where no other plugin has one; where all tests are on the display, start it: see `Run`."""
    if not session._fixturemanager.getfixturedefs("screen", session):  # noqa: SLF001 - no public way to ask
        session.config.pluginmanager.register(_ScreenFixture(), "xshm-screen")
    run = session.config.stash.get(_RUN, None)
    if run is not None:
        run.start()  # before modules are imported, which may need DISPLAY


def pytest_itemcollected(item: pytest.Item) -> None:
    """Prepare a test that uses a display."""
    names: list[str] = getattr(item, "fixturenames", [])
    is_marked = "xshm" in item.keywords and next(item.iter_markers("xshm"), None) is not None
    if not is_marked and "xshm_display" not in names:
        return
    run = _run(item.config)
    if is_marked:
        if "xshm_display" not in names:
            names.insert(0, "xshm_display")
        if run.wish(item).fresh:
            _use_fresh_display(item)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let a worker of pytest-xdist know which display all of them have in common."""
    node.workerinput[_SHARED] = os.environ.get("DISPLAY", "")


class _Reports:
    """The hooks of the process that prints and writes reports; of a worker's they come from the worker."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._has_files = False
        self._told: list[str] = []  # lines that tests want to be read, passed or not

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name the files in JUnit XML, before pytest closes the test's element."""
        self._told += getattr(report, "xshm_told", ())
        if hasattr(report, "xshm_files"):
            self._has_files = True
            if report.failed:
                from xshm.testing import reports  # noqa: PLC0415 - 1

                reports.add_to_junit(report, self._config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Complete what JUnit XML says, before pytest writes it."""
        if self._has_files:
            from xshm.testing import reports  # noqa: PLC0415 - 1

            reports.join_junit_output(self._config)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the paths that no failure's report has."""
        run = self._config.stash.get(_RUN, None)
        if self._told:
            terminalreporter.section("xshm: told by tests")
            terminalreporter.write_line("\n".join(self._told))
        if run is not None or self._has_files:
            from xshm.testing import reports  # noqa: PLC0415 - 1

            lines = reports.summary(terminalreporter.stats, self._config) + (run.interrupted if run else [])
            if lines:
                terminalreporter.section("xshm: kept of tests that failed")
                terminalreporter.write_line("\n".join(lines))


# -- the run -----------------------------------------------------------------------------------------------------------


def _run(config: pytest.Config) -> Run:
    """Return the run; make it, and register its hooks, at the first call."""
    if (known := config.stash.get(_RUN, None)) is not None:
        return known
    from xshm.testing import settings  # noqa: PLC0415 - 1
    from xshm.testing.run import Run  # noqa: PLC0415 - 1

    worker: dict[str, Any] = getattr(config, "workerinput", {})
    run = config.stash[_RUN] = Run(config, settings.read(config), worker.get(_SHARED), worker.get("workerid", ""))
    config.add_cleanup(run.close)
    config.pluginmanager.register(run, "xshm-run")
    return run


def _is_controller(config: pytest.Config) -> bool:
    """Return whether tests run in workers of pytest-xdist, which this process distributes them to."""
    return (
        config.getoption("dist", "no") != "no"
        and not hasattr(config, "workerinput")
        and not config.getoption("collectonly")
    )


def _use_fresh_display(item: pytest.Item) -> None:
    """Let `xshm_display` be the test's own, in its fixtures, too: a fixture of this name at the test itself."""
    if not hasattr(item, "_fixtureinfo"):
        return

    def fresh_display(pytestconfig: pytest.Config) -> VirtualDisplay:
        return _run(pytestconfig).watch().display

    manager: Any = item.session._fixturemanager  # noqa: SLF001 - pytest 9.1 has a public way to register, none to ask
    register: Callable[..., None] | None = getattr(pytest, "register_fixture", None)
    if register is not None:
        register(name="xshm_display", func=fresh_display, node=item)
    else:
        manager._register_fixture(name="xshm_display", func=fresh_display, nodeid=item.nodeid)  # noqa: SLF001 - as above
    # The tests that one function is parametrized to have their fixtures in common.
    known = item._fixtureinfo  # noqa: SLF001 - no public way
    found = {**known.name2fixturedefs, "xshm_display": manager.getfixturedefs("xshm_display", item)}
    item._fixtureinfo = replace(known, name2fixturedefs=found)  # noqa: SLF001 - as above
    item._initrequest()  # type: ignore[attr-defined]  # noqa: SLF001 - the request holds what it was made from
