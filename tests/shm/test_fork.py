"""After fork the connection, its segments and its slots stay the parent's: a child can't use or damage them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from forked import in_child

import xshm
from xshm import sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

    from xshm.shm.pool import Pool

# Python 3.12 and newer warn of what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
_BOX = (0, 0, 64, 48)


@pytest.fixture(params=["sysv", "fd"])
def screen(xvfb: Server, painter: Painter, request: pytest.FixtureRequest) -> Iterator[xshm.Screen]:
    painter.noise((0, 0, 64, 48))
    with xshm.Screen(xvfb.name, request.param, timeout=10, max_frames=16, copies=False) as screen:
        yield screen


def _nattch() -> list[int]:
    return sorted(each.nattch for each in sysv.segments() if each.cpid == os.getpid())


def test_a_child_is_told_whose_the_connection_is(screen: xshm.Screen) -> None:
    owner = f"Closed: this connection belongs to process {os.getpid()}, from which this one was forked; open one here"
    xlib = screen.xlib
    for use in (screen.connection.sync, xlib.next_event, xlib.pending_events, lambda: screen.connection.extension("X")):
        assert in_child(use) == owner
    assert in_child(lambda: screen.grab(_BOX)).startswith("Closed: ")
    screen.grab(_BOX)


def test_a_child_that_closes_and_drops_everything_takes_nothing_from_the_parent(screen: xshm.Screen) -> None:
    frames = [screen.grab(_BOX)]
    before, pixels = _nattch(), frames[0].pixels.copy()

    def leave() -> None:
        _pool(screen).trim()
        frames.clear()
        screen.close()

    assert in_child(leave) == "None"
    assert _nattch() == before
    for _ in range(20):
        assert (frames[0].pixels == pixels).all()
        assert (screen.grab(_BOX).pixels == pixels).all()
    assert _pool(screen).stats().grown == 2


def _pool(screen: xshm.Screen) -> Pool:
    pool = screen._session.pool
    assert pool is not None
    return pool


def test_a_child_sees_the_frames_it_was_forked_with(screen: xshm.Screen) -> None:
    frame = screen.grab(_BOX)
    assert in_child(lambda: int(frame.pixels.sum())) == repr(int(frame.pixels.sum()))


def test_a_program_that_forks_and_exits_normally(xvfb: Server) -> None:
    program = """
import os, sys, xshm
from xshm import sysv
nattch = lambda: sorted(each.nattch for each in sysv.segments() if each.cpid == me)
me = os.getpid()
screen = xshm.Screen(sys.argv[1], "sysv")
frames = [screen.grab((0, 0, 9, 9)) for _ in range(3)]
before = nattch()
if os.fork() == 0:
    sys.exit(0)  # with all its finalizers
status = os.wait()[1]
assert status == 0 and nattch() == before == [2, 2, 2], (status, before, nattch())
frames.append(screen.grab((0, 0, 9, 9)))
screen.close()
print("fine")
"""
    run = subprocess.run(
        [sys.executable, "-Werror", "-c", program, xvfb.name], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("fine\n", "")


def _in_worker(name: str) -> tuple[int, ...]:
    with xshm.Screen(name) as screen:
        return screen.grab((0, 0, 5, 4)).pixels.shape


def test_multiprocessing_by_fork(screen: xshm.Screen, xvfb: Server) -> None:
    context = multiprocessing.get_context("fork")
    frame = screen.grab(_BOX)
    with context.Pool(2) as pool:
        assert pool.map(_in_worker, [xvfb.name] * 4) == [(4, 5, 4)] * 4
    assert (screen.grab(_BOX).pixels == frame.pixels).all()


def test_a_fork_while_other_threads_work_leaves_no_lock_taken_in_the_child(screen: xshm.Screen) -> None:
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            frames = [screen.grab((0, 0, 8 * side, 8)) for side in (1, 20, 60)]
            del frames
            _pool(screen).trim()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(25):
            before = time.monotonic()
            assert in_child(lambda: screen.grab(_BOX)).startswith("Closed: ")
            assert in_child(screen.close) == "None"
            assert time.monotonic() - before < 5
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert screen.grab(_BOX).pixels.shape == (48, 64, 4)


def test_a_lock_that_another_thread_held_at_the_fork_does_not_stop_the_child(screen: xshm.Screen) -> None:
    with screen._opening, screen.connection.resources._lock:
        assert in_child(lambda: _within_a_second(screen.windows)).startswith("Closed: this connection belongs to")
        assert in_child(lambda: _within_a_second(screen.connection.allocate_resource_id)).isdigit()


def _within_a_second(work: Callable[[], object]) -> object:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the child
    signal.alarm(1)
    return work()
