"""Steady rhythms of real programs, which do not keep a screen from being still, and what loads, which does."""

from __future__ import annotations

import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import restless
from colours import BLACK, WHITE
from painter import plain_display
from programs import Programs, eventually
from Xlib import X

import xshm
from xshm.errors import WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server

_RESTLESS = str(Path(restless.__file__))
_SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's GTK and Qt are for this one
# Longer than any phase of a caret, so that a screen without rhythms would never be still.
_LONG = 1.0
_PAGES = {
    # A spinner, a bar that is always busy, and a text field with the focus.
    "busy": """<style>body{margin:8px;background:#fff} .s{width:60px;height:60px;border:8px solid #ddd;
        border-top-color:#06c;border-radius:50%;animation:r 1s linear infinite}
        @keyframes r{to{transform:rotate(360deg)}}
        </style><div class=s></div><br><progress style="width:300px"></progress><br><br><input autofocus value=text>""",
    # Repaints every 200 ms for three seconds, beside a bar that fills and a list that fades in; then it is green.
    "loading": """<style>body{margin:8px;background:#fff} #f{animation:f 3s linear} @keyframes f{from{opacity:0}}
        #b{width:0;height:20px;background:#06c;transition:width 3s linear}</style><h1>0</h1><div id=b></div>
        <div id=f>a list<br>that fades in</div><script>
        const begin = Date.now(); requestAnimationFrame(() => b.style.width = "300px")
        const timer = setInterval(() => { document.querySelector("h1").textContent = Math.random()
            if (Date.now() - begin < 3000) return
            clearInterval(timer); document.body.style.background = "rgb(0, 200, 0)" }, 200)
        </script>""",
}


def _chromium(tmp_path: Path, page: str) -> list[str]:
    path = tmp_path / "page.html"
    path.write_text(_PAGES[page])
    switches = ["--no-sandbox", "--no-first-run", "--disable-gpu", "--window-size=600,400", "--window-position=0,0"]
    return ["chromium", *switches, f"--user-data-dir={tmp_path / 'profile'}", f"--app=file://{path}"]


@pytest.mark.parametrize("toolkit", ["xterm", "tk", "gtk", "qt"])
def test_a_text_caret_is_a_rhythm(make_server: Callable[..., Server], toolkit: str) -> None:
    # Takes 6 seconds: the slowest caret changes four times.
    server = make_server("Xvfb", 640, 480)
    python = sys.executable if toolkit == "tk" else _SYSTEM_PYTHON
    command = [python, _RESTLESS, "caret", toolkit]
    if toolkit == "xterm":
        command = ["xterm", "-bc", "-title", "caret", "-e", "cat"]
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        programs.start(*command)
        window = eventually(lambda: programs.window("caret"))
        display = plain_display(server)
        display.create_resource_object("window", window).set_input_focus(X.RevertToParent, X.CurrentTime)
        display.sync()
        display.close()
        screen.wait_stable(0.25)  # it is painted
        # An act that nothing is known to, and one that something is.
        for _ in range(2):
            outcome = screen.act(lambda: None)
            assert not outcome.reacted, outcome.summary()
            assert outcome.settled
        still = screen.wait_stable(_LONG, timeout=8)
        (caret,) = still.moving
        assert caret.rhythm == "cycle"
        assert caret.rect.width <= 10
        assert 10 <= caret.rect.height <= 25
        with pytest.raises(WaitTimeout, match=r"every \d+ ms \(a caret\?\); ignore=\[region\] or rhythms='ignore'"):
            screen.wait_stable(_LONG, timeout=1.2, rhythms="count")


def test_a_clock_with_a_second_hand_is_a_rhythm(make_server: Callable[..., Server]) -> None:
    # Takes 6 seconds: four of the clock, and the wait.
    server = make_server("Xvfb", 300, 300)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        programs.start("xclock", "-update", "1")
        still = screen.wait_stable(1.5, timeout=15)
        (clock,) = still.moving
        assert clock.rhythm == "tick"
        assert clock.period == pytest.approx(1, abs=0.1)
        assert not screen.act(lambda: None).reacted


