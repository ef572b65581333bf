"""Straight alpha in rgba(), images and files; rgb() and files without alpha are over black."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import ARGB, BGRA, DEEP_ALPHA, RGBX, random_picture, straight
from PIL import Image

from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.image.files import encode
from xshm.image.frame import Frame
from xshm.pixels import to_rgb
from xshm.pixels.alpha import premultiply
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from pathlib import Path

    import xshm

converters = pytest.mark.parametrize("converter", ["numpy", "opencv"])
# Every colour beside every alpha, those too that are brighter than their alpha, which X does not forbid.
ALPHA, COLOUR = (each.astype(np.uint8) for each in np.meshgrid(np.arange(256), np.arange(256), indexing="ij"))
EVERY = np.dstack((COLOUR, 255 - COLOUR, np.roll(COLOUR, 7, 1), ALPHA))  # B G R A
STRAIGHT = np.array([[straight(colour, alpha) for colour in range(256)] for alpha in range(256)], np.uint8)
EVERY_STRAIGHT = np.dstack((*(STRAIGHT[ALPHA, EVERY[..., at]] for at in (2, 1, 0)), ALPHA))  # R G B A
# What a server has, whose colours are no brighter than their alpha.
USUAL = np.dstack((*(np.minimum(EVERY[..., at], ALPHA) for at in range(3)), ALPHA))


def _frame(pixels: np.ndarray[Any, Any], fmt: xshm.PixelFormat = BGRA) -> Frame:
    return Frame(pixels, Rect(0, 0, pixels.shape[1], pixels.shape[0]), 0, 1, fmt)


def _read(data: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "RGBA"
        return np.asarray(picture)


@converters
def test_every_colour_beside_every_alpha_is_divided_and_rounded_to_the_nearest(converter: Any) -> None:
    assert np.array_equal(to_rgb.rgba(Raster(EVERY, BGRA), converter=converter), EVERY_STRAIGHT)
    assert np.array_equal(to_rgb.rgba(Raster(EVERY[..., ::-1], ARGB), converter=converter), EVERY_STRAIGHT)


def test_frames_images_and_files_have_the_same_straight_alpha(tmp_path: Path) -> None:
    frame = _frame(EVERY)
    assert np.array_equal(frame.rgba(), EVERY_STRAIGHT)
    assert frame.image().mode == "RGBA"
    assert np.array_equal(np.asarray(frame.image()), EVERY_STRAIGHT)
    assert np.array_equal(_read(frame.png()), EVERY_STRAIGHT)
    assert np.array_equal(_read(frame.png(level=0)), EVERY_STRAIGHT)
    for kind in ("PNG", "TIFF", "TGA"):
        assert np.array_equal(_read(frame.encode(kind).data), EVERY_STRAIGHT)
    frame.save(tmp_path / "a.png")
    assert np.array_equal(_read((tmp_path / "a.png").read_bytes()), EVERY_STRAIGHT)
    webp = _read(frame.encode("WEBP", quality=100).data)
    assert np.array_equal(webp[..., 3], ALPHA)


def test_a_half_transparent_red_is_red_in_a_webp() -> None:
    frame = _frame(np.full((32, 32, 4), (0, 0, 0x80, 0x80), np.uint8))
    assert frame.rgba()[0, 0].tolist() == [255, 0, 0, 128]
    red, green, blue, alpha = _read(frame.encode("WEBP", quality=95).data)[16, 16].tolist()
    assert red > 245
    assert max(green, blue) < 10
    assert alpha == 128


@converters
def test_sixteen_bits_are_divided_in_sixteen(converter: Any) -> None:
    frame = _frame(EVERY[::5, ::3])
    got = frame.rgba(dtype=np.uint16)
    assert np.array_equal(to_rgb.rgba(Raster(EVERY[::5, ::3], BGRA), dtype=np.uint16, converter=converter), got)
    for at, (blue, green, red, alpha) in enumerate(EVERY[::5, ::3].reshape(-1, 4).tolist()):
        wanted = [*(straight(colour * 257, alpha * 257, 65535) for colour in (red, green, blue)), alpha * 257]
        assert got.reshape(-1, 4)[at].tolist() == wanted
    read = io.BytesIO(encode.png(Raster(EVERY[::5, ::3], BGRA), dtype=np.uint16))
    with Image.open(read) as picture:  # Pillow keeps the upper 8 bits
        assert np.array_equal(np.asarray(picture), (got >> 8).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_channels_that_are_no_bytes_are_divided_too(dtype: Any) -> None:
    picture = random_picture(DEEP_ALPHA, 40, 20)
    assert np.array_equal(to_rgb.rgba(Raster(picture.pixels, DEEP_ALPHA), dtype=dtype), picture.straight(dtype))


def test_a_given_array_is_filled_whatever_its_strides() -> None:
    whole = np.zeros((512, 300, 8), np.uint8)
    out = whole[::-2, 20:276, ::2]
    assert to_rgb.rgba(Raster(EVERY, BGRA), out=out) is out
    assert np.array_equal(out, EVERY_STRAIGHT)
    assert not whole[..., 1::2].any()


def test_pixels_are_not_written_when_colours_are_asked_for() -> None:
    pixels = EVERY.copy()
    frame = _frame(pixels)
    frame.rgba()
    frame.image()
    frame.png()
    frame.encode(max_edge=20)
    assert np.array_equal(pixels, EVERY)
    assert np.array_equal(frame.pixels, EVERY)


def test_what_has_no_fourth_channel_is_the_picture_over_black() -> None:
    frame = _frame(USUAL)
    rgba = frame.rgba().astype(np.int64)
    over_black = np.floor(rgba[..., :3] * rgba[..., 3:] / 255 + 0.5).astype(np.uint8)
    assert np.array_equal(frame.rgb(), over_black)
    assert np.array_equal(frame.bgr(), over_black[..., ::-1])
    assert np.array_equal(frame.rgb(), USUAL[..., 2::-1])
    assert np.array_equal(
        to_rgb.gray(Raster(USUAL, BGRA), converter="numpy"), np.asarray(Image.fromarray(over_black).convert("L"))
    )
    assert np.abs(frame.gray().astype(int) - np.asarray(Image.fromarray(over_black).convert("L"))).max() <= 1
    assert frame.pixel(200, 220) == tuple(over_black[220, 200].tolist())


def test_alpha_alone_makes_no_difference_over_black() -> None:
    one, other = USUAL.copy(), USUAL.copy()
    other[..., 3] ^= 0xFF
    assert not _frame(one).diff(_frame(other))
    other[30, 40, 1] ^= 1
    assert _frame(one).diff(_frame(other)).rects == (Rect(40, 30, 1, 1),)


def test_a_jpeg_is_the_picture_over_black() -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, 32:] = (0, 0, 0x80, 0x80)
    with Image.open(io.BytesIO(_frame(pixels).jpeg(quality=100))) as picture:
        assert picture.mode == "RGB"
        shown = np.asarray(picture).astype(int)
    assert np.abs(shown[:, :24]).max() <= 3
    assert np.abs(shown[:, 40:] - (128, 0, 0)).max() <= 3
    assert _frame(pixels).jpeg() == _frame(np.dstack((pixels[..., 2::-1], pixels[..., 3])), RGBX).jpeg()


@pytest.mark.filterwarnings("ignore:.* image format is deprecated:DeprecationWarning")
def test_every_kind_of_file_that_has_no_alpha_is_the_picture_over_black() -> None:
    pixels = np.full((64, 64, 4), (0, 0, 0x80, 0x80), np.uint8)
    frame, opaque = _frame(pixels), _frame(pixels, replace(BGRA, opaque=True))
    shaped = frame.copy()
    shaped.bounding_shape = (Rect(0, 0, 64, 64),)  # it has alpha for its shape, too
    Image.init()
    over_black = []
    for kind in sorted(set(Image.SAVE) - {"PDF"}):  # which Pillow does not read
        try:
            without = opaque.encode(kind).data
        except InvalidArgument:
            continue  # it takes no colours at all
        made = frame.encode(kind).data
        with Image.open(io.BytesIO(made)) as picture:
            if picture.mode == "RGBA":
                assert np.abs(np.asarray(picture)[32, 32].astype(int) - (255, 0, 0, 128)).max() <= 4, kind
            elif kind != "GIF":  # whose alpha is one bit
                over_black.append(kind)
                assert made == without == shaped.encode(kind).data, kind
    assert {"BMP", "EPS", "JPEG", "PCX", "PPM"} <= set(over_black)


def test_a_smaller_picture_is_scaled_before_its_colours_are_divided() -> None:
    frame = _frame(np.ascontiguousarray(USUAL[:240, :200]))
    got = _read(frame.encode(max_edge=60).data)
    assert got.shape == (60, 50, 4)
    channels = [
        Image.fromarray(USUAL[:240, :200, at]).resize((50, 60), Image.Resampling.HAMMING) for at in (2, 1, 0, 3)
    ]
    red, green, blue, alpha = (np.asarray(channel) for channel in channels)
    assert np.array_equal(got, np.dstack((STRAIGHT[alpha, red], STRAIGHT[alpha, green], STRAIGHT[alpha, blue], alpha)))


def test_a_smaller_picture_of_channels_that_are_no_bytes_keeps_its_colours() -> None:
    third_of_red = np.full((90, 120), 1 << 30 | 341 << 20, "<u4")
    assert (_read(_frame(third_of_red, DEEP_ALPHA).encode(max_edge=40).data) == (255, 0, 0, 85)).all()


def test_a_transparent_edge_does_not_bleed_into_a_smaller_picture() -> None:
    pixels = np.zeros((90, 90, 4), np.uint8)
    pixels[:, 40:] = (0, 0, 255, 255)
    small = _read(_frame(pixels).encode(max_edge=9).data)
    seen = small[small[..., 3] > 0]
    assert (seen[:, :3] == (255, 0, 0)).all()


def test_what_was_divided_comes_back_when_it_is_multiplied() -> None:
    again = premultiply(_frame(USUAL).rgba())
    assert np.array_equal(again, USUAL[..., [2, 1, 0, 3]])
    got = premultiply(np.dstack((COLOUR, COLOUR, COLOUR, ALPHA)))
    assert np.array_equal(got[..., 0], np.floor(COLOUR.astype(np.int64) * ALPHA / 255 + 0.5).astype(np.uint8))


def test_an_opaque_frame_of_depth_32_has_no_alpha_in_anything() -> None:
    frame = _frame(USUAL, replace(BGRA, opaque=True))
    frame = pickle.loads(pickle.dumps(frame))  # noqa: S301 - our own bytes
    assert (frame.rgba()[..., 3] == 255).all()
    assert np.array_equal(frame.rgba()[..., :3], USUAL[..., 2::-1])
    assert frame.image().mode == "RGB"
    with Image.open(io.BytesIO(frame.png())) as picture:
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), USUAL[..., 2::-1])
    with Image.open(io.BytesIO(frame.encode("PNG", max_edge=64).data)) as picture:
        assert picture.mode in ("RGB", "P")
