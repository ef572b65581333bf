"""JPEG and other files, Pillow images, max_edge, and the kinds that suffixes name."""

from __future__ import annotations

import io
import itertools
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import Mock

import numpy as np
import pytest
from pictures import (
    BGRX,
    BITS,
    GRAYS,
    KNOWN,
    R5G6B5,
    bgrx,
    frame_of,
    opened,
    photograph,
    random_picture,
)
from PIL import Image, features

from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.geometry import Rect
from xshm.image.files import encode
from xshm.image.frame import Frame
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def jpeg(raster: Raster, quality: int = 85) -> bytes:
    return encode.encode(raster, "JPEG", quality=quality).data


def test_a_jpeg_looks_like_the_pixels_and_quality_costs_bytes() -> None:
    rgb = photograph()
    small, good = (jpeg(Raster(bgrx(rgb), BGRX), quality=quality) for quality in (30, 95))
    assert opened(good).format == "JPEG"
    assert np.abs(np.asarray(opened(good)).astype(int) - rgb).mean() < 4
    assert 2 * len(small) < len(good)


@pytest.mark.parametrize("name", ["XRGB", "RGBX", "XBGR", "BGR", "RGB", "BGRA", "ARGB"])
def test_the_order_of_bytes_makes_no_difference_to_a_jpeg_or_an_image(name: str) -> None:
    rgb, fmt = photograph(40, 64), KNOWN[name]
    assert fmt.byte_offsets is not None
    pixels = np.full((40, 64, fmt.bits_per_pixel // 8), 255 if fmt.alpha_mask else 9, np.uint8)
    pixels[..., list(fmt.byte_offsets)] = rgb
    assert jpeg(Raster(pixels, fmt)) == jpeg(Raster(bgrx(rgb), BGRX))
    assert np.array_equal(np.asarray(encode.image(Raster(pixels, fmt)).convert("RGB")), rgb)


@pytest.mark.parametrize("quality", [1, 50, 85, 100])
def test_opencv_writes_the_jpeg_that_pillow_does(quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = pytest.importorskip("cv2")
    rgb = photograph(45, 71)
    whole = bgrx(rgb)
    whole.flags.writeable = False
    crop = whole[3:, 5:-2]
    watched = Mock(wraps=encoder.imencode)
    monkeypatch.setattr(encoder, "imencode", watched)
    made = [jpeg(Raster(pixels, BGRX), quality=quality) for pixels in (whole, crop)]
    assert watched.call_count == 2
    monkeypatch.delitem(sys.modules, "cv2")  # as in a process that has not imported it
    assert made == [jpeg(Raster(pixels, BGRX), quality=quality) for pixels in (whole, crop)]
    assert watched.call_count == 2
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    assert made[0] == buffer.getvalue()


def test_a_process_that_writes_jpeg_after_jpeg_imports_opencv_when_that_is_worth_it() -> None:
    pytest.importorskip("cv2")
    program = (
        "import sys\nimport numpy as np\nfrom xshm import Frame, PixelFormat, Rect, VisualClass\n"
        "from xshm.pixels import opencv\n"
        "assert opencv._SPARED >= 10**8\n"
        "opencv._SPARED = 3 * 64 * 48\n"
        "layout = PixelFormat(24, 32, 32, 'little', 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)\n"
        "frame = Frame(np.zeros((48, 64, 4), np.uint8), Rect(0, 0, 64, 48), 0, 0, layout)\n"
        "made = set()\n"
        "for _ in range(4):\n"
        "    made.add(frame.jpeg())\n"
        "    print('cv2' in sys.modules)\n"
        "print(len(made))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "True", "1"]


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_a_quality_that_there_is_not_is_refused(quality: int) -> None:
    with pytest.raises(InvalidArgument, match=f"not {quality}"):
        jpeg(Raster(random_picture(BGRX, 1, 1).pixels, BGRX), quality=quality)


def test_a_picture_too_long_for_a_jpeg_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="65501x1"):
        jpeg(Raster(np.zeros((1, 65501, 4), np.uint8), BGRX))
    assert opened(jpeg(Raster(np.zeros((1, 65500, 4), np.uint8), BGRX))).size == (65500, 1)


@pytest.mark.parametrize("name", KNOWN)
def test_an_image_has_the_colours_of_the_pixels_in_the_mode_that_fits(name: str) -> None:
    picture = random_picture(KNOWN[name], 21, 6)
    got = encode.image(Raster(picture.pixels, picture.fmt, colormap=picture.colormap, width=21))
    assert got.mode == ("L" if picture.fmt.is_gray else "RGBA" if picture.fmt.alpha_mask else "RGB")
    if picture.fmt.is_gray:
        assert np.array_equal(np.asarray(got), picture.gray())
    else:
        assert np.array_equal(np.asarray(got.convert("RGBA")), picture.straight())


@pytest.mark.parametrize("name", ["BGRX", "BGRA", "GRAYS", "R5G6B5"])
def test_an_image_keeps_its_colours_when_the_pixels_change(name: str) -> None:
    picture = random_picture(KNOWN[name], 21, 6)
    pixels = picture.pixels
    got = encode.image(Raster(pixels, picture.fmt))
    before = got.tobytes()
    pixels[...] = 0
    assert got.tobytes() == before


def test_a_crop_becomes_an_image_of_its_part() -> None:
    rgb = photograph(40, 64)
    got = encode.image(Raster(bgrx(rgb)[5:20, 7:31], BGRX))
    assert np.array_equal(np.asarray(got), rgb[5:20, 7:31])


# -- max_edge ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("size", "edge", "small"),
    [
        ((1920, 1080), 960, (960, 540)),
        ((1920, 1080), 1000, (1000, 562)),
        ((300, 900), 100, (33, 100)),
        ((900, 2), 30, (30, 1)),
        ((64, 48), 64, (64, 48)),
        ((64, 48), 1000, (64, 48)),
    ],
)
def test_the_longer_edge_is_at_most_max_edge_and_nothing_is_enlarged(
    kind: str, size: tuple[int, int], edge: int, small: tuple[int, int]
) -> None:
    got = encode.encode(Raster(np.zeros((size[1], size[0], 4), np.uint8), BGRX), kind, max_edge=edge)
    assert (got.width, got.height) == small == opened(got.data).size
    assert got.source == Rect(0, 0, *size)
    assert got.scale == max(size) / max(small) >= 1


@pytest.mark.parametrize("name", [name for name, fmt in KNOWN.items() if not fmt.alpha_mask])
def test_a_smaller_picture_has_the_average_of_the_colours(name: str) -> None:
    picture = random_picture(KNOWN[name], 64, 48)
    raster = Raster(picture.pixels, picture.fmt, picture.colormap, 64)
    got = encode.encode(raster, "png", max_edge=8)
    assert (got.width, got.height) == (8, 6)
    expected = picture.gray()[..., None] if picture.fmt.is_gray else picture.rgba()
    shown = np.asarray(opened(got.data).convert("L" if picture.fmt.is_gray else "RGBA")).reshape(6, 8, -1)
    assert np.abs(shown.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 6


@pytest.mark.parametrize("name", ["BGRX", "XRGB", "R5G6B5", "GRAYS", "DEEP"])
def test_a_flat_picture_keeps_its_colour_when_made_smaller(name: str) -> None:
    one = random_picture(KNOWN[name], 1, 1)
    pixels = np.tile(one.pixels, (90, 120, 1)[: one.pixels.ndim])
    got = encode.encode(Raster(pixels, one.fmt), max_edge=50)
    assert np.all(np.asarray(opened(got.data).convert("RGBA")) == one.rgba()[0, 0])


def test_a_click_in_the_small_picture_finds_its_place_in_the_large_one() -> None:
    random = np.random.default_rng(4)
    for _ in range(20):
        left, top = int(random.integers(0, 1900)), int(random.integers(0, 1060))
        rgb = np.zeros((1080, 1920, 3), np.uint8)
        rgb[top : top + 20, left : left + 20] = 255
        got = encode.encode(Raster(bgrx(rgb), BGRX), max_edge=777)
        small = np.asarray(opened(got.data).convert("L"))
        y, x = np.unravel_index(int(small.argmax()), small.shape)
        at = got.to_source(int(x), int(y))
        assert left <= at[0] < left + 20
        assert top <= at[1] < top + 20
        assert abs(at[0] - x * got.scale) <= got.scale
        assert abs(at[1] - y * got.scale) <= got.scale


def test_a_click_is_at_whole_numbers() -> None:
    made = encode.encode(Raster(random_picture(BGRX, 40, 30).pixels, BGRX), max_edge=10)
    for place in ((1.5, 0), (0, "a")):
        with pytest.raises(InvalidType, match="whole number"):
            made.to_source(*place)


def test_every_pixel_of_the_small_picture_has_one_in_the_large_one() -> None:
    got = encode.Encoded(b"", 7, 3, Rect(0, 0, 20, 9), "PNG")
    xs = [got.to_source(x, 0)[0] for x in range(7)]
    assert xs == sorted(set(xs))
    assert xs[0] == 1
    assert xs[-1] == 18
    for x, y in ((7, 0), (0, 3), (-1, 0), (0, -1)):
        with pytest.raises(OutOfBounds, match="7x3"):
            got.to_source(x, y)


def test_what_was_encoded_is_shown_by_kind_and_sizes_and_not_by_its_bytes() -> None:
    picture = random_picture(BGRX, 40, 30)
    frame = Frame(picture.pixels, Rect(0, 0, 40, 30), 0, 0, BGRX, memory=bytearray(picture.memory))
    for made in (
        frame.encode("png"),
        encode.encode(Raster(picture.pixels, BGRX), "png"),
        frame.copy().encode("jpg"),
    ):
        assert repr(made) == f"<Encoded {made.kind} 40x30, {len(made.data)} bytes>"
        assert made.kind == opened(made.data).format
    small = frame.encode("webp", max_edge=20)
    assert repr(small) == f"<Encoded WEBP 20x15 of 40x30+0+0, {len(small.data)} bytes>"
    part = Frame(picture.pixels, Rect(7, 9, 40, 30), 0, 0, BGRX).encode()
    assert repr(part) == f"<Encoded PNG 40x30 of 40x30+7+9, {len(part.data)} bytes>"


@pytest.mark.parametrize("pad", ["{}", "{}X", "X{}"])
@pytest.mark.parametrize("channels", ["".join(each) for each in itertools.permutations("RGB")])
def test_channels_may_lie_in_any_order(channels: str, pad: str) -> None:
    order = pad.format(channels)
    is_big = order.startswith("X")  # the byte that is no channel is the number's highest
    places = order[::-1] if is_big else order
    red, green, blue = (0xFF << 8 * places.index(name) for name in "RGB")
    byte_order: Literal["big", "little"] = "big" if is_big else "little"
    fmt = PixelFormat(24, 8 * len(order), 32, byte_order, red, green, blue, VisualClass.TrueColor)
    rgb = photograph(60, 80)
    pixels = np.stack([rgb[..., "RGB".index(name)] if name in "RGB" else rgb[..., 0] for name in order], axis=2)
    raster = Raster(pixels, fmt)
    assert np.array_equal(np.asarray(opened(encode.encode(raster).data)), rgb)
    assert np.array_equal(np.asarray(encode.image(raster)), rgb)
    usual = io.BytesIO()
    Image.fromarray(rgb).save(usual, "JPEG", quality=85)
    made, expected = (np.asarray(opened(each)).astype(int) for each in (jpeg(raster), usual.getvalue()))
    assert np.abs(made - expected).mean() < 2
    small = Image.fromarray(rgb).resize((40, 30), Image.Resampling.HAMMING)
    shrunk = np.asarray(opened(encode.encode(raster, max_edge=40).data)).astype(int)
    assert np.abs(shrunk - np.asarray(small)).max() <= 1


@pytest.mark.parametrize("max_edge", [None, 20])
def test_a_colormap_that_is_too_short_for_directcolor_is_refused(max_edge: int | None) -> None:
    raster = Raster(np.full((30, 40, 4), 200, np.uint8), KNOWN["DIRECT_24"], np.zeros((100, 3), np.uint16))
    with pytest.raises(InvalidArgument, match="indexes colour 200 of a colormap of 100"):
        encode.encode(raster, max_edge=max_edge)


def test_a_max_edge_below_one_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not 0"):
        encode.encode(Raster(random_picture(BGRX, 3, 3).pixels, BGRX), max_edge=0)


# -- by suffix -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.PNG", "PNG"),
        ("b.jpg", "JPEG"),
        ("b.JPEG", "JPEG"),
        ("c.webp", "WEBP"),
        ("d.tif", "TIFF"),
        ("e.bmp", "BMP"),
        ("f.ppm", "PPM"),
        ("g.x.gif", "GIF"),
    ],
)
@pytest.mark.parametrize("fmt", [BGRX, R5G6B5, GRAYS])
def test_a_file_is_of_the_kind_that_its_suffix_names(name: str, kind: str, fmt: PixelFormat, tmp_path: Path) -> None:
    picture = random_picture(fmt, 30, 20)
    frame_of(picture).save(tmp_path / name)
    with Image.open(tmp_path / name) as read:
        assert (read.format, read.size) == (kind, (30, 20))
        if kind in ("PNG", "TIFF", "BMP", "PPM"):
            assert np.array_equal(np.asarray(read.convert("RGB")), picture.rgba()[..., :3])


@pytest.mark.parametrize("name", ["shot", "shot.", "shot.txt", ".png", "shot.svg", "shot.fits"])
def test_a_suffix_that_can_not_be_written_is_refused_with_those_that_can(name: str, tmp_path: Path) -> None:
    picture = random_picture(BGRX, 3, 2)
    with pytest.raises(InvalidArgument, match=r"\.png.*\.webp"):
        frame_of(picture).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_pillow_refuses_to_write_is_an_error_of_ours_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="XBM"):
        frame_of(random_picture(BGRX, 3, 2)).save(tmp_path / "a.xbm")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["GIF", "PCX", "SGI", "TGA", "WEBP", "AVIF"])
