"""Fixtures of the whole suite: X servers, a Screen, a Surface, a fake server; and the leak watch (`leak_watch`)."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import disks
import hypothesis
import leak_watch
import pytest
from fake_server import FakeServer
from painter import Painter
from server_kinds import MissingProgram
from servers import Server, start
from thread_times import thread_times, used_since

from xshm import Screen, Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# No deadline for an example: on a busy machine its time means nothing.
hypothesis.settings.register_profile("xshm", deadline=None)
hypothesis.settings.load_profile("xshm")

_leak_watch = pytest.StashKey[leak_watch.LeakWatchClient]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Put the leak watch above this process; not above a worker of pytest-xdist, which is below it already."""
    if not hasattr(config, "workerinput"):
        _unignore_signals()
        config.stash[_leak_watch] = leak_watch.fork()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let some tests run alone."""
    if config.getoption("dist") != "loadfile":
        return None
    import alone  # noqa: PLC0415 - where there is pytest-xdist

    return alone.Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector from what is collected here: nine thousand tests, which stay until the end.

    To look through them took it 0.4 s of processor each time, with every thread at a stand, two hundred times a run.
    A command that ends in this process keeps it from nothing more: what is garbage by then, an error with a frame's
    memory say, would stay until the end, too.
    """
    gc.disable()
    yield
    gc.collect()
    gc.freeze()
    vars(gc)["freeze"] = lambda: None
    gc.collect()  # it counts what is left; else it would wait for a quarter as much garbage as there was before
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup() -> None:
    """Have no lock of `logging` taken, which are the same for all tests: its own, and those of pytest's handlers.

    Where a test's signal handler raises within `logging`, its lock stays taken (see `xshm.system.logs`); the next test
    whose other thread logs would wait for ever.
    """
    lock: Any = logging._lock  # type: ignore[attr-defined]
    while lock._is_owned():
        lock.release()
    for handler in logging.getLogger().handlers:
        handler.createLock()


def _unignore_signals() -> None:
    """Let programs of the tests take signals that this run is to ignore, as below nohup(1) or in a shell's background.

    An ignored signal is inherited, one with a handler is not.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind(pytestconfig: pytest.Config) -> Iterator[None]:
    """Fail the run that leaves a process, a System V segment or a busy thread. Set up first, it is torn down last."""
    yield
    before = thread_times()
    time.sleep(0.5)
    busy = used_since(before, more_than=0.1)
    assert not busy, f"a thread goes on though the tests are over: {busy}"
    if _leak_watch in pytestconfig.stash:
        gc.collect()  # exceptions and frames of tracebacks are in cycles
        left = pytestconfig.stash[_leak_watch].leftovers()
        assert not left, "left behind by the tests: " + "; ".join(left)


@pytest.fixture(scope="session")
def xvfb() -> Iterator[Server]:
    """One Xvfb of 1280x800x24, shared by all tests: paint on it, but don't end, stop or resize it."""
    with _start("Xvfb") as server:
        yield server


@pytest.fixture
def painter(xvfb: Server) -> Iterator[Painter]:
    """Give a Painter on `xvfb`."""
    with Painter(xvfb) as painter:
        yield painter


@pytest.fixture
def screen(xvfb: Server) -> Iterator[Screen]:
    """Give a Screen on `xvfb`."""
    with Screen(xvfb.name) as screen:
        yield screen


@pytest.fixture
def surface(xvfb: Server) -> Iterator[Surface]:
    """Give a Surface of 200x150 on `xvfb`."""
    with Surface(200, 150, display=xvfb.name) as surface:
        yield surface


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Switch the garbage collector off: memory has to come back without it, and its time is not the test's."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """Give a Wire, and the other end of its socket in our own hands."""
    with contextlib.closing(FakeServer()) as fake_server:
        yield fake_server


@pytest.fixture
def bare_collector() -> Iterator[None]:
    """Remove the collector's callbacks: hypothesis has one, in Python, which swallows what a signal handler raises."""
    callbacks, gc.callbacks[:] = list(gc.callbacks), []
    yield
    gc.callbacks[:] = callbacks


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Give a function that starts fresh servers (`servers.start`); they end after the test."""
    with contextlib.ExitStack() as servers:
        yield lambda *args, **options: servers.enter_context(_start(*args, **options))


def _start(*args: Any, **options: Any) -> Server:
    try:
        return start(*args, **options)
    except MissingProgram as missing:
        # run.sh installs the servers. After it, a missing one fails the test; elsewhere the test is skipped.
        absent = os.environ.get("XSHM_SERVERS_ABSENT", "").split()
        if os.environ.get("XSHM_SERVERS") == "required" and missing.package not in absent:
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a disk of 512 KiB."""
    with disks.small_disk(tmp_path) as place:
        yield place


@pytest.fixture
def own_directory(tmp_path: Path) -> Iterator[Path]:
    """Give a directory that is anybody's to enter and nobody's but its owner's to write; the way there is open."""
    with disks.own_directory(tmp_path) as place:
        yield place
