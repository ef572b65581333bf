"""Depth 32 on real servers: no alpha in a root window, alpha in a window, whatever the root's depth."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from pictures import BGRA, RGBX, random_picture
from PIL import Image
from reference import core_image
from Xlib import X
from Xlib.ext import shape

import xshm
from xshm.errors import WaitTimeout
from xshm.image.frame import Frame
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import Server

RGBA = replace(RGBX, depth=32)
_HALF_RED = 0x80800000  # premultiplied


@pytest.fixture
def xvnc(make_server: Callable[..., Server]) -> Server:
    return make_server("Xvnc", 320, 240, 32)


@pytest.fixture
def painter_32(xvnc: Server) -> Iterator[Painter]:
    with Painter(xvnc) as painter:
        yield painter


def _window(painter: Painter, visual: int, background: int, box: tuple[int, int, int, int] = (50, 60, 64, 48)) -> Any:
    """Map a window of depth 32 and one pixel value."""
    colormap = painter.root.create_colormap(visual, X.AllocNone)
    window = painter.root.create_window(
        *(*box, 0, 32),
        visual=visual,
        colormap=colormap,
        border_pixel=0,
        background_pixel=background,
        override_redirect=True,
    )
    window.map()
    painter.display.sync()
    return window


def _put(painter: Painter, drawable: Any, box: tuple[int, int, int, int], pixel: int) -> None:
    drawable.fill_rectangle(drawable.create_gc(foreground=pixel), *box)
    painter.display.sync()


def _visual(painter: Painter) -> int:
    """Return the visual with alpha of a server whose root is of another depth."""
    return next(
        int(visual["visual_id"])
        for depth in painter.screen.allowed_depths
        if depth["depth"] == 32
        for visual in depth["visuals"]
        if visual["visual_class"] == X.TrueColor
    )


def test_a_root_of_depth_32_is_opaque_whatever_its_fourth_byte_holds(xvnc: Server, painter_32: Painter) -> None:
    _put(painter_32, painter_32.root, (0, 0, 320, 240), 0x00FF8040)
    _put(painter_32, painter_32.root, (0, 0, 10, 10), 0x7F102030)
    with xshm.Screen(xvnc.name) as screen:
        assert str(screen.format) == "depth 32, 32 bits per pixel, B G R X"
        frame = screen.grab()
    assert frame.pixels[20, 20].tolist() == [0x40, 0x80, 0xFF, 0x00]  # as the server has it
    assert (frame.rgba()[..., 3] == 255).all()
    assert frame.rgba()[20, 20].tolist() == [0xFF, 0x80, 0x40, 255]
    assert frame.rgba()[5, 5].tolist() == [0x10, 0x20, 0x30, 255]
    assert frame.image().mode == "RGB"
    for kind in ("PNG", "WEBP"):
        with Image.open(io.BytesIO(frame.encode(kind).data)) as picture:
            assert picture.mode in ("RGB", "P")
    with Image.open(io.BytesIO(frame.png())) as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB")), frame.rgb())


def test_a_shot_of_a_root_of_depth_32_is_made_without_numpy_and_opaque(
    xvnc: Server, painter_32: Painter, tmp_path: Path
) -> None:
    _put(painter_32, painter_32.root, (0, 0, 320, 240), 0x00FF8040)
    program = (
        "import sys\nfrom xshm.cli.main import main\n"
        f"assert main(['shot', {str(tmp_path / 'a.png')!r}]) == 0\nassert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], env=xvnc.env(), check=True)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode in ("RGB", "P")
        assert (np.asarray(picture.convert("RGB")) == (0xFF, 0x80, 0x40)).all()


def test_a_window_of_depth_32_on_a_root_of_depth_32_keeps_its_alpha(xvnc: Server, painter_32: Painter) -> None:
    window = _window(painter_32, painter_32.screen.root_visual, _HALF_RED)
    with xshm.Screen(xvnc.name) as screen, screen.window(window.id) as opened:
        assert str(opened.format).endswith("B G R A")
        frame = opened.grab()
        assert frame.rgba()[5, 5].tolist() == [255, 0, 0, 128]
        assert frame.image().mode == "RGBA"
        # It lies on the root, with its bits as they are.
        assert screen.grab().rgba()[65, 55].tolist() == [128, 0, 0, 255]
        # Of two formats, what is seen is compared.
        assert not frame.diff(screen.grab((50, 60, 64, 48)))


def test_the_pointer_is_drawn_into_a_root_of_depth_32(xvnc: Server, painter_32: Painter) -> None:
    _put(painter_32, painter_32.root, (0, 0, 320, 240), 0x00204060)
    painter_32.root.warp_pointer(100, 100)
    painter_32.display.sync()
    with xshm.Screen(xvnc.name) as screen:
        plain, drawn = screen.grab(), screen.grab(cursor=True)
        assert drawn.cursor is not None
        assert plain.diff(drawn)
        assert (drawn.rgba()[..., 3] == 255).all()


def test_a_frame_of_an_opaque_root_is_opaque_in_a_window_with_alpha(xvnc: Server, painter_32: Painter) -> None:
    _put(painter_32, painter_32.root, (0, 0, 320, 240), 0x00204060)
    with xshm.Screen(xvnc.name) as screen, Surface(64, 48, display=xvnc.name) as surface:
        frame = screen.grab((200, 150, 64, 48))
        surface.show_frame(frame)
        surface.wait()
        with screen.window(surface.id) as window:
            assert (window.grab().rgba() == (0x20, 0x40, 0x60, 255)).all()


def test_a_frame_of_another_format_keeps_its_alpha_in_a_window_that_has_one(xvfb: Server, painter: Painter) -> None:
    window = _window(painter, _visual(painter), 0)
    usual = random_picture(BGRA, 64, 48).pixels
    other = Frame(usual[..., [2, 1, 0, 3]], xshm.Rect(0, 0, 64, 48), 0, 1, RGBA)
    with Surface(on=window.id, display=xvfb.name) as surface:
        surface.show_frame(other)
        surface.wait()
        assert np.array_equal(core_image(painter.display, drawable=window), usual)
    with Surface(64, 48, display=xvfb.name) as surface:
        surface.show_frame(other)
        surface.wait()
        shown = painter.display.create_resource_object("window", surface.id)
        assert np.array_equal(core_image(painter.display, drawable=shown)[..., :3], usual[..., :3])


@pytest.mark.parametrize("depth", [24, 32])
def test_a_frame_of_a_window_with_a_shape_is_transparent_outside_of_it_where_a_surface_has_alpha(
    xvfb: Server, painter: Painter, depth: int
) -> None:
    opaque, clear = _HALF_RED if depth == 32 else 0xFFFF0000, 0
    window = (
        painter.window((50, 60, 64, 48), (255, 0, 0)) if depth == 24 else _window(painter, _visual(painter), opaque)
    )
    target = _window(painter, _visual(painter), 0x12345678, (200, 60, 64, 48))
    window.shape_rectangles(shape.SO.Set, shape.SK.Bounding, 0, 0, 0, [(0, 0, 32, 48)])
    painter.display.sync()
    with xshm.Screen(xvfb.name) as screen, screen.window(window.id) as source:
        frame = source.grab()
        for drawable, wanted in ((target.id, clear), (painter.root.id, None)):
            with Surface(on=drawable, display=xvfb.name) as surface:
                surface.show_frame(frame)
                surface.wait()
            if wanted is not None:
                shown = core_image(painter.display, drawable=target).view("<u4")[..., 0]
                assert (shown[:, :32] == opaque).all()
                assert (shown[:, 32:] == wanted).all()
            else:  # over black, or as the server has it: no alpha to be written
                assert np.array_equal(screen.grab((0, 0, 64, 48)).rgb(), frame.rgb())


def test_a_surface_on_a_root_of_depth_32_has_no_alpha(xvnc: Server, painter_32: Painter) -> None:
    array = np.full((240, 320, 4), (200, 100, 50, 0), np.uint8)
    with Surface(on=painter_32.root.id, display=xvnc.name) as surface:
        assert str(surface.format).endswith("B G R X")
        surface.show(array)
        surface.wait()
    with xshm.Screen(xvnc.name) as screen:
        assert (screen.grab().rgba() == (200, 100, 50, 255)).all()


def test_a_window_with_alpha_has_the_same_in_rgba_images_and_files(
    xvfb: Server, painter: Painter, tmp_path: Path
) -> None:
    window = _window(painter, _visual(painter), _HALF_RED)
    _put(painter, window, (0, 0, 5, 48), 0)
    _put(painter, window, (5, 0, 5, 48), 0xFF102030)
    with xshm.Screen(xvfb.name) as screen, screen.window(window.id) as opened:
        frame = opened.grab()
    assert np.array_equal(frame.pixels, core_image(painter.display, drawable=window))
    rgba = frame.rgba()
    assert [rgba[10, x].tolist() for x in (2, 7, 20)] == [[0, 0, 0, 0], [0x10, 0x20, 0x30, 255], [255, 0, 0, 128]]
    assert np.array_equal(np.asarray(frame.image()), rgba)
    assert [frame.pixel(x, 10) for x in (2, 7, 20)] == [(0, 0, 0), (0x10, 0x20, 0x30), (128, 0, 0)]
    for name in ("a.png", "a.webp", "a.tif"):
        frame.save(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.mode == "RGBA"
            assert np.abs(np.asarray(picture).astype(int)[10, 20] - (255, 0, 0, 128)).max() <= 8
    copied = subprocess.run(
        [sys.executable, "-m", "xshm", "shot", "-i", hex(window.id), "-"],
        env=xvfb.env(),
        capture_output=True,
        check=True,
    )
    with Image.open(io.BytesIO(copied.stdout)) as picture:
        assert np.array_equal(np.asarray(picture), rgba)


def test_what_was_saved_of_a_window_with_alpha_is_found_in_it(xvfb: Server, painter: Painter, tmp_path: Path) -> None:
    window = _window(painter, _visual(painter), 0x40102030)
    _put(painter, window, (20, 10, 9, 7), _HALF_RED)
    _put(painter, window, (24, 13, 2, 3), 0xFF204060)
    _put(painter, window, (22, 12, 3, 2), 0)
    with xshm.Screen(xvfb.name) as screen, screen.window(window.id) as opened:
        part = opened.grab((18, 8, 20, 15))
        part.save(tmp_path / "part.png")
        for picture in (part, part.image(), tmp_path / "part.png", part.rgba()):
            assert opened.wait_image(picture, timeout=0).rect == xshm.Rect(18, 8, 20, 15)
        # What lets something through may be anything in those; over black each pixel counts.
        assert opened.wait_image(part.rgb(), timeout=0).rect == xshm.Rect(18, 8, 20, 15)
        assert opened.wait_pixel(20, 10, (0x80, 0, 0), timeout=0)
        assert opened.wait_pixel(22, 12, "black", timeout=0)
        _put(painter, window, (20, 10, 1, 1), 0x80000080)
        assert opened.wait_image(part, timeout=0).rect == xshm.Rect(18, 8, 20, 15)
        with pytest.raises(WaitTimeout):
            opened.wait_image(part.rgb(), timeout=0)
