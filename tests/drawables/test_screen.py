"""Grabs of a real screen: exact pixels, the lifetime of frames, errors."""

from __future__ import annotations

import gc
import os
import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from descriptors import new_descriptors, open_descriptors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import core_image, xwd

import xshm
from xshm import sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

TRANSPORTS = ["sysv", "fd", "core"]
WIDTH, HEIGHT = 1280, 800


@pytest.fixture(params=TRANSPORTS)
def each(request: pytest.FixtureRequest, xvfb: Server) -> Iterator[xshm.Screen]:
    """Give a screen over each of the transports."""
    with xshm.Screen(xvfb.name, transport=request.param) as screen:
        yield screen


def colours(pixels: np.ndarray) -> np.ndarray:
    """Drop the undefined fourth byte."""
    return pixels[..., :3]


# -- truth -----------------------------------------------------------------------------------------------------------

regions = st.builds(
    lambda x, y, width, height: (x, y, min(width, WIDTH - x), min(height, HEIGHT - y)),
    st.integers(0, WIDTH - 1),
    st.integers(0, HEIGHT - 1),
    st.integers(1, WIDTH),
    st.integers(1, HEIGHT),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(region=regions)
def test_every_region_is_byte_for_byte_what_core_get_image_has(
    each: xshm.Screen, painter: Painter, region: tuple[int, int, int, int]
) -> None:
    if each.stats().frames == 0:
        painter.rectangles()
        painter.noise((100, 100, 300, 200))
    frame = each.grab(region)
    assert frame.rect == xshm.Rect(*region)
    assert np.array_equal(frame.pixels, core_image(painter.display, region))


def test_rgb_is_what_xwd_says(each: xshm.Screen, painter: Painter, xvfb: Server) -> None:
    painter.rectangles()
    assert np.array_equal(each.grab().rgb(), xwd(xvfb).rgb())


def test_painted_colours_come_out_by_their_names(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 10, 10), (255, 128, 1))
    frame = screen.grab((0, 0, 20, 10))
    assert frame.pixel(3, 3) == (255, 128, 1)
    assert tuple(frame.rgb()[0, 0]) == (255, 128, 1)
    assert tuple(frame.bgr()[0, 0]) == (1, 128, 255)
    assert tuple(frame.rgba()[0, 0]) == (255, 128, 1, 255)
    assert frame.gray()[0, 0] == round(0.299 * 255 + 0.587 * 128 + 0.114 * 1)
    assert frame.image().getpixel((0, 0)) == (255, 128, 1)


def test_a_second_grab_leaves_the_first_frame_unchanged(each: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, WIDTH, HEIGHT), (255, 0, 0))
    first = each.grab()
    painter.fill((0, 0, WIDTH, HEIGHT), (0, 255, 0))
    second = each.grab()
    assert (colours(first.pixels) == (0, 0, 255)).all()
    assert (colours(second.pixels) == (0, 255, 0)).all()
    assert second.sequence == first.sequence + 1
    assert second.monotonic_ns > first.monotonic_ns


def test_whatever_has_a_rect_tells_its_width_and_height(screen: xshm.Screen, painter: Painter, xvfb: Server) -> None:
    window = painter.window((10, 20, 300, 200), (0, 0, 255), title="wide")
    pixmap = window.create_pixmap(30, 40, 24)
    painter.display.sync()
    with (
        screen.window(window.id) as opened,
        screen.pixmap(pixmap.id) as picture,
        xshm.Surface(64, 48, display=xvfb.name) as surface,
    ):
        (listed,) = (info for info in screen.windows() if info.id == window.id)
        for each, size in (
            (screen, (1280, 800)),
            (screen.monitors[0], (1280, 800)),
            (opened, (300, 200)),
            (listed, (300, 200)),
            (picture, (30, 40)),
            (surface, (64, 48)),
        ):
            assert (each.width, each.height) == (each.rect.width, each.rect.height) == size
        window.configure(width=123)
        painter.display.sync()
        assert (opened.width, opened.height) == (123, 200)


def test_a_region_may_be_named_in_four_ways(screen: xshm.Screen) -> None:
    rect = xshm.Rect(10, 20, 30, 40)
    for region in (rect, (10, 20, 30, 40), [10, 20, 30, 40], "30x40+10+20"):
        frame = screen.grab(region)  # type: ignore[arg-type]
        assert frame.rect == rect
        assert frame.pixels.shape == (40, 30, 4)


