"""wait_image finds a picture at other sizes, by request alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLUE
from PIL import Image, ImageDraw

import xshm
from xshm.errors import InvalidArgument, InvalidType, MissingExtra, WaitTimeout
from xshm.pixels import opencv

if TYPE_CHECKING:
    from painter import Painter

HIDPI = (1, 1.25, 1.5, 2)


def button(scale: float) -> Image.Image:
    """Draw a button, with smooth edges, as a program does on a screen of so many more dots: anew, not enlarged."""
    fine = 4 * scale
    image = Image.new("RGB", (4 * round(64 * scale), 4 * round(24 * scale)), (225, 225, 230))
    draw = ImageDraw.Draw(image)
    box = [2 * fine, 2 * fine, 62 * fine - 1, 22 * fine - 1]
    draw.rounded_rectangle(box, 5 * fine, (60, 120, 220), (20, 40, 80), round(fine))
    draw.ellipse([8 * fine, 7 * fine, 18 * fine, 17 * fine], (250, 250, 250))
    draw.polygon([(30 * fine, 6 * fine), (52 * fine, 12 * fine), (30 * fine, 18 * fine)], (250, 200, 40))
    return image.reduce(4)


def show(painter: Painter, image: Image.Image, corner: tuple[int, int]) -> None:
    pixels = np.zeros((image.height, image.width, 4), np.uint8)
    pixels[..., :3] = np.asarray(image)[..., ::-1]
    gc = painter.root.create_gc()
    painter.root.put_image(gc, *corner, image.width, image.height, 2, 24, 0, pixels.tobytes())
    painter.display.sync()


@pytest.mark.parametrize("scale", HIDPI)
def test_a_picture_is_found_at_the_scale_that_the_screen_has(
    screen: xshm.Screen, painter: Painter, scale: float
) -> None:
    painter.fill((0, 0, 1280, 800), BLUE)
    show(painter, button(scale), (321, 123))
    found = screen.wait_image(button(1), scales=HIDPI, threshold=0.12, timeout=0)
    assert found.scale == scale
    assert found.rect == xshm.Rect(321, 123, round(64 * scale), round(24 * scale))


def test_other_scales_are_not_looked_for_without_request(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), BLUE)
    show(painter, button(2), (321, 123))
    with pytest.raises(WaitTimeout):
        screen.wait_image(button(1), threshold=0.12, timeout=0)


def test_the_error_names_the_scale_of_the_best_match(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), BLUE)
    show(painter, button(1.5), (321, 123))
    with pytest.raises(
        WaitTimeout,
        match=r"the picture of 64x24 or 96x36 or 128x48 did not come within 0 s; "
        r"the best match is off by \d+\.\d\d % at 96x36\+321\+123 at scale 1\.5$",
    ):
        screen.wait_image(button(1), scales=[1, 1.5, 2], timeout=0)


def test_transparent_pixels_match_anything_at_any_scale(screen: xshm.Screen, painter: Painter) -> None:
    painter.noise((0, 0, 1280, 800))
    wanted = button(1).convert("RGBA")
    alpha = np.zeros((24, 64), np.uint8)
    alpha[3:21, 3:61] = 255
    wanted.putalpha(Image.fromarray(alpha))
    inner = button(2).crop((6, 6, 122, 42))
    show(painter, inner, (406, 306))
    found = screen.wait_image(wanted, scales=(2,), threshold=0.12, timeout=0)
    assert (found.rect, found.scale) == (xshm.Rect(400, 300, 128, 48), 2)


def test_a_picture_that_was_taken_at_a_larger_scale_is_found_smaller(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), BLUE)
    show(painter, button(1), (321, 123))
    found = screen.wait_image(button(2), (300, 100, 100, 60), scales=(1, 0.5), threshold=0.12, timeout=0)
    assert (found.rect, found.scale) == (xshm.Rect(321, 123, 64, 24), 0.5)


def test_a_scale_that_does_not_fit_is_left_out_unless_none_does(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), BLUE)
    show(painter, button(1), (321, 123))
    assert screen.wait_image(button(1), (300, 100, 100, 60), scales=(4, 1), timeout=0).scale == 1
    with pytest.raises(
        InvalidArgument, match=r"of 64x24, scaled to 192x72 or 256x96, can't be seen in 100x60\+300\+100"
    ):
        screen.wait_image(button(1), (300, 100, 100, 60), scales=(3, 4), timeout=0)


@pytest.mark.parametrize(
    ("scales", "error"),
    [
        (1.5, InvalidType),
        ("1.5", InvalidType),
        (("1",), InvalidType),
        ((), InvalidArgument),
        ((0,), InvalidArgument),
        ((float("nan"),), InvalidArgument),
        ((-1,), InvalidArgument),
        ((11,), InvalidArgument),
        ([1 + each / 100 for each in range(65)], InvalidArgument),
    ],
)
def test_wrong_scales_are_refused(screen: xshm.Screen, scales: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="scales is a list of factors"):
        screen.wait_image(button(1), scales=scales)


def test_without_opencv_a_scale_is_looked_for_exactly_and_a_threshold_names_the_extra(
    screen: xshm.Screen, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencv, "module", lambda: (None, "OpenCV can't be imported; pip install xshm[fast] brings it"))
    painter.fill((0, 0, 1280, 800), BLUE)
    plain = Image.new("RGB", (20, 10), (10, 200, 30))
    show(painter, plain.resize((40, 20)), (321, 123))
    assert screen.wait_image(plain, scales=(2,), timeout=0).scale == 2
    with pytest.raises(MissingExtra):
        screen.wait_image(plain, scales=(2,), threshold=0.1, timeout=0)
