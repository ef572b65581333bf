"""The examples that draw: each is run as its first lines say, and its window's picture is checked."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from Xlib import X
from Xlib.ext import xtest

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

    Start = Callable[..., subprocess.Popen[str]]

_EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Give a function that starts an example on a server; it is ended after the test if it was not before."""
    started = []

    def start(name: str, server: Server, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(_EXAMPLES / name), *words]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, env=server.env(), text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def press(painter: Painter, character: str) -> None:
    code = painter.display.keysym_to_keycode(ord(character))
    xtest.fake_input(painter.display, X.KeyPress, code)
    xtest.fake_input(painter.display, X.KeyRelease, code)
    painter.display.sync()


def until(what: Callable[[], bool], said: str) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


def is_seen(screen: xshm.Screen, colour: tuple[int, int, int]) -> bool:
    return bool((screen.grab((0, 0, 160, 120)).rgb() == colour).all())


def test_life_shows_cells_and_its_frame_rate(make_server: Callable[..., Server], start: Start) -> None:
    server = make_server("Xvfb", 640, 360)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        life = start("life.py", server, "--size", "640x360")
        until(lambda: bool((screen.grab((0, 200, 640, 160)).rgb() > 250).all(axis=2).sum() > 500), "no cells are seen")
        until(lambda: bool((screen.grab((0, 0, 300, 56)).rgb() > 250).all(axis=2).sum() > 500), "no frame rate is seen")
        xtest.fake_input(painter.display, X.MotionNotify, x=300, y=300)
        press(painter, "q")
        output, _ = life.communicate(timeout=10)
    assert life.returncode == 0, output


def test_life_counts_its_generations(make_server: Callable[..., Server], start: Start) -> None:
    server = make_server("Xvfb", 320, 200)
    output, _ = start("life.py", server, "--size", "320x200", "--generations", "25").communicate(timeout=20)
    assert re.search(r"^25 generations, \d+\.\d a second$", output, re.MULTILINE), output


def test_the_rules_of_life_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(_EXAMPLES))
    import life  # type: ignore[import-not-found]  # noqa: PLC0415 - it is on no path of mypy's

    world = life.Life(40, 30)
    for _ in range(10):
        before = world.cells.astype(int)
        around = sum(
            np.roll(before, (down, across), (0, 1))
            for down in (-1, 0, 1)
            for across in (-1, 0, 1)
            if (down, across) != (0, 0)
        )
        world.step()
        assert np.array_equal(world.cells, (around == 3) | ((around == 2) & (before == 1)))


def test_the_video_player_shows_a_film_to_its_end(
    make_server: Callable[..., Server], start: Start, tmp_path: Path
) -> None:
    av = pytest.importorskip("av")
    film = tmp_path / "film.mkv"
    colours = [(250, 10, 20), (10, 240, 30), (20, 30, 250)]
    with av.open(str(film), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "bgr0"
        for colour in colours:
            picture = np.full((120, 160, 3), colour, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    server = make_server("Xvfb", 320, 240)
    with xshm.Screen(server.name) as screen:
        player = start("video_player.py", server, str(film))
        for colour in colours:
            until(partial(is_seen, screen, colour), f"{colour} is not seen")
        output, _ = player.communicate(timeout=10)
    assert player.returncode == 0, output
    assert "3 pictures shown, 0 left out" in output


def test_the_magnifier_shows_what_is_under_the_pointer(make_server: Callable[..., Server], start: Start) -> None:
    server = make_server("Xvfb", 800, 600)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.noise((480, 0, 320, 600))
        xtest.fake_input(painter.display, X.MotionNotify, x=700, y=300)
        painter.display.sync()
        magnifier = start("magnifier.py", server, "--factor", "8")

        def is_magnified() -> bool:
            small = screen.grab((670, 270, 60, 60)).rgb()
            expected = small.repeat(8, axis=0).repeat(8, axis=1)
            found = screen.grab((0, 0, 480, 480)).rgb()
            differs = (found != expected).any(axis=2)
            return bool(differs.sum() <= 4 * 8 and not differs[:200].any())  # but for the border in the middle

        until(is_magnified, "nothing is magnified")
        xtest.fake_input(painter.display, X.MotionNotify, x=100, y=100)
        press(painter, "q")
        output, _ = magnifier.communicate(timeout=10)
    assert magnifier.returncode == 0, output
