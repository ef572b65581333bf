"""Waits on a descriptor that other code made non-blocking (uvloop), or without `select.poll` (eventlet)."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from delayed import later
from fake_server import REQUEST, FakeServer, event, reply
from interrupt_workload import BackgroundThreads, InterruptWorkload, Ticker

import xshm
from xshm.errors import DisplayGone, RequestTimeout
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from painter import Painter
    from servers import Server


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    fake_server = FakeServer()
    os.set_blocking(fake_server.wire.socket.fileno(), False)
    yield fake_server
    fake_server.close()


# -- a descriptor that others made non-blocking ----------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 5.0, float("inf")])
def test_an_answer_that_takes_its_time_is_waited_for(fake_server: FakeServer, timeout: float | None) -> None:
    fake_server.wire.timeout = timeout
    answer = reply(1, b"1111")
    with later(0.1, fake_server.send, answer[:9]), later(0.2, fake_server.send, answer[9:]):
        before, spent = time.monotonic(), time.process_time()
        assert fake_server.wire.call(REQUEST).reply == answer
        assert time.monotonic() - before > 0.15
        assert time.process_time() - spent < 0.1  # it sleeps meanwhile


def test_a_server_that_says_nothing_is_still_a_timeout_and_one_that_ends_still_gone(fake_server: FakeServer) -> None:
    with pytest.raises(RequestTimeout):
        fake_server.wire.wait(fake_server.wire.send(Request(REQUEST)), 0.05)
    with later(0.1, fake_server.socket.close), pytest.raises(DisplayGone):
        fake_server.wire.sync()


def test_megabytes_go_both_ways(fake_server: FakeServer) -> None:
    fake_server.send_after((0, b"".join(event(0, number) for number in range(50_000))), (4_000_000, reply(2)))
    fake_server.wire.send(Request(bytes(3_999_996)))
    assert fake_server.wire.call(REQUEST).done
    assert len(fake_server.wire.events) == 50_000


def test_closing_wakes_a_thread_that_waits(fake_server: FakeServer) -> None:
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            fake_server.wire.next_event(fake_server.wire.events)
        except xshm.XshmError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while fake_server.wire._reader is None:
        time.sleep(0.001)
    fake_server.wire.close()
    thread.join(5)
    assert [type(error) for error in ended] == [xshm.Closed]


def test_threads_share_it_whatever_the_flag_becomes_meanwhile(workload: InterruptWorkload) -> None:
    workload.pool.limit = 32
    threads, ticker = BackgroundThreads(workload, 6), Ticker(workload)
    ticker.start()
    for turn in range(100):
        os.set_blocking(workload.connection.fileno(), bool(turn % 2))
        time.sleep(0.01)
    ticker.end()
    threads.end()
    assert threads.received == list(range(ticker.sent))
    assert min(threads.rounds) > 2


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_every_kind_of_wait_works(xvfb: Server, painter: Painter, transport: str) -> None:
    painter.fill((0, 0, 50, 50), (0, 0, 255))
    with xshm.Screen(xvfb.name, transport) as screen:
        os.set_blocking(screen.connection.fileno(), False)
        assert screen.grab().pixel(5, 5) == (0, 0, 255)
        with pytest.raises(xshm.WaitTimeout):
            screen.wait_change(0.1)
        with later(0.1, painter.fill, (0, 0, 50, 50), (255, 0, 0)):
            assert screen.wait_pixel(5, 5, "red", 5).pixel(5, 5) == (255, 0, 0)
        assert screen.wait_stable(0.1, 5)
        screen.xlib.sync()
        assert not os.get_blocking(screen.connection.fileno())  # it is theirs


# -- without select.poll ---------------------------------------------------------------------------------------------

_PATCHED = "import os, select, sys\nfor name in ('poll', 'epoll'):\n    delattr(select, name)  # as eventlet does\n"


def _run(program: str, *arguments: str, before: str = "", env: dict[str, str] | None = None) -> tuple[str, str]:
    command = [sys.executable, "-c", before + _PATCHED + program, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, env=env)
    return run.stdout, run.stderr


_WAITS = """
import threading, xshm
for transport in ("sysv", "fd", "core"):
    with xshm.Screen(sys.argv[1], transport) as screen:
        assert screen.grab().width == 1280
        rests = []
        wait = lambda: rests.append(screen.wait_stable(0.3, 5, region=(0, 0, 9, 9)))
        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            screen.grab()
        for thread in threads:
            thread.join()
        assert len(rests) == 3
        screen.windows()
with xshm.Surface(2000, 1500, display=sys.argv[1], timeout=5) as surface:
    with surface.draw() as pixels:
        pixels[...] = 0
    surface.wait()
print("fine")
"""


@pytest.mark.parametrize(
    "before",
    ["", "import xshm.drawables.screen, xshm.capture.waiting.wait, xshm.surface.surface\n"],
    ids=["before", "after"],
)
def test_all_waits_work_where_select_has_no_poll_be_it_patched_before_or_after(xvfb: Server, before: str) -> None:
    assert _run(_WAITS, xvfb.name, before=before) == ("fine\n", "")


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_screen_that_was_opened_before_is_grabbed_without_poll_too(
    xvfb: Server, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with xshm.Screen(xvfb.name, timeout=timeout) as screen:
        with_poll = screen.grab((0, 0, 9, 9)).png()
        monkeypatch.delattr("select.poll")
        assert screen.grab((0, 0, 9, 9)).png() == with_poll
        with pytest.raises(xshm.WaitTimeout):
            screen.wait_change(0.1, (0, 0, 9, 9))


def test_a_virtual_display_starts_runs_and_ends_where_select_has_no_poll() -> None:
    program = """
import xshm
with xshm.VirtualDisplay(320, 200) as display:
    program = display.run(["sleep", "60"])
    display.screen.grab()
    assert program.poll() is None
print(program.returncode, "fine")
"""
    assert _run(program) == ("-15 fine\n", "")


def test_a_descriptor_that_select_has_no_room_for_is_named(xvfb: Server) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2048:
        pytest.skip("this machine allows no more descriptors")
    program = """
import resource, xshm
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1500)]
try:
    with xshm.Screen(sys.argv[1]) as screen:
        screen.wait_change(0.1)
except xshm.XshmError as error:
    print(error)
"""
    said, trouble = _run(program, xvfb.name)
    assert trouble == ""
    assert "can't be waited for: select(2) ends at 1023" in said


def test_waits_are_made_by_the_poll_that_a_library_has_put_in_its_workload(xvfb: Server) -> None:
    # Green threads go on meanwhile only if it is theirs that waits; a recv that blocks would stop them all.
    program = """
import select, sys
genuine, waits = select.poll, []
class Poll:
    def __init__(self):
        self.poller = genuine()
        self.register = self.poller.register
    def poll(self, timeout=None):
        waits.append(timeout)
        return self.poller.poll(timeout)
select.poll = Poll
import xshm
with xshm.Screen(sys.argv[1]) as screen:
    waits.clear()
    screen.connection.wire.wait_event(screen.connection.wire.events, 0.2)
    assert any(100 < wait <= 200 for wait in waits), waits
    waits.clear()
    for _ in range(100):
        screen.grab()
    assert waits and set(waits) == {None}, waits
    print("fine")
"""
    run = subprocess.run([sys.executable, "-c", program, xvfb.name], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("fine\n", "")
