"""A feed's changes add up to what the server has, of screens and windows, whatever happens to these meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLUE, GREEN, RED
from displays import painting
from pictures import PSEUDO
from pointers import Pointers
from recorded import Recorded
from reference import core_image

import xshm
from xshm.errors import Closed, DisplayGone, ExtensionMissing, OutOfBounds, WindowGone
from xshm.geometry import Rect
from xshm.record.feeds.live_feed import LiveFeed
from xshm.record.feeds.opening import open_feed
from xshm.record.feeds.source_feed import Canvas
from xshm.record.feeds.tracker_feed import TrackerFeed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

    from xshm.capture.source import Source
    from xshm.record.feeds.feed import Feed
    from xshm.virtual.display import VirtualDisplay


@pytest.fixture
def feeds() -> Iterator[Callable[..., Feed]]:
    """Give a function that opens feeds, which are closed after the test."""
    opened: list[Feed] = []

    def open_one(source: Source, region: Rect | None = None, *, cursor: bool = False) -> Feed:
        opened.append(open_feed(source, region, cursor=cursor))
        return opened[-1]

    yield open_one
    for feed in opened:
        feed.close()
        feed.close()


def both(display: VirtualDisplay, region: Rect | None = None) -> list[Recorded]:
    """Open both kinds of feeds on the same screen."""
    live = open_feed(display.screen, region, cursor=False)
    assert isinstance(live, LiveFeed), live.how
    return [Recorded(live), Recorded(TrackerFeed(display.screen, region, cursor=False))]


# -- truth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [8, 16, 24, 30])
def test_the_changes_add_up_to_the_picture_of_the_server(depth: int) -> None:
    region = Rect(33, 17, 101, 67)
    with xshm.VirtualDisplay(200, 150, depth) as display, painting(display) as painter:
        painter.rectangles(20)
        recordings = both(display) + both(display, region)
        for _ in range(4):
            assert all(each.update() for each in recordings)
            truth = core_image(painter.display)
            for each in recordings[:2]:
                assert each.shows(truth)
            for each in recordings[2:]:
                assert each.shows(truth[region.slices])
            painter.rectangles(3)
            painter.fill((40, 20, 30, 30), RED)
        for each in recordings:
            colours = getattr(each.feed.capture(), "colormap", None)
            assert (colours is None) == (depth != 8)
            each.feed.close()


def test_only_what_was_drawn_is_changed_and_nothing_is_drawn_outside_of_the_region() -> None:
    with xshm.VirtualDisplay(200, 150) as display, painting(display) as painter:
        for each in both(display, Rect(50, 40, 100, 80)):
            assert each.update()
            assert each.changed == [Rect(0, 0, 100, 80)]
            painter.fill((60, 50, 20, 10), RED)
            assert each.follow()
            assert each.changed == [Rect(10, 10, 20, 10)]
            painter.fill((0, 0, 20, 10), RED)
            assert not each.follow(0.02)
            each.feed.close()


def test_a_picture_that_is_held_stays_as_it_was(
    screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed]
) -> None:
    feed = feeds(screen, Rect(10, 10, 50, 40))
    held = []
    for colour in (RED, GREEN, BLUE):
        painter.fill((0, 0, 100, 100), colour)
        captured = feed.capture()
        assert captured is not None
        held.append((captured, colour))
    for captured, (red, green, blue) in held:
        assert (captured.pixels[..., :3] == (blue, green, red)).all()
        captured.release()
        captured.release()
        assert not captured.pixels.size


def test_a_window_that_is_redirected_is_seen_in_the_live_memory() -> None:
    with xshm.VirtualDisplay(200, 150) as display, painting(display) as painter:
        window = painter.window((20, 30, 100, 80), BLUE)
        live, tracked = both(display)
        with display.screen.window(window.id):
            live.update()
            tracked.update()
            for colour in (RED, GREEN, BLUE):
                painter.fill((10, 10, 50, 50), colour, window)
                assert live.follow()
                assert tracked.follow()
                assert live.shows(core_image(painter.display))
                assert live.shows(tracked.pixels)
        live.feed.close()
        tracked.feed.close()


# -- waits -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_collector")
def test_without_changes_a_wait_sleeps_and_a_look_finds_nothing(
    screen: xshm.Screen, feeds: Callable[..., Feed]
) -> None:
    feed = feeds(screen)
    with xshm.VirtualDisplay(200, 150) as display:
        for each in (feed, feeds(display.screen)):
            picture = Recorded(each)
            picture.update()
            picture.follow(0.02)  # what others painted before
            used, began = time.thread_time(), time.monotonic()
            assert not each.wait(began + 0.2)
            assert time.monotonic() - began >= 0.2
            assert time.thread_time() - used < 0.01
            assert each.capture() is None


def test_a_change_ends_a_wait(screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed]) -> None:
    picture = Recorded(feeds(screen))
    picture.update()
    painting = threading.Timer(0.05, painter.fill, ((1, 2, 30, 40), RED))
    painting.start()
    began = time.monotonic()
    assert picture.follow()
    assert time.monotonic() - began < 2
    painting.join()
    assert picture.shows(core_image(painter.display))


@pytest.mark.parametrize("reads", [False, True], ids=["it reads", "another thread reads"])
def test_wake_ends_a_wait_and_the_next_one_goes_on(
    screen: xshm.Screen, feeds: Callable[..., Feed], reads: bool
) -> None:
    feed = feeds(screen)
    Recorded(feed).update()
    messages = deque[bytes]()
    other = threading.Thread(target=screen.connection.wire.wait_event, args=(messages, 10))
    if reads:
        other.start()
        time.sleep(0.05)
    threading.Timer(0.1, feed.wake).start()
    began = time.monotonic()
    assert not feed.wait(began + 10)
    assert 0.05 < time.monotonic() - began < 5
    began = time.monotonic()
    assert not feed.wait(began + 0.05)
    assert time.monotonic() - began >= 0.05
    feed.wake()  # before the wait
    assert not feed.wait(time.monotonic() + 10)
    assert time.monotonic() - began < 5
    if reads:
        assert other.is_alive()
        messages.append(b"over")
        screen.connection.sync()
        other.join()


def test_others_grab_and_wait_over_the_same_connection_meanwhile(
    screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed]
) -> None:
    picture, over = Recorded(feeds(screen)), threading.Event()

    def follow() -> None:
        while not over.is_set():
            picture.follow(0.1)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for turn in range(30):
            colour = (turn, 0, 255 - turn)
            painter.fill((10, 10, 50, 50), colour)
            assert screen.grab((0, 0, 100, 100)).pixel(20, 20) == colour
            screen.wait_pixel(20, 20, colour, timeout=2)
    finally:
        over.set()
        thread.join()
    picture.update()
    assert picture.shows(core_image(painter.display))


# -- windows ---------------------------------------------------------------------------------------------------------


def test_a_window_keeps_the_size_of_the_recording_and_is_black_where_it_ends(
    screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed]
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        whole, part, lost = (
            Recorded(feeds(opened, each)) for each in (None, Rect(50, 20, 140, 70), Rect(180, 0, 9, 9))
        )
        for width, height in ((200, 100), (150, 60), (170, 300), (60, 30), (250, 120), (200, 100)):
            window.configure(width=width, height=height)
            painter.rectangles(10, window)
            truth = np.zeros((400, 400, 4), np.uint8)
            truth[:height, :width, :3] = core_image(painter.display, drawable=window)[..., :3]
            for each in (whole, part, lost):
                each.update()
            painter.fill((0, 0, 20, 20), RED, window)
            whole.update()
            truth[:20, :20, :3] = core_image(painter.display, (0, 0, 20, 20), window)[..., :3]
            assert whole.shows(truth[:100, :200])
            assert part.shows(truth[20:90, 50:190])
            assert lost.shows(truth[:9, 180:189])
            assert not whole.follow(0.01)


def test_where_a_source_ends_is_the_darkest_colour_that_there_is() -> None:
    colormap = np.full((256, 3), 65535, np.uint16)
    colormap[[7, 9]] = (0, 256, 0), (0, 65535, 0)
    assert (Canvas((5, 4), PSEUDO, colormap).pixels == 7).all()


@pytest.mark.usefixtures("no_collector")
def test_a_hidden_window_has_no_pictures_until_it_is_back(
    screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed]
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        picture = Recorded(feeds(opened))
        picture.update()
        before = picture.pixels.copy()
        for _ in range(2):
            window.unmap()
            painter.display.sync()
            assert not picture.follow(0.05)
            began, used = time.monotonic(), time.thread_time()
            assert not picture.feed.wait(began + 0.2)
            assert time.monotonic() - began >= 0.2
            assert time.thread_time() - used < 0.01
            assert np.array_equal(picture.pixels, before)
            window.map()
            painter.fill((10, 10, 30, 30), RED, window)
            assert picture.follow()
            assert picture.shows(core_image(painter.display, drawable=window))
            before = picture.pixels.copy()


def test_a_window_that_is_destroyed_ends_it_shown_or_hidden(
    screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed]
) -> None:
    def end(window: Any) -> None:
        window.destroy()
        painter.display.sync()

    for hidden in (False, True):
        window = painter.window((100, 50, 200, 100), BLUE)
        with screen.window(window.id) as opened:
            picture = Recorded(feeds(opened))
            picture.update()
            if hidden:
                window.unmap()
                painter.display.sync()
                picture.follow(0.05)
            ending = threading.Timer(0.05, end, (window,))
            ending.start()
            with pytest.raises(WindowGone):
                picture.follow()
            ending.join()


def test_the_pointer_is_drawn_and_its_places_change(
    screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed], xvfb: Server
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened, Pointers(xvfb) as pointers:
        square = np.full((8, 8, 4), 255, np.uint8)
        square[..., 1:3] = 0  # red
        pointers.show(pointers.picture(square))
        pointers.move(120, 70)
        pictures = [Recorded(feeds(screen, cursor=True)), Recorded(feeds(opened, cursor=True))]
        for x, y in ((120, 70), (150, 80)):
            pointers.move(x, y)
            for each, (left, top) in zip(pictures, ((0, 0), (100, 50)), strict=True):
                assert each.follow()
                at = each.pixels[y - top : y - top + 8, x - left : x - left + 8, :3]
                assert (at == (255, 0, 0)).all() or (at == at[0, 0]).all()
                assert (at[0, 0] != each.pixels[y - top + 20, x - left + 20, :3]).any()


def test_other_colours_under_the_same_indices_are_all_of_the_picture() -> None:
    with xshm.VirtualDisplay(200, 150, 8) as display, painting(display) as painter:
        cells = painter.screen.default_colormap.alloc_color_cells(False, 1, 0)
        pictures = both(display)
        for each in pictures:
            each.update()
        painter.screen.default_colormap.store_colors([(cells.pixels[0], 65535, 0, 0, 7)])
        painter.fill((0, 0, 10, 10), RED)
        for each in pictures:
            assert each.follow()
            assert each.changed == [Rect(0, 0, 200, 150)]
            painter.fill((0, 0, 10, 10), RED)
            assert each.follow()
            assert each.changed == [Rect(0, 0, 10, 10)]
            each.feed.close()


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [True, False])
def test_a_screen_that_is_closed_meanwhile_ends_it(live: bool) -> None:
    with xshm.VirtualDisplay(200, 150) as display, xshm.Screen(display.name, xauthority=display.xauthority) as own:
        screen = display.screen if live else own
        picture = Recorded(open_feed(screen, None, cursor=False))
        assert isinstance(picture.feed, LiveFeed if live else TrackerFeed)
        picture.update()
        threading.Timer(0.05, screen.close).start()
        began = time.monotonic()
        with pytest.raises(Closed):
            picture.follow()
        assert time.monotonic() - began < 2
        with pytest.raises(Closed):
            picture.feed.capture()
        picture.feed.wake()
        picture.feed.close()


def test_a_window_that_is_closed_meanwhile_ends_it(
    screen: xshm.Screen, painter: Painter, feeds: Callable[..., Feed]
) -> None:
    opened = screen.window(painter.window((100, 50, 200, 100), BLUE).id)
    picture = Recorded(feeds(opened))
    picture.update()
    closing = threading.Timer(0.05, opened.close)
    closing.start()
    with pytest.raises(Closed, match="the window"):
        picture.follow()
    closing.join()


def test_a_server_that_dies_ends_it_in_wait_and_capture(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 200, 150)
    with xshm.Screen(server.name) as screen:
        picture = Recorded(open_feed(screen, None, cursor=False))
        picture.update()
        threading.Timer(0.05, server.kill).start()
        began = time.monotonic()
        with pytest.raises(DisplayGone):
            picture.feed.wait(began + 5)
        assert time.monotonic() - began < 2
        with pytest.raises(DisplayGone):
            picture.feed.capture()
        picture.feed.wake()
        picture.feed.close()


def test_a_server_without_damage_is_refused_with_a_way_out(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 64, 64, 24, "-extension", "DAMAGE")
    with xshm.Screen(server.name) as screen, pytest.raises(ExtensionMissing, match=r"DAMAGE.*stream\(fps="):
        open_feed(screen, None, cursor=False)


def test_a_region_outside_is_refused(screen: xshm.Screen) -> None:
    with pytest.raises(OutOfBounds, match="1280x800"):
        open_feed(screen, Rect(1200, 0, 100, 100), cursor=False)
