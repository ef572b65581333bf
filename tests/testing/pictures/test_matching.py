"""Whether pictures look alike: counted as by pixelmatch itself, in pure Python, over the whole pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pixelmatch import pixelmatch

from xshm.geometry import Rect
from xshm.image.frame import Frame
from xshm.pixels.format import PixelFormat
from xshm.testing.pictures.matching import PAINT, Matcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SIZE = (120, 64)
_FINE = 4  # pixels along an edge that become one: letters have smoothed edges then


def _page(words: str = "Sphinx of", smooth: Image.Resampling = Image.Resampling.BOX) -> NDArray[np.uint8]:
    image = Image.new("RGB", (_SIZE[0] * _FINE, _SIZE[1] * _FINE), "white")
    draw = ImageDraw.Draw(image)
    for row in range(3):
        draw.text((4 * _FINE, (2 + 20 * row) * _FINE), words, fill="navy", font=ImageFont.load_default(14 * _FINE))
    return np.array(image.resize(_SIZE, smooth))


_SMOOTHED = _page(smooth=Image.Resampling.HAMMING)


def _frame(pixels: NDArray[np.uint8], corner: tuple[int, int] = (0, 0)) -> Frame:
    rect = Rect(*corner, pixels.shape[1], pixels.shape[0])
    return Frame(pixels, rect, 0, 0, PixelFormat.RGB)


def _reference(one: NDArray[np.uint8], other: NDArray[np.uint8], threshold: float) -> int:
    height, width = one.shape[:2]
    first, second = (
        np.dstack([each, np.full((height, width), 255, np.uint8)]).ravel().tolist() for each in (one, other)
    )
    return pixelmatch(first, second, width, height, threshold=threshold)


def _compare(one: NDArray[np.uint8], other: NDArray[np.uint8], threshold: float, masked: Sequence[Rect] = ()) -> int:
    matcher = Matcher(other, threshold, 0, lambda: masked)
    matched = matcher.see(_frame(one))
    found = matcher.comparison()
    assert matched == (found.pixels == 0)
    assert int(found.mask.sum()) == found.pixels
    return found.pixels


@pytest.mark.parametrize("threshold", [0.0, 0.2])
def test_the_count_is_that_of_the_whole_pictures(threshold: float) -> None:
    random = np.random.default_rng(2)
    page = _page()
    speckled = page.copy()
    at = random.integers(0, [_SIZE[1], _SIZE[0]], (150, 2))
    speckled[at[:, 0], at[:, 1]] = random.integers(0, 256, (150, 3))
    noise = random.integers(0, 256, page.shape, np.uint8)
    for other in (_SMOOTHED, np.roll(page, 1, axis=1), _page("Sphynx of"), speckled, noise, 255 - page):
        assert _compare(page, other, threshold) == _reference(page, other, threshold)


def test_smoothed_edges_are_left_out_and_a_letter_is_not() -> None:
    matcher = Matcher(_page(), 0.2, 0, tuple)
    assert matcher.see(_frame(_SMOOTHED))
    found = matcher.comparison()
    assert int(found.slight.sum()) == int((_page() != _SMOOTHED).any(axis=2).sum()) > 100
    assert _compare(_page(), _page("Sphinx oF"), 0.2) > 10


@pytest.mark.parametrize("allowed", [0, 5, 6, 7])
def test_so_many_pixels_may_differ_and_no_more(allowed: int) -> None:
    page, other = _page(), _page()
    other[60:62, 100:103] = (255, 0, 0)
    assert Matcher(other, 0.2, allowed, tuple).see(_frame(page)) == (allowed >= 6)


def test_a_further_frame_is_compared_where_it_was_drawn_to() -> None:
    golden = _page()
    matcher = Matcher(golden, 0.2, 0, tuple)
    frame = _frame(np.zeros_like(golden), (30, 40))
    assert not matcher.see(frame)
    half = np.zeros_like(golden)
    half[:32] = golden[:32]
    frame = _frame(half, (30, 40))
    frame.changed = (Rect(30, 40, 120, 32),)
    assert not matcher.see(frame)
    assert {rect.y >= 72 for rect, _ in matcher.comparison().places} == {True}
    frame = _frame(golden.copy(), (30, 40))
    frame.changed = (Rect(30, 72, 120, 32),)
    assert matcher.see(frame)


def test_what_is_masked_is_painted_over_in_both() -> None:
    page, other = _page(), _page()
    other[10:20, 30:50] = (0, 255, 0)
    assert _compare(page, other, 0.2) > 0
    assert _compare(page, other, 0.2, [Rect(30, 10, 20, 10), Rect(110, 60, 50, 50)]) == 0
    matcher = Matcher(other, 0.2, 0, lambda: [Rect(1030, 10, 20, 10)])
    assert matcher.see(_frame(page, (1000, 0)))
    found = matcher.comparison()
    for picture in (found.actual, found.expected):
        assert (picture[10:20, 30:50] == PAINT).all()
        assert int((picture == PAINT).all(axis=2).sum()) == 10 * 20


def test_pictures_of_two_sizes_are_shown_padded_and_what_one_has_alone_differs() -> None:
    page = _page()
    matcher = Matcher(page[:50], 0.2, 1 << 30, tuple)
    assert not matcher.see(_frame(page[:, :90], (7, 9)))
    found = matcher.comparison()
    assert found.is_resized
    assert (found.actual_size, found.expected_size) == ((90, 64), (120, 50))
    assert found.actual.shape == found.expected.shape == (64, 120, 3)
    assert found.pixels == 90 * 14 + 30 * 50


def test_the_places_are_sorted_by_their_pixels_and_are_the_sources() -> None:
    page, other = _page(), _page()
    other[5:8, 5:8] = 0
    other[40:60, 70:110] = (255, 0, 0)
    matcher = Matcher(other, 0.0, 0, tuple)
    matcher.see(_frame(page, (1000, 2000)))
    places = matcher.comparison().places
    assert places[0][0].intersect(Rect(1070, 2040, 40, 20)) == places[0][0]
    assert places[0][1] > places[1][1]
