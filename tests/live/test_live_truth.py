"""What a viewer of a live view sees: numbers that are painted on a screen, read back from the canvas of a page."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import live_reader
import numpy as np
import pytest
from canvas_numbers import CanvasNumbers
from counter_screen import CounterScreen
from devtools import Browser, needs_chromium
from live_reader import LiveReader
from slow_line import SlowLine

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devtools import Page
    from painter import Painter
    from servers import Server

_PATIENCE = 20  # seconds, on a machine that is busy with something else
_SLOW = 400_000  # bytes a second
_TOKEN = "a-token-that-stays-the-same"  # noqa: S105 - of a view that is started twice
# A view in a process of its own, whose memory can be looked at.
_SERVE = """
import sys, xshm
with xshm.Screen() as screen, screen.live() as live:
    print(live.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def counter(xvfb: Server) -> Iterator[CounterScreen]:
    with CounterScreen(xvfb.name) as counter:
        yield counter


class Watched:
    """A page that shows a view."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.page: Page = browser.page()
        self.numbers = CanvasNumbers(self.page)
        self.numbers.open(url)
        self.numbers.until("window.xshm?.screen?.isDrawn")
        self.numbers.watch(0, 0)

    def sum(self) -> str:
        """Return SHA-256 of the canvas's R G B, without its alpha."""
        return str(
            self.page.run("""(async () => {
              const {canvas} = xshm;
              const rgba = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
              const rgb = new Uint8Array(canvas.width * canvas.height * 3);
              for (let i = 0, j = 0; i < rgba.length; i += 4) {
                rgb[j++] = rgba[i];
                rgb[j++] = rgba[i + 1];
                rgb[j++] = rgba[i + 2];
              }
              const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', rgb));
              return [...sum].map((byte) => byte.toString(16).padStart(2, '0')).join('');
            })()""")
        )

    def until_exact(self, screen: xshm.Screen, patience: float = _PATIENCE) -> float:
        """Wait until the canvas is the screen, byte for byte; return the seconds that it took."""
        expected = hashlib.sha256(screen.grab().rgb().tobytes()).hexdigest()
        begun = time.monotonic()
        while self.sum() != expected:
            assert time.monotonic() < begun + patience, "the canvas is not what the screen shows"
            time.sleep(0.02)
        return time.monotonic() - begun

    def until_number(self, number: int) -> None:
        self.numbers.until(f"numbers.seen.at(-1)?.[0] === {number}")


@contextlib.contextmanager
def _watched(browser: Browser, url: str) -> Iterator[Watched]:
    watched = Watched(browser, url)
    yield watched
    watched.page.close()


@contextlib.contextmanager
def _served(server: Server) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE], env=server.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield process, process.stdout.readline().strip()
    finally:
        process.communicate()
    assert process.returncode == 0


@contextlib.contextmanager
def _scrolling(server: Server, counter: CounterScreen, pause: float = 0.03) -> Iterator[None]:
    """Change all of the screen, and count, until the block ends."""
    over = threading.Event()
    noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)  # enlarged: text is no worse
    with xshm.Surface(1280, 768, display=server.name, position=(0, 32), title="all") as surface:
        pictures = [np.kron(np.roll(noise, 5 * turn, axis=0), np.ones((8, 8, 1), np.uint8)) for turn in range(4)]

        def paint() -> None:
            while not over.wait(pause):
                surface.show(np.ascontiguousarray(pictures[counter.number % 4][:768, :1280]))
                surface.wait()
                counter.count()

        thread = threading.Thread(target=paint)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9  # clock_getcpuclockid(3)


# -- one page ----------------------------------------------------------------------------------------------------------


@needs_chromium
def test_numbers_come_in_their_order_and_the_newest_stays(
    browser: Browser, screen: xshm.Screen, counter: CounterScreen
) -> None:
    with screen.live() as live, _watched(browser, live.url) as watched:
        counter.count_at_a_pace(25)  # on a machine that is not busy each is shown
        watched.until_number(counter.number)
        paced = [number for number, _ in watched.numbers.seen()]
        assert paced == sorted(paced)
        assert len(set(paced) & set(range(1, 26))) >= 10, paced

        watched.numbers.watch(0, 0)
        for _ in range(300):  # as fast as the server takes them
            counter.count()
        watched.until_number(counter.number)
        fast = [number for number, _ in watched.numbers.seen()]
        assert fast == sorted(fast)
        assert not [problem for problem in watched.page.problems if "willReadFrequently" not in problem]


@needs_chromium
def test_the_canvas_is_the_screen_byte_for_byte_once_it_rests(
    browser: Browser, screen: xshm.Screen, painter: Painter, counter: CounterScreen, xvfb: Server
) -> None:
    with screen.live() as live, _watched(browser, live.url) as watched:
        with _scrolling(xvfb, counter):  # so much at once is sent as JPEG
            watched.numbers.until(f"numbers.seen.at(-1)?.[0] >= {counter.number + 10}")
        watched.until_number(counter.number)
        watched.until_exact(screen)
        painter.noise((100, 200, 900, 500))
        watched.until_exact(screen)
        painter.rectangles(30)
        watched.until_exact(screen)


