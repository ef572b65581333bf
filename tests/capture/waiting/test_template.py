"""Templates of wait_image: files, images, frames and arrays; transparent pixels match anything."""

from __future__ import annotations

import io
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from delayed import later
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import xshm
from xshm.capture.waiting import find_image
from xshm.capture.waiting.template import load_template
from xshm.cli import main
from xshm.errors import InvalidArgument, WaitTimeout
from xshm.geometry import Rect
from xshm.pixels.format import PixelFormat, VisualClass

if TYPE_CHECKING:
    from pathlib import Path

    from painter import Painter
    from servers import Server

Rgb = np.ndarray[Any, np.dtype[np.uint8]]
PLACE = Rect(300, 200, 40, 30)
ARGB = PixelFormat(32, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)


def _paint_noise(painter: Painter) -> None:
    """Put noise around PLACE, and nowhere else: it is the same in each test, and one before may have left it."""
    painter.fill((0, 0, 1280, 800), (50, 50, 50))
    painter.noise((200, 100, 300, 250))


@pytest.fixture
def holed(screen: xshm.Screen, painter: Painter) -> Rgb:
    """Return RGBA of PLACE on a screen of noise, with holes whose colours are wrong: all round, and in the middle."""
    _paint_noise(painter)
    rgba = screen.grab(PLACE).rgba()
    for hole in (np.s_[:3], np.s_[-2:], np.s_[:, :4], np.s_[10:20, 15:30]):
        rgba[hole] = (1, 2, 3, 0)
    rgba[5, 5:9] = [(9, 9, 9, alpha) for alpha in (1, 100, 254, 0)]
    return rgba


# -- on a screen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.0, 0.02])
def test_what_is_not_fully_opaque_may_be_anything(
    screen: xshm.Screen, holed: Rgb, tmp_path: Path, threshold: float
) -> None:
    path = tmp_path / "holed.png"
    Image.fromarray(holed).save(path)
    frame = xshm.Frame(np.ascontiguousarray(holed[..., [2, 1, 0, 3]]), Rect(0, 0, 40, 30), 0, 1, ARGB)
    for picture in (holed, path, Image.fromarray(holed), Image.open(path), frame):
        found = screen.wait_image(picture, threshold=threshold, timeout=0)
        assert found.rect == PLACE
        assert found.difference == 0
    holed[7, 7, 2] ^= 255
    with pytest.raises(WaitTimeout):
        screen.wait_image(holed, timeout=0)
    found = screen.wait_image(holed, threshold=0.05, timeout=0)
    wrong = abs(255 - 2 * int(holed[7, 7, 2]))
    assert found.rect == PLACE
    assert found.difference == pytest.approx(wrong / 255 / np.sqrt(3 * np.count_nonzero(holed[..., 3] == 255)))


