"""Difference: the number of differing pixels, and tight rectangles around them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xshm.geometry import Rect
from xshm.image.difference import difference

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=60), elements=st.booleans())
boxes = st.tuples(st.integers(0, 150), st.integers(0, 150), st.integers(1, 20), st.integers(1, 20))


@given(masks)
def test_the_rectangles_cover_all_that_differs_and_touch_its_edges(mask: np.ndarray) -> None:
    found = difference(mask)
    covered = np.zeros_like(mask)
    for rect in found.rects:
        part = mask[rect.slices]
        assert part[0].any()
        assert part[-1].any()
        assert part[:, 0].any()
        assert part[:, -1].any()
        assert not covered[rect.slices].any(), "rectangles overlap"
        covered[rect.slices] = True
    assert not (mask & ~covered).any()
    assert found.pixels == mask.sum()
    assert bool(found) == bool(mask.any())


@given(st.lists(boxes, max_size=6))
def test_changes_far_from_each_other_have_rectangles_of_their_own(boxes: list[tuple[int, int, int, int]]) -> None:
    mask = np.zeros((200, 200), bool)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = True
    for rect in difference(mask).rects:
        part = mask[rect.slices]
        assert longest_gap(np.logical_or.reduce(part, axis=0)) <= 16
        assert longest_gap(np.logical_or.reduce(part, axis=1)) <= 16


def longest_gap(line: np.ndarray) -> int:
    return max((int(step) for step in np.diff(np.flatnonzero(line))), default=0)


def test_two_spots_are_two_rectangles() -> None:
    mask = np.zeros((100, 100), bool)
    mask[10:14, 20:25] = True
    mask[80, 90] = True
    found = difference(mask)
    assert found.rects == (Rect(20, 10, 5, 4), Rect(90, 80, 1, 1))
    assert found.pixels == 21
    assert found.ratio == 21 / 10000
