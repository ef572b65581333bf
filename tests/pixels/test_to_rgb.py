"""rgb, bgr, rgba and gray: exact colours, for every format and by either converter."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pictures
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pictures import BGRA, BGRX, BITS, DEEP, KNOWN, PSEUDO, Picture, random_picture
from PIL import Image

from xshm.errors import InvalidArgument
from xshm.pixels import to_rgb
from xshm.pixels.alpha import straighten
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

converters = pytest.mark.parametrize("converter", ["numpy", "opencv"])
FUNCTIONS = [to_rgb.rgb, to_rgb.bgr, to_rgb.rgba, to_rgb.gray]
# What each makes of a pixel, in numpy's indexing.
ORDERS: dict[Any, Any] = {to_rgb.rgb: [0, 1, 2], to_rgb.bgr: [2, 1, 0]}


def same(got: NDArray[Any], want: NDArray[Any], tolerance: int = 0) -> None:
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert np.abs(got.astype(np.int64) - want).max() <= tolerance


def check(picture: Picture, pixels: NDArray[Any], window: tuple[Any, Any], converter: Any, width: int | None) -> None:
    """Compare all conversions of `pixels` with the reference's part `window`."""
    raster = Raster(pixels, picture.fmt, picture.colormap, width or 0)
    for dtype in (np.uint8, np.uint16):
        options: Any = {"dtype": dtype, "converter": converter}
        expected = picture.rgba(dtype)[window]
        for function, order in ORDERS.items():
            got = function(raster, **options)
            assert got.flags.c_contiguous
            same(got, expected[..., order])
        same(to_rgb.rgba(raster, **options), picture.straight(dtype)[window])
        tolerance = 0 if converter == "numpy" else 1
        same(to_rgb.gray(raster, **options), picture.gray(dtype)[window], tolerance)


@converters
@pytest.mark.parametrize("name", KNOWN)
def test_colours_are_those_of_the_reference(name: str, converter: str) -> None:
    picture = random_picture(KNOWN[name], 37, 5)
    check(picture, picture.pixels, np.s_[:, :], converter, picture.width)


@converters
@settings(deadline=None, max_examples=150)
@given(picture=pictures.pictures())
def test_colours_of_any_format_are_those_of_the_reference(picture: Picture, converter: str) -> None:
    check(picture, picture.pixels, np.s_[:, :], converter, picture.width)


@converters
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_crop_or_any_strided_view_gives_its_part_of_the_colours(data: st.DataObject, converter: str) -> None:
    names = sorted(name for name, fmt in KNOWN.items() if fmt.bits_per_pixel >= 8)
    picture = random_picture(KNOWN[data.draw(st.sampled_from(names))], 12, 9)
    rows, columns = data.draw(st.slices(9)), data.draw(st.slices(12))
    assume(range(9)[rows] and range(12)[columns])
    check(picture, picture.pixels[rows, columns], np.s_[rows, columns], converter, None)


@converters
@pytest.mark.parametrize("name", KNOWN)
def test_read_only_pixels_are_read(name: str, converter: str) -> None:
    picture = random_picture(KNOWN[name], 9, 7)
    pixels = picture.pixels
    pixels.flags.writeable = False
    check(picture, pixels, np.s_[:, :], converter, 9)


@converters
@pytest.mark.parametrize("name", ["BGRX", "XRGB", "BGRA", "BGR"])
def test_pixels_whose_bytes_lie_in_planes_are_read_as_any_others(name: str, converter: str) -> None:
    picture = random_picture(KNOWN[name], 9, 7)
    planes = np.ascontiguousarray(np.moveaxis(picture.pixels, 2, 0))
    check(picture, np.moveaxis(planes, 0, 2), np.s_[:, :], converter, None)


