"""Arrays of colours become pixels of every format, each channel the nearest value that the format has."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from xshm.errors import InvalidArgument, InvalidType, UnsupportedFormat
from xshm.pixels import to_rgb
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.from_rgb import Palette, PixelWriter, check
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_TRUE = VisualClass.TrueColor
_MASKS = {
    (24, 32): [(0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000)],
    (32, 32): [(0xFF0000, 0xFF00, 0xFF)],
    (24, 24): [(0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000)],
    (30, 32): [(0x3FF00000, 0xFFC00, 0x3FF)],
    (16, 16): [(0xF800, 0x7E0, 0x1F), (0x1F, 0x7E0, 0xF800)],
    (15, 16): [(0x7C00, 0x3E0, 0x1F)],
    (8, 8): [(0x07, 0x38, 0xC0)],
}
_FORMATS = [
    PixelFormat(depth, bits, 32, order, *masks, _TRUE)
    for (depth, bits), several in _MASKS.items()
    for masks in several
    for order in ("little", "big")
]
_ARRAYS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "dense": lambda a: np.ascontiguousarray(a[:37, :53]),
    "crop": lambda a: a[1:38, 2:55],
    "every other pixel": lambda a: a[:74:2, :106:2],
    "upside down and mirrored": lambda a: a[36::-1, 52::-1],
    "column by column": lambda a: np.asfortranarray(a[:37, :53]),
    "one row repeated": lambda a: np.broadcast_to(a[:1, :53], (37, *a[:1, :53].shape[1:])),
}


def blank(fmt: PixelFormat, width: int, height: int) -> NDArray[Any]:
    """Return memory laid out as a server's would be, with noise in all bits."""
    shape, dtype, strides = fmt.layout(width, height)
    memory = np.random.default_rng(9).integers(0, 256, fmt.nbytes(width, height), np.uint8)
    return np.ndarray(shape, dtype, memory, 0, strides)


def colours_of(array: NDArray[np.uint8], order: str) -> NDArray[np.uint8]:
    if array.ndim == 2:
        return np.stack([array] * 3, axis=-1)
    return array[..., :3] if order == "rgb" else array[..., 2::-1]


def nearest(value: int, top: int) -> int:
    """Return `value` of 255 as a part of `top`, by exact arithmetic."""
    return int(Fraction(value * top, 255) + Fraction(1, 2))


@pytest.mark.parametrize("converter", ["auto", "numpy"])
@pytest.mark.parametrize("strides", _ARRAYS)
@pytest.mark.parametrize("fmt", _FORMATS, ids=str)
def test_each_channel_becomes_the_nearest_value(fmt: PixelFormat, strides: str, converter: Any) -> None:
    writer = PixelWriter(fmt, converter=converter)
    random = np.random.default_rng(1)
    for channels in (None, 3, 4):
        whole = random.integers(0, 256, (80, 120, channels) if channels else (80, 120), np.uint8)
        array = _ARRAYS[strides](whole)
        for order in ("rgb", "bgr"):
            target = blank(fmt, 53, 37)
            writer.fill(target, array, order)
            # The way back is another module's, and tested on its own; 16 bits lose nothing of any format.
            found = to_rgb.rgb(Raster(target, fmt), dtype=np.uint16)
            wanted = colours_of(array, order)
            for column, mask in enumerate((fmt.red_mask, fmt.green_mask, fmt.blue_mask)):
                top = (1 << mask.bit_count()) - 1
                table = np.array([round(nearest(value, top) * 65535 / top) for value in range(256)])
                assert np.array_equal(found[..., column], table[wanted[..., column]])
            if fmt.alpha_mask:
                alpha = to_rgb.rgba(Raster(target, fmt))[..., 3]
                assert (alpha == (array[..., 3] if channels == 4 else 255)).all()


def test_padding_at_the_end_of_rows_is_not_written() -> None:
    fmt = _FORMATS[-4]  # 16 bits a pixel: an odd width leaves two bytes
    assert fmt.bits_per_pixel == 16
    memory = np.full(fmt.nbytes(3, 5), 0xAA, np.uint8)
    shape, dtype, strides = fmt.layout(3, 5)
    PixelWriter(fmt).fill(np.ndarray(shape, dtype, memory, 0, strides), np.zeros((5, 3, 3), np.uint8), "rgb")
    assert (memory.reshape(5, 8)[:, 6:] == 0xAA).all()
    assert (memory.reshape(5, 8)[:, :6] == 0).all()


