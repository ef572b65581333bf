"""Scaled pictures: their size, exact means of areas, and no seam between changed parts."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import BGRX, PSEUDO, R5G6B5, random_picture, random_rect
from PIL import Image

from xshm.geometry import Rect
from xshm.record.pictures.numpy_planes import NumpyWriter
from xshm.record.pictures.painter import Painter
from xshm.record.pictures.picture import LAYOUTS, Picture, new_planes
from xshm.record.pictures.reader import Reader
from xshm.record.pictures.scale import scaled_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.record.pictures.picture import Layout


@pytest.mark.parametrize(
    ("size", "max_edge", "want"),
    [
        ((1920, 1080), 1280, (1280, 720)),
        ((1080, 1920), 1280, (720, 1280)),
        ((1366, 768), 1000, (1000, 562)),
        ((1920, 1080), 1920, (1920, 1080)),
        ((640, 480), 1280, (640, 480)),
        ((640, 480), None, (640, 480)),
        ((1000, 1), 10, (10, 1)),
        ((3, 2), 2, (2, 1)),
    ],
)
def test_the_longer_edge_is_at_most_as_asked(
    size: tuple[int, int], max_edge: int | None, want: tuple[int, int]
) -> None:
    assert scaled_size(size, max_edge) == want
    even = tuple(edge + edge % 2 for edge in want)
    assert Painter(BGRX, size, "yuv420p", max_edge=max_edge).size == even
    assert Painter(BGRX, size, "gbrp", max_edge=max_edge).size == want


def mean_of_areas(samples: NDArray[Any], count: int) -> list[Fraction]:
    """Return means of `count` equal parts of a row, in exact fractions."""
    step = Fraction(len(samples), count)
    found = []
    for at in range(count):
        start, end = at * step, (at + 1) * step
        total = Fraction(0)
        for place in range(int(start), len(samples)):
            share = min(end, Fraction(place + 1)) - max(start, Fraction(place))
            if share <= 0:
                break
            total += share * int(samples[place])
        found.append(total / step)
    return found


@settings(max_examples=30, deadline=None)
@given(width=st.integers(2, 70), max_edge=st.integers(2, 70), seed=st.integers(0, 999))
def test_a_pixel_is_the_mean_of_its_area(width: int, max_edge: int, seed: int) -> None:
    row = np.random.default_rng(seed).integers(0, 256, (1, width, 4), dtype=np.uint8)
    painter = Painter(BGRX, (width, 1), "gbrp", max_edge=max_edge)
    picture = Picture("gbrp", *painter.size, new_planes("gbrp", *painter.size))
    painter.paint(picture, row, [Rect(0, 0, width, 1)])
    for plane, channel in zip(picture.planes, (1, 0, 2), strict=True):
        want = mean_of_areas(row[0, :, channel], painter.size[0])
        for got, exact in zip(plane[0].tolist(), want, strict=True):
            assert abs(got - exact) <= Fraction(501, 1000)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("size", "max_edge"), [((301, 203), 100), ((64, 48), 33), ((100, 399), 398), ((90, 60), 45)])
@pytest.mark.parametrize("fmt", [BGRX, R5G6B5, PSEUDO], ids=["24", "16", "8"])
def test_parts_are_those_of_the_whole(fmt: Any, size: tuple[int, int], max_edge: int, layout: Layout) -> None:
    generator = np.random.default_rng(2)
    source = random_picture(fmt, *size)
    painter = Painter(source.fmt, size, layout, max_edge=max_edge)
    painter._writer, painter._lost = NumpyWriter(), np.inf  # of which each sample is exact, whatever is imported
    old, new = random_picture(fmt, *size).pixels, source.pixels
    kept = Picture(layout, *painter.size, new_planes(layout, *painter.size))
    full = Picture(layout, *painter.size, new_planes(layout, *painter.size))
    pixels = old.copy()
    painter.paint(kept, pixels, [Rect(0, 0, *size)], source.colormap)
    for _ in range(12):
        rect = random_rect(generator, size)
        pixels[rect.slices] = new[rect.slices]
        painter.paint(kept, pixels, [rect], source.colormap)
        painter.paint(full, pixels, [Rect(0, 0, *size)], source.colormap)
        for plane, other in zip(kept.planes, full.planes, strict=True):
            assert np.array_equal(plane, other)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("size", "max_edge"), [((300, 200), 200), ((1366, 70), 1280), ((301, 203), 100), ((100, 399), 398), ((90, 60), 45)]
)
def test_opencv_scales_parts_as_the_whole_and_as_numpy(size: tuple[int, int], max_edge: int, layout: Layout) -> None:
    cv2 = pytest.importorskip("cv2")
    generator = np.random.default_rng(4)
    pixels, new = random_picture(BGRX, *size).pixels.copy(), random_picture(BGRX, *size).pixels
    painters = [Painter(BGRX, size, layout, max_edge=max_edge) for _ in range(2)]
    fast, exact = painters
    fast._reader.use(cv2)
    exact._reader = Reader(BGRX, size, scaled_size(size, max_edge))  # by numpy
    for painter in painters:
        painter._writer, painter._lost = NumpyWriter(), np.inf
    kept, full, other = (Picture(layout, *fast.size, new_planes(layout, *fast.size)) for _ in range(3))
    fast.paint(kept, pixels, [Rect(0, 0, *size)])
    for _ in range(12):
        rect = random_rect(generator, size)
        pixels[rect.slices] = new[rect.slices]
        fast.paint(kept, pixels, [rect])
        fast.paint(full, pixels, [Rect(0, 0, *size)])
        exact.paint(other, pixels, [Rect(0, 0, *size)])
        for plane, whole, slow in zip(kept.planes, full.planes, other.planes, strict=True):
            assert np.array_equal(plane, whole)
            assert np.abs(plane.astype(int) - slow).max() <= 1


def test_it_is_what_pillow_makes_of_it() -> None:
    size = (320, 200)
    pixels = random_picture(BGRX, *size).pixels
    painter = Painter(BGRX, size, "gbrp", max_edge=128)
    picture = Picture("gbrp", *painter.size, new_planes("gbrp", *painter.size))
    painter.paint(picture, pixels, [Rect(0, 0, *size)])
    want = np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., 1])).resize((128, 80), Image.Resampling.BOX))
    # Pillow's box takes whole pixels, those whose centre is inside: the mean is near, not the same.
    assert np.abs(picture.planes[0].astype(int) - want).mean() < 12
