"""PNG files without numpy: the same as with it, and numpy is not imported."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import BGRX, KNOWN, Picture, bgrx, opened, photograph, random_picture

from xshm.errors import InvalidArgument
from xshm.image.files import encode, png_stdlib
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat

_NUMPY = sys.modules["numpy"]
SERVED = {name: KNOWN[name] for name in ("BGRX", "XRGB", "RGBX", "XBGR")}


def made(picture: Picture, level: int = 1) -> bytes:
    """Return the file that is made without numpy."""
    fmt, width, height = picture.fmt, picture.width, picture.height
    return png_stdlib.png(bytearray(picture.memory) + b"beyond", fmt.stride(width), width, height, fmt, level)


def of_colours(rgb: NDArray[np.uint8]) -> Picture:
    return Picture(BGRX, rgb.shape[1], rgb.shape[0], bgrx(rgb).tobytes(), None)


def check(picture: Picture, level: int = 1) -> None:
    got, raster = made(picture, level), Raster(picture.pixels, picture.fmt)
    expected = encode.png(raster, level=level)
    assert np.array_equal(np.asarray(opened(got).convert("RGB")), np.asarray(opened(expected).convert("RGB")))
    if opened(got).mode == "RGB":
        assert got == encode.png(raster, level=level, colours="rgb")
    else:
        assert opened(got).mode == opened(expected).mode == "P"


@pytest.mark.parametrize("pad", [32, 64])
@pytest.mark.parametrize("name", SERVED)
def test_the_file_holds_what_numpys_does_whatever_the_order_of_bytes(name: str, pad: int) -> None:
    for width, height in ((1, 1), (1, 700), (37, 5), (5, 70), (333, 65)):
        check(random_picture(replace(SERVED[name], scanline_pad=pad), width, height))


@settings(deadline=None, max_examples=100)
@given(
    name=st.sampled_from(sorted(SERVED)),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    colours=st.integers(1, 300),
    seed=st.integers(0, 1 << 32),
)
def test_any_picture_of_few_or_many_colours_is_the_same(
    name: str, width: int, height: int, colours: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    words = random.integers(0, 1 << 32, colours, np.uint32)[random.integers(0, colours, (height, width))]
    check(Picture(SERVED[name], width, height, words.tobytes(), None))


@pytest.mark.parametrize("level", range(10))
def test_photographs_are_filtered_as_numpy_filters_them(level: int) -> None:
    smooth = photograph(150, 160)
    mixed = smooth.copy()
    mixed[40:101] = np.random.default_rng(0).integers(0, 256, (61, 160, 3))
    for rgb in (smooth, mixed):
        check(of_colours(rgb), level)


@pytest.mark.parametrize("step", [*range(7, 10), *range(247, 250)])
def test_a_step_as_large_as_numpy_takes_for_small_is_small(step: int) -> None:
    rgb = np.cumsum(np.full((33, 700, 3), step), axis=1).astype(np.uint8)
    rgb[..., 1] = np.arange(700) // 3
    check(of_colours(rgb))


def test_a_value_in_the_last_rows_that_leaves_no_room_ends_the_palette() -> None:
    rgb = np.zeros((90, 1000, 3), np.uint8)
    rgb[61, 1:511:2, 0] = np.arange(1, 256)
    assert opened(made(of_colours(rgb))).mode == "P"
    rgb[61, 513] = (1, 1, 1)
    assert opened(made(of_colours(rgb))).mode == "RGB"
    check(of_colours(rgb))


def test_a_palette_has_all_combinations_of_the_channels_values() -> None:
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 51)] * 3), axis=-1).reshape(1, 216, 3).astype(np.uint8)
    for colours in (cube, cube[:, :150], np.array([[[0, 0, 0], [0x16, 0x5E, 0xA2]]], np.uint8)):
        assert opened(made(of_colours(colours))).mode == "P"
        check(of_colours(colours))
    shades = np.repeat(np.arange(0, 256, 8), 3).reshape(1, 32, 3).astype(np.uint8)
    assert opened(made(of_colours(shades))).mode == "RGB", "32 x 32 x 32 combinations, though only 32 colours"


@pytest.mark.parametrize("height", [1, 15, 16, 17, 32, 33, 64])
def test_rows_that_are_alike_stay_where_they_are(height: int) -> None:
    rgb = np.full((height, 20, 3), 7, np.uint8)
    check(of_colours(rgb))
    rgb[-1, 3] = (1, 2, 3)
    rgb[height // 2, 5] = (3, 2, 1)
    check(of_colours(rgb))


def test_a_level_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not 10"):
        made(random_picture(BGRX, 1, 1), 10)


@pytest.mark.parametrize("fmt", KNOWN.values(), ids=KNOWN)
def test_only_opaque_pixels_of_three_whole_bytes_in_four_are_served(
    fmt: PixelFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not png_stdlib.serves(fmt), "numpy is loaded here"
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "numpy")
        patched.setattr(png_stdlib, "_written", [0])
        assert png_stdlib.serves(fmt) == (fmt in SERVED.values())
    assert sys.modules["numpy"] is _NUMPY


def test_the_sum_is_right_for_every_pair_of_bytes() -> None:
    these, others = (bytes(part) for part in zip(*[(a, b) for a in range(256) for b in range(256)], strict=True))
    less = png_stdlib._Subtraction(1 << 16)
    found = less.of(int.from_bytes(these, "little"), int.from_bytes(others, "little")).to_bytes(1 << 16, "little")
    assert found == bytes(a - b & 255 for a, b in zip(these, others, strict=True))


def test_a_process_without_numpy_makes_the_file_without_it() -> None:
    picture = of_colours(photograph(40, 50))
    program = (
        "import sys\nfrom xshm.geometry import Rect\nfrom xshm.image.frame import Frame\n"
        "from xshm.pixels.format import PixelFormat, VisualClass\n"
        "layout = PixelFormat(24, 32, 32, 'little', 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)\n"
        "made = Frame(None, Rect(0, 0, 50, 40), 0, 0, layout, memory=bytearray(sys.stdin.buffer.read())).encode()\n"
        "assert made.width, made.height == (50, 40)\n"
        "assert not {'numpy', 'PIL', 'cv2'} & set(sys.modules)\n"
        "sys.stdout.buffer.write(made.data)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=picture.memory, capture_output=True, check=True)
    assert done.stdout == encode.png(Raster(picture.pixels, BGRX))


def test_a_process_that_writes_picture_after_picture_loads_numpy_when_that_is_worth_it() -> None:
    program = (
        "import sys\nfrom xshm.geometry import Rect\nfrom xshm.image.frame import Frame\n"
        "from xshm.pixels.format import PixelFormat, VisualClass\n"
        "layout = PixelFormat(24, 32, 32, 'little', 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)\n"
        "memory = bytearray(4 * 1920 * 1080)\n"
        "made = set()\n"
        "for _ in range(10):\n"
        "    made.add(Frame(None, Rect(0, 0, 1920, 1080), 0, 0, layout, memory=memory).png(colours='rgb'))\n"
        "    print('numpy' in sys.modules)\n"
        "print(len(made))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 8 + ["True"] * 2 + ["1"]
