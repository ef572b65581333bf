"""The Judge, fed with pictures and times that were made up: what is a steady rhythm, and what is a change."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

import xshm
from xshm.capture.waiting.judge import Judge
from xshm.capture.waiting.results import Moving
from xshm.geometry import Rect
from xshm.pixels.format import VisualClass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.capture.waiting.rhythm import Known

_FORMAT = xshm.PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
_CARET = Rect(50, 40, 2, 14)
_BUTTON = Rect(120, 60, 40, 20)
_SPINNER = Rect(10, 100, 30, 30)


class Film:
    """A picture that changes at times of our choice, and the Judge who sees each change."""

    def __init__(
        self, known: Iterable[Known] = (), ignored: Iterable[Rect] = (), corner: tuple[int, int] = (0, 0)
    ) -> None:
        self.corner = corner
        self.pixels = np.zeros((200, 300, 4), np.uint8)
        self.judge = Judge(self._frame(()), 0.0, ignored, known)
        self.now = 0.0
        self._random = random.Random(1)

    def _frame(self, changed: tuple[Rect, ...]) -> xshm.Frame:
        frame = xshm.Frame(self.pixels.copy(), Rect(*self.corner, 300, 200), 0, 1, _FORMAT)
        frame.changed = tuple(each.moved(*self.corner) for each in changed)
        return frame

    def fill(self, at: float, rect: Rect, value: int, *, exact: bool = True) -> None:
        self.pixels[rect.slices] = value
        self.show(at, rect, exact=exact)

    def show(self, at: float, *rects: Rect, exact: bool = True) -> None:
        assert at >= self.now
        self.now = at
        self.judge.see(self._frame(rects), at, exact=exact)

    def toggle(self, at: float, rect: Rect = _CARET) -> None:
        self.fill(at, rect, 255 - int(self.pixels[rect.y, rect.x, 0]))

    def noise(self, at: float, rect: Rect) -> None:
        rows, columns = rect.slices
        self.pixels[rows, columns] = np.frombuffer(
            self._random.randbytes(rect.width * rect.height * 4), np.uint8
        ).reshape(rect.height, rect.width, 4)
        self.show(at, rect)

    def rhythm(self, now: float | None = None) -> list[str | None]:
        return [each.rhythm for each in self.judge.moving(self.now if now is None else now)]

    def changes(self, now: float | None = None) -> tuple[float, float] | None:
        return self.judge.changes(self.now if now is None else now)

    def reaction(self, now: float | None = None) -> tuple[float, float] | None:
        return self.judge.reaction(self.now if now is None else now)


# -- cycles: carets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phases", "first"),
    [
        ((0.5, 0.5), 0.2),
        ((0.53, 0.53), 0.5),
        ((0.6, 0.3), 0.1),
        ((0.3, 0.6), 0.4),
        ((0.4, 0.8), 0.7),
        ((0.6, 0.6), 0.0),
    ],
)
@pytest.mark.parametrize("rect", [_CARET, Rect(50, 40, 1, 17), Rect(50, 40, 6, 13), Rect(50, 40, 10, 20)])
def test_a_caret_is_proven_by_its_third_change_and_none_of_them_counts(
    phases: tuple[float, float], first: float, rect: Rect
) -> None:
    film = Film()
    at = first
    for number in range(8):
        film.toggle(at, rect)
        assert film.rhythm() == (["cycle"] if number >= 2 else [])
        assert (film.changes() is None) == (number >= 2)
        at += phases[number % 2]
    (moving,) = film.judge.moving(film.now)
    assert moving.rect == rect
    assert moving.period == pytest.approx(sum(phases) / 2, abs=0.12)
    assert "(a caret?)" in str(moving)


@settings(max_examples=200)
@given(
    period=st.floats(0.25, 1.0),
    jitter=st.floats(0, 0.1),
    seed=st.integers(0, 9999),
)
def test_a_caret_on_a_busy_machine_is_one_all_the_same(period: float, jitter: float, seed: int) -> None:
    film, dice = Film(), random.Random(seed)
    for number in range(1, 10):
        film.toggle(number * period + dice.uniform(0, jitter * period))
    assert film.rhythm() == ["cycle"]
    assert film.changes() is None


def test_once_or_twice_is_no_rhythm() -> None:
    film = Film()
    film.toggle(0.5)
    assert film.changes(5) == (0.5, 0.5)
    film.toggle(1.0)
    assert film.changes(1.1) == (0.5, 1.0)
    assert film.rhythm(5) == []


def test_a_caret_that_stops_has_changed_when_it_last_did() -> None:
    film = Film()
    for number in range(5):
        film.toggle(0.5 * (number + 1))
    assert film.changes(2.9) is None
    assert film.changes(4.0) == (2.5, 2.5)
    assert film.rhythm(4.0) == []


def test_a_text_typed_over_a_caret_is_a_change_and_ends_it() -> None:
    film = Film()
    for number in range(5):
        film.toggle(0.5 * (number + 1))
    film.fill(2.8, Rect(50, 40, 9, 14), 77)
    assert film.changes() == (2.5, 2.8)


def test_a_caret_that_shows_a_third_picture_is_a_change() -> None:
    film = Film()
    for number in range(5):
        film.toggle(0.5 * (number + 1))
    film.fill(3.0, _CARET, 100)
    found = film.changes()
    assert found is not None
    assert found[1] == 3.0


def test_a_change_beside_a_caret_counts_alone() -> None:
    film = Film()
    for number in range(8):
        film.toggle(0.5 * (number + 1))
        if number == 5:
            film.fill(3.1, _BUTTON, 200)
    assert film.changes() == (3.1, 3.1)
    assert [each.rect for each in film.judge.moving(film.now)] == [_CARET]


def test_a_rhythm_that_begins_while_it_is_watched_is_a_change_at_its_beginning() -> None:
    film = Film()
    for number in range(6):
        film.toggle(2.0 + 0.5 * number)
    assert film.rhythm() == ["cycle"]
    assert film.changes() == (2.0, 2.0)


def test_a_gif_of_eight_pictures_is_a_cycle() -> None:
    for first in (27, 0):
        film = Film()
        film.pixels[_SPINNER.slices] = first
        film.judge.frame = film._frame(())
        for number in range(40):
            film.fill(0.1 * (number + 1), _SPINNER, 20 + number % 8)
        assert film.rhythm() == ["cycle"]
        assert film.changes() == (None if first else (0.1, 0.1))  # it was not there before


def test_a_spinner_of_few_pictures_does_not_count_from_its_first_one() -> None:
    film = Film()
    ys, xs = np.mgrid[:60, :60] - 30
    turn = (np.arctan2(ys, xs) / math.tau * 24).astype(int) % 24
    ring = np.abs(np.hypot(xs, ys) - 25) < 3

    def draw(number: int) -> None:
        arc = ring & ((turn - number) % 24 < 6)
        film.pixels[100:160, 10:70] = arc[..., None] * np.uint8(200)

    draw(0)
    film.judge.frame = film._frame(())
    for number in range(1, 100):
        draw(number)
        film.show(number * 0.04, Rect(10, 100, 60, 60))
    assert film.rhythm() in (["cycle"], ["flow"])
    assert film.changes() is None


def test_pictures_that_come_back_at_odd_times_are_changes() -> None:
    film, at = Film(), 0.0
    for number in range(30):
        at += (0.26, 0.5, 1.3, 0.3, 2.1)[number % 5]
        film.toggle(at, _BUTTON)
        assert film.rhythm() == []


# -- flows: videos, spinners, busy bars --------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8, 25, 30, 60])
def test_a_video_is_a_flow_after_two_seconds_and_does_not_count(rate: int) -> None:
    film = Film()
    for number in range(1, int(2.4 * rate)):
        film.noise(number / rate, Rect(20, 20, 200, 150))
        assert (film.changes() is None) == (film.rhythm() == ["flow"])
        assert not film.rhythm() or number / rate >= 2
    assert film.rhythm() == ["flow"]
    assert film.judge.moving(film.now)[0].period == pytest.approx(1 / rate)
    # It stops: a change at its last picture.
    assert film.changes(film.now + 1) == (film.now, film.now)


def test_a_block_that_goes_to_and_fro_is_a_flow_once_its_bounds_are_known() -> None:
    film = Film()
    for number in range(70):
        position = abs((number * 7) % 300 - 150)
        film.pixels[120:128, 20:250] = 0
        film.pixels[Rect(20 + position, 120, 40, 8).slices] = 200
        film.show(0.125 * (number + 1), Rect(20, 120, 230, 8))
    assert film.rhythm() == ["flow"]
    assert film.changes() is None


@pytest.mark.parametrize("interval", [0.19, 0.2, 0.21, 0.25, 0.5])
def test_a_page_that_repaints_with_new_contents_while_it_loads_is_never_a_rhythm(interval: float) -> None:
    film = Film()
    for number in range(1, int(20 / interval)):
        film.noise(number * interval, Rect(0, 0, 300, 200))
        assert film.changes() == (interval, film.now)
        assert film.rhythm() == []


def test_a_list_that_grows_row_by_row_is_never_a_rhythm() -> None:
    for interval in (0.02, 0.1, 1.0):
        film = Film()
        for row in range(100):
            film.noise((row + 1) * interval, Rect(10, 2 * row, 200, 2))
            assert film.rhythm() == []
            assert film.changes() == (interval, film.now)


def test_a_bar_that_fills_and_a_fade_are_never_a_rhythm() -> None:
    film = Film()
    for number in range(1, 280):
        film.fill(number / 60, Rect(0, 10, number, 12), 200)
        assert film.rhythm() == []
        assert film.changes() == (1 / 60, film.now)
    film = Film()
    for number in range(1, 255):
        film.fill(number / 60, _BUTTON, number)
        assert film.rhythm() == []
        assert film.changes() == (1 / 60, film.now)


@pytest.mark.parametrize("interval", [0.02, 0.125])
def test_what_only_fades_in_after_a_flash_is_never_a_rhythm(interval: float) -> None:
    film = Film()
    for number, level in enumerate((255, 0, *range(3, 255)), 1):
        film.fill(number * interval, Rect(0, 0, 200, 200), level)
        assert film.rhythm() == []
        assert film.changes() == (interval, film.now)


def test_a_change_over_a_spinner_is_one() -> None:
    film = Film()
    for number in range(1, 200):
        film.noise(number / 60, _SPINNER)
    assert film.changes() is None
    film.fill(film.now + 0.02, Rect(0, 80, 150, 100), 9)
    found = film.changes()
    assert found is not None
    assert found[1] == film.now


# -- ticks: clocks -----------------------------------------------------------------------------------------------------


def test_a_clock_of_digits_is_a_tick_after_four_changes() -> None:
    film, clock, dice = Film(), Rect(200, 10, 60, 20), np.random.default_rng(1)
    for second in range(12):
        film.pixels[clock.slices] = np.kron(dice.integers(0, 2, (4, 12)), np.ones((5, 5)))[..., None] * 255
        film.show(0.4 + second, clock)
        assert film.rhythm() == (["tick"] if second >= 3 else [])
    assert film.changes() is None


def test_a_bar_that_fills_by_thin_steps_is_no_row_of_carets() -> None:
    for interval in (0.05, 0.3, 0.6, 2.0):
        film = Film()
        for number in range(1, 60):
            film.fill(number * interval, Rect(3 * number, 10, 3, 20), 200)
            assert film.rhythm() == []
            assert film.changes() == (interval, film.now)
            if number > 1:
                assert film.reaction() == (interval, film.now)


def test_the_hand_of_a_clock_is_a_tick_wherever_it_points() -> None:
    film = Film()
    ys, xs = np.mgrid[:200, :300]
    for second in range(70):
        angle = second * math.tau / 60
        along = (xs - 150) * math.sin(angle) - (ys - 100) * math.cos(angle)
        across = (xs - 150) * math.cos(angle) + (ys - 100) * math.sin(angle)
        film.pixels[...] = ((np.abs(across) < 2) & (along > 0) & (along < 80))[..., None] * np.uint8(255)
        film.show(0.3 + second * 1.001, Rect(60, 10, 180, 180))
    assert film.rhythm() == ["tick"]
    assert film.changes() is None


def test_a_list_that_gets_a_row_each_second_is_no_clock() -> None:
    film = Film()
    for second in range(15):
        film.fill(second + 0.5, Rect(10, 10 * second, 200, 9), 200)
        assert film.rhythm() == []


# -- what is known from an earlier wait --------------------------------------------------------------------------------


def _after(film: Film) -> Film:
    later = Film(film.judge.remembered())
    later.pixels[...] = film.pixels
    later.judge.frame = later._frame(())
    return later


def test_a_known_caret_does_not_count_from_its_first_change() -> None:
    film = Film()
    for number in range(4):
        film.toggle(0.5 * (number + 1))
    film = _after(film)
    film.toggle(0.4)
    assert film.changes() is None
    assert film.rhythm() == ["cycle"]
    assert film.changes(0.4 + 0.85) is None
    assert film.changes(0.4 + 1.2) == (0.4, 0.4)  # but no change followed


def test_carets_are_proven_across_waits_that_each_saw_one_change() -> None:
    film = Film()
    film.toggle(0.4)
    film = _after(film)
    film.toggle(0.4)
    assert film.changes() == (0.4, 0.4)
    film = _after(film)
    film.toggle(0.9)
    assert film.changes() is None


def test_the_longer_phase_of_a_known_caret_is_remembered() -> None:
    film = Film()
    for at in (0.3, 0.6, 1.2, 1.5):
        film.toggle(at)
    film = _after(film)
    film.toggle(0.2)
    film.toggle(0.5)
    assert film.changes(1.15) is None  # the longer one is 600 ms


def test_a_flow_that_stalls_for_a_moment_is_one_all_the_same() -> None:
    film, at = Film(), 0.0
    for number in range(200):
        at += 0.7 if number in (30, 150) else 0.04
        film.noise(at, _SPINNER)
    assert film.rhythm() == ["flow"]
    assert film.changes() is None


def test_a_known_spinner_is_one_again_after_three_changes() -> None:
    film = Film()
    for number in range(1, 200):
        film.noise(number / 60, _SPINNER)
    film = _after(film)
    for number in range(1, 4):
        assert film.rhythm() == []
        film.noise(number / 60, _SPINNER)
    assert film.rhythm() == ["flow"]
    assert film.changes() is None
    assert film.changes(2) == (film.now, film.now)


def test_another_picture_in_the_place_of_a_known_caret_is_a_change() -> None:
    film = Film()
    for number in range(4):
        film.toggle(0.5 * (number + 1))
    film = _after(film)
    film.fill(0.4, _CARET, 99)
    assert film.changes() == (0.4, 0.4)


# -- what an act asks --------------------------------------------------------------------------------------------------


def test_what_looks_like_a_caret_is_no_reaction_until_it_fails_to_change_back() -> None:
    film = Film()
    film.toggle(0.3)
    assert film.reaction(0.4) is None
    assert film.judge.pending(0.4) == pytest.approx(1.25)
    assert film.reaction(1.3) == (0.3, 0.3)
    film.toggle(1.4)
    film = Film()
    film.toggle(0.3)
    film.toggle(1.1)
    assert film.reaction(1.2) is None
    assert film.judge.pending(1.2) is None
    assert film.reaction(3) is None  # it is as it was


def test_anything_else_is_a_reaction_at_once() -> None:
    for rect in (_BUTTON, Rect(9, 9, 14, 2), Rect(9, 9, 30, 40), Rect(9, 9, 1, 1)):
        film = Film()
        film.fill(0.1, rect, 3)
        assert film.reaction(0.1) == (0.1, 0.1)


def test_a_known_caret_that_blinks_in_a_field_just_emptied_is_no_reaction() -> None:
    film = Film()
    film.toggle(1.0)
    film.toggle(1.5)
    known = film.judge.remembered()
    film = Film()
    film.pixels[35:65, 50:130] = 9  # something has been typed
    film.judge = Judge(film._frame(()), 0.0, (), known)
    film.fill(1.0, Rect(50, 35, 80, 30), 0)
    film.toggle(1.06)
    assert film.reaction() == (1.0, 1.0)
    film.fill(1.1, _CARET, 77)  # another picture than the caret's
    assert film.reaction() == (1.0, 1.1)


@pytest.mark.parametrize("size", [11, 14, 18, 24])
@pytest.mark.parametrize("antialiased", [True, False])
def test_a_letter_that_was_typed_is_a_reaction_at_once(size: int, *, antialiased: bool) -> None:
    font = ImageFont.load_default(size)
    for letter in "abdeghkmnopqsuvwxyzABDEGHKMNOPQRSUVWXZ02345689@%&":
        film = Film()
        picture = Image.fromarray(film.pixels[..., :3])
        draw = ImageDraw.Draw(picture)
        draw.fontmode = "L" if antialiased else "1"
        draw.text((50, 40), letter, font=font, fill=(255, 255, 255))
        film.pixels[..., :3] = np.asarray(picture)
        box = picture.getbbox()
        assert box is not None
        film.show(1.0, Rect.from_ltrb(*box))
        assert film.reaction() == (1.0, 1.0), letter


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.2, 0.4])
def test_a_caret_that_blinks_in_what_has_just_changed_delays_no_rest(delay: float) -> None:
    film = Film()
    film.fill(1.0, Rect(20, 30, 200, 100), 255)
    film.toggle(1.0 + delay)
    assert film.reaction() == (1.0, 1.0)
    assert film.judge.no_changes(film.now) == []  # it is a part of what has changed


def test_what_changes_to_a_third_picture_is_no_caret() -> None:
    film = Film()
    film.fill(1.0, _CARET, 255)
    film.fill(1.5, _CARET, 99)
    assert film.reaction() == (1.0, 1.5)


def test_a_bar_that_fills_in_a_dialog_that_has_just_come_is_no_caret() -> None:
    film = Film()
    film.fill(1.0, Rect(20, 30, 200, 100), 255)
    for number in range(5):
        film.fill(1.1 + number / 10, Rect(50 + 8 * number, 60, 8, 20), 77)
    assert film.reaction() == (1.0, film.now)


def test_what_is_as_large_as_a_known_caret_is_no_change_and_any_other_bar_is_until_it_has_blinked() -> None:
    film, moved, letter = Film(), Rect(80, 40, 2, 14), Rect(80, 43, 2, 11)
    film.toggle(0.5)
    film.toggle(1.0)
    film = _after(film)
    film.noise(0.1, _BUTTON)
    film.toggle(0.2, moved)
    assert film.judge.no_changes(0.3) == [moved]
    film = _after(film)
    film.noise(0.1, _BUTTON)
    film.toggle(0.2, letter)
    assert film.judge.no_changes(0.3) == []
    film.toggle(0.7, letter)
    film.toggle(1.2, letter)
    assert film.judge.no_changes(1.3) == [letter]


def test_a_caret_that_leaves_one_place_and_comes_in_another_has_moved() -> None:
    film = Film()
    film.fill(0.1, _CARET, 1)
    assert film.reaction(0.1) is None
    film.fill(0.1, Rect(90, 40, 2, 14), 1)
    assert film.reaction(0.1) == (0.1, 0.1)


def test_what_happened_while_nobody_looked_proves_no_times() -> None:
    film = Film()
    film.fill(0.9, _CARET, 255, exact=False)  # in truth at 0.5
    for at in (1.0, 1.5, 2.0):
        film.toggle(at)
    assert film.rhythm() == ["cycle"]
    assert film.changes() is None


# -- frames ------------------------------------------------------------------------------------------------------------


def test_places_are_in_the_coordinates_of_the_source() -> None:
    film = Film(ignored=[Rect(1000, 500, 30, 30)], corner=(1000, 500))
    film.fill(0.1, Rect(0, 0, 30, 30), 200)
    assert film.changes() is None
    film.toggle(0.2, _CARET)
    (moving,) = film.judge.moving(0.2, 0.0)
    assert moving == (Rect(1050, 540, 2, 14), None, 0.0, None)
    assert str(moving) == "2x14+1050+540 once"
    assert str(Moving(_CARET, 0.02, 0.02, None)) == f"{_CARET} once"  # not "for 0.0 s"
    assert str(Moving(_CARET, 0.5, 1.0, None)) == f"{_CARET} for 1.0 s"


def test_a_source_of_another_size_has_changed_as_a_whole() -> None:
    film = Film()
    for number in range(4):
        film.toggle(0.5 * (number + 1))
    film.pixels = np.zeros((100, 100, 4), np.uint8)
    frame = xshm.Frame(film.pixels, Rect(0, 0, 100, 100), 0, 1, _FORMAT)
    frame.changed = (Rect(0, 0, 100, 100),)
    film.judge.see(frame, 2.1)
    found = film.changes(2.1)
    assert found is not None
    assert found[1] == 2.1


def test_many_places_are_all_counted() -> None:
    film = Film()
    for number in range(150):
        film.fill(0.1 + number, Rect(20 * (number % 15), 20 * (number // 15), 6, 6), 5)
    assert film.changes() == (0.1, film.now)


@settings(max_examples=150)
@given(
    events=st.lists(
        st.tuples(st.floats(0.001, 2), st.integers(0, 12), st.integers(0, 8), st.integers(1, 9), st.integers(0, 255)),
        min_size=1,
        max_size=40,
    )
)
def test_the_last_change_never_counts_earlier_than_the_last_that_is_in_no_rhythm(
    events: list[tuple[float, int, int, int, int]],
) -> None:
    film = Film()
    at, last = 0.0, None
    for pause, column, row, size, value in events:
        at += pause
        before = film.pixels.copy()
        film.fill(at, Rect(column * 20, row * 20, size, size * 2), value)
        if not np.array_equal(before, film.pixels):
            last = at
    moving = film.judge.moving(film.now)
    found = film.changes()
    if not moving:
        assert (found[1] if found else None) == last
    found = film.judge.changes(film.now, rhythms=True)
    assert found == (None if last is None else (_first(events), last))


def _first(events: list[tuple[float, int, int, int, int]]) -> float:
    at = 0.0
    for pause, *_, value in events:
        at += pause
        if value:
            return at
    raise AssertionError("nothing has changed")
