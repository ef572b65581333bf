"""Sprite.draw in every format, against a reference that reads and blends one pixel at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pictures
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pictures import BGRA, BGRX, KNOWN, PSEUDO, TRUE, Picture, random_picture
from slow_blend import expected, random_sprite

from xshm.errors import InvalidArgument, UnsupportedFormat
from xshm.pixels.blend import Sprite
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from numpy.typing import NDArray


def drawn(picture: Picture, sprite: Sprite, x: int, y: int) -> Picture:
    """Draw into a copy of the picture's memory."""
    memory = bytearray(picture.memory)
    shape, dtype, strides = picture.fmt.layout(picture.width, picture.height)
    pixels: NDArray[Any] = np.ndarray(shape, dtype, memory, 0, strides)
    sprite.draw(Raster(pixels, picture.fmt, colormap=picture.colormap, width=picture.width), x, y)
    return Picture(picture.fmt, picture.width, picture.height, bytes(memory), picture.colormap)


def check(picture: Picture, rgba: NDArray[np.uint8], x: int, y: int) -> None:
    """Compare every pixel's value, and what pads the rows."""
    sprite = Sprite(rgba)
    after = drawn(picture, sprite, x, y)
    assert drawn(picture, sprite, x, y).memory == after.memory, "drawing again with what was worked out before"
    in_a_row = 8 * len(picture.memory) // picture.height // picture.fmt.bits_per_pixel
    for row in range(picture.height):
        for column in range(in_a_row):
            at = row - y, column - x
            inside = 0 <= at[0] < rgba.shape[0] and 0 <= at[1] < rgba.shape[1] and column < picture.width
            before = picture.value(column, row)
            want = expected(picture, column, row, tuple(rgba[at].tolist())) if inside else before
            assert after.value(column, row) == want, (column, row, before)


DRAWN = {name: fmt for name, fmt in KNOWN.items() if fmt.bits_per_pixel >= 8}


@pytest.mark.parametrize("name", DRAWN)
def test_every_format_is_drawn_into_as_the_reference_has_it(name: str) -> None:
    check(random_picture(DRAWN[name], 11, 7), random_sprite(6, 4), 3, 2)


@settings(deadline=None, max_examples=100)
@given(picture=pictures.pictures(), data=st.data())
def test_any_format_and_any_place_are_as_the_reference_has_them(picture: Picture, data: st.DataObject) -> None:
    assume(picture.fmt.bits_per_pixel >= 8)
    width, height = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    x = data.draw(st.integers(-width - 1, picture.width + 1))
    y = data.draw(st.integers(-height - 1, picture.height + 1))
    check(picture, random_sprite(width, height, data.draw(st.integers(0, 1000))), x, y)


@pytest.mark.parametrize("top", [1, 7, 31, 63, 255, 1023])
def test_rounding_is_to_the_nearest_for_every_colour_and_alpha(top: int) -> None:
    bits = top.bit_length()
    fmt = PixelFormat(24, 32, 32, "little", top, 1 << 22, 1 << 23, TRUE)
    alpha, colour = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    rgba = np.zeros((256, 256, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = np.minimum(colour, alpha), alpha
    for behind in {0, 1, top // 3, top // 2, top - 1, top}:
        pixels = np.full((256, 256), behind, np.uint32)
        if fmt.byte_offsets is not None:
            pytest.fail("this is meant to be no format of whole bytes")
        Sprite(rgba).draw(Raster(pixels, fmt), 0, 0)
        got = pixels & top
        # Twice the distance from the exact value × 255 is at most 255, and less than that where there is no tie.
        exact = rgba[..., 0].astype(np.int64) * top + behind * (255 - alpha)
        assert (2 * np.abs(got.astype(np.int64) * 255 - exact) < 255).all(), bits


def test_a_transparent_pixel_changes_nothing_though_the_colormap_has_its_colour_twice() -> None:
    colormap = np.zeros((256, 3), np.uint16)
    pixels = np.full((3, 3), 200, np.uint8)
    rgba = np.zeros((3, 3, 4), np.uint8)
    rgba[1, 1] = 0, 0, 0, 255
    Sprite(rgba).draw(Raster(pixels, PSEUDO, colormap=colormap), 0, 0)
    assert pixels.tolist() == [[200, 200, 200], [200, 0, 200], [200, 200, 200]]


def test_a_colour_above_its_alpha_adds_up_to_white_at_most() -> None:
    pixels = np.full((1, 1, 4), 200, np.uint8)
    Sprite(np.array([[[255, 100, 10, 0]]], np.uint8)).draw(Raster(pixels, BGRA), 0, 0)
    assert pixels.tolist() == [[[210, 255, 255, 200]]]


def test_the_fourth_byte_of_depth_24_stays() -> None:
    pixels = np.full((1, 2, 4), 77, np.uint8)
    Sprite(np.full((1, 2, 4), 255, np.uint8)).draw(Raster(pixels, BGRX), 0, 0)
    assert pixels[..., 3].tolist() == [[77, 77]]


def test_a_changed_colormap_is_seen() -> None:
    sprite = Sprite(np.array([[[255, 0, 0, 255]]], np.uint8))
    for red in (5, 250, 5):
        colormap = np.zeros((256, 3), np.uint8)
        colormap[red] = 255, 0, 0
        pixels = np.zeros((1, 1), np.uint8)
        sprite.draw(Raster(pixels, PSEUDO, colormap=colormap), 0, 0)
        assert pixels.tolist() == [[red]]


@pytest.mark.parametrize("name", sorted(set(KNOWN) - set(DRAWN)))
def test_several_pixels_a_byte_are_refused_before_anything_is_written(name: str) -> None:
    picture = random_picture(KNOWN[name], 11, 7)
    pixels = picture.pixels
    with pytest.raises(UnsupportedFormat, match="share a byte"):
        Sprite(random_sprite(6, 4)).draw(Raster(pixels, picture.fmt, picture.colormap, 11), 3, 2)
    assert np.array_equal(pixels, picture.pixels)


def test_what_is_no_sprite_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"\(2, 2, 3\) uint8"):
        Sprite(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(InvalidArgument, match="float64"):
        Sprite(np.zeros((2, 2, 4)))  # type: ignore[arg-type]
