"""Servers for the tests, and the watch that nothing is left behind (warden.py)."""

from __future__ import annotations

import contextlib
import gc
import os
from typing import TYPE_CHECKING, Any

import hypothesis
import leak_watch
import pytest
from fake_server import Peer
from painter import Painter
from server_kinds import MissingProgram
from servers import Server, start

from xshm import Screen, Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How long an example may take says nothing about the code where the machine is busy.
hypothesis.settings.register_profile("xshm", deadline=None)
hypothesis.settings.load_profile("xshm")

_line = pytest.StashKey[leak_watch.Line]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Put a warden above this process; not above a worker of pytest-xdist, whose pipe is its own."""
    if not hasattr(config, "workerinput"):
        config.stash[_line] = leak_watch.fork()


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind(pytestconfig: pytest.Config) -> Iterator[None]:
    """Fail the run that leaves a process or a System V segment. Set up first, it is torn down last."""
    yield
    if _line in pytestconfig.stash:
        gc.collect()  # an exception that a test has caught and named keeps its traceback's frames, and they it
        left = pytestconfig.stash[_line].leftovers()
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
    """Switch the garbage collector off: memory has to come back without it."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Give a Wire, and the other end of its socket in our own hands."""
    with contextlib.closing(Peer()) as peer:
        yield peer


@pytest.fixture
def bare_collector() -> Iterator[None]:
    """Take away the collector's callbacks: hypothesis has one, in Python, which swallows what a signal raises."""
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
        # run.sh installs the servers: what it could install and is not there is a fault; elsewhere it is a lack.
        absent = os.environ.get("XSHM_SERVERS_ABSENT", "").split()
        if os.environ.get("XSHM_SERVERS") == "required" and missing.package not in absent:
            pytest.fail(str(missing))
        pytest.skip(str(missing))
