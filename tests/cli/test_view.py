"""`xshm view`: what is on one display is seen on another, until the window's user ends it."""

from __future__ import annotations

import argparse
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from Xlib import X
from Xlib.ext import xtest

import xshm
from xshm.cli import main
from xshm.cli.commands import view
from xshm.cli.mirror import resized
from xshm.errors import DisplayGone
from xshm.pixels import opencv
from xshm.x11.connection import Connection
from xshm.x11.same_server import is_same_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from servers import Server


class Viewer:
    """The command, in a thread of its own."""

    def __init__(self, *words: str) -> None:
        parser = argparse.ArgumentParser()
        view.add_arguments(parser)
        self._chosen = parser.parse_args(words)
        self.code: int | None = None
        self.error: type[BaseException] | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.code = view.main(self._chosen)
        except DisplayGone as error:
            self.error = type(error)


@pytest.fixture
def headless(make_server: Callable[..., Server]) -> Iterator[Painter]:
    """Give a painter on a display without a screen; its `server` is the server."""
    server = make_server("Xvfb", 320, 240)
    with Painter(server) as painter:
        painter.server = server  # type: ignore[attr-defined]
        yield painter


@pytest.fixture
def seat(make_server: Callable[..., Server]) -> Iterator[Painter]:
    """Give a painter on the display that the window is on."""
    server = make_server("Xvfb", 800, 600)
    with Painter(server) as painter:
        painter.server = server  # type: ignore[attr-defined]
        yield painter


def press(painter: Painter, character: str) -> None:
    xtest.fake_input(painter.display, X.MotionNotify, x=5, y=5)
    code = painter.display.keysym_to_keycode(ord(character))
    xtest.fake_input(painter.display, X.KeyPress, code)
    xtest.fake_input(painter.display, X.KeyRelease, code)
    painter.display.sync()


def until_seen(screen: xshm.Screen, expected: Callable[[], NDArray[Any]]) -> None:
    """Wait until the upper left of a screen shows a picture."""
    deadline = time.monotonic() + 10
    while True:
        wanted = expected()
        if np.array_equal(screen.grab((0, 0, wanted.shape[1], wanted.shape[0])).rgb(), wanted):
            return
        assert time.monotonic() < deadline, "the mirror does not show it"
        time.sleep(0.02)


@pytest.mark.parametrize("factor", [1, 2])
def test_a_headless_display_is_mirrored_live(factor: int, headless: Any, seat: Any) -> None:
    source, target = headless.server.name, seat.server.name
    headless.rectangles()
    viewer = Viewer("--display", source, "--on", target, "--scale", str(factor), "-r", "100")
    with xshm.Screen(source) as there, xshm.Screen(target) as here:
        for _ in range(3):
            until_seen(here, lambda: there.grab().rgb().repeat(factor, axis=0).repeat(factor, axis=1))
            headless.rectangles(5)
    press(seat, "x")
    press(seat, "q")
    viewer.thread.join(5)
    assert viewer.code == 0


def test_a_region_is_mirrored_smaller(headless: Any, seat: Any) -> None:
    source, target = headless.server.name, seat.server.name
    headless.fill((100, 100, 40, 20), (10, 200, 30))
    viewer = Viewer("--display", source, "--on", target, "--scale", "0.5", "-g", "80x40+80+90")
    expected = np.zeros((20, 40, 3), np.uint8)
    expected[5:15, 10:30] = (10, 200, 30)
    with xshm.Screen(target) as here:
        until_seen(here, lambda: expected)
    press(seat, "q")
    viewer.thread.join(5)
    assert viewer.code == 0


def test_the_end_of_the_display_ends_the_view_with_the_reason(seat: Any, make_server: Callable[..., Server]) -> None:
    headless = make_server("Xvfb", 320, 240)
    viewer = Viewer("--display", headless.name, "--on", seat.server.name)
    deadline = time.monotonic() + 10
    while not any(child.get_attributes().map_state == X.IsViewable for child in seat.root.query_tree().children):
        assert time.monotonic() < deadline, "there is no window"
        time.sleep(0.02)
    headless.kill()
    viewer.thread.join(5)
    assert viewer.error is DisplayGone


def test_opencv_and_pillow_make_the_same_larger_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    fast = resized(picture, 120, 90)
    smaller = resized(picture, 20, 15)
    monkeypatch.setattr(opencv, "module", lambda: (None, "not installed"))
    assert np.array_equal(resized(picture, 120, 90), fast)
    assert abs(resized(picture, 20, 15).astype(int) - smaller).max() <= 1
    assert np.array_equal(fast, picture.repeat(3, axis=0).repeat(3, axis=1))


def test_the_display_to_show_is_the_argument(headless: Any, seat: Any) -> None:
    headless.fill((0, 0, 320, 240), (10, 200, 30))
    viewer = Viewer(headless.server.name, "--on", seat.server.name)
    with xshm.Screen(seat.server.name) as here:
        until_seen(here, lambda: np.full((240, 320, 3), (10, 200, 30), np.uint8))
    press(seat, "q")
    viewer.thread.join(5)
    assert viewer.code == 0


def test_a_display_that_would_mirror_itself_is_refused_by_whatever_name(
    make_server: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server("Xvfb", 320, 240, tcp=True)
    number = server.name.removeprefix(":")
    for shown in (server.name, f"localhost:{number}", f"unix:{number}.0"):
        for region in ([], ["-g", "9x9"]):
            assert main.main(["view", shown, "--on", server.name, *region]) == 2
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert f"the window would be on {server.name}, the display that it shows" in said
            assert "--on" in said
    with xshm.Screen(server.name) as screen:
        assert screen.windows() == []


def test_a_window_of_the_same_display_can_be_shown(seat: Any) -> None:
    """Its pixels are its own: the window that shows it is not in them."""
    window = seat.window((400, 300, 40, 30), (200, 10, 30), title="shown")
    viewer = Viewer("-i", "shown", "--on", seat.server.name, "--display", seat.server.name)
    with xshm.Screen(seat.server.name) as here:
        until_seen(here, lambda: np.full((30, 40, 3), (200, 10, 30), np.uint8))
        assert window.id in [info.id for info in here.windows()]
    press(seat, "q")
    viewer.thread.join(5)
    assert viewer.code == 0


def test_servers_are_told_apart_though_their_ids_are_the_same(make_server: Callable[..., Server]) -> None:
    one, other = make_server("Xvfb", 320, 240), make_server("Xvfb", 320, 240)
    connections = [Connection(server.name) for server in (one, one, other)]
    try:
        same, twin, apart = connections
        assert is_same_server(same, twin)
        assert is_same_server(twin, same)
        assert not is_same_server(same, apart)
        assert not is_same_server(apart, same)
    finally:
        for connection in connections:
            connection.close()
