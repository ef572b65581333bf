"""Rect, the kinds of a region, fitting a region into a whole, subtracting and merging rectangles."""

from __future__ import annotations

import ctypes
import random
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.geometry import Rect, as_rect, fit, subtract

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
    assert Rect.parse("10,20 640x480\n") == Rect(10, 20, 640, 480)  # slurp's
    assert Rect.parse("-10,-20 640x480") == Rect(-10, -20, 640, 480)


@pytest.mark.parametrize("x", ["+0", "-0", "+7", "-7", "+-7", "--7"])
@pytest.mark.parametrize("y", ["+0", "-0", "+12", "-12", "+-12", "--12"])
def test_offsets_mean_what_they_mean_to_x(x: str, y: str) -> None:
    text, whole = f"30x40{x}{y}", Rect(100, 50, 640, 480)
    numbers = [ctypes.c_int() for _ in range(4)]
    mask = ctypes.CDLL("libX11.so.6").XParseGeometry(text.encode(), *map(ctypes.byref, numbers))
    across, down, width, height = (number.value for number in numbers)
    # XNegative, YNegative: the far edges' distance, negative, where a window's corner goes with its size added.
    left = whole.right - width + across if mask & 0x10 else across
    top = whole.bottom - height + down if mask & 0x20 else down
    assert Rect.parse(text, within=whole) == Rect(left, top, 30, 40)
    assert as_rect(text, lambda: whole) == Rect(left, top, 30, 40)


def test_a_far_edge_of_nothing_known_is_refused_with_the_way_out() -> None:
    for read in (Rect.parse, as_rect):
        with pytest.raises(InvalidArgument, match=r"'30x40-0-0' counts .*within=screen.rect.* \+-5"):
            read("30x40-0-0")
    with pytest.raises(InvalidType, match="a Rect goes with a Rect, not with tuple"):
        Rect.parse("30x40-0-0", within=(0, 0, 640, 480))  # type: ignore[arg-type]


def test_the_size_of_the_whole_is_asked_for_only_where_it_matters() -> None:
    def whole() -> Rect:
        raise AssertionError

    assert as_rect("30x40+5+-6", whole) == as_rect("5,-6 30x40", whole) == as_rect((5, -6, 30, 40), whole)


def test_a_dict_of_edges_is_a_region_as_mss_has_it() -> None:
    edges = {"left": -5, "top": np.int32(20), "width": 640, "height": 480}
    assert as_rect(edges) == Rect(-5, 20, 640, 480)
    assert as_rect(types.MappingProxyType(edges)) == Rect(-5, 20, 640, 480)
    assert as_rect(edges | {"mon": 1, "is_primary": True, "name": "DP-1", "output": "DP-1"}) == Rect(-5, 20, 640, 480)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ({}, "left and top and width and height missing"),
        ({"left": 0, "top": 0, "width": 5}, "height missing"),
        ({"x": 0, "y": 0, "width": 5, "height": 5}, "left and top missing, x and y not understood"),
        ({"left": 0, "top": 0, "width": 5, "height": 5, "right": 5}, "right not understood"),
        ({"left": 0, "top": 0, "width": 0, "height": 5}, "0x5"),
    ],
)
def test_a_dict_that_is_no_region_is_refused_with_its_keys(region: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        as_rect(region)


def test_an_edge_that_is_no_whole_number_is_named_as_in_the_dict() -> None:
    with pytest.raises(InvalidType, match="a region's left is a whole number, not float"):
        as_rect({"left": 1.5, "top": 0, "width": 5, "height": 5})


def test_what_is_no_geometry_is_answered_with_all_that_is() -> None:
    for text in ("640:480", "10,20,30,40", "1,2 3x4 5"):
        with pytest.raises(InvalidArgument, match=r"640x480\+10\+20.*640x480-10-20.*640x480.*10,20 640x480"):
            Rect.parse(text)
    with pytest.raises(InvalidType, match=r"Rect, \(x, y, width, height\), a Monitor, a dict .*10,20 640x480"):
        as_rect(5)  # type: ignore[arg-type]


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


def test_subtracting_rectangles_leaves_each_pixel_that_is_outside_once() -> None:
    pick = random.Random(7)
    for _ in range(300):
        rects = [Rect(pick.randrange(20), pick.randrange(20), pick.randint(1, 9), pick.randint(1, 9)) for _ in range(3)]
        left = subtract(rects[:1], *rects[1:])
        seen = np.zeros((30, 30), int)
        for rect in left:
            seen[rect.slices] += 1
        expected = np.zeros((30, 30), int)
        expected[rects[0].slices] = 1
        for hole in rects[1:]:
            expected[hole.slices] = 0
        assert np.array_equal(seen, expected)


def test_a_region_that_leaves_the_whole_is_refused_with_the_numbers_or_cut() -> None:
    whole, inside, across = Rect(0, 0, 100, 50), Rect(10, 10, 5, 5), Rect(90, -10, 20, 20)
    assert fit(inside, whole, "the screen", clip=False) is inside
    with pytest.raises(OutOfBounds, match=r"^region 20x20\+90\+-10 leaves the screen 100x50; pass clip=True to cut"):
        fit(across, whole, "the screen", clip=False)
    assert fit(across, whole, "the screen", clip=True) == Rect(90, 0, 10, 10)
    with pytest.raises(OutOfBounds, match=r"^region 5x5\+100\+0 lies wholly outside the screen 100x50; nothing"):
        fit(Rect(100, 0, 5, 5), whole, "the screen", clip=True)