def test_a_video_is_a_rhythm_and_one_that_stops_is_a_change(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        video = programs.start(sys.executable, _RESTLESS, "video", "0")
        eventually(lambda: len(set(screen.grab().rgb()[100, 100:200].flat)) > 50)
        still = screen.wait_stable(timeout=20)
        (moving,) = still.moving
        assert moving.rhythm == "flow"
        assert not screen.act(lambda: None).reacted
        outcome = screen.act(programs.end, video)  # its window goes, too
        assert outcome.reacted
        assert outcome.settled


def test_a_page_with_a_spinner_a_busy_bar_and_a_caret_is_still(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    # Takes 10 seconds, most of them Chromium's start.
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        programs.start(*_chromium(tmp_path, "busy"))
        screen.wait_for(lambda frame: _share(frame, (0, 0x66, 0xCC)) > 0.001, timeout=30)
        still = screen.wait_stable(_LONG, timeout=20)
        kinds = {each.rect.width: each.rhythm for each in still.moving}
        assert kinds.keys() <= {*range(1, 3), *range(70, 85), *range(200, 300)}, still.moving
        assert kinds[next(width for width in kinds if 70 <= width < 85)] == "flow"
        outcome = screen.act(lambda: None)
        assert not outcome.reacted, outcome.summary()


def test_a_page_is_not_still_while_it_loads(make_server: Callable[..., Server], tmp_path: Path) -> None:
    # Takes 10 seconds, most of them Chromium's start.
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        programs.start(*_chromium(tmp_path, "loading"))
        screen.wait_for(
            lambda frame: _share(frame, (255, 255, 255)) > 0.2 and _share(frame, (0, 0x66, 0xCC)), timeout=30
        )
        still = screen.wait_stable(timeout=20)
        assert _share(still.frame, restless.GREEN) > 0.3
        assert still.seconds > 1


@pytest.mark.parametrize("ways", [("repaint", "list"), ("bar", "fade")])
def test_what_loads_is_not_still_before_it_has_loaded(
    make_server: Callable[..., Server], ways: tuple[str, ...]
) -> None:
    server = make_server("Xvfb", 900, 300)

    def wait(number: int) -> xshm.Stability:
        corner = 200 * number
        with xshm.Screen(server.name) as screen:
            # Half a second into it: Tk was busy with its start.
            screen.wait_change(20, (corner, 0, 200, 200))
            # Longer than a busy machine keeps a program from drawing; a rhythm that was wrongly proven ends it anyhow.
            return screen.wait_stable(_LONG, timeout=20, region=(corner, 0, 200, 200))

    with Programs(server) as programs, ThreadPoolExecutor() as threads:
        waits = [threads.submit(wait, number) for number in range(len(ways))]
        for number, how in enumerate(ways):
            programs.start(sys.executable, _RESTLESS, "load", how, str(200 * number))
        for how, each, number in zip(ways, waits, range(len(ways)), strict=True):
            still = each.result()
            assert still.frame.pixel(200 * number + 180, 180) == restless.GREEN, how
            assert still.seconds > 1, how


def _share(frame: xshm.Frame, colour: tuple[int, int, int]) -> float:
    """Return how much of a frame has a colour."""
    return float((frame.rgb() == colour).all(axis=2).mean())


@pytest.mark.parametrize(("pause", "count"), [(0.2, 12), (0.1, 24)])
def test_what_loads_in_the_place_of_a_video_that_is_known_is_a_change(
    screen: xshm.Screen, painter: Painter, pause: float, count: int
) -> None:
    over = threading.Event()

    def play() -> None:
        chance = random.Random(1)
        while not over.wait(0.03):
            for _ in range(20):
                place = (100 + 20 * chance.randrange(10), 100 + 10 * chance.randrange(10), 20, 10)
                painter.fill(place, (chance.randrange(256), chance.randrange(256), chance.randrange(256)))

    def load() -> None:
        for number in range(count):
            time.sleep(pause)
            painter.fill((100 + 4 * number, 110, 4, 70), BLACK)

    with ThreadPoolExecutor(1) as pool:
        try:
            playing = pool.submit(play)
            assert [each.rhythm for each in screen.wait_stable().moving] == ["flow"]
        finally:
            over.set()
        playing.result()
        painter.fill((100, 100, 200, 100), WHITE)
        loading = pool.submit(load)
        found = screen.wait_stable(timeout=20)
        assert loading.done()
        assert found.frame.pixel(100 + 4 * count - 1, 120) == BLACK
