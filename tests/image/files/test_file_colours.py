"""Files with colours="rgb": three channels, and alpha at depth 32, for every format and every kind of file."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from pictures import (
    BGRX,
    BITS,
    DEEP,
    GRAYS,
    GRAYS_CHANGING,
    KNOWN,
    PSEUDO,
    Picture,
    bgrx,
    frame_of,
    opened,
    random_picture,
)
from PIL import Image

import xshm
from xshm.errors import InvalidArgument, InvalidType
from xshm.image.files import encode, png_stdlib
from xshm.pixels.format import VisualClass
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Server

    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat

_RGB, _RGBA = 2, 6  # colour types of the PNG specification
Image.init()


def colour_type(png: bytes) -> int:
    """Return what IHDR says."""
    return int(struct.unpack_from(">B", png, 25)[0])


@pytest.mark.parametrize("name", KNOWN)
def test_a_png_is_rgb_for_every_format_and_holds_the_frame_s_colours(name: str) -> None:
    fmt = KNOWN[name]
    for width, height in ((1, 1), (24, 5), (37, 7)):
        frame = frame_of(random_picture(fmt, width, height))
        for data in (frame.png(colours="rgb"), frame.encode("PNG", colours="rgb").data):
            assert colour_type(data) == (_RGBA if fmt.alpha_mask else _RGB)
            read = np.asarray(opened(data))
            assert read.shape == (height, width, 4 if fmt.alpha_mask else 3)
            assert np.array_equal(read, frame.rgba() if fmt.alpha_mask else frame.rgb())


def test_a_png_of_one_colour_is_rgb_too_and_a_palette_only_by_default() -> None:
    frame = frame_of(Picture(BGRX, 30, 20, bytes(4 * 30 * 20), None))
    assert np.asarray(opened(frame.png(colours="rgb"))).shape == (20, 30, 3)
    assert opened(frame.png()).mode == opened(frame.png(colours="auto")).mode == "P"


@pytest.mark.parametrize("level", [0, 1, 6])
def test_without_numpy_it_is_the_same_byte_by_byte(level: int) -> None:
    rgb = np.zeros((70, 90, 3), np.uint8)
    rgb[10:40, 20:60] = (0x16, 0x5E, 0xA2)
    pixels = bgrx(rgb)
    plain = png_stdlib.png(pixels.tobytes(), 4 * 90, 90, 70, BGRX, level, "rgb")
    assert plain == encode.png(Raster(pixels, BGRX), level=level, colours="rgb")
    assert np.array_equal(np.asarray(opened(plain)), rgb)


@pytest.mark.parametrize("fmt", [GRAYS, DEEP, PSEUDO, BITS])
def test_sixteen_bits_a_channel_are_rgb_too(fmt: PixelFormat) -> None:
    picture = random_picture(fmt, 24, 5)
    data = encode.png(Raster(picture.pixels, fmt, colormap=picture.colormap, width=24), dtype=np.uint16, colours="rgb")
    assert (data[24], colour_type(data)) == (16, _RGB)
    assert np.abs(np.asarray(opened(data)).astype(int) - picture.rgba()[..., :3]).max() <= 1  # Pillow reads 8 bits


def test_shades_of_a_colormap_that_are_no_shades_keep_their_colours() -> None:
    # Clients may store any colours in a GrayScale colormap; only a screen makes shades of them.
    picture = random_picture(GRAYS_CHANGING, 40, 30)
    frame = frame_of(picture)
    assert np.array_equal(np.asarray(opened(frame.png(colours="rgb"))), picture.rgba()[..., :3])
    one = frame_of(Picture(GRAYS_CHANGING, 40, 30, bytes([7]) * 1200, picture.colormap))
    small = np.asarray(opened(one.encode(max_edge=10, colours="rgb").data))
    assert small.shape == (8, 10, 3)
    assert (small == one.rgb()[0, 0]).all()


def attempt(frame: Frame, kind: str) -> bytes | InvalidArgument:
    try:
        return frame.encode(kind, colours="rgb").data
    except InvalidArgument as error:
        return error


@pytest.mark.filterwarnings("ignore:.* image format is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", sorted(set(Image.SAVE) - {"PDF"}))  # which Pillow does not read
def test_every_kind_of_file_reads_back_as_rgb_or_is_refused(kind: str) -> None:
    for name in ("BGRX", "GRAYS", "GRAYS_CHANGING", "PSEUDO", "BITS", "R5G6B5", "DEEP"):
        frame = frame_of(random_picture(KNOWN[name], 48, 32))
        made = attempt(frame, kind)
        if isinstance(made, InvalidArgument):
            assert kind in str(made)
            assert kind not in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "TGA")
            continue
        read = Image.open(io.BytesIO(made))
        assert read.mode in ("RGB", "RGBA"), name
        if kind in ("PNG", "TIFF", "BMP", "PPM", "TGA", "QOI"):
            assert np.array_equal(np.asarray(read), frame.rgb()), name


def test_a_kind_that_has_no_gray_is_rgb_for_formats_of_shades() -> None:
    for fmt in (GRAYS, BITS):
        frame = frame_of(random_picture(fmt, 40, 32))
        read = opened(frame.encode("qoi").data)
        assert read.mode == "RGB"
        assert np.array_equal(np.asarray(read), frame.rgb())
        assert opened(frame.encode("qoi", max_edge=20).data).size == (20, 16)


def test_a_jpeg_of_shades_is_gray_by_default_and_rgb_where_that_is_asked_for() -> None:
    frame = frame_of(random_picture(GRAYS, 40, 32))
    assert opened(frame.jpeg()).mode == opened(frame.encode("jpeg").data).mode == "L"
    for data in (frame.jpeg(colours="rgb"), frame.encode("jpeg", colours="rgb").data):
        assert opened(data).mode == "RGB"


def test_a_kind_that_has_no_rgb_is_refused_with_the_way_out_and_no_file_is_made(tmp_path: Path) -> None:
    frame = frame_of(random_picture(BGRX, 12, 10))
    with pytest.raises(InvalidArgument, match="a GIF can't be RGB; write a PNG"):
        frame.save(tmp_path / "a.gif", colours="rgb")
    assert not list(tmp_path.iterdir())
    for kind in ("gif", "spider"):
        with pytest.raises(InvalidArgument, match=f"a {kind.upper()} can't be RGB"):
            frame.encode(kind, colours="rgb")
        assert frame.encode(kind).kind == kind.upper()


@pytest.mark.parametrize(
    ("colours", "error", "words"),
    [
        ("RGB", InvalidArgument, "'auto'.*'rgb'.*not 'RGB'"),
        ("", InvalidArgument, "not ''"),
        ("palette", InvalidArgument, "not 'palette'"),
        (None, InvalidType, "not NoneType"),
        (256, InvalidType, "not int: 256"),
        (b"rgb", InvalidType, "not bytes"),
        (["rgb"], InvalidType, "not list"),
    ],
)
def test_other_values_are_refused_everywhere_before_anything_is_written(
    colours: Any, error: type[Exception], words: str, tmp_path: Path
) -> None:
    picture = random_picture(BGRX, 12, 10)
    frame, pixels, path = frame_of(picture), picture.pixels, tmp_path / "a.png"
    path.write_bytes(b"as it was")
    calls: list[Callable[[], object]] = [
        lambda: frame.png(colours=colours),
        lambda: frame.jpeg(colours=colours),
        lambda: frame.encode("webp", colours=colours),
        lambda: frame.save(path, colours=colours),
        lambda: encode.png(Raster(pixels, BGRX), colours=colours),
        lambda: encode.encode(Raster(pixels, BGRX), "gif", colours=colours),
    ]
    for call in calls:
        with pytest.raises(error, match=words):
            call()
    assert path.read_bytes() == b"as it was"


def shot(server: Server, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "xshm", "shot", *arguments]
    return subprocess.run(command, env=server.env(), cwd=cwd, capture_output=True, check=False, timeout=30)


def test_the_command_takes_the_choice_and_needs_no_numpy_for_it(xvfb: Server, painter: Painter, tmp_path: Path) -> None:
    painter.fill((0, 0, 1280, 800), (0x16, 0x5E, 0xA2))
    assert opened(shot(xvfb, "-").stdout).mode == opened(shot(xvfb, "--colours", "auto", "-").stdout).mode == "P"
    command = [sys.executable, "-X", "importtime", "-m", "xshm", "shot", "--colours", "rgb", "a.png"]
    done = subprocess.run(command, env=xvfb.env(), cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"numpy", "PIL", "cv2"}
    read = np.asarray(Image.open(tmp_path / "a.png"))
    assert read.shape == (800, 1280, 3)
    assert (read == (0x16, 0x5E, 0xA2)).all()


def test_the_command_refuses_other_choices_and_kinds_that_have_none_before_it_waits(
    xvfb: Server, tmp_path: Path
) -> None:
    other = shot(xvfb, "--colours", "cmyk", "-")
    assert (other.returncode, other.stdout) == (2, b"")
    assert b"--colours" in other.stderr
    # The wait is longer than this test has.
    gif = shot(xvfb, "--colours", "rgb", "-d", "100", "a.gif", cwd=tmp_path)
    assert (gif.returncode, gif.stdout) == (2, b"")
    assert b"a GIF can't be RGB" in gif.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("visual_class", ["StaticGray", "GrayScale"])
def test_a_gray_screen_is_three_channels_by_frame_and_command(
    make_server: Callable[..., Server], visual_class: str, tmp_path: Path
) -> None:
    server = make_server("Xvfb", 200, 100, 8, "-cc", str(int(VisualClass[visual_class])))
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        assert screen.format.visual_class.name == visual_class
        painter.fill((20, 10, 90, 50), (255, 255, 255))
        with screen.grab() as frame:
            expected = frame.rgb()
            for name in ("a.png", "a.tiff"):
                frame.save(tmp_path / name, colours="rgb")
                assert np.array_equal(np.asarray(Image.open(tmp_path / name)), expected)
            assert opened(frame.png()).mode == "L"
        assert np.array_equal(np.asarray(opened(shot(server, "--colours", "rgb", "-").stdout)), expected)
