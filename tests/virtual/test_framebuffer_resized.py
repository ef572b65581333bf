"""A framebuffer follows its screen when RandR resizes it: no look, copy or attach shows what is not on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from colours import BLUE, GREEN, RED
from descriptors import new_descriptors, open_descriptors
from displays import painting, resize

from xshm.errors import ConnectFailed, OutOfBounds, TransportUnavailable
from xshm.geometry import Rect
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.framebuffer import Framebuffer
from xshm.virtual.spec import ScreenSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# -- a screen that is resized ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "sysv"])
@pytest.mark.parametrize("depth", [8, 16, 24])
def test_after_a_sync_it_has_the_size_and_the_pixels_of_the_screen(depth: int, kind: Literal["file", "sysv"]) -> None:
    with VirtualDisplay(200, 100, depth, framebuffer=kind) as display, painting(display) as painter:
        memory = display.framebuffer
        for width, height in ((200, 100), (151, 80), (64, 100), (200, 100), (1, 1)):
            if (width, height) != (200, 100) or memory.rect.width != width:
                resize(display, width, height)
            painter.rectangles(20)
            memory.sync()
            asked = display.screen.grab()
            assert memory.rect == asked.rect == Rect(0, 0, width, height)
            assert (memory.width, memory.height) == (display.width, display.height) == (width, height)
            assert (memory.pixels.shape, memory.pixels.dtype) == (asked.pixels.shape, asked.pixels.dtype)
            np.testing.assert_array_equal(memory.peek().rgb(), asked.rgb())
            np.testing.assert_array_equal(memory.grab().rgb(), asked.rgb())


def test_a_grab_is_of_the_screen_as_it_is_without_any_call_before(display: VirtualDisplay) -> None:
    memory = display.framebuffer
    with painting(display) as painter:
        painter.fill((0, 0, 200, 100), RED)
        assert memory.grab().rect == Rect(0, 0, 200, 100)
        resize(display, 120, 60)
        painter.fill((0, 0, 200, 100), BLUE)
        frame = memory.grab()
        assert frame.rect == memory.rect == Rect(0, 0, 120, 60)
        assert (frame.rgb() == BLUE).all()
        with pytest.raises(OutOfBounds, match=r"region 200x100\+0\+0 leaves the framebuffer 120x60; pass clip=True"):
            memory.grab((0, 0, 200, 100))
        assert memory.grab((100, 50, 100, 50), clip=True).rect == Rect(100, 50, 20, 10)
        assert memory.grab("30x20-0-0").rect == memory.peek("30x20-0-0").rect == Rect(90, 40, 30, 20)
        resize(display, 200, 100)
        assert memory.grab("30x20-0-0").rect == Rect(170, 80, 30, 20), "from the edge that it has at the grab"
        assert memory.grab((100, 50, 100, 50)).rect == Rect(100, 50, 100, 50)
    assert display.run("xsetroot -solid red").wait(timeout=5) == 0, "no server grab was left"


def test_an_array_that_was_taken_before_keeps_its_size_and_the_next_has_the_new_one(display: VirtualDisplay) -> None:
    before = display.framebuffer.pixels
    with painting(display) as painter:
        painter.fill((0, 0, 200, 100), RED)
        resize(display, 50, 40)
        painter.fill((0, 0, 200, 100), GREEN)
        display.framebuffer.sync()
        after = display.framebuffer.pixels
        assert (before.shape, after.shape) == ((100, 200, 4), (40, 50, 4))
        assert (after[..., :3] == GREEN).all()
        assert np.shares_memory(before, after)
        assert (before[39, 49, :3].tolist(), before[40, 50, :3].tolist()) == ([0, 255, 0], [0, 0, 255])


def test_a_resized_screen_is_written_in_its_own_rows() -> None:
    with VirtualDisplay(64, 48, writable=True) as display:
        resize(display, 30, 20)
        display.framebuffer.sync()
        display.framebuffer.pixels[19, 29] = (1, 2, 3, 0)
        assert display.screen.grab().pixel(29, 19) == (3, 2, 1)


def test_who_comes_after_the_resize_finds_the_size_that_is(display: VirtualDisplay, tmp_path: Path) -> None:
    resize(display, 120, 60)
    with VirtualDisplay.attach(display.name, display.xauthority) as attached:
        assert attached.framebuffer.pixels.shape == (60, 120, 4)
        assert attached.framebuffer.peek().rect == attached.screen.rect
        resize(display, 200, 100)
        attached.framebuffer.sync()
        assert attached.framebuffer.pixels.shape == (100, 200, 4)
    with VirtualDisplay(200, 100, framebuffer=tmp_path) as kept:
        resize(kept, 120, 60)
        path = tmp_path / "Xvfb_screen0"
        with Framebuffer.open(path, kept.name, kept.xauthority) as opened:
            assert opened.pixels.shape == (60, 120, 4)
        with Framebuffer.open(path) as alone:
            assert alone.pixels.shape == (100, 200, 4), "nobody is there to be asked: all that there is room for"


def test_memory_that_is_smaller_than_the_screen_is_not_that_screens(tmp_path: Path) -> None:
    with VirtualDisplay(64, 48, framebuffer=tmp_path) as small, VirtualDisplay(200, 30) as other:
        before = open_descriptors()
        with pytest.raises(
            TransportUnavailable, match=rf"the screen is 200x30, .* of {small.name}\.0, has room for 64x48: .*grab the"
        ):
            Framebuffer.open(tmp_path / "Xvfb_screen0", other.name, other.xauthority)
        assert not new_descriptors(before)
    with pytest.raises(ConnectFailed):
        _open_without_a_server(tmp_path)


def _open_without_a_server(place: Path) -> None:
    with VirtualDisplay(64, 48, framebuffer=place):
        Framebuffer.open(place / "Xvfb_screen0", ":65123")


# -- several screens ---------------------------------------------------------------------------------------------------


def test_each_of_several_screens_is_resized_for_itself(tmp_path: Path) -> None:
    with VirtualDisplay(200, 100, screens=[ScreenSpec(90, 70)], framebuffer=tmp_path) as display:
        resize(display, 40, 30, screen=1)
        for memory in display.framebuffers:
            memory.sync()
        assert [memory.pixels.shape[:2] for memory in display.framebuffers] == [(100, 200), (30, 40)]
        with painting(display, 1) as painter:
            painter.fill((0, 0, 90, 70), GREEN)
            # Named without a screen's number, and with another's: the memory says whose it is.
            for name in (display.name, f"{display.name}.0", f"{display.name}.1"):
                with Framebuffer.open(tmp_path / "Xvfb_screen1", name, display.xauthority) as opened:
                    assert opened.pixels.shape == (30, 40, 4)
                    assert (opened.grab().rgb() == GREEN).all()


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[VirtualDisplay]:
    screens = [ScreenSpec(90, 70), ScreenSpec(100, 120)]
    with VirtualDisplay(200, 100, args=["+xinerama"], screens=screens, framebuffer=tmp_path) as display:
        yield display


def test_screens_that_xinerama_joins_are_one_and_have_a_framebuffer_each(joined: VirtualDisplay) -> None:
    assert [screen.rect for screen in joined.screens] == [Rect(0, 0, 200, 120)], "what covers all of them"
    assert [memory.rect for memory in joined.framebuffers] == [monitor.rect for monitor in joined.screen.monitors]
    with painting(joined) as painter:
        for _ in range(3):
            painter.rectangles(30)
            asked = joined.screen.grab().rgb()
            for memory in joined.framebuffers:
                memory.sync()
                frame = memory.grab()
                assert frame.rect == memory.rect
                expected = asked[: memory.height, : memory.width]
                np.testing.assert_array_equal(frame.rgb(), expected)
                np.testing.assert_array_equal(memory.peek().rgb(), expected)
    with VirtualDisplay.attach(joined.name, joined.xauthority) as attached:
        sizes = [(memory.width, memory.height) for memory in attached.framebuffers]
        assert sizes == [(200, 100), (90, 70), (100, 120)]
        assert attached.framebuffers[2].grab().rect == Rect(0, 0, 100, 120)


def test_the_pointer_is_where_it_is_on_each_head(joined: VirtualDisplay, tmp_path: Path) -> None:
    joined.run("xsetroot -cursor_name left_ptr -solid orange").wait()
    joined.screen.xlib.screen().root.warp_pointer(60, 50)
    expected = joined.screen.grab(cursor=True)
    for memory in joined.framebuffers:
        frame = memory.grab(cursor=True)
        assert frame.cursor is not None
        assert frame.cursor.position == (60, 50)
        np.testing.assert_array_equal(frame.rgb(), expected.rgb()[: memory.height, : memory.width])
    with Framebuffer.open(tmp_path / "Xvfb_screen2", joined.name, joined.xauthority, has_pointer=False) as opened:
        np.testing.assert_array_equal(opened.grab(cursor=True).rgb(), expected.rgb()[:120, :100])


def test_of_joined_screens_the_one_that_is_resized_has_another_size(joined: VirtualDisplay) -> None:
    joined.framebuffers[1].sync()
    resize(joined, 80, 50)
    for memory in joined.framebuffers:
        memory.sync()
    assert [memory.pixels.shape[:2] for memory in joined.framebuffers] == [(50, 80), (70, 90), (120, 100)]
    assert joined.framebuffers[2].grab((0, 0, 100, 120)).size == (100, 120)