@converters
@pytest.mark.parametrize("name", ["BGRX", "XRGB", "BGR", "DEEP", "R5G6B5", "PSEUDO", "GRAYS"])
def test_a_picture_larger_than_the_bands_it_is_worked_in_is_right_everywhere(name: str, converter: str) -> None:
    # Every tile repeats the same 8×8 pixels, which the reference knows.
    tile = random_picture(KNOWN[name], 8, 8)
    pixels = np.tile(tile.pixels, (40, 80, 1)[: tile.pixels.ndim])
    expected = np.tile(tile.rgba(), (40, 80, 1))
    same(to_rgb.rgba(Raster(pixels, tile.fmt, colormap=tile.colormap), converter=converter), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(("bits", "dtype"), [(b, d) for b in range(1, 17) for d in (np.uint8, np.uint16)])
def test_scaling_is_exact_for_every_value_that_a_channel_can_have(bits: int, dtype: Any) -> None:
    fmt = PixelFormat(24, 32, 32, "little", (1 << bits) - 1 << 4, 1 << 3, 1 << 2, pictures.TRUE)
    top, most = (1 << bits) - 1, int(np.iinfo(dtype).max)
    pixels = (np.arange(top + 1, dtype="<u4") << 4).reshape(1, -1)
    if fmt.byte_offsets is not None:
        pytest.fail("this is meant to be no format of whole bytes")
    got = to_rgb.rgb(Raster(pixels, fmt), dtype=dtype)[0, :, 0].tolist()
    assert got == [pictures.scaled(value, top, most) for value in range(top + 1)]
    assert (got[0], got[-1]) == (0, most)


def test_ten_bits_are_kept_in_sixteen() -> None:
    pixels = (np.arange(1024, dtype="<u4") << 20).reshape(1, -1)
    red = to_rgb.rgb(Raster(pixels, DEEP), dtype=np.uint16)[0, :, 0]
    assert len(np.unique(red)) == 1024
    assert (red[0], red[1023]) == (0, 65535)


@converters
def test_the_fourth_byte_of_depth_24_never_becomes_alpha(converter: Any) -> None:
    pixels = np.full((2, 2, 4), (1, 2, 3, 77), np.uint8)
    assert to_rgb.rgba(Raster(pixels, BGRX), converter=converter).tolist() == [[[3, 2, 1, 255]] * 2] * 2
    assert to_rgb.rgba(Raster(pixels, BGRA), converter=converter).tolist() == [[[10, 7, 3, 77]] * 2] * 2
    root = replace(BGRA, opaque=True)
    assert to_rgb.rgba(Raster(pixels, root), converter=converter).tolist() == [[[3, 2, 1, 255]] * 2] * 2


def test_gray_is_what_pillow_gives_and_opencv_is_at_most_one_off() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    pixels = np.dstack((rgb[..., ::-1], rgb[..., 0]))
    pillow = np.asarray(Image.fromarray(rgb).convert("L"))
    same(to_rgb.gray(Raster(pixels, BGRX), converter="numpy"), pillow)
    same(to_rgb.gray(Raster(pixels, BGRX), converter="opencv"), pillow, tolerance=1)


@converters
@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_what_is_gray_already_keeps_its_value(converter: Any, level: int) -> None:
    pixels = np.full((3, 3, 4), level, np.uint8)
    assert np.all(to_rgb.gray(Raster(pixels, BGRX), converter=converter) == level)


def test_a_colormap_of_8_bits_and_one_of_16_bits_give_the_same_colours() -> None:
    picture = random_picture(PSEUDO, 20, 20)
    eight = np.arange(768, dtype=np.uint32).reshape(256, 3).astype(np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    for dtype in (np.uint8, np.uint16):
        one, other = (
            to_rgb.rgb(Raster(picture.pixels, PSEUDO, colormap=each), dtype=dtype) for each in (eight, sixteen)
        )
        same(one, other)


def test_without_a_width_all_that_the_bytes_hold_is_shown() -> None:
    picture = random_picture(BITS, 13, 2)
    assert to_rgb.gray(Raster(picture.pixels, BITS)).shape == (2, 16)
    same(to_rgb.gray(Raster(picture.pixels, BITS))[:, :13], picture.gray())


def straightened(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    straight = rgba.copy()
    straighten(straight)
    return straight


def test_straight_alpha_divides_by_alpha() -> None:
    pixels = np.array([[[10, 20, 30, 255], [64, 32, 0, 128], [9, 9, 9, 0], [200, 10, 0, 100]]], np.uint8)
    got = straightened(pixels)
    assert got.tolist() == [[[10, 20, 30, 255], [128, 64, 0, 128], [0, 0, 0, 0], [255, 26, 0, 100]]]


def test_premultiplying_what_straight_alpha_gives_leads_back() -> None:
    alpha = np.arange(1, 256)
    straight = np.random.default_rng(0).integers(0, 256, (200, 255, 3))
    premultiplied = np.rint(straight * alpha[:, None] / 255)
    pixels = np.dstack((premultiplied, np.broadcast_to(alpha, (200, 255)))).astype(np.uint8)
    again = np.rint(straightened(pixels)[..., :3].astype(float) * alpha[:, None] / 255)
    assert np.array_equal(again, premultiplied)


def test_undefined_bits_make_no_difference() -> None:
    one = random_picture(BGRX, 300, 200).pixels
    other = one.copy()
    other[..., 3] ^= 0xFF
    other[17, 251, 1] ^= 1
    assert np.argwhere(to_rgb.differs(Raster(one, BGRX), Raster(other, BGRX))).tolist() == [[17, 251]]
    assert np.argwhere(to_rgb.differs(Raster(one, BGRA), Raster(other, BGRA))).tolist() == [[17, 251]]


@settings(deadline=None, max_examples=60)
@given(picture=pictures.pictures(), data=st.data())
def test_pictures_differ_where_a_bit_of_colour_does(picture: Picture, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(picture.memory) - 1))
    memory = bytearray(picture.memory)
    memory[at] ^= data.draw(st.integers(1, 255))
    other = Picture(picture.fmt, picture.width, picture.height, bytes(memory), picture.colormap)
    used = picture.fmt.colour_mask
    expected = [
        [(picture.value(x, y) ^ other.value(x, y)) & used != 0 for x in range(picture.width)]
        for y in range(picture.height)
    ]
    got = to_rgb.differs(
        Raster(picture.pixels, picture.fmt, width=picture.width), Raster(other.pixels, picture.fmt, width=picture.width)
    )
    assert got.tolist() == expected


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


_GRAB = """
import sys
import numpy as np
from xshm.pixels import to_rgb
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster
fmt = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
raster = Raster(np.array([[[1, 2, 3, 4]]], np.uint8), fmt)
"""


def test_opencv_is_imported_by_the_first_conversion_that_can_use_it() -> None:
    program = _GRAB + (
        'before = "cv2" in sys.modules\n'
        'to_rgb.rgb(raster, converter="numpy"); forced = "cv2" in sys.modules\n'
        'to_rgb.rgb(raster)\nprint(before, forced, "cv2" in sys.modules, to_rgb.converters())'
    )
    assert run(program).startswith("False False True {'four bytes a pixel': 'OpenCV ")


def test_without_opencv_numpy_converts_and_says_why() -> None:
    program = (
        'import sys; sys.modules["cv2"] = None'
        + _GRAB
        + (
            "print(to_rgb.rgb(raster).tolist(), to_rgb.converters())\n"
            'try: to_rgb.rgb(raster, converter="opencv")\n'
            "except Exception as error: print(type(error).__name__, error)"
        )
    )
    first, second = run(program).splitlines()
    assert first.startswith("[[[3, 2, 1]]] {'four bytes a pixel': 'numpy ")
    assert "pip install xshm[fast]" in first
    assert second.startswith("MissingExtra")
    assert "pip install xshm[fast]" in second


def test_a_converter_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'pillow'"):
        to_rgb.rgb(Raster(random_picture(BGRX, 1, 1).pixels, BGRX), converter="pillow")  # type: ignore[arg-type]
