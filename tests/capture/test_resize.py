"""A screen that is resized while a Screen is open: new frames have its new size, earlier ones are unchanged."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from painter import Painter
from reference import core_image
from watching import finish, watching

import xshm
from xshm.errors import OutOfBounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


@pytest.fixture
def xvnc(make_server: Callable[..., Server]) -> Server:
    return make_server("Xvnc", 640, 480)


def test_a_resized_screen_is_followed_and_the_frame_tells(xvnc: Server) -> None:
    with Painter(xvnc) as painter, xshm.Screen(xvnc.name) as screen:
        before = screen.grab()
        kept = before.pixels.copy()
        for width, height in ((1024, 768), (800, 600), (1280, 1024), (640, 480)):
            xvnc.resize(f"{width}x{height}")
            assert screen.rect == xshm.Rect(0, 0, width, height)
            painter.rectangles()
            frame = screen.grab()
            assert frame.rect == screen.rect
            assert np.array_equal(frame.pixels[..., :3], core_image(painter.display)[..., :3])
            assert [monitor.rect for monitor in screen.monitors] == [screen.rect]
            assert screen.grab(screen.monitors[0]).rect == screen.rect
        assert np.array_equal(before.pixels, kept)
        assert before.rect == xshm.Rect(0, 0, 640, 480)


def test_a_whole_grab_after_the_resize_is_whole_without_any_other_call(xvnc: Server) -> None:
    with xshm.Screen(xvnc.name) as screen:
        for width, height in ((1024, 768), (800, 600)):
            xvnc.resize(f"{width}x{height}")
            assert screen.grab().rect == xshm.Rect(0, 0, width, height)
            assert screen.grab(cursor=True).rect == xshm.Rect(0, 0, width, height)


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_region_that_no_longer_fits_is_out_of_bounds(xvnc: Server, transport: str) -> None:
    xvnc.resize("1024x768")
    with xshm.Screen(xvnc.name, transport) as screen:
        region = (1000, 700, 24, 68)
        frame = screen.grab(region)
        xvnc.resize("800x600")
        for _ in range(2):
            with pytest.raises(OutOfBounds, match="800x600"):
                screen.grab(region)
            with pytest.raises(OutOfBounds, match="800x600"):
                screen.grab_many([(0, 0, 5, 5), region])
            with pytest.raises(OutOfBounds, match="800x600"):
                screen.grab_into(np.empty(frame.pixels.shape, np.uint8), region)
        assert screen.grab((700, 500, 200, 200), clip=True).rect == xshm.Rect(700, 500, 100, 100)
        xvnc.resize("1280x1024")
        assert screen.grab(region).rect == xshm.Rect(*region)
        assert screen.grab((1200, 1000, 80, 24)).rect == xshm.Rect(1200, 1000, 80, 24)


def test_windows_stay_open_over_a_resize(xvnc: Server) -> None:
    with Painter(xvnc) as painter, xshm.Screen(xvnc.name) as screen:
        window = painter.window((600, 400, 200, 200), (0, 0, 255))
        with screen.window(window.id) as opened:
            for size in ("1024x768", "640x480"):
                xvnc.resize(size)
                painter.rectangles(drawable=window)
                frame = opened.grab()
                assert frame.rect == xshm.Rect(0, 0, 200, 200)
                assert np.array_equal(frame.pixels[..., :3], core_image(painter.display, drawable=window)[..., :3])
        assert [info.visible for info in screen.windows()] == [True]


def test_grabs_of_a_screen_that_is_resized_all_the_time_are_of_one_size_or_the_other(xvnc: Server) -> None:
    sizes = [(1024, 768), (800, 600), (640, 480)]
    seen = set()
    over = threading.Event()

    def resize() -> None:
        for turn in range(15):
            xvnc.resize("x".join(map(str, sizes[turn % 3])))
        over.set()

    with xshm.Screen(xvnc.name) as screen:
        thread = threading.Thread(target=resize)
        thread.start()
        while not over.is_set():
            frame = screen.grab()
            seen.add((frame.width, frame.height))
            for clipped in screen.grab_many([(600, 400, 500, 500)], clip=True):
                seen.add((clipped.rect.right, clipped.rect.bottom))
        thread.join()
    assert seen == set(sizes)


@pytest.mark.parametrize("transport", ["sysv", "core"])
def test_a_screen_that_gets_smaller_between_two_steps_of_a_poll_is_followed(xvnc: Server, transport: str) -> None:
    xvnc.resize("1024x768")
    with xshm.Screen(xvnc.name, transport) as screen, watching(screen, in_place=False) as changes:
        steps = changes.poll_steps()
        next(steps)  # the damage is queried; the rows are copied in the next step
        xvnc.resize("640x480")
        assert finish(steps).rect == xshm.Rect(0, 0, 640, 480)
