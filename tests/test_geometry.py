"""Rect, and what may be named as a region."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xshm.errors import InvalidArgument, InvalidType
from xshm.geometry import Rect, as_rect

rects = st.builds(Rect, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 50), st.integers(1, 50))


def cells(rect: Rect | None) -> set[tuple[int, int]]:
    if rect is None:
        return set()
    return {(x, y) for x in range(rect.x, rect.right) for y in range(rect.y, rect.bottom)}


@given(rects)
def test_what_a_rect_writes_it_reads(rect: Rect) -> None:
    assert Rect.parse(str(rect)) == rect


@given(rects, rects)
def test_intersect_is_what_both_cover_and_union_holds_both(one: Rect, other: Rect) -> None:
    assert cells(one.intersect(other)) == cells(one) & cells(other)
    assert cells(one.union(other)) >= cells(one) | cells(other)
    assert one.contains(other) == (cells(one) >= cells(other))


def test_a_rect_is_named_by_edges_or_as_text() -> None:
    assert Rect.from_ltrb(10, 20, 30, 50) == Rect(10, 20, 20, 30)
    assert Rect.parse("640x480+10+20") == Rect(10, 20, 640, 480)
    assert Rect.parse("640x480") == Rect(0, 0, 640, 480)
    assert Rect.parse("640x480+-10+20") == Rect(-10, 20, 640, 480)


@pytest.mark.parametrize("text", ["", "640", "640x", "x480+0+0", "640x480+1", "640x480-0-0", "0x5+0+0", "1.5x2+0+0"])
def test_a_geometry_that_can_not_be_meant_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Rect.parse(text)


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (-5, 5), (5, -5)])
def test_an_empty_or_negative_size_is_refused_with_its_numbers(width: int, height: int) -> None:
    with pytest.raises(InvalidArgument, match=f"{width}x{height}"):
        Rect(0, 0, width, height)


@pytest.mark.parametrize("value", [1.5, "1", None, True, [1]])
def test_a_coordinate_that_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidType, match="whole number"):
        Rect(0, value, 10, 10)


def test_numpy_integers_are_coordinates_and_become_ints() -> None:
    rect = Rect(np.int32(1), np.uint8(2), np.int64(3), np.int16(4))  # type: ignore[arg-type]
    assert rect == Rect(1, 2, 3, 4)
    assert type(rect.x) is int


@pytest.mark.parametrize("region", [5, 1.5, b"1x1+0+0", {1, 2, 3, 4}, object()])
def test_what_is_no_region_is_refused_by_its_type(region: Any) -> None:
    with pytest.raises(InvalidType, match=type(region).__name__):
        as_rect(region)


def test_a_region_of_too_few_numbers_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="3 numbers"):
        as_rect((1, 2, 3))  # type: ignore[arg-type]
