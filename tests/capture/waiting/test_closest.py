"""A picture that is not found: the error says how close the best match came, and where."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLUE
from delayed import later
from hypothesis import given, settings
from hypothesis import strategies as st

from xshm.capture.waiting import closest
from xshm.capture.waiting.closest import find_closest
from xshm.errors import WaitTimeout

if TYPE_CHECKING:
    from painter import Painter

    import xshm

Rgb = np.ndarray[Any, np.dtype[np.uint8]]


def least_difference(inside: Rgb, picture: Rgb, mask: np.ndarray[Any, np.dtype[np.bool_]] | None) -> float:
    """Return the least difference of all places, each compared one after the other."""
    rows, columns = picture.shape[:2]
    compared = np.ones((rows, columns), bool) if mask is None else mask
    return min(
        float(np.mean(np.square(inside[y : y + rows, x : x + columns][compared] / 255 - picture[compared] / 255)))
        for y in range(inside.shape[0] - rows + 1)
        for x in range(inside.shape[1] - columns + 1)
    )


def difference_at(inside: Rgb, picture: Rgb, mask: np.ndarray[Any, np.dtype[np.bool_]] | None, x: int, y: int) -> float:
    place = inside[y : y + picture.shape[0], x : x + picture.shape[1]]
    return least_difference(place, picture, mask)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    part=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    colours=st.sampled_from([2, 5, 256]),
    band=st.sampled_from([1, 7, 256]),
    masked=st.booleans(),
)
def test_the_closest_place_is_that_of_all_places_compared(
    seed: int, size: tuple[int, int], part: tuple[float, float], colours: int, band: int, masked: bool
) -> None:
    random = np.random.default_rng(seed)
    rows, columns = (max(1, round(most * ratio)) for most, ratio in zip(size, part, strict=True))
    scale = 255 // (colours - 1)
    inside = (random.integers(0, colours, (*size, 3)) * scale).astype(np.uint8)
    picture = (random.integers(0, colours, (rows, columns, 3)) * scale).astype(np.uint8)
    mask = random.random((rows, columns)) < 0.5 if masked else None
    if mask is not None:
        mask[0, 0] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closest, "_BAND", band)
        patch.setattr(closest, "_MOST_COMPARED", 1600)  # all places: then the bound alone ends the search
        found = find_closest(inside, picture, mask)
    assert found is not None
    x, y, difference = found
    assert difference == pytest.approx(math.sqrt(least_difference(inside, picture, mask)), abs=1e-6)
    assert difference == pytest.approx(math.sqrt(difference_at(inside, picture, mask, x, y)), abs=1e-6)


def test_a_picture_that_is_larger_is_nowhere() -> None:
    assert find_closest(np.zeros((5, 5, 3), np.uint8), np.zeros((6, 2, 3), np.uint8)) is None


def test_the_error_says_how_close_the_best_match_came_and_where(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), BLUE)
    painter.noise((300, 200, 200, 100))
    wanted = screen.grab((310, 220, 24, 20)).rgb()
    painter.fill((310, 220, 6, 5), (0, 0, 0))
    there = screen.grab((310, 220, 24, 20)).rgb()
    off = 100 * math.sqrt(np.mean(np.square(wanted / 255 - there / 255)))
    for region in (None, (250, 150, 300, 200)):
        with pytest.raises(WaitTimeout) as caught:
            screen.wait_image(wanted, region, timeout=0)
        assert str(caught.value) == (
            f"the picture of 24x20 did not come within 0 s; the best match is off by {off:.2f} % at 24x20+310+220"
        )
    with pytest.raises(WaitTimeout, match=rf"is off by {off:.2f} % at 24x20\+310\+220$"):
        screen.wait_image(wanted, threshold=0.01, timeout=0)


def test_where_all_places_are_the_same_any_is_named(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), (0, 0, 0))
    with pytest.raises(WaitTimeout, match=r"is off by 100.00 % at 50x40\+\d+\+\d+$"):
        screen.wait_image(np.full((40, 50, 3), 255, np.uint8), timeout=0)


def test_the_search_for_the_closest_waits_until_the_message_is_read(
    screen: xshm.Screen, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.noise((0, 0, 1280, 800))
    wanted = np.random.default_rng(1).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    searches: list[int] = []

    def counted(*given: Any) -> Any:
        searches.append(1)
        return find_closest(*given)

    monkeypatch.setattr("xshm.capture.waiting.wait.find_closest", counted)
    with pytest.raises(WaitTimeout) as caught:
        screen.wait_image(wanted, timeout=0)
    assert not searches
    begin = time.monotonic()
    message = str(caught.value)
    assert time.monotonic() - begin < 15  # 0.5 s, on a machine that is not busy
    assert re.search(r"off by \d\d\.\d\d % at 400x300\+\d+\+\d+$", message)
    assert str(caught.value) == message
    assert len(searches) == 1
    assert caught.value.frame.rect == screen.rect


def test_a_window_that_became_smaller_than_the_picture_is_no_place_for_it(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((10, 10, 100, 90), BLUE)
    with screen.window(window.id) as opened:

        def shrink() -> None:
            window.configure(width=20, height=10)
            painter.display.sync()

        gone = r"did not come within 0\.6 s; it does not fit into 20x10\+0\+0$"
        with later(0.2, shrink), pytest.raises(WaitTimeout, match=gone):
            opened.wait_image(np.zeros((50, 50, 3), np.uint8), timeout=0.6)
