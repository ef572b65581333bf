"""PixelFormat: shapes, strides and derived properties; unsupported layouts are refused."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from xshm.errors import InvalidArgument, UnsupportedFormat
from xshm.pixels.format import PixelFormat, VisualClass

TRUE = VisualClass.TrueColor
BGRX = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, TRUE)
ARGB = replace(BGRX, depth=32)
XRGB_BIG = replace(BGRX, byte_order="big")
PACKED = replace(BGRX, bits_per_pixel=24)
DEEP = PixelFormat(30, 32, 32, "little", 0x3FF00000, 0xFFC00, 0x3FF, TRUE)
R5G6B5 = PixelFormat(16, 16, 32, "little", 0xF800, 0x7E0, 0x1F, TRUE)
R5G5B5 = PixelFormat(15, 16, 32, "big", 0x7C00, 0x3E0, 0x1F, TRUE)
PSEUDO = PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.PseudoColor)
NIBBLES = PixelFormat(4, 4, 32, "little", 0, 0, 0, VisualClass.StaticGray)
BITS = PixelFormat(1, 1, 32, "little", 0, 0, 0, VisualClass.StaticGray)


@pytest.mark.parametrize(
    ("fmt", "shape", "dtype", "strides"),
    [
        (BGRX, (3, 5, 4), "u1", (20, 4, 1)),
        (ARGB, (3, 5, 4), "u1", (20, 4, 1)),
        (XRGB_BIG, (3, 5, 4), "u1", (20, 4, 1)),
        (PACKED, (3, 5, 3), "u1", (16, 3, 1)),
        (DEEP, (3, 5), "<u4", (20, 4)),
        (replace(DEEP, byte_order="big"), (3, 5), ">u4", (20, 4)),
        (R5G6B5, (3, 5), "<u2", (12, 2)),
        (R5G5B5, (3, 5), ">u2", (12, 2)),
        (replace(R5G6B5, scanline_pad=16), (3, 5), "<u2", (10, 2)),
        (PSEUDO, (3, 5), "u1", (8, 1)),
        (replace(PSEUDO, depth=4), (3, 5), "u1", (8, 1)),
        (NIBBLES, (3, 3), "u1", (4, 1)),
        (BITS, (3, 1), "u1", (4, 1)),
    ],
)
def test_the_layout_is_what_numpy_needs_to_see_the_memory(
    fmt: PixelFormat, shape: tuple[int, ...], dtype: str, strides: tuple[int, ...]
) -> None:
    assert fmt.layout(5, 3) == (shape, np.dtype(dtype), strides)
    assert fmt.stride(5) == strides[0]
    assert fmt.nbytes(5, 3) == 3 * strides[0]
    array: np.ndarray = np.ndarray(shape, dtype, bytearray(fmt.nbytes(5, 3)), 0, strides)
    assert array.shape == shape


def test_a_layout_asked_for_again_is_the_same_object() -> None:
    assert BGRX.layout(640, 480) is BGRX.layout(640, 480)


def test_layouts_of_ever_new_sizes_do_not_pile_up() -> None:
    fmt = replace(BGRX)
    for width in range(1, 1000):
        assert fmt.layout(width, 1)[0] == (1, width, 4)
    assert len(fmt._layouts) <= 64


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (-3, 5)])
def test_a_size_below_one_has_no_layout(width: int, height: int) -> None:
    with pytest.raises(InvalidArgument, match=f"{width}x{height}"):
        BGRX.layout(width, height)


@pytest.mark.parametrize(
    "fmt",
    [BGRX, ARGB, replace(ARGB, opaque=True), XRGB_BIG, PACKED, DEEP, R5G6B5, R5G5B5, PSEUDO, NIBBLES, BITS],
)
def test_a_format_pickles_and_is_equal_and_hashable(fmt: PixelFormat) -> None:
    fmt.layout(3, 3)
    again = pickle.loads(pickle.dumps(fmt))  # noqa: S301  our own bytes
    assert again == fmt
    assert hash(again) == hash(fmt)
    assert again.layout(3, 3) == fmt.layout(3, 3)


@pytest.mark.parametrize(
    ("fmt", "text"),
    [
        (BGRX, "depth 24, 32 bits per pixel, B G R X"),
        (ARGB, "depth 32, 32 bits per pixel, B G R A"),
        (replace(ARGB, opaque=True), "depth 32, 32 bits per pixel, B G R X"),
        (XRGB_BIG, "depth 24, 32 bits per pixel, X R G B"),
        (PACKED, "depth 24, 24 bits per pixel, B G R"),
        (DEEP, "depth 30, 32 bits per pixel, R10 G10 B10, little-endian"),
        (R5G5B5, "depth 15, 16 bits per pixel, R5 G5 B5, big-endian"),
        (PSEUDO, "depth 8, 8 bits per pixel, PseudoColor"),
        (BITS, "depth 1, 1 bit per pixel, StaticGray"),
    ],
)
def test_a_format_says_in_words_what_it_is(fmt: PixelFormat, text: str) -> None:
    assert str(fmt) == text


@pytest.mark.parametrize(
    ("base", "change", "what"),
    [
        (BGRX, {"depth": 12}, "depth 12, 32 bits per pixel"),
        (BGRX, {"bits_per_pixel": 64}, "depth 24, 64 bits per pixel"),
        (PSEUDO, {"depth": 9}, "depth 9, 8 bits per pixel"),
        (BGRX, {"scanline_pad": 12}, "scanline pad 12"),
        (BGRX, {"visual_class": 6}, "visual class 6"),
        (BGRX, {"red_mask": 0}, "masks 0x0, 0xff00, 0xff"),
        (BGRX, {"red_mask": 0xF0F000}, "are not each a run"),
        (BGRX, {"red_mask": 0x1FF00}, "overlap"),
        (BGRX, {"red_mask": 0xFF000000}, "leave the depth"),
        (ARGB, {"green_mask": 0x0F00}, "alpha"),
        (PSEUDO, {"depth": 24, "bits_per_pixel": 32}, "PseudoColor of this depth"),
        (BITS, {"byte_order": "big"}, "bit order little with byte order big"),
    ],
)
def test_a_format_that_is_not_understood_is_refused_at_birth(
    base: PixelFormat, change: dict[str, int], what: str
) -> None:
    with pytest.raises(UnsupportedFormat, match=what) as caught:
        replace(base, **change)  # type: ignore[arg-type]
    assert "bits per pixel" in str(caught.value) or "bit per pixel" in str(caught.value)


def test_an_order_that_is_neither_little_nor_big_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'middle'"):
        replace(BGRX, byte_order="middle")  # type: ignore[arg-type]


def test_alpha_is_what_depth_32_leaves_and_no_other_depth_has_it() -> None:
    assert ARGB.alpha_mask == 0xFF000000
    assert replace(DEEP, depth=32).alpha_mask == 0xC0000000
    for fmt in (BGRX, DEEP, R5G6B5, R5G5B5, PSEUDO):
        assert fmt.alpha_mask == 0


def test_an_opaque_format_of_depth_32_has_no_alpha_and_is_another_one() -> None:
    root = replace(ARGB, opaque=True)
    assert (root.depth, root.alpha_mask, root.colour_mask) == (32, 0, 0xFFFFFF)
    assert root != ARGB
    assert root.layout(3, 2) == ARGB.layout(3, 2)
    assert "opaque=True" in repr(root)
    assert replace(root, green_mask=0x0F00).alpha_mask == 0  # what is left need be no run of bits


def test_byte_offsets_are_places_in_memory() -> None:
    assert BGRX.byte_offsets == (2, 1, 0)
    assert XRGB_BIG.byte_offsets == (1, 2, 3)
    assert PACKED.byte_offsets == (2, 1, 0)
    assert replace(PACKED, byte_order="big").byte_offsets == (0, 1, 2)
    assert DEEP.byte_offsets is None
    assert PSEUDO.byte_offsets is None


def test_the_pixels_to_ask_a_colormap_for_count_in_every_channel() -> None:
    assert PSEUDO.colormap_pixels == list(range(256))
    direct = replace(R5G6B5, visual_class=VisualClass.DirectColor)
    pixels = direct.colormap_pixels
    assert len(pixels) == 64
    assert pixels[1] == 1 << 11 | 1 << 5 | 1
    assert pixels[63] == 0xFFFF  # red and blue end at 31