def test_a_read_only_array_is_written() -> None:
    array = np.random.default_rng(2).integers(0, 256, (4, 5, 3), np.uint8)
    array.flags.writeable = False
    target = blank(_FORMATS[0], 5, 4)
    PixelWriter(_FORMATS[0]).fill(target, array, "rgb")
    assert np.array_equal(target[..., 2::-1], array)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_indices_are_those_of_the_nearest_colour_the_lowest_of_several(order: str) -> None:
    random = np.random.default_rng(3)
    colours = random.integers(0, 65536, (256, 3), np.uint16)
    colours[200] = colours[100]
    usable = random.random(256) < 0.7
    usable[[100, 200]] = True
    writer = PixelWriter(PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.PseudoColor), Palette(colours, usable))
    array = random.integers(0, 256, (20, 30, 3), np.uint8)
    array[0, 0] = (colours[200] >> 8)[:: 1 if order == "rgb" else -1]
    target = np.zeros((20, 30), np.uint8)
    for _ in range(2):  # the second time from what was found the first time
        writer.fill(target, array, order)
        entries = (colours >> 8).astype(int)
        for y, x in np.ndindex(20, 30):
            distances = ((entries - colours_of(array, order)[y, x]) ** 2).sum(axis=1)
            distances[~usable] = 1 << 30
            assert target[y, x] == int(distances.argmin())
    assert target[0, 0] == 100


def test_gray_arrays_are_indexed_too() -> None:
    colours = np.zeros((256, 3), np.uint16)
    colours[:4] = np.array([0, 80, 160, 255])[:, None] * 257
    fmt = PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.PseudoColor)
    target = np.zeros((1, 5), np.uint8)
    PixelWriter(fmt, Palette(colours, np.ones(256, bool))).fill(
        target, np.array([[0, 41, 100, 200, 255]], np.uint8), "rgb"
    )
    assert target.tolist() == [[0, 1, 1, 2, 3]]


def test_static_gray_gets_brightness() -> None:
    fmt = PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.StaticGray)
    target = np.zeros((1, 4), np.uint8)
    array = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]], np.uint8)
    PixelWriter(fmt).fill(target, array, "rgb")
    assert target.tolist() == [[76, 150, 29, 255]]  # ITU-R BT.601
    PixelWriter(fmt).fill(target, array, "bgr")
    assert target.tolist() == [[29, 150, 76, 255]]


def test_gray_scale_gets_the_entry_of_the_nearest_brightness() -> None:
    ramp = np.repeat(np.linspace(65535, 0, 256).astype(np.uint16)[:, None], 3, axis=1)  # white first
    fmt = PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.GrayScale)
    target = np.zeros((1, 3), np.uint8)
    PixelWriter(fmt, Palette(ramp, np.ones(256, bool))).fill(target, np.array([[0, 100, 255]], np.uint8), "rgb")
    assert target.tolist() == [[255, 155, 0]]


@pytest.mark.parametrize("order", ["little", "big"])
def test_direct_colour_goes_backwards_through_the_ramps(order: Any) -> None:
    random = np.random.default_rng(4)
    ramps = np.stack([random.permutation(256) * 257 for _ in range(3)], axis=1).astype(np.uint16)
    fmt = PixelFormat(24, 32, 32, order, 0xFF0000, 0xFF00, 0xFF, VisualClass.DirectColor)
    array = random.integers(0, 256, (9, 7, 3), np.uint8)
    target = blank(fmt, 7, 9)
    PixelWriter(fmt, Palette(ramps, np.ones(256, bool))).fill(target, array, "rgb")
    assert np.array_equal(to_rgb.rgb(Raster(target, fmt, colormap=ramps)), array)


def test_several_pixels_a_byte_are_refused() -> None:
    for depth, bits in ((1, 1), (4, 4)):
        with pytest.raises(UnsupportedFormat, match=f"depth {depth}.*share a byte"):
            PixelWriter(PixelFormat(depth, bits, 32, "little", 0, 0, 0, VisualClass.StaticGray))


def test_indices_without_a_colormap_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="pass the colormap"):
        PixelWriter(PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.PseudoColor))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 5, 2), np.uint8), r"\(4, 5, 2\) uint8"),
        (np.zeros((4, 5, 3), np.float32), r"\(4, 5, 3\) float32"),
        (np.zeros((0, 5, 3), np.uint8), r"\(0, 5, 3\) uint8"),
        (np.zeros(4, np.uint8), r"\(4,\) uint8"),
        (np.zeros((4, 5), bool), r"\(4, 5\) bool"),
    ],
)
def test_an_array_of_another_kind_is_refused_with_its_shape_and_dtype(array: NDArray[Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check(array, "rgb")


def test_what_is_no_array_and_no_order_is_refused() -> None:
    with pytest.raises(InvalidType, match="not list"):
        check([[0]], "rgb")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="not 'rbg'"):
        check(np.zeros((1, 1), np.uint8), "rbg")
