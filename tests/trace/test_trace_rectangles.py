"""What differs from the last picture, as PNG files: exact in every format of servers, few, small, and never a secret.

Files are decoded by OpenCV, colours computed by tests/helpers/pictures, and pixels of servers grabbed.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from colours import BLUE, RED
from displays import painting
from hypothesis import given
from hypothesis import strategies as st
from interrupt_points import at_every_point
from pictures import (
    BGRA,
    BGRX,
    DEEP,
    DEEP_ALPHA,
    DIRECT_24,
    KNOWN,
    PSEUDO,
    R5G6B5,
    Picture,
    bgrx,
    odd_formats,
    photograph,
    random_picture,
    random_rect,
)

import xshm
from xshm.geometry import Rect
from xshm.record.feeds.opening import open_feed
from xshm.trace.rectangles import Shadow

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
    from xshm.trace.records import Patch

_WHOLE = Rect(0, 0, 300, 200)


class _Replayed:
    """A picture of red, green, blue and alpha, painted by patches."""

    def __init__(self, size: tuple[int, int], patches: Iterable[Patch] = ()) -> None:
        self.colours: NDArray[Any] = np.zeros((size[1], size[0], 3), np.uint16)
        self.alpha: NDArray[Any] = np.zeros((size[1], size[0]), np.uint16)
        self.paint(patches)

    def paint(self, patches: Iterable[Patch]) -> None:
        for rect, png in patches:
            decoded: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
            self.colours[rect.slices] = decoded[..., ::-1]
            self.alpha[rect.slices] = _alpha(png, rect)


def _alpha(png: bytes, rect: Rect) -> NDArray[Any] | int:
    """Return the raw values of the chunk of alpha; 65535 where there is none."""
    at = 8
    while at < len(png):
        length, name = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        data, check = png[at + 8 : at + 8 + length], png[at + 8 + length : at + 12 + length]
        assert zlib.crc32(name + data) == int.from_bytes(check, "big")
        if name == b"alPH":
            raw = zlib.decompress(data)
            kind = ">u2" if len(raw) == 2 * rect.width * rect.height else "u1"
            return np.frombuffer(raw, kind).reshape(rect.height, rect.width)
        at += 12 + length
    return 65535


def _check(replayed: _Replayed, picture: Picture, shadow: Shadow) -> None:
    fmt = shadow.format
    masks = (fmt.red_mask, fmt.green_mask, fmt.blue_mask)
    kind = np.uint16 if any(mask.bit_count() > 8 for mask in masks) else np.uint8
    assert np.array_equal(replayed.colours, picture.rgba(kind)[..., :3])
    if fmt.alpha_mask:
        shift = (fmt.alpha_mask & -fmt.alpha_mask).bit_length() - 1
        top = fmt.alpha_mask >> shift
        raw = [[picture.value(x, y) >> shift & top for x in range(picture.width)] for y in range(picture.height)]
        assert np.array_equal(np.minimum(replayed.alpha, top), raw)


def _sizes(patches: Iterable[Patch]) -> list[tuple[int, int]]:
    return [(rect.width, rect.height) for rect, _ in patches]


@given(
    st.one_of(st.sampled_from(list(KNOWN.values())), odd_formats()),
    st.integers(1, 45),
    st.integers(1, 30),
    st.integers(0, 1 << 32),
    st.sampled_from([2, 200, 4000]),
)
def test_patches_over_a_key_picture_are_the_picture_in_every_format(
    fmt: PixelFormat, width: int, height: int, seed: int, colours: int
) -> None:
    random = np.random.default_rng(seed)
    few = random.integers(0, 256, (colours, 4), np.uint8).tobytes()
    picture = random_picture(fmt, width, height, seed)
    shadow, memory = Shadow((width, height), fmt), bytearray(picture.memory)
    replayed = None
    for _ in range(4):
        # Bytes in a run of memory are drawn: a run of rows is said to have changed, and maybe more.
        rows = sorted(random.integers(0, height + 1, 2))
        stride = fmt.stride(width)
        drawn = slice(rows[0] * stride, rows[1] * stride)
        length = drawn.stop - drawn.start
        memory[drawn] = (few * (length // len(few) + 1))[:length]
        picture = Picture(fmt, width, height, bytes(memory), picture.colormap)
        changed = [Rect(0, int(rows[0]), width, int(rows[1] - rows[0]))] if length else []
        changed.append(random_rect(random, (width, height)))
        patches = shadow.update(picture.pixels, changed if replayed else [Rect(0, 0, width, height)], picture.colormap)
        if replayed is None:
            replayed = _Replayed((width, height), patches)
        replayed.paint(patches)
        _check(replayed, picture, shadow)
    _check(_Replayed((width, height), [shadow.key()]), picture, shadow)


def _noted(fmt: PixelFormat = BGRX, redacted: Iterable[Rect] = ()) -> tuple[Shadow, NDArray[Any]]:
    """Return a shadow of a black picture of 300×200, and its pixels."""
    shape, dtype, _ = fmt.layout(300, 200)
    pixels: NDArray[Any] = np.zeros(shape, dtype)
    shadow = Shadow((300, 200), fmt, redacted)
    assert _sizes(shadow.update(pixels, [])) == [(300, 200)]  # the first picture is whole, whatever has changed
    return shadow, pixels


def test_what_was_drawn_anew_as_it_was_is_nothing() -> None:
    shadow, pixels = _noted()
    pixels[..., 3] = 77  # which is no colour
    assert shadow.update(pixels, [_WHOLE]) == []


def test_a_rectangle_is_shrunk_to_what_differs() -> None:
    shadow, pixels = _noted()
    pixels[50:60, 100:130, 1] = 200
    (patch,) = shadow.update(pixels, [Rect(0, 0, 300, 100), Rect(90, 40, 200, 100)])
    assert patch.rect == Rect(100, 50, 30, 10)


def test_two_letters_far_from_each_other_are_two_rectangles() -> None:
    shadow, pixels = _noted()
    pixels[2:12, 3:9] = pixels[180:190, 290:297] = 255
    patches = shadow.update(pixels, [_WHOLE])
    assert [patch.rect for patch in patches] == [Rect(3, 2, 6, 10), Rect(290, 180, 7, 10)]


def test_a_text_is_one_rectangle_though_much_of_it_is_as_before() -> None:
    shadow, pixels = _noted()
    pixels[10:150:3, 10:250:5] = 255
    assert _sizes(shadow.update(pixels, [_WHOLE])) == [(236, 139)]


def test_what_is_redacted_is_black_from_the_first_picture_on() -> None:
    shadow = Shadow((300, 200), BGRX, [Rect(-50, 20, 100, 30), Rect(500, 500, 5, 5)])
    pixels = bgrx(photograph(200, 300))
    replayed = _Replayed((300, 200), shadow.update(pixels, [_WHOLE]))
    pixels[20:50, :50, :3] = 255
    assert shadow.update(pixels, [_WHOLE]) == []
    pixels[30:60, 40:60, :3] = 255
    replayed.paint(shadow.update(pixels, [Rect(40, 30, 20, 30)]))
    expected = pixels[..., 2::-1].copy()
    expected[20:50, :50] = 0
    assert np.array_equal(replayed.colours, expected)
    assert np.array_equal(_Replayed((300, 200), [shadow.key()]).colours, expected)


@pytest.mark.parametrize("fmt", [PSEUDO, DIRECT_24])
def test_black_is_black_whatever_the_colormap_says(fmt: PixelFormat) -> None:
    picture = random_picture(fmt, 20, 10)
    shadow = Shadow((20, 10), fmt, [Rect(5, 5, 5, 5)])
    replayed = _Replayed((20, 10), shadow.update(picture.pixels, [Rect(0, 0, 20, 10)], picture.colormap))
    assert not replayed.colours[5:10, 5:10].any()
    assert np.array_equal(replayed.colours[:5], picture.rgba()[:5, :, :3])


def test_another_colormap_changes_what_it_changes() -> None:
    picture = random_picture(PSEUDO, 40, 30)
    assert picture.colormap is not None
    pixels = picture.pixels
    pixels[:], pixels[3:9, 11:17] = 1, 2
    shadow = Shadow((40, 30), PSEUDO)
    shadow.update(pixels, [Rect(0, 0, 40, 30)], picture.colormap)
    others = picture.colormap.copy()
    others[2] ^= 0x8000
    (patch,) = shadow.update(pixels, [Rect(0, 0, 40, 30)], others)
    assert patch.rect == Rect(11, 3, 6, 6)


def test_colours_above_their_alpha_are_kept() -> None:
    pixels = np.full((10, 10, 4), (10, 200, 30, 0), np.uint8)
    replayed = _Replayed((10, 10), Shadow((10, 10), BGRA).update(pixels, [Rect(0, 0, 10, 10)]))
    assert (replayed.colours == (30, 200, 10)).all()
    assert not replayed.alpha.any()


def test_a_key_picture_only_where_something_differs_or_always() -> None:
    shadow, pixels = _noted()
    shadow.read(pixels, [_WHOLE])
    assert shadow.take(key=True) == []
    pixels[5, 5] = 255
    shadow.read(pixels, [_WHOLE])
    assert _sizes(shadow.take(key=True)) == [(300, 200)]
    assert shadow.update(pixels, [_WHOLE]) == []
    pixels[6, 6] = 255
    shadow.read(pixels, [_WHOLE])
    assert _Replayed((300, 200), [shadow.key()]).colours[6, 6].tolist() == [255, 255, 255]
    assert shadow.update(pixels, [_WHOLE]) == []


def test_what_was_torn_is_read_again_before_it_is_taken() -> None:
    shadow, pixels = _noted()
    pixels[10:30, 10:30] = 255
    shadow.read(pixels, [Rect(10, 10, 20, 20)])
    pixels[10:30, 10:30], pixels[100, 200] = 0, 255
    shadow.read(pixels, [Rect(10, 10, 20, 20), Rect(200, 100, 1, 1)])
    assert _sizes(shadow.take()) == [(1, 1)]


@pytest.mark.parametrize("fmt", [BGRX, DEEP, DEEP_ALPHA, R5G6B5])
def test_large_pictures_are_exact_too(fmt: PixelFormat) -> None:
    """In bands, sampled first, with a palette that grows in a late band, and none since the 256th colour is there."""
    generator = np.random.default_rng(3)
    pixels = np.zeros((300, 400), np.uint32)
    for colours in (2, 255, 256):
        values = generator.permutation(1 << 16)[:colours].astype(np.uint32) * 0x3FF1 & fmt.colour_mask
        pixels[:] = values[0]
        pixels[290, : len(values)] = values
        memory: NDArray[Any] = pixels.astype(np.uint16) if fmt is R5G6B5 else pixels.copy()
        memory = memory[..., None].view(np.uint8) if fmt is BGRX else memory
        shadow = Shadow((400, 300), fmt)
        replayed = _Replayed((400, 300), shadow.update(memory, [Rect(0, 0, 400, 300)]))
        deep = np.uint16 if fmt in (DEEP, DEEP_ALPHA) else np.uint8
        row = Picture(fmt, 400, 1, memory[290].tobytes(), None)
        assert np.array_equal(replayed.colours[290:291], row.rgba(deep)[..., :3])
        assert (replayed.colours[:290] == row.rgba(deep)[0, -1, :3]).all()


def test_a_letter_is_small_and_a_page_is_a_palette() -> None:
    shadow, pixels = _noted()
    pixels[40:58, 50:59, :3] = np.random.default_rng(0).integers(0, 256, (18, 9, 1)) // 64 * 64
    (letter,) = shadow.update(pixels, [_WHOLE])
    assert len(letter.png) < 200
    pixels[..., :3] = np.random.default_rng(0).integers(0, 200, (200, 300, 1))
    (page,) = shadow.update(pixels, [_WHOLE])
    assert page.png[25] == 3  # PNG's colour type
    assert len(page.png) < 1.1 * 300 * 200


@pytest.mark.usefixtures("no_collector")
def test_after_an_interrupt_at_any_point_a_key_picture_is_right() -> None:
    shadow, pixels = _noted()
    replayed = _Replayed((300, 200))

    def work() -> None:
        replayed.paint(shadow.update(pixels, [Rect(0, 0, 300, 10)]))

    for shade, interrupted in enumerate(at_every_point(work), 1):
        if interrupted:  # maybe before anything was read, or with what was found in hand
            shadow.read(pixels, [_WHOLE])
            replayed.paint([shadow.key()])
        assert np.array_equal(replayed.colours, pixels[..., 2::-1])
        pixels[3:5, shade % 300] = shade % 256
    assert shade > 20


def test_after_a_patch_that_could_not_be_written_the_next_one_has_all() -> None:
    shadow, pixels = _noted()
    pixels[50:60, 100:130, 1] = 200

    def no_memory(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "patch":
            raise MemoryError

    former = sys.gettrace()
    try:
        sys.settrace(no_memory)
        with pytest.raises(MemoryError):
            shadow.update(pixels, [_WHOLE])
    finally:
        sys.settrace(former)
    assert _sizes(shadow.update(pixels, [Rect(0, 0, 1, 1)])) == [(300, 200)]


@pytest.mark.parametrize("depth", [16, 24, 30])
def test_what_a_server_shows_is_replayed(depth: int) -> None:
    with xshm.VirtualDisplay(300, 200, depth=depth) as display, painting(display) as painter:
        feed = open_feed(display.screen, None, cursor=False)
        shadow = Shadow(feed.size, feed.format, [Rect(250, 150, 20, 20)])
        replayed = _Replayed(feed.size)
        for turn in range(12):
            painter.rectangles(5)
            painter.fill((240, 140, 50, 50), RED if turn % 2 else BLUE)
            painter.noise((10 * turn, 20, 30, 20))
            captured = feed.capture()
            assert captured is not None
            shadow.read(captured.pixels, captured.changed, captured.colormap)
            captured.release()
            replayed.paint(shadow.take())
            kind = np.uint16 if depth == 30 else np.uint8
            expected = display.screen.grab().rgb(dtype=kind)
            expected[150:170, 250:270] = 0
            assert np.array_equal(replayed.colours, expected)
        feed.close()
