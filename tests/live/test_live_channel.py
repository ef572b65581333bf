"""A channel of a live view: it has what the screen shows, says what has become of it, and costs nothing unwatched."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from channel_viewer import Viewer
from painter import Painter
from programs import eventually
from round_trips import relayed
from thread_times import thread_times, used_since

import xshm
from xshm.errors import Closed, OutOfBounds
from xshm.live.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

    from xshm.capture.source import Source

_RED, _BLUE = (200, 30, 30), (10, 60, 220)


def _cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _watched_once(channel: Channel, screen: xshm.Screen) -> None:
    viewer = Viewer(channel)
    viewer.until(lambda: channel.picture and viewer.shows(screen))
    viewer.watch.close()


@pytest.fixture
def opened() -> Iterator[Callable[..., Channel]]:
    channels: list[Channel] = []

    def open_channel(source: Source, region: Any = None, fps: float = 200) -> Channel:
        channels.append(Channel(1, "a title", source, region, fps=fps))
        return channels[-1]

    yield open_channel
    for each in channels:
        each.close()


@pytest.mark.parametrize("depth", [8, 15, 16, 24, 30])
def test_its_picture_is_the_screens(
    make_server: Callable[..., Server], opened: Callable[..., Channel], depth: int
) -> None:
    server = make_server("Xvfb", 320, 240, depth)
    with xshm.Screen(server.name) as screen, Painter(server, depth) as painter:
        painter.rectangles()
        viewer = Viewer(opened(screen))
        viewer.until(lambda: viewer.channel.picture)
        for _ in range(5):
            painter.rectangles(8)
            viewer.until(lambda: viewer.shows(screen))


def test_of_a_display_of_this_process_it_reads_the_memory(opened: Callable[..., Channel]) -> None:
    with xshm.VirtualDisplay(320, 240) as display:
        viewer = Viewer(opened(display.screen))
        display.run(["xsetroot", "-solid", "orange"]).wait()
        viewer.until(lambda: viewer.channel.picture and viewer.shows(display.screen))
        assert "own memory" in viewer.channel.how


def test_a_change_is_a_rectangle_and_a_new_generation(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    painter.fill((0, 0, 1280, 800), _BLUE)
    viewer = Viewer(opened(screen))
    viewer.until(lambda: viewer.channel.picture)
    picture = viewer.channel.picture
    assert picture is not None
    before = picture.generation
    painter.fill((100, 50, 30, 20), _RED)
    viewer.until(lambda: picture.generation > before)
    assert picture.delta(before) == (before + 1, (xshm.Rect(100, 50, 30, 20),))
    copied = picture.copy(before, also=[xshm.Rect(0, 0, 4, 4)])
    assert {rect: raster.size for rect, raster in zip(copied.rects, copied.rasters, strict=True)} == {
        xshm.Rect(0, 0, 4, 4): (4, 4),
        xshm.Rect(100, 50, 30, 20): (30, 20),
    }
    assert picture.delta(picture.generation) == (before + 1, ())
    assert picture.delta(0)[1] == (xshm.Rect(0, 0, 1280, 800),)


def test_whether_there_is_a_change_is_said_while_others_read_the_pixels(
    screen: xshm.Screen, opened: Callable[..., Channel]
) -> None:
    viewer = Viewer(opened(screen))
    viewer.until(lambda: viewer.channel.picture)
    picture = viewer.channel.picture
    assert picture is not None
    with ThreadPoolExecutor(1) as pool:
        picture.read_into(0, lambda *_: pool.submit(picture.delta, 0).result(timeout=2))


def test_what_is_drawn_again_as_it_was_is_no_change(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    painter.fill((0, 0, 1280, 800), _BLUE)
    viewer = Viewer(opened(screen))
    viewer.until(lambda: viewer.channel.picture)
    picture = viewer.channel.picture
    assert picture is not None
    before = picture.generation
    painter.fill((0, 0, 1280, 800), _BLUE)
    painter.fill((7, 7, 1, 1), _RED)
    viewer.until(lambda: picture.generation > before)
    assert picture.generation == before + 1
    assert picture.delta(before)[1] == (xshm.Rect(7, 7, 1, 1),)


def test_nothing_is_captured_while_nobody_wants_it(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    viewer = Viewer(opened(screen))
    viewer.until(lambda: viewer.channel.picture)
    picture = viewer.channel.picture
    assert picture is not None
    for number in range(5):  # the first of them is what was wanted
        painter.fill((0, 0, 50, 50), (number * 20, 0, 99))
        time.sleep(0.02)
    generation = eventually(lambda: picture.generation)
    painter.fill((0, 0, 50, 50), _RED)
    time.sleep(0.2)
    assert picture.generation == generation
    viewer.watch.want()
    viewer.until(lambda: picture.generation > generation)
    assert viewer.shows(screen)


def test_nobody_watches_and_there_is_no_thread_and_nothing_on_the_server(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    server = make_server("Xvfb", 320, 240)
    with relayed(server) as relay, xshm.Screen(relay.name) as screen, Painter(server) as painter:
        channel = opened(screen)
        assert channel.size == (320, 240)
        before = threading.active_count()
        for _ in range(3):
            painter.rectangles(4)
            _watched_once(channel, screen)
            eventually(lambda: threading.active_count() == before)
        sent = relay.round_trips
        painter.rectangles(4)
        time.sleep(0.2)
        assert relay.round_trips == sent
        channel.close()


def test_a_region_is_shown_and_one_outside_is_refused(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    painter.rectangles()
    rect = xshm.Rect(100, 80, 320, 200)
    viewer = Viewer(opened(screen, rect))
    viewer.until(lambda: viewer.channel.picture)
    assert np.array_equal(viewer.rgb(), screen.grab(rect).rgb())
    with pytest.raises(OutOfBounds):
        opened(screen, xshm.Rect(1200, 0, 100, 100))


def test_a_resized_screen_is_another_picture(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    server = make_server("Xvnc", 800, 600)
    with xshm.Screen(server.name) as screen, Painter(server) as painter:
        painter.rectangles()
        viewer = Viewer(opened(screen))
        viewer.until(lambda: viewer.channel.picture)
        first = viewer.channel.picture
        server.resize("640x480")
        viewer.until(lambda: viewer.channel.size == (640, 480))
        assert viewer.channel.picture is not first
        painter.rectangles(9)
        viewer.until(lambda: viewer.shows(screen))


def test_a_window_that_is_hidden_shown_resized_and_closed_is_told(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    window = painter.window((50, 50, 200, 100), _RED)
    with screen.window(window.id) as shown:
        viewer = Viewer(opened(shown))
        viewer.until(lambda: viewer.channel.picture)
        window.unmap()
        painter.display.sync()
        viewer.until(lambda: viewer.channel.state.kind == "hidden")
        assert "not shown" in viewer.channel.state.words
        window.map()
        painter.display.sync()
        viewer.until(lambda: viewer.channel.state.kind == "live")
        window.configure(width=120, height=90)
        painter.display.sync()
        viewer.until(lambda: viewer.channel.size == (120, 90))
        window.destroy()
        painter.display.sync()
        viewer.until(lambda: viewer.channel.state.kind == "gone")
        assert viewer.channel.state.words == "the window was closed"


def test_a_server_that_ends_is_told_and_one_that_is_back_is_shown(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    first = make_server("Xvfb", 320, 240)
    with xshm.Screen(first.name) as screen:
        channel = opened(screen)
        viewer = Viewer(channel)
        viewer.until(lambda: channel.picture)
        first.kill()
        viewer.until(lambda: channel.state.kind == "gone")
        assert channel.state.words == f"the display {first.name} has ended"
        channel.wait_for_it("the display is to come back")
        assert channel.state.kind == "waiting"
    second = make_server("Xvfb", 400, 300)
    with xshm.Screen(second.name) as screen, Painter(second) as painter:
        painter.rectangles()
        channel.replace(screen)
        viewer.until(lambda: channel.state.kind == "live" and channel.size == (400, 300))
        viewer.until(lambda: viewer.shows(screen))


def test_a_server_that_does_not_answer_is_told(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    # Takes 5 seconds: a look without an event is made every two, and has one and a half.
    server = make_server("Xvfb", 320, 240)
    with xshm.Screen(server.name) as screen, Painter(server) as painter:
        viewer = Viewer(opened(screen))
        viewer.until(lambda: viewer.channel.picture)
        server.pause()
        viewer.until(lambda: viewer.channel.state.kind == "stopped")
        assert "does not answer" in viewer.channel.state.words
        server.resume()
        viewer.until(lambda: viewer.channel.state.kind == "live")
        painter.rectangles(5)
        viewer.until(lambda: viewer.shows(screen))
        server.pause()
        began = time.monotonic()
        viewer.channel.close()
        assert time.monotonic() - began < 4
        server.resume()


def test_a_screen_that_its_program_closes_is_told(xvfb: Server, opened: Callable[..., Channel]) -> None:
    with xshm.Screen(xvfb.name) as screen:
        viewer = Viewer(opened(screen))
        viewer.until(lambda: viewer.channel.picture)
    viewer.until(lambda: viewer.channel.state.kind == "gone")
    with pytest.raises(Closed):
        opened(screen)


def test_the_pointer_is_told_apart_from_the_picture(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    painter.fill((0, 0, 1280, 800), _BLUE)
    screen.move(300, 200)
    viewer = Viewer(opened(screen))
    viewer.until(lambda: viewer.channel.picture)
    viewer.until(lambda: viewer.channel.pointer[:2] == (300, 200))
    assert viewer.channel.pointer.image is not None
    screen.move(11, 12)
    viewer.until(lambda: viewer.channel.pointer[:2] == (11, 12))
    assert np.array_equal(viewer.rgb()[5:20, 5:20], np.full((15, 15, 3), _BLUE, np.uint8))


@pytest.mark.usefixtures("no_collector")
def test_a_still_screen_costs_next_to_nothing(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    # Takes 3 seconds: so long it has to stand still.
    server = make_server("Xvfb", 1280, 800)
    with xshm.Screen(server.name) as screen:
        viewer = Viewer(opened(screen))
        viewer.until(lambda: viewer.channel.picture)
        viewer.watch.want()
        time.sleep(0.3)
        threads, ours, its = thread_times(), time.process_time(), _cpu_seconds(server.pid)
        time.sleep(2.1)
        assert time.process_time() - ours < 0.01, used_since(threads)
        assert _cpu_seconds(server.pid) - its < 0.01