def test_a_picture_larger_than_a_kind_of_file_has_room_for_is_refused_by_an_error_of_ours(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    for shape in ((1, 70_000, 4), (70_000, 1, 4)):
        with pytest.raises(InvalidArgument, match=rf"can't write .*70000.* as {kind}"):
            encode.encode(Raster(np.zeros(shape, np.uint8), BGRX), kind)


def test_quality_reaches_those_of_pillows_files_that_have_one() -> None:
    pixels = bgrx(photograph())
    small, good = (len(encode.encode(Raster(pixels, BGRX), "webp", quality=quality).data) for quality in (20, 95))
    assert 2 * small < good
    with pytest.raises(InvalidArgument, match="not 300"):
        encode.encode(Raster(pixels, BGRX), "webp", quality=300)


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"'docx'.*PNG"):
        encode.encode(Raster(random_picture(BGRX, 3, 2).pixels, BGRX), "docx")
    assert opened(encode.encode(Raster(random_picture(BGRX, 3, 2).pixels, BGRX), "jpg").data).format == "JPEG"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"level": "a"}, "level is a whole number from 0 to 9, not str: 'a'"),
        ({"level": 1.5}, "level is a whole number from 0 to 9, not float: 1.5"),
        ({"kind": "JPEG", "quality": "a"}, "quality is a whole number, not str: 'a'"),
        ({"kind": "WEBP", "quality": 85.5}, "quality is a whole number, not float: 85.5"),
        ({"kind": None}, "kind of file is a name like 'PNG', not NoneType"),
        ({"max_edge": "a"}, "max_edge is a whole number, not str: 'a'"),
        ({"max_edge": 1.5}, "max_edge is a whole number, not float: 1.5"),
    ],
)
def test_an_argument_of_another_type_is_refused_in_words(arguments: dict[str, Any], words: str) -> None:
    picture = random_picture(BGRX, 4, 4)
    frame = Frame(picture.pixels, Rect(0, 0, 4, 4), 0, 0, BGRX, memory=bytearray(picture.memory))
    with pytest.raises(InvalidType, match=words):
        encode.encode(Raster(picture.pixels, BGRX), **arguments)
    with pytest.raises(InvalidType, match=words):
        frame.encode(**arguments)


