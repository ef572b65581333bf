"""Times of a recording, computed: the rate's bound, the frames of a constant rate, pauses."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xshm.record.timing import SECOND, Clock, Grid, Pace

_TIMES = st.lists(st.integers(0, 20 * SECOND), min_size=1).map(sorted)


@given(st.lists(st.floats(-0.24, 0.24), min_size=2, max_size=50), st.sampled_from([7, 25, 60]))
def test_of_changes_that_come_at_the_rate_itself_none_waits_for_the_next(early: list[float], fps: int) -> None:
    pace = Pace(fps)
    for number, jitter in enumerate(early):
        at = 100 + (number + jitter) / fps
        assert pace.due <= at
        pace.captured(round(at * SECOND))


@given(_TIMES, st.sampled_from([7, 25, 60, 1000, None]))
def test_the_rate_is_a_bound(changes: list[int], fps: int | None) -> None:
    pace = Pace(fps)
    taken: list[float] = []
    for each in changes:
        at = max(each / SECOND, pace.due)  # it is seen then
        if not taken or at > taken[-1]:
            taken.append(at)
            pace.captured(round(at * SECOND))
    least = 0.001 if fps is None else max(0.001, 0.5 / fps)
    assert all(later - earlier > least - 1e-6 for earlier, later in itertools.pairwise(taken))
    if fps is not None:
        assert len(taken) <= (taken[-1] - taken[0]) * fps + 2


@given(_TIMES, st.sampled_from([7.0, 25.0, 29.97, 60.0]))
def test_a_constant_rate_has_as_many_frames_as_its_length_says(looks: list[int], fps: float) -> None:
    grid = Grid(fps)
    times = []
    for look in looks:
        times += [grid.next() for _ in range(grid.due(look))]
    assert times == [round(number * SECOND / fps) for number in range(len(times))]
    assert abs(len(times) - looks[-1] * fps / SECOND) <= 0.5 + 1e-6


def test_a_clock_stands_still_in_pauses_and_is_0_before_its_first_picture() -> None:
    clock = Clock()
    assert clock.now() == 0
    clock.begin(time.monotonic_ns() - SECOND)
    clock.pause()
    at = clock.now()
    assert at == pytest.approx(SECOND, rel=0.1)
    time.sleep(0.05)
    assert clock.now() == at
    assert clock.monotonic(at) == float("inf")
    clock.resume()
    assert at <= clock.now() < at + SECOND // 25
    assert clock.monotonic(at) == pytest.approx(time.monotonic(), abs=0.04)


def test_a_clock_stands_still_at_its_limit_and_nothing_is_waited_for_beyond_it() -> None:
    clock = Clock()
    clock.limit = SECOND // 2
    begun = time.monotonic_ns() - 2 * SECOND
    clock.begin(begun)
    assert clock.now() == SECOND // 2
    assert clock.at(begun + SECOND // 4) == SECOND // 4
    assert clock.monotonic(SECOND // 4) == (begun + SECOND // 4) / SECOND
    assert clock.monotonic(SECOND // 2) == float("inf")