def test_one_shot_of_the_display_in_the_environment(
    xvfb: Server, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.fill((0, 0, 5, 5), (1, 2, 3))
    monkeypatch.setenv("DISPLAY", xvfb.name)
    assert xshm.grab((0, 0, 5, 5)).pixel(4, 4) == (1, 2, 3)
    monkeypatch.delenv("DISPLAY")
    with pytest.raises(xshm.ConnectFailed, match=r"DISPLAY is not set; name one, .* or start one with Virtual"):
        xshm.grab()
    assert xshm.grab(display=xvfb.name).rect == xshm.Rect(0, 0, WIDTH, HEIGHT)


# -- what can't be grabbed -------------------------------------------------------------------------------------------


def test_leaving_the_screen_is_out_of_bounds_and_says_the_way_out(each: xshm.Screen) -> None:
    with pytest.raises(xshm.OutOfBounds, match=r"100x100\+1200\+750 leaves .* 1280x800; pass clip=True"):
        each.grab((1200, 750, 100, 100))
    frame = each.grab((1200, 750, 100, 100), clip=True)
    assert frame.rect == xshm.Rect(1200, 750, 80, 50)
    assert frame.pixels.shape == (50, 80, 4)
    assert each.grab((-10, -10, 20, 20), clip=True).rect == xshm.Rect(0, 0, 10, 10)
    with pytest.raises(xshm.OutOfBounds, match="wholly outside"):
        each.grab((2000, 0, 10, 10), clip=True)


@pytest.mark.parametrize(
    ("region", "error", "words"),
    [
        ((0, 0, 0, 10), xshm.InvalidArgument, "0x10"),
        ((0, 0, 10, -1), xshm.InvalidArgument, "10x-1"),
        ((0, 0, 10), xshm.InvalidArgument, "3 numbers"),
        ((0.5, 0, 10, 10), xshm.InvalidType, "0.5"),
        ("10 by 10", xshm.InvalidArgument, "10 by 10"),
        (7, xshm.InvalidType, "int"),
        ((40000, 0, 10, 10), xshm.OutOfBounds, "40000"),
        ((0, -40000, 10, 10), xshm.OutOfBounds, "-40000"),
    ],
)
def test_a_region_that_can_not_be_meant_is_refused_and_the_screen_stays_usable(
    screen: xshm.Screen, region: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        screen.grab(region)
    assert screen.stats().frames == 0
    assert screen.grab().width == WIDTH


def test_use_after_close_is_one_clear_error_and_frames_live_on(each: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, WIDTH, HEIGHT), (9, 8, 7))
    frame = each.grab()
    each.close()
    each.close()
    with pytest.raises(xshm.Closed, match="closed"):
        each.grab()
    with pytest.raises(xshm.Closed, match="closed"):
        _ = each.xlib
    assert (frame.rgb() == (9, 8, 7)).all()


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"max_frames": 0}, {"transport": "pigeon"}])
def test_bad_options_are_refused(xvfb: Server, options: dict[str, Any]) -> None:
    with pytest.raises(xshm.InvalidArgument, match=r"not (0|-1|'pigeon')"):
        xshm.Screen(xvfb.name, **options)


# -- the life of frames ----------------------------------------------------------------------------------------------


def test_views_outlive_the_frame_the_screen_and_the_collector(xvfb: Server, painter: Painter) -> None:
    painter.fill((0, 0, WIDTH, HEIGHT), (10, 20, 30))
    with xshm.Screen(xvfb.name) as screen:
        corner = screen.grab().pixels[:2, :2, :3]
        screen.grab()
    gc.collect()
    assert (corner == (30, 20, 10)).all()


def test_a_frame_that_is_held_is_never_overwritten(screen: xshm.Screen, painter: Painter) -> None:
    held = []
    for shade in range(20):
        painter.fill((0, 0, WIDTH, HEIGHT), (shade, shade, shade))
        held.append(screen.grab().pixels if shade % 2 else screen.grab())
    for shade, each in enumerate(held):
        assert (colours(np.asarray(each)) == shade).all()
    assert screen.stats().pool is not None
    assert screen.stats().pool.held == 20  # type: ignore[union-attr]


def test_the_steady_state_needs_two_slots(screen: xshm.Screen) -> None:
    for _ in range(100):
        frame = screen.grab()
    pool = screen.stats().pool
    assert frame.sequence == 100
    assert pool is not None
    assert pool.grown == 2