@needs_chromium
def test_a_page_connects_again_when_its_hub_is_back(
    browser: Browser, screen: xshm.Screen, counter: CounterScreen
) -> None:
    with screen.live(token=_TOKEN) as live:
        port = int(live.url.partition("/#")[0].rpartition(":")[2])
        watched = Watched(browser, live.url)
        counter.count()
        watched.until_number(counter.number)
    watched.numbers.until("xshm.status.kind !== 'open'")
    counter.count()
    with screen.live(port=port, token=_TOKEN):
        watched.until_number(counter.number)
        counter.count()
        watched.until_number(counter.number)
        watched.until_exact(screen)
    watched.page.close()


# -- several viewers ---------------------------------------------------------------------------------------------------


@needs_chromium
def test_a_viewer_behind_a_slow_line_does_not_hold_up_another(
    browser: Browser, screen: xshm.Screen, counter: CounterScreen, xvfb: Server
) -> None:
    with screen.live() as live, LiveReader(live.url) as fast, _scrolling(xvfb, counter):
        port = int(live.url.partition("/#")[0].rpartition(":")[2])
        fast.read_until(lambda: len(fast.seen) > 5)
        alone = _numbers_in(fast, 1.5)
        with SlowLine(port, _SLOW) as line:
            watched = Watched(browser, live.url.replace(f":{port}/", f":{line.port}/"))
            fast.read_for(1.5)  # what is slow has found its rung
            together = _numbers_in(fast, 1.5)
            late = counter.number
            fast.read_until(lambda: (fast.number or 0) >= late)
            watched.numbers.until(f"numbers.seen.at(-1)?.[0] >= {late}", 2.5)  # no backlog: that would be much later
            assert line.nbytes > 0
            watched.page.close()
        assert together > alone / 2, (together, alone)


def _numbers_in(reader: LiveReader, seconds: float) -> int:
    before = len(reader.seen)
    reader.read_for(seconds)
    return len(reader.seen) - before


def test_a_viewer_that_is_stopped_costs_nothing_and_sees_the_newest_when_it_goes_on(
    counter: CounterScreen, xvfb: Server
) -> None:
    with _served(xvfb) as (server, link), _program(xvfb, link) as viewer, _scrolling(xvfb, counter):
        numbers = _lines_of(viewer)
        _wait(lambda: len(numbers) > 5)
        os.kill(viewer.pid, signal.SIGSTOP)
        time.sleep(0.5)
        memory, used, begun = _rss(server.pid), _cpu(server.pid), time.monotonic()
        time.sleep(1.5)
        share = (_cpu(server.pid) - used) / (time.monotonic() - begun)
        assert share < 0.03, "nobody waits for a picture"
        assert _rss(server.pid) - memory < 4 << 20
        with LiveReader(link) as other:  # who is not stopped sees it as ever
            other.read_until(lambda: len(other.seen) > 10)
        newest = counter.number
        os.kill(viewer.pid, signal.SIGCONT)
        have = len(numbers)
        _wait(lambda: numbers[-1] >= newest)
        # What was under way when it stopped comes first: two updates, four on a machine so busy that the delay is long,
        # and the one that it was about to show.
        assert len([number for number in numbers[have:] if number < newest]) <= 5, numbers[have:]


@contextlib.contextmanager
def _program(server: Server, link: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, live_reader.__file__, link], env=server.env(), stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _lines_of(process: subprocess.Popen[str]) -> list[int]:
    """Return a list that grows by each number that a program prints."""
    numbers: list[int] = []

    def read() -> None:
        assert process.stdout
        with process.stdout:
            numbers.extend(map(int, process.stdout))

    threading.Thread(target=read, daemon=True).start()
    return numbers


def _wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- a long time -------------------------------------------------------------------------------------------------------


@pytest.mark.proof
@pytest.mark.timeout(900)
@needs_chromium
def test_ten_minutes_are_flat(browser: Browser, screen: xshm.Screen, counter: CounterScreen, xvfb: Server) -> None:
    minutes = float(os.environ.get("XSHM_LIVE_MINUTES", "10"))
    with (
        _served(xvfb) as (server, link),
        _program(xvfb, link) as stopped,
        _program(xvfb, link) as slow,
        _watched(browser, link) as watched,
    ):
        lines = _lines_of(stopped), _lines_of(slow)
        _wait(lambda: all(lines))
        os.kill(stopped.pid, signal.SIGSTOP)
        rows = []
        with _scrolling(xvfb, counter):
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                os.kill(slow.pid, signal.SIGSTOP)
                time.sleep(0.4)
                os.kill(slow.pid, signal.SIGCONT)
                time.sleep(5)
                newest = counter.number
                watched.numbers.until(f"numbers.seen.at(-1)?.[0] >= {newest}", 3)
                watched.numbers.watch(0, 0)
                watched.page.call("HeapProfiler.collectGarbage")
                heap = watched.page.call("Runtime.getHeapUsage")["usedSize"]
                files = len(os.listdir(f"/proc/{server.pid}/fd"))  # noqa: PTH208
                rows.append((_rss(server.pid), heap, files))
        watched.until_number(counter.number)
        assert watched.until_exact(screen) < 1
    early, late = rows[len(rows) // 5], rows[-1]
    print(f"\n{len(rows)} looks: {rows[0]}, {early}, {late}")
    assert late[0] - early[0] < 8 << 20
    assert late[1] - early[1] < 4 << 20
    assert late[2] <= early[2]
