"""PNG palettes: every picture of at most 256 colours gets one, exactly."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painter import Painter
from pictures import BGRX, KNOWN, R5G6B5, Picture, bgrx, opened, random_picture

import xshm
from xshm.geometry import Rect
from xshm.image.files import encode, png_stdlib
from xshm.image.frame import Frame
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from servers import Server

    from xshm.pixels.format import PixelFormat

SERVED = {name: KNOWN[name] for name in ("BGRX", "XRGB", "RGBX", "XBGR")}
PALETTES = {
    name: fmt
    for name, fmt in KNOWN.items()
    if fmt.has_masks and not fmt.alpha_mask and fmt.colour_mask.bit_length() <= 24
}
# A hash is a product by an odd number, cut to 24 bits, of which the upper 16 are the place. These make its product 1.
HASHES = (0x9E3779B1, 0x9E3779B9, 0x01000193, 0x5BD1E995)
AGAINST = [pow(multiplier, -1, 1 << 24) for multiplier in HASHES]


def of_values(fmt: PixelFormat, width: int, height: int, values: Iterable[int]) -> Picture:
    """Return a picture whose pixels are these values, over and over, and whose padding is random."""
    size = fmt.bits_per_pixel // 8
    repeated = np.resize(np.array(list(values), np.uint32), height * width).tolist()
    data = b"".join(value.to_bytes(size, fmt.byte_order) for value in repeated)
    stride, row = fmt.stride(width), width * size
    padding = np.random.default_rng(0).bytes(stride - row)
    memory = b"".join(data[at : at + row] + padding for at in range(0, len(data), row))
    cells = np.random.default_rng(1).integers(0, 1 << 16, (len(fmt.colormap_pixels), 3)).astype(np.uint16)
    return Picture(fmt, width, height, memory, cells if fmt.needs_colormap else None)


def few_combinations(picture: Picture) -> bool:
    """Return whether all combinations of the values of red, green and blue find room in a palette."""
    shown = picture.rgba()
    return math.prod(len(np.unique(shown[..., at])) for at in range(3)) <= 256


def check(picture: Picture) -> None:
    """Encode by each way there is, and compare with what the slow reading of memory says."""
    fmt, width, height = picture.fmt, picture.width, picture.height
    if fmt.is_gray or fmt.alpha_mask:
        mode, shown = ("L", picture.gray()) if fmt.is_gray else ("RGBA", None)
    else:
        mode, shown = "", picture.rgba()[..., :3]
    frame = Frame(
        None, Rect(0, 0, width, height), 0, 0, fmt, colormap=picture.colormap, memory=bytearray(picture.memory)
    )
    made = [
        encode.png(Raster(picture.pixels, fmt, colormap=picture.colormap, width=width)),
        frame.png(),
        frame.encode().data,
    ]
    if fmt in SERVED.values():
        plain = png_stdlib.png(picture.memory, fmt.stride(width), width, height, fmt, 1)
        made.append(plain)
    for number, data in enumerate(made):
        got = opened(data)
        if mode:
            assert got.mode == mode
        elif number == 3:  # without numpy
            assert got.mode == ("P" if few_combinations(picture) else "RGB")
        elif fmt in PALETTES.values() or not fmt.has_masks:
            assert got.mode == "P", "at most 256 colours are a palette"
        if shown is not None:
            assert np.array_equal(np.asarray(got if mode else got.convert("RGB")), shown)


@pytest.mark.parametrize("name", ["BGRX", "XRGB", "RGBX", "XBGR", "BGR", "RGB", "DIRECT_24"])
def test_two_colours_that_an_odd_factor_brings_next_to_each_other_are_told_apart(name: str) -> None:
    for colour in AGAINST:
        check(of_values(KNOWN[name], 40, 30, [0, colour]))


@pytest.mark.parametrize("multiplier", HASHES)
def test_256_colours_that_share_one_place_of_a_hash_are_told_apart(multiplier: int) -> None:
    inverse = pow(multiplier, -1, 1 << 24)
    check(of_values(BGRX, 64, 33, [inverse * number & 0xFFFFFF for number in range(256)]))
    check(of_values(BGRX, 64, 33, [inverse + (number << 16) & 0xFFFFFF for number in range(256)]))


@pytest.mark.parametrize("step", [1, 2, 0x100, 0x8000, 0x10000, 0x10101, 0xFFFF])
def test_256_colours_at_one_distance_are_told_apart(step: int) -> None:
    check(of_values(BGRX, 48, 50, [number * step & 0xFFFFFF for number in range(256)]))


def test_black_and_the_blue_that_a_program_chose_are_a_palette_everywhere(
    xvfb: Server, painter: Painter, tmp_path: Path
) -> None:
    painter.fill((0, 0, 1280, 800), (0, 0, 0))
    painter.fill((90, 70, 300, 200), (0x16, 0x5E, 0xA2))
    with xshm.Screen(xvfb.name) as screen, screen.grab("501x400+50+51") as frame:
        expected = frame.rgb()
        frame.save(tmp_path / "saved.png")
        files = [frame.png(), frame.encode("png").data, frame.copy().png(), (tmp_path / "saved.png").read_bytes()]
    command = [sys.executable, "-m", "xshm", "shot", "-g", "501x400+50+51", "-"]
    files.append(subprocess.run(command, env=xvfb.env(), capture_output=True, check=True).stdout)
    assert set(map(tuple, expected.reshape(-1, 3).tolist())) == {(0, 0, 0), (0x16, 0x5E, 0xA2)}
    for data in files:
        assert opened(data).mode == "P"
        assert np.array_equal(np.asarray(opened(data).convert("RGB")), expected)


@pytest.mark.parametrize("depth", [8, 15, 16, 24, 30])
def test_a_screen_of_any_depth_with_few_colours_on_it_is_a_png(make_server: Callable[..., Server], depth: int) -> None:
    server = make_server("Xvfb", 320, 200, depth=depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.fill((0, 0, 320, 200), (0, 0, 0))
        for at, colour in enumerate([(0x16, 0x5E, 0xA2), (255, 255, 255), (1, 2, 3), (200, 0, 100)]):
            painter.fill((10 + 40 * at, 20, 30, 50), colour)
        with screen.grab() as frame:
            for data in (frame.png(), frame.encode(level=6).data, frame.png(colours="rgb")):
                assert np.array_equal(np.asarray(opened(data).convert("RGB")), frame.rgb())


def test_a_picture_of_more_colours_than_a_format_s_shift_leaves_room_for_is_exact() -> None:
    for fmt in (R5G6B5, KNOWN["R5G6B5_BIG"], KNOWN["R5G5B5"], KNOWN["DIRECT_16"]):
        check(of_values(fmt, 40, 20, range(0x7F00, 0x8000)))
        check(of_values(fmt, 40, 20, range(0xFF00, 0x10000)))


def colours_of(bits: int) -> st.SearchStrategy[list[int]]:
    """Return few values, close to each other, at powers of two and anywhere."""
    top = (1 << bits) - 1
    anywhere = st.integers(0, top)
    powers = st.integers(0, bits - 1).map(lambda bit: 1 << bit)
    distances = st.tuples(anywhere, st.sampled_from([*AGAINST, 1, 0x100, 0x10000]), st.integers(0, 127)).map(
        lambda found: found[0] + found[1] * found[2] & top
    )
    return st.lists(anywhere | powers | distances, min_size=1, max_size=9)


@settings(deadline=None, max_examples=250)
@given(data=st.data(), name=st.sampled_from(sorted(KNOWN)), width=st.integers(1, 24), height=st.integers(1, 20))
def test_no_picture_of_few_colours_makes_an_encoder_fail(
    data: st.DataObject, name: str, width: int, height: int
) -> None:
    fmt = KNOWN[name]
    if fmt.bits_per_pixel < 8:
        check(random_picture(fmt, width, height, data.draw(st.integers(0, 1 << 32))))
        return
    check(of_values(fmt, width, height, data.draw(colours_of(fmt.bits_per_pixel))))


def spoiled(places: list[tuple[int, int]]) -> NDArray[Any]:
    rgb = np.zeros((700, 1000, 3), np.uint8)
    for number, place in enumerate(places):
        rgb[place] = (number + 1, 0x5E, 0xA2)
    return rgb


def test_colours_met_late_one_after_the_other_are_each_told_from_the_first() -> None:
    # The place of an unknown colour holds 0, as that of the first colour does.
    rgb = spoiled([(row, 997) for row in range(5, 700, 51)])
    data = encode.png(Raster(bgrx(rgb), BGRX))
    assert opened(data).mode == "P"
    assert np.array_equal(np.asarray(opened(data).convert("RGB")), rgb)