def test_a_path_is_text_or_a_path_and_nothing_else(tmp_path: Path) -> None:
    picture = random_picture(BGRX, 4, 4)
    frame_of(picture).save(str(tmp_path / "a.png").encode())  # type: ignore[arg-type]
    assert opened((tmp_path / "a.png").read_bytes()).size == (4, 4)
    with pytest.raises(InvalidType, match="a path is"):
        frame_of(picture).save(None)  # type: ignore[arg-type]


def test_numpys_numbers_are_numbers() -> None:
    picture = random_picture(BGRX, 4, 4)
    quality: Any = np.int64(85)
    assert jpeg(Raster(picture.pixels, BGRX), quality=quality) == jpeg(Raster(picture.pixels, BGRX), quality=85)


def test_rows_that_end_within_a_byte_are_as_wide_as_told() -> None:
    fmt = replace(BITS, scanline_pad=8)
    picture = random_picture(fmt, 13, 4)
    for kind in ("PNG", "JPEG", "BMP"):
        assert opened(encode.encode(Raster(picture.pixels, fmt, width=13), kind).data).size == (13, 4)


@pytest.mark.parametrize("ask", [encode.by_suffix, encode.known])
def test_kinds_that_an_error_names_can_be_written(ask: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"(?i)\.?png, .* and others that Pillow writes") as caught:
        ask("shot.doc")
    names = re.findall(r"\.?[a-zA-Z]+(?=,| and others)", str(caught.value).partition("; ")[2])
    assert len(names) == 8
    for name in names:
        file = tmp_path / f"shot{name}" if name.startswith(".") else tmp_path / f"shot.{name.lower()}"
        frame_of(random_picture(BGRX, 4, 4)).save(file)
        assert file.stat().st_size
