"""The pace of a trace: stated steps, down by what a second took, up where there is room; times are made up here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xshm.trace import pace
from xshm.trace.pace import STEPS, Pace, Step

_MS = 1_000_000
_SECOND = 1000 * _MS


def _play(tempo: Pace, seconds: float, spent: int, nbytes: int = 0, start: int = 0) -> tuple[list[Step], list[int]]:
    """Take pictures as soon as they are due, each of which takes so much; return the steps, and when each was taken."""
    at, steps, taken = max(start, tempo.due), [], []
    while at < start + seconds * _SECOND:
        taken.append(at)
        step = tempo.note(at, spent, nbytes)
        if step is not None:
            steps.append(step)
        at = max(tempo.due, at + spent)
    return steps, taken


def test_it_goes_down_the_stated_steps_and_says_why() -> None:
    tempo = Pace(30)
    steps, _ = _play(tempo, 5, 30 * _MS)
    assert [step.fps for step in steps] == [2]  # 4 × 30 ms is more than 90 ms; 2 × 30 ms is not
    assert steps[0].why == "30.0 ms of CPU a picture: more than 9% of a core allows"
    assert tempo.step is steps[-1]


@pytest.mark.parametrize("spent", [6, 9, 14, 26, 60])
def test_a_burst_takes_little_more_than_its_share_from_its_first_moment_on(spent: int) -> None:
    tempo = Pace(30)
    steps, taken = _play(tempo, 0.7, spent * _MS)
    for seconds in (0.2, 0.4, 0.7):
        count = sum(at < seconds * _SECOND for at in taken)
        assert count >= 1
        # What was saved up in a third of a second, and the picture that uses it up, and the one that finds a debt.
        assert (count - 2) * spent <= (seconds + 1 / 3) * 90
    assert len(steps) <= 3
    assert [step.fps for step in steps] == sorted({step.fps for step in steps}, reverse=True)


def test_a_dear_picture_among_cheap_ones_changes_nothing() -> None:
    tempo, at = Pace(30), 0
    for number in range(300):
        assert tempo.note(at, (30 if number % 30 == 0 else 1) * _MS, 0) is None
        at = tempo.due


def test_the_next_picture_is_due_after_one_period_of_the_step_also_with_a_debt() -> None:
    tempo = Pace(30)
    step = tempo.note(0, 70 * _MS, 0)
    assert step is not None
    assert step.fps == 2
    assert tempo.due == 500 * _MS


def test_bytes_bound_it_too() -> None:
    tempo = Pace(30, bytes_a_second=8 << 20)
    steps, _ = _play(tempo, 5, 0, 1 << 20)
    assert [step.fps for step in steps] == [8]
    assert steps[0].why == "1.00 MiB a picture: more than 8.0 MiB a second allow"


def test_the_wanted_rate_is_the_highest_and_the_first() -> None:
    assert [step.fps for step in _play(Pace(10), 20, 200 * _MS)[0]] == [1]
    assert [step.fps for step in _play(Pace(60), 20, 2 * _MS)[0]] == [30]
    assert Pace(0.5).step.fps == 0.5
    assert _play(Pace(0.5), 20, 900 * _MS)[0] == []


def test_it_goes_up_again_once_there_is_room() -> None:
    tempo = Pace(30)
    _play(tempo, 5, 30 * _MS)
    steps, _ = _play(tempo, 10, 1 * _MS, start=5 * _SECOND)
    assert [step.fps for step in steps] == [4, 30]  # the first second has a picture of 30 ms yet
    assert steps[0].why == "a second took 3.1% of a core and 0.0 MiB, which leaves room"


def test_a_pause_leads_to_the_first_step_at_once() -> None:
    tempo = Pace(30)
    _play(tempo, 5, 30 * _MS)
    step = tempo.note(tempo.due + 3 * _SECOND, 30 * _MS, 0)
    assert step == Step(30, "nothing was drawn for 3.5 s")


def test_a_slow_source_does_not_keep_it_down() -> None:
    tempo = Pace(30)
    _play(tempo, 5, 30 * _MS)
    assert tempo.step.fps == 2
    at, seen = tempo.due, []
    for _ in range(40):  # each long after it was due
        step = tempo.note(at, 30 * _MS, 0)
        seen += [] if step is None else [step.fps]
        at += 900 * _MS
    assert seen[-1] == 30
    assert seen == sorted(seen)


def test_what_is_just_too_much_is_not_tried_each_second() -> None:
    tempo = Pace(30)
    changes = 0
    at = 0
    for second in range(120):
        # A source that is cheap while it is slow, and dear at the next step.
        for _ in range(8):
            changes += tempo.note(at, (2 if tempo.step.fps <= 8 else 40) * _MS, 0) is not None
            at = max(tempo.due, at + 125 * _MS if second % 2 else at + 66 * _MS)
    assert changes < 60


def test_the_first_picture_is_due_at_once_and_the_next_after_the_period() -> None:
    tempo = Pace(15)
    assert tempo.due == 0
    tempo.note(7 * _SECOND, 0, 0)
    assert tempo.due == 7 * _SECOND + round(_SECOND / 15)


@pytest.mark.parametrize(("keep", "rate"), [(None, 6.4), (60, 6.4), (3, 64 / 3)])
def test_what_is_kept_is_filled_no_sooner_than_in_ten_seconds(keep: float | None, rate: float) -> None:
    assert pace.bytes_a_second(64, keep) == rate


@given(st.integers(0, 90), st.integers(0, 4 << 20), st.sampled_from([60, 30, 24, 5]))
def test_in_the_long_run_it_stays_within_its_bounds(spent: int, nbytes: int, fps: int) -> None:
    tempo = Pace(fps, bytes_a_second=4 << 20)
    _play(tempo, 20, spent * _MS, nbytes)
    _, taken = _play(tempo, 40, spent * _MS, nbytes, start=20 * _SECOND)
    # A twentieth more, since a faster step is tried now and then.
    assert len(taken) * spent <= 1.05 * pace.CPU_SHARE * 40_000
    assert len(taken) * nbytes <= 1.05 * 40 * (4 << 20)
    fitting = [
        step for step in (fps, *STEPS) if step <= fps and step * spent <= 72 and step * nbytes <= 0.8 * (4 << 20)
    ]
    assert tempo.step.fps >= max(fitting, default=1)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 300), st.integers(0, 1 << 23)), max_size=60))
def test_each_change_says_why_and_is_to_one_of_the_steps(looks: list[tuple[int, int, int]]) -> None:
    tempo, rates, at = Pace(30, bytes_a_second=4 << 20), [*STEPS], 0
    for wait, spent, nbytes in looks:
        before, paused = tempo.step.fps, tempo.due + wait * _MS - at
        at += paused
        step = tempo.note(at, spent * _MS, nbytes)
        assert tempo.due == at + round(_SECOND / tempo.step.fps)
        if step is None:
            assert tempo.step.fps == before
        else:
            assert step.fps in rates
            assert step.fps != before
            assert any(char.isdigit() for char in step.why)
