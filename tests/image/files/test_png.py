"""PNG files: their content as other readers decode it, and their size."""

from __future__ import annotations

import base64
import io
import shutil
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pictures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import (
    BGRA,
    BGRX,
    BITS,
    DEEP,
    GRAYS,
    KNOWN,
    PSEUDO,
    XRGB,
    Picture,
    bgrx,
    opened,
    photograph,
    random_picture,
)
from PIL import Image, ImageDraw, ImageFont

from xshm.errors import InvalidArgument
from xshm.image.files import encode
from xshm.image.files.png_chunks import encoder
from xshm.pixels import to_rgb
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat

needs = {
    program: pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")
    for program in ("chromium", "convert", "pngcheck")
}


def chunks(png: bytes) -> dict[bytes, bytes]:
    """Take a PNG file apart by the specification, checking lengths and CRCs."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        data = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(name + data),)
        assert name not in found
        found[name] = data
        at += 12 + length
    assert list(found)[-1] == b"IEND"
    return found


def filters(png: bytes, pixel: int) -> set[int]:
    """Return the filters that a file of `pixel` bytes a pixel uses."""
    parts = chunks(png)
    (width,) = struct.unpack_from(">I", parts[b"IHDR"])
    return set(zlib.decompress(parts[b"IDAT"])[:: 1 + width * pixel])


def page() -> NDArray[np.uint8]:
    """Return a page of 1920×1080: a gradient, columns of text, two photographs."""
    picture = Image.new("RGB", (1920, 1080), "white")
    draw = ImageDraw.Draw(picture)
    for x in range(1920):
        draw.line([(x, 0), (x, 60)], fill=(x // 16, 60, 140 + x // 18))
    random = np.random.default_rng(7)
    words = ["".join(random.choice(list("etaoinshrdlu"), 2 + n % 7)) for n in range(60)]
    for column in range(4):
        for line in range(40):
            text = " ".join(random.choice(words, 9))
            draw.text((40 + 470 * column, 90 + 24 * line), text, fill="black", font=ImageFont.load_default())
    for x, y in ((40, 400), (980, 700)):
        picture.paste(Image.fromarray(photograph()), (x, y))
    return np.asarray(picture)


def check(picture: Picture) -> None:
    got = opened(encode.png(Raster(picture.pixels, picture.fmt, colormap=picture.colormap, width=picture.width)))
    if picture.fmt.is_gray:
        assert got.mode == "L"
        assert np.array_equal(np.asarray(got), picture.gray())
    else:
        assert got.mode == "RGBA" if picture.fmt.alpha_mask else got.mode in ("P", "RGB")
        assert np.array_equal(np.asarray(got.convert("RGBA")), picture.straight())


@pytest.mark.parametrize("name", KNOWN)
def test_a_png_holds_exactly_the_colours_of_the_pixels(name: str) -> None:
    for width, height in ((1, 1), (37, 5), (5, 70)):
        check(random_picture(KNOWN[name], width, height))


@settings(deadline=None, max_examples=150)
@given(picture=pictures.pictures())
def test_a_png_of_any_format_holds_exactly_its_colours(picture: Picture) -> None:
    check(picture)


@pytest.mark.parametrize("level", range(10))
def test_every_level_is_lossless(level: int) -> None:
    rgb = photograph(90, 160)
    data = encode.png(Raster(bgrx(rgb), BGRX), level=level)
    chunks(data)
    assert np.array_equal(np.asarray(opened(data)), rgb)


def test_higher_levels_are_smaller_and_level_0_does_not_compress() -> None:
    pixels = bgrx(page())
    stored, fast, small = (len(encode.png(Raster(pixels, BGRX), level=level)) for level in (0, 1, 6))
    assert stored > 1080 * (1 + 3 * 1920)
    assert small < fast < stored / 4


@pytest.mark.parametrize("level", [-1, 10])
def test_a_level_that_there_is_not_is_refused(level: int) -> None:
    with pytest.raises(InvalidArgument, match=f"not {level}"):
        encode.png(Raster(random_picture(BGRX, 1, 1).pixels, BGRX), level=level)


def test_a_page_is_at_most_half_as_large_again_as_pillows_level_6() -> None:
    rgb = page()
    pillow = io.BytesIO()
    Image.fromarray(rgb).save(pillow, "PNG", compress_level=6)
    assert len(encode.png(Raster(bgrx(rgb), BGRX))) <= 1.5 * len(pillow.getvalue())


def test_photographs_are_filtered_and_text_is_not() -> None:
    text = page()[60:380].copy()
    text[0, :600, 0] = np.arange(600) % 256  # more than 256 colours, so that it is no palette file
    text[0, :600, 1] = np.arange(600) // 3
    assert filters(encode.png(Raster(bgrx(text), BGRX)), 3) == {0}
    photo = bgrx(photograph())
    assert 2 in filters(encode.png(Raster(photo, BGRX)), 3)
    assert len(encode.png(Raster(photo, BGRX))) < 0.85 * len(zlib.compress(photograph().tobytes(), 9))


def colours(count: int, seed: int) -> NDArray[np.uint8]:
    """Return `count` different colours, (count, 3)."""
    random = np.random.default_rng(seed)
    drawn = random.choice(1 << 24, count, replace=False)
    return np.stack([drawn >> shift & 255 for shift in (16, 8, 0)], axis=1).astype(np.uint8)


@pytest.mark.parametrize("fmt", [BGRX, XRGB, KNOWN["RGBX"], KNOWN["XBGR"], KNOWN["BGR"], KNOWN["RGB"]])
def test_256_colours_make_a_palette_and_257_do_not(fmt: PixelFormat) -> None:
    assert fmt.byte_offsets is not None
    for count, mode in ((1, "P"), (2, "P"), (256, "P"), (257, "RGB")):
        every = colours(count, count)
        rgb = every[np.resize(np.arange(count), (240, 301))]
        pixels = np.random.default_rng(0).integers(0, 256, (240, 301, fmt.bits_per_pixel // 8)).astype(np.uint8)
        pixels[..., list(fmt.byte_offsets)] = rgb
        got = opened(encode.png(Raster(pixels, fmt)))
        assert got.mode == mode, count
        assert np.array_equal(np.asarray(got.convert("RGB")), rgb), count


@settings(deadline=None, max_examples=40)
@given(count=st.integers(1, 256), seed=st.integers(0, 1 << 32))
def test_any_256_colours_are_told_apart(count: int, seed: int) -> None:
    rgb = colours(count, seed)[np.resize(np.arange(count), (20, 30))]
    got = opened(encode.png(Raster(bgrx(rgb), BGRX)))
    assert got.mode == "P"
    assert np.array_equal(np.asarray(got.convert("RGB")), rgb)


@pytest.mark.parametrize("place", [(1, 1), (539, 951), (1079, 1919)])
def test_a_colour_that_no_sample_sees_is_not_lost(place: tuple[int, int]) -> None:
    rgb = np.zeros((1080, 1920, 3), np.uint8)
    rgb[place] = (1, 2, 3)
    got = opened(encode.png(Raster(bgrx(rgb), BGRX)))
    assert got.mode == "P"
    assert np.array_equal(np.asarray(got.convert("RGB")), rgb)


def test_a_257th_colour_that_no_sample_sees_ends_the_palette() -> None:
    rgb = np.zeros((1080, 1920, 3), np.uint8)
    rgb[1001, 1:513:2] = colours(256, 5)
    got = opened(encode.png(Raster(bgrx(rgb), BGRX)))
    assert got.mode == "RGB"
    assert np.array_equal(np.asarray(got), rgb)


def test_a_palette_file_is_smaller_than_the_same_in_rgb() -> None:
    text = page()[480:, 600:900]
    alone = len(encode.png(Raster(bgrx(text), BGRX)))
    with_alpha = len(encode.png(Raster(np.dstack((text[..., ::-1], np.full(text.shape[:2], 255, np.uint8))), BGRA)))
    assert opened(encode.png(Raster(bgrx(text), BGRX))).mode == "P"
    assert alone < 0.75 * with_alpha


def test_indexed_pixels_keep_their_indices_and_the_colormap_becomes_the_palette() -> None:
    picture = random_picture(PSEUDO, 40, 30)
    got = opened(encode.png(Raster(picture.pixels, PSEUDO, colormap=picture.colormap)))
    assert got.mode == "P"
    assert np.array_equal(np.asarray(got), picture.pixels)


def test_pixels_past_the_colormap_are_refused() -> None:
    picture = random_picture(PSEUDO, 40, 30)
    with pytest.raises(InvalidArgument, match="colormap of 16"):
        encode.png(Raster(picture.pixels, PSEUDO, colormap=np.zeros((16, 3), np.uint8)))
    with pytest.raises(InvalidArgument, match="pass the colormap"):
        encode.png(Raster(picture.pixels, PSEUDO))


def test_sixteen_bits_a_channel_keep_all_of_depth_30() -> None:
    picture = random_picture(DEEP, 50, 70)
    data = encode.png(Raster(picture.pixels, DEEP), dtype=np.uint16)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert np.array_equal(read[..., ::-1], picture.rgba(np.uint16)[..., :3])
    with pytest.raises(InvalidArgument, match="float32"):
        encode.png(Raster(picture.pixels, DEEP), dtype=np.float32)


SAMPLES = {
    "rgb": (bgrx(photograph(60, 90)), BGRX, {}),
    "palette": (bgrx(colours(9, 2)[np.resize(np.arange(9), (33, 50))]), BGRX, {}),
    "two": (bgrx(np.array([[0, 0, 0], [0x16, 0x5E, 0xA2]])[np.resize([0, 0, 1], (31, 44))].astype(np.uint8)), BGRX, {}),
    "few as rgb": (bgrx(colours(9, 2)[np.resize(np.arange(9), (33, 50))]), BGRX, {"colours": "rgb"}),
    "gray as rgb": (random_picture(GRAYS, 33, 20).pixels, GRAYS, {"colours": "rgb"}),
    "gray": (random_picture(GRAYS, 33, 20).pixels, GRAYS, {}),
    "rgb16": (random_picture(DEEP, 33, 20).pixels, DEEP, {"dtype": np.uint16}),
    "bits": (random_picture(BITS, 40, 20).pixels, BITS, {}),
}


def sample(name: str) -> tuple[bytes, NDArray[np.uint8]]:
    """Return a PNG file and the RGB that readers should see in it."""
    pixels, fmt, options = SAMPLES[name]
    return encode.png(Raster(pixels, fmt), **options), to_rgb.rgb(Raster(pixels, fmt))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SAMPLES)
def test_opencv_reads_it(name: str) -> None:
    data, rgb = sample(name)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    assert np.abs(read[..., ::-1].astype(int) - rgb).max() <= (1 if name == "rgb16" else 0)


@needs["convert"]
@pytest.mark.parametrize("name", SAMPLES)
def test_imagemagick_reads_it(name: str, tmp_path: Path) -> None:
    data, rgb = sample(name)
    (tmp_path / "a.png").write_bytes(data)
    raw = subprocess.run(
        ["convert", str(tmp_path / "a.png"), "-depth", "8", "rgb:-"], capture_output=True, check=True
    ).stdout
    # Where it has to make 8 bits of 16 it cuts off, and does not round.
    assert np.abs(np.frombuffer(raw, np.uint8).reshape(rgb.shape).astype(int) - rgb).max() <= (name == "rgb16")


@needs["pngcheck"]
def test_pngcheck_finds_nothing_wrong(tmp_path: Path) -> None:
    for name in SAMPLES:
        (tmp_path / f"{name}.png").write_bytes(sample(name)[0])
    (tmp_path / "rgba.png").write_bytes(encode.png(Raster(random_picture(BGRA, 9, 9).pixels, BGRA)))
    files = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(["pngcheck", "-v", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"No errors were detected in any of the {len(files)}" in done.stdout or "No errors" in done.stdout


# All at once when everything is loaded: what a page does later, a busy machine may cut short.
_PAGE = """<body>%s<script>
onload = () => {
  const read = [...document.images].map(picture => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    return btoa(String.fromCharCode(...context.getImageData(0, 0, canvas.width, canvas.height).data));
  });
  document.body.textContent = "<" + read.join(" ") + ">";
};
</script></body>"""


@needs["chromium"]
def test_chromium_reads_it(tmp_path: Path) -> None:
    # Starting a browser takes one to five seconds: all samples go through one.
    names = [name for name in SAMPLES if name != "rgb16"]
    samples = [sample(name) for name in names]
    images = "".join(f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}">' for data, _ in samples)
    (tmp_path / "page.html").write_text(_PAGE % images)
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    command = ["chromium", "--headless", "--no-sandbox", *quiet, "--disable-component-update"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "page.html").as_uri()], capture_output=True, text=True, check=True, timeout=50
    )
    read = done.stdout.partition("&lt;")[2].partition("&gt;")[0].split()
    assert len(read) == len(names), done.stdout[:500]
    for name, (_, rgb), data in zip(names, samples, read, strict=True):
        shown = np.frombuffer(base64.b64decode(data), np.uint8).reshape(*rgb.shape[:2], 4)
        assert np.array_equal(shown[..., :3], rgb), name


def test_without_isal_zlib_compresses_and_the_file_holds_the_same() -> None:
    program = (
        "import sys, io; sys.modules['isal'] = None\n"
        "import numpy as np\n"
        "from PIL import Image\n"
        "from xshm.image.files import encode, png_chunks\n"
        "from xshm.pixels.format import PixelFormat, VisualClass\nfrom xshm.pixels.raster import Raster\n"
        "fmt = PixelFormat(24, 32, 32, 'little', 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (90, 80, 4)).astype(np.uint8)\n"
        "read = np.asarray(Image.open(io.BytesIO(encode.png(Raster(pixels, fmt)))))\n"
        "print(np.array_equal(read, pixels[..., 2::-1]), png_chunks.encoder())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True zlib")
    assert "isal" in encoder()
    assert not encoder().startswith("zlib")


def test_png_does_not_import_opencv_which_would_cost_more_than_it_saves() -> None:
    program = (
        "import sys\nimport numpy as np\nfrom xshm.image.files import encode\n"
        "from xshm.pixels.format import PixelFormat, VisualClass\nfrom xshm.pixels.raster import Raster\n"
        "fmt = PixelFormat(24, 32, 32, 'little', 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)\n"
        "raster = Raster(np.zeros((90, 80, 4), np.uint8), fmt)\nencode.png(raster)\nbefore = set(sys.modules)\n"
        "encode.encode(raster, 'JPEG')\n"
        "print(*sorted({'cv2', 'PIL.Image'} & before), *sorted({'cv2'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