def test_at_the_limit_the_error_says_how_many_are_held(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name, max_frames=3, copies=False) as screen:
        held = [screen.grab() for _ in range(3)]
        with pytest.raises(xshm.PoolExhausted, match="3 frames are held"):
            screen.grab()
        kept = held.pop().copy()
        assert screen.grab().diff(kept).pixels == 0


def test_release_ends_the_frame_and_not_its_views(screen: xshm.Screen) -> None:
    with screen.grab() as frame:
        view = frame.pixels
    with pytest.raises(xshm.Closed, match="released"):
        _ = frame.pixels
    assert view.shape == (HEIGHT, WIDTH, 4)
    assert "released" in repr(frame)


def test_ten_thousand_grabs_leave_everything_where_it_was(each: xshm.Screen) -> None:
    """Over the core transport too, with a region that travels fast."""
    region = (0, 0, 200, 100)
    for _ in range(100):
        each.grab(region)
    before = open_descriptors(), resident(), segments()
    for _ in range(10_000 if each.transport.kind != "core" else 2_000):
        each.grab(region)
    assert not new_descriptors(before[0])
    assert segments() == before[2]
    assert resident() - before[1] < 4 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def segments() -> int:
    return sum(segment.cpid == os.getpid() for segment in sysv.segments())


def test_no_segment_can_be_seen_to_outlive_us(screen: xshm.Screen) -> None:
    frame = screen.grab()
    ours = [segment for segment in sysv.segments() if segment.cpid == os.getpid()]
    assert ours, "the frame's segment is not in the kernel's list"
    assert all(segment.mode & sysv.SHM_DEST for segment in ours)
    assert all(segment.mode & 0o777 == 0o600 for segment in ours)
    assert max(segment.nattch for segment in ours) == 2, "ours and the server's"
    assert frame.width == WIDTH


def test_sixteen_threads_share_a_screen(screen: xshm.Screen, painter: Painter) -> None:
    painter.rectangles()
    expected = core_image(painter.display)
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(20):
            x, y = 40 * number, 7 * turn
            frame = screen.grab((x, y, 300, 200))
            if not np.array_equal(frame.pixels, expected[y : y + 200, x : x + 300]):
                wrong.append(f"{number}/{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_a_dead_server_is_display_gone_and_its_frames_stay(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 300, 200)
    with xshm.Screen(server.name) as screen:
        frame = screen.grab()
        before = frame.pixels.copy()
        server.kill()
        with pytest.raises(xshm.DisplayGone):
            screen.grab()
        with pytest.raises(xshm.DisplayGone):
            screen.grab()
        assert np.array_equal(frame.pixels, before)


def test_a_stopped_server_is_a_timeout_and_the_late_frame_is_not_mistaken(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 300, 200)
    with xshm.Screen(server.name, timeout=0.2) as screen:
        screen.grab()
        server.pause()
        for _ in range(3):
            with pytest.raises(xshm.RequestTimeout):
                screen.grab((0, 0, 50, 50))
        server.resume()
        frame = screen.grab((10, 10, 60, 60))
        assert frame.rect == xshm.Rect(10, 10, 60, 60)
        assert screen.stats().pool.held == 1  # type: ignore[union-attr]


# -- python-xlib over the same connection ----------------------------------------------------------------------------


def test_python_xlib_works_over_the_same_connection(screen: xshm.Screen) -> None:
    display = screen.xlib
    assert display is screen.xlib
    root = display.screen().root
    window = root.create_window(5, 5, 20, 20, 0, display.screen().root_depth, background_pixel=0xFF8000)
    window.map()
    display.sync()
    assert screen.grab((10, 10, 1, 1)).pixel(10, 10) == (255, 128, 0)
    window.destroy()
    display.sync()
    assert window.id not in [child.id for child in root.query_tree().children]


def test_what_lives_on_a_connection_does_not_pickle_and_says_what_to_send(xvfb: Server, painter: Painter) -> None:
    window = painter.window((0, 0, 50, 50), (1, 2, 3))
    with xshm.Screen(xvfb.name) as screen, screen.window(window.id) as opened, xshm.Surface(on=opened) as surface:
        for live, words in ((screen, "a Screen belongs"), (opened, "a Window belongs"), (surface, "Surface.on=id.")):
            with pytest.raises(xshm.InvalidType, match=words):
                pickle.dumps(live)