def test_the_transparency_of_a_palette_and_of_a_grey_counts(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    painter.fill((0, 0, 1280, 800), (50, 50, 50))
    painter.fill((600, 400, 6, 5), (200, 200, 200))
    painter.noise((602, 401, 3, 3))
    grey = Image.new("L", (8, 7), 50)
    grey.paste(200, (1, 1, 7, 6))
    grey.paste(7, (3, 2, 6, 5))
    for name, image in (("grey.png", grey), ("palette.png", grey.convert("P")), ("palette.gif", grey.convert("P"))):
        image.save(tmp_path / name, transparency=7)
        assert screen.wait_image(tmp_path / name, timeout=0).rect == Rect(599, 399, 8, 7)
    both = Image.merge("LA", (grey, grey.point(lambda value: 0 if value == 7 else 255)))
    assert screen.wait_image(both, timeout=0).rect == Rect(599, 399, 8, 7)


def test_a_picture_of_nothing_that_is_opaque_is_refused(screen: xshm.Screen) -> None:
    for alpha in (0, 254):
        rgba = np.full((5, 5, 4), alpha, np.uint8)
        with pytest.raises(InvalidArgument, match="no pixel that is fully opaque"):
            screen.wait_image(rgba)
    unwritten = xshm.Frame(np.zeros((5, 5, 4), np.uint8), Rect(0, 0, 5, 5), 0, 1, ARGB)
    with pytest.raises(InvalidArgument, match=r"a frame has no pixel.*RGB"):
        screen.wait_image(unwritten)


def test_a_frame_without_alpha_counts_whole_whatever_its_fourth_byte_is(screen: xshm.Screen, painter: Painter) -> None:
    _paint_noise(painter)
    frame = screen.grab(PLACE).copy()
    frame.pixels[..., 3] = 0
    assert screen.wait_image(frame, timeout=0).rect == PLACE


def test_what_lies_outside_of_a_frames_shape_may_be_anything(screen: xshm.Screen, painter: Painter) -> None:
    _paint_noise(painter)
    frame = screen.grab(PLACE).copy()
    painter.fill((PLACE.x, PLACE.y, 10, PLACE.height), (1, 2, 3))
    with pytest.raises(WaitTimeout):
        screen.wait_image(frame, timeout=0)
    frame.bounding_shape = (Rect(PLACE.x + 10, PLACE.y, 30, 30),)
    assert screen.wait_image(frame, timeout=0).rect == PLACE


def test_a_turned_photograph_is_looked_for_as_it_is_shown(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    _paint_noise(painter)
    shown = Image.fromarray(screen.grab(PLACE).rgb())
    exif = Image.Exif()
    exif[0x0112] = 6
    shown.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    for picture in (tmp_path / "turned.png", Image.open(tmp_path / "turned.png")):
        assert screen.wait_image(picture, PLACE, timeout=0).rect == PLACE


def test_a_picture_of_16_bits_is_looked_for_by_its_upper_8(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    painter.fill((0, 0, 1280, 800), (10, 10, 10))
    painter.fill((100, 90, 20, 10), (200, 200, 200))
    grey = screen.grab((95, 85, 30, 20)).gray().astype(np.uint16) << 8 | 0x7F
    Image.fromarray(grey).save(tmp_path / "deep.png")
    for picture in (tmp_path / "deep.png", Image.open(tmp_path / "deep.png"), Image.fromarray(grey)):
        assert screen.wait_image(picture, timeout=0).rect == Rect(95, 85, 30, 20)


def test_a_picture_that_is_larger_than_what_is_looked_at_is_refused_by_name(
    screen: xshm.Screen, tmp_path: Path
) -> None:
    Image.new("1", (5000, 5000)).save(tmp_path / "huge.png")
    with pytest.raises(InvalidArgument, match=r"huge\.png: a picture of 5000x5000 can't be seen in 1280x800\+0\+0"):
        screen.wait_image(tmp_path / "huge.png")
    Image.new("L", (5, 6)).save(tmp_path / "tall.png")
    with pytest.raises(InvalidArgument, match=r"tall\.png: a picture of 5x6 can't be seen in 6x5\+9\+9"):
        screen.wait_image(tmp_path / "tall.png", (9, 9, 6, 5))


def test_the_command_line_says_in_one_line_what_is_wrong_with_a_picture(
    xvfb: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("1", (14_000, 14_000)).save(tmp_path / "huge.png")  # more than Image.open opens
    (tmp_path / "cut.png").write_bytes((tmp_path / "huge.png").read_bytes()[:500])
    Image.new("F", (5, 5)).save(tmp_path / "numbers.tif")
    Image.new("RGBA", (5, 5)).save(tmp_path / "clear.png")
    for name, words in (
        ("huge.png", "huge.png: a picture of 14000x14000 can't be seen in 1280x800+0+0"),
        ("cut.png", "cut.png can't be read as PNG: the file is cut off"),
        ("numbers.tif", "numbers.tif has the mode 'F'"),
        ("clear.png", "clear.png: a picture has no pixel that is fully opaque"),
        ("missing.png", "No such file or directory"),
        (".", "Is a directory"),
    ):
        assert main.main(["wait", "--image", str(tmp_path / name), "--display", xvfb.name]) == 2
        told = capsys.readouterr()
        assert (told.out, told.err.count("\n")) == ("", 1)
        assert words in told.err


def test_a_pillow_image_whose_file_is_cut_off_is_refused(screen: xshm.Screen, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.effect_noise((60, 60), 90).save(file, "PNG")
    (tmp_path / "cut.png").write_bytes(file.getvalue()[:2000])
    with Image.open(tmp_path / "cut.png") as image, pytest.raises(InvalidArgument, match=r"cut\.png.*can't be read"):
        screen.wait_image(image)
    for empty in (Image.new("RGB", (0, 5)), Image.new("F", (5, 5)), np.zeros((5, 5, 2), np.uint8)):
        with pytest.raises(InvalidArgument):
            screen.wait_image(empty)


def test_of_several_pictures_a_pillow_image_is_the_one_it_was_brought_to(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    painter.fill((0, 0, 1280, 800), (255, 0, 0))
    painter.fill((70, 60, 9, 9), (0, 0, 255))
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidArgument, match=r"moving\.gif holds 2 pictures"):
        screen.wait_image(tmp_path / "moving.gif")
    with Image.open(tmp_path / "moving.gif") as moving:
        assert screen.wait_image(moving, timeout=0).rect == Rect(0, 0, 9, 9)
        moving.seek(1)
        assert screen.wait_image(moving, timeout=0).rect == Rect(70, 60, 9, 9)


def test_a_picture_that_comes_to_where_pixels_share_bytes_is_found(screen: xshm.Screen) -> None:
    display = screen.xlib
    bitmap = display.screen().root.create_pixmap(300, 200, 1)
    black, white = bitmap.create_gc(foreground=0), bitmap.create_gc(foreground=1)
    bitmap.fill_rectangle(black, 0, 0, 300, 200)
    wanted = np.zeros((9, 15, 3), np.uint8)
    wanted[1:-1, 1:-1] = 255

    def draw() -> None:
        bitmap.fill_rectangle(white, 284, 101, 13, 7)
        display.sync()

    with screen.pixmap(bitmap.id) as source, later(0.1, draw):
        found = source.wait_image(wanted, timeout=5)
    assert found.rect == Rect(283, 100, 15, 9)
    bitmap.free()


# -- in arrays -------------------------------------------------------------------------------------------------------


def differences(inside: Rgb, picture: Rgb, mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return, for each place, how much differs there, by hand."""
    rows, columns = mask.shape
    places = np.lib.stride_tricks.sliding_window_view(inside.astype(int), (rows, columns), axis=(0, 1))
    differing = (np.moveaxis(places, 2, 4) - picture.astype(int))[:, :, mask] ** 2
    means: np.ndarray[Any, Any] = np.sqrt(differing.mean(axis=(2, 3))) / 255
    return means


@st.composite
def searches(draw: st.DrawFn) -> tuple[Rgb, Rgb, np.ndarray[Any, Any], tuple[int, int]]:
    """Give a picture, a part of it, which of its pixels count, and where it was cut out."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rows, columns = draw(st.integers(1, height)), draw(st.integers(1, width))
    colours = chance.integers(0, 256, (draw(st.sampled_from([1, 2, 3, 200])), 3), dtype=np.uint8)
    inside = colours[chance.integers(0, len(colours), (height, width))]
    y, x = draw(st.integers(0, height - rows)), draw(st.integers(0, width - columns))
    mask = chance.random((rows, columns)) < draw(st.sampled_from([0.05, 0.5, 0.95]))
    mask[draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))] = True
    picture = inside[y : y + rows, x : x + columns].copy()
    picture[~mask] = chance.integers(0, 256, (np.count_nonzero(~mask), 3))
    return inside, picture, mask, (x, y)


@settings(max_examples=300)
@given(case=searches(), threshold=st.sampled_from([0.0, 1e-6, 0.1]))
def test_what_was_cut_out_with_holes_is_found_where_it_first_is(case: Any, threshold: float) -> None:
    inside, picture, mask, place = case
    found = find_image.find_image(inside, picture, threshold, mask)
    by_hand = differences(inside, picture, mask)
    y, x = np.argwhere(by_hand == 0)[0].tolist()
    assert by_hand[place[1], place[0]] == 0
    assert found == (x, y, 0.0)


@settings(max_examples=300)
@given(case=searches(), changed=st.integers(1, 20), threshold=st.sampled_from([0.0, 1e-6, 0.01, 0.1, 0.4]))
def test_no_place_is_told_that_differs_by_more_than_the_threshold(case: Any, changed: int, threshold: float) -> None:
    inside, picture, mask, _ = case
    chance = np.random.default_rng(changed)
    some = tuple(axis[:changed] for axis in np.nonzero(mask))
    picture[some] = chance.integers(0, 256, (len(some[0]), 3))
    for counted in (mask, None):
        by_hand = differences(inside, picture, np.ones_like(mask) if counted is None else counted)
        found = find_image.find_image(inside, picture, threshold, counted)
        if found is None:
            assert by_hand.min() > threshold
        else:
            x, y, difference = found
            assert difference == pytest.approx(by_hand[y, x], abs=1e-12)
            assert difference <= threshold
            assert difference == pytest.approx(by_hand.min(), abs=1e-12)


def test_a_plain_picture_with_holes_on_a_busy_screen_is_searched_in_time() -> None:
    inside = np.full((1080, 1920, 3), 255, np.uint8)
    inside[::40, ::60] = 0  # white everywhere, and nowhere white enough
    picture = np.full((200, 200, 3), 255, np.uint8)
    mask = np.random.default_rng(1).random((200, 200)) < 0.9
    begin = time.perf_counter()
    assert find_image.find_image(inside, picture, 0.0, mask) is None
    inside[800:1000, 1500:1700][mask] = 255
    found = find_image.find_image(inside, picture, 0.0, mask)
    assert time.perf_counter() - begin < 10
    assert found is not None
    assert (inside[found[1] :, found[0] :][:200, :200][mask] == 255).all()


@pytest.mark.parametrize("margin", [0, 2, 100])
def test_a_picture_as_large_as_a_screen_is_searched_in_a_few_times_its_memory(margin: int) -> None:
    inside = np.random.default_rng(1).integers(0, 256, (1000, 1000, 3), np.uint8)
    picture = np.ascontiguousarray(inside[margin : 1000 - margin, margin : 1000 - margin])
    tracemalloc.start()
    try:
        assert find_image.find_image(inside, picture, 0.0) == (margin, margin, 0.0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10 * inside.nbytes


def test_a_mask_that_hides_nothing_is_none(tmp_path: Path) -> None:
    """An opaque picture is searched as fast as one without alpha."""
    Image.new("RGBA", (4, 5), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
    wanted = load_template(tmp_path / "opaque.png", Rect(0, 0, 10, 10))
    assert wanted.mask is None
    assert wanted.rgb.shape == (5, 4, 3)
    assert wanted.rgb.flags.c_contiguous
