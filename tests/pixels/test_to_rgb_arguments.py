"""The arguments of rgb, bgr, rgba and gray; wrong ones are refused before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import BGRX, BITS, DEEP, DIRECT_24, KNOWN, NIBBLES, PSEUDO, R5G6B5, random_picture

from xshm.errors import InvalidArgument, InvalidType, XshmError
from xshm.image.files import encode
from xshm.pixels import to_rgb
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat

converters = pytest.mark.parametrize("converter", ["numpy", "opencv"])
FUNCTIONS = [to_rgb.rgb, to_rgb.bgr, to_rgb.rgba, to_rgb.gray]


def same(got: NDArray[Any], want: NDArray[Any], tolerance: int = 0) -> None:
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert np.abs(got.astype(np.int64) - want).max() <= tolerance


def views(shape: tuple[int, ...], dtype: Any) -> dict[str, NDArray[Any]]:
    """Return arrays of this shape and dtype, each with other strides, all full of 7."""
    padded = np.full((shape[0], shape[1] + 3, *shape[2:]), 7, dtype)
    wide = np.full((shape[0], 2 * shape[1], *shape[2:]), 7, dtype)
    planar = np.full((*shape[2:], *shape[:2]), 7, dtype)
    return {
        "contiguous": np.full(shape, 7, dtype),
        "with padded rows": padded[:, : shape[1]],
        "every other column": wide[:, ::2],
        "upside down": np.full(shape, 7, dtype)[::-1],
        "mirrored": np.full(shape, 7, dtype)[:, ::-1],
        "planar": np.moveaxis(planar, 0, 2) if len(shape) == 3 else np.full(shape[::-1], 7, dtype).T,
        "off its alignment": np.frombuffer(
            bytearray(np.prod(shape) * np.dtype(dtype).itemsize + 1), dtype, offset=1, count=int(np.prod(shape))
        ).reshape(shape),
    }


@converters
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["BGRX", "BGRA", "R5G6B5", "PSEUDO"])
def test_out_is_filled_and_returned_whatever_its_strides(
    name: str, function: Callable[..., NDArray[Any]], dtype: Any, converter: str
) -> None:
    picture = random_picture(KNOWN[name], 7, 5)
    raster = Raster(picture.pixels, picture.fmt, picture.colormap)
    options = {"dtype": dtype, "converter": converter}
    expected = function(raster, **options)
    for what, out in views(expected.shape, dtype).items():
        assert function(raster, out=out, **options) is out, what
        assert np.array_equal(out, expected), what


@converters
def test_what_lies_between_the_rows_of_out_is_left_alone(converter: Any) -> None:
    picture = random_picture(BGRX, 7, 5)
    wide = np.full((5, 10, 3), 7, np.uint8)
    to_rgb.rgb(Raster(picture.pixels, BGRX), out=wide[:, 1:8], converter=converter)
    assert np.all(wide[:, [0, 8, 9]] == 7)
    same(wide[:, 1:8], picture.rgba()[..., :3])


def read_only(shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.zeros(shape, np.uint8)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "got"),
    [
        (np.zeros((5, 6, 3), np.uint8), "(5, 6, 3) uint8"),
        (np.zeros((5, 7, 4), np.uint8), "(5, 7, 4) uint8"),
        (np.zeros((5, 21), np.uint8), "(5, 21) uint8"),
        (np.zeros((5, 7, 3), np.uint16), "(5, 7, 3) uint16"),
        (np.zeros((5, 7, 3), np.int8), "(5, 7, 3) int8"),
        (read_only((5, 7, 3)), "read-only"),
        (bytearray(105), "bytearray"),
        ([[0]], "list"),
        (np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (5, 7, 3)), "read-only"),
        (np.lib.stride_tricks.as_strided(np.zeros(3, np.uint8), (5, 7, 3), (0, 0, 1)), "share memory"),
    ],
)
def test_a_wrong_out_is_a_value_error_that_says_what_was_expected_and_got(out: Any, got: str) -> None:
    picture = random_picture(BGRX, 7, 5)
    with pytest.raises(ValueError, match=r"expected a writable \(5, 7, 3\) uint8") as caught:
        to_rgb.rgb(Raster(picture.pixels, BGRX), out=out)
    assert isinstance(caught.value, XshmError)
    assert got in str(caught.value)


@converters
def test_out_over_the_pixels_themselves_is_refused_and_nothing_is_changed(converter: Any) -> None:
    pixels = random_picture(BGRX, 7, 5).pixels
    before = pixels.copy()
    with pytest.raises(InvalidArgument, match="overlaps"):
        to_rgb.rgb(Raster(pixels, BGRX), out=pixels[..., :3], converter=converter)
    with pytest.raises(InvalidArgument, match="overlaps"):
        to_rgb.rgba(Raster(pixels, BGRX), out=pixels, converter=converter)
    assert np.array_equal(pixels, before)


def test_out_in_the_same_memory_beside_the_pixels_is_fine() -> None:
    whole = np.zeros((5, 14, 4), np.uint8)
    whole[:, :7] = random_picture(BGRX, 7, 5).pixels
    expected = to_rgb.rgba(Raster(whole[:, :7].copy(), BGRX))
    assert np.array_equal(to_rgb.rgba(Raster(whole[:, :7], BGRX), out=whole[:, 7:]), expected)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("fmt", "pixels"),
    [
        (BGRX, np.zeros((5, 7), np.uint32)),
        (BGRX, np.zeros((5, 7, 3), np.uint8)),
        (BGRX, np.zeros((5, 7, 4), np.int8)),
        (BGRX, np.zeros((0, 7, 4), np.uint8)),
        (DEEP, np.zeros((5, 7), ">u4")),
        (R5G6B5, np.zeros((5, 7, 2), np.uint8)),
    ],
)
def test_pixels_of_another_format_are_refused(function: Any, fmt: PixelFormat, pixels: NDArray[Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"expected \(height, width") as caught:
        function(Raster(pixels, fmt))
    assert str(pixels.shape) in str(caught.value)


def test_pixels_that_are_no_array_are_refused() -> None:
    with pytest.raises(InvalidType, match="bytes"):
        to_rgb.rgb(Raster(b"1234", BGRX))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [np.float32, np.int16, bool])
def test_a_dtype_that_is_not_offered_is_refused(dtype: Any) -> None:
    with pytest.raises(InvalidArgument, match="uint8 or uint16"):
        to_rgb.rgb(Raster(random_picture(BGRX, 1, 1).pixels, BGRX), dtype=dtype)


@pytest.mark.parametrize("dtype", ["x", 8, [1]])
def test_what_is_no_dtype_is_refused_with_those_that_are(dtype: Any) -> None:
    pixels = random_picture(BGRX, 1, 1).pixels
    for use in (to_rgb.rgb, to_rgb.gray, encode.png):
        with pytest.raises(InvalidType, match="dtype is uint8 or uint16, not"):
            use(Raster(pixels, BGRX), dtype=dtype)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("fmt", [PSEUDO, DIRECT_24, KNOWN["GRAYS_CHANGING"], KNOWN["STATIC_COLOUR"]])
def test_indices_without_a_colormap_are_refused(function: Any, fmt: PixelFormat) -> None:
    with pytest.raises(InvalidArgument, match="pass the colormap"):
        function(Raster(random_picture(fmt, 2, 2).pixels, fmt))


@pytest.mark.parametrize(
    "colormap", [np.zeros((256, 4), np.uint8), np.zeros(768, np.uint8), np.zeros((256, 3), np.float64)]
)
def test_a_colormap_of_another_shape_or_dtype_is_refused(colormap: NDArray[Any]) -> None:
    with pytest.raises(InvalidArgument, match="a colormap is"):
        to_rgb.rgb(Raster(random_picture(PSEUDO, 2, 2).pixels, PSEUDO, colormap=colormap))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_pixel_past_the_end_of_the_colormap_is_refused_and_out_is_not_touched(function: Any) -> None:
    pixels = np.zeros((300, 300), np.uint8)
    pixels[-1, -1] = 16
    shape = {to_rgb.gray: (300, 300), to_rgb.rgba: (300, 300, 4)}.get(function, (300, 300, 3))
    out = np.full(shape, 7, np.uint8)
    with pytest.raises(InvalidArgument, match="colour 16 of a colormap of 16"):
        function(Raster(pixels, PSEUDO, colormap=np.zeros((16, 3), np.uint8)), out=out)
    assert np.all(out == 7)


@pytest.mark.parametrize(("fmt", "width", "wrong"), [(BITS, 13, 17), (BITS, 13, 8), (NIBBLES, 5, 7), (BGRX, 5, 4)])
def test_a_width_that_the_rows_do_not_have_is_refused(fmt: PixelFormat, width: int, wrong: int) -> None:
    picture = random_picture(fmt, width, 2)
    with pytest.raises(InvalidArgument, match=f"not {wrong}"):
        to_rgb.rgb(Raster(picture.pixels, fmt, width=wrong, colormap=picture.colormap))
