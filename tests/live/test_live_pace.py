"""Viewers behind simulated lines: real pictures, encoder and pace, on a clock that is only counted."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import BGRX, photograph
from simulated_viewers import Line, Viewer

from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.live.encoding import BEST_QUALITY, SMALL, Ask, EncodedUpdate, Encoder
from xshm.live.messages import Codec, Part, Update
from xshm.live.pace import LADDER, Pace, Pause
from xshm.live.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from simulated_viewers import Sent

_SIZE = (960, 540)
_WHOLE = Rect(0, 0, *_SIZE)
_SLOW = 400e3
_FAST = 20e6


@dataclass
class _Captured:
    pixels: NDArray[Any]
    changed: Sequence[Rect]
    colormap: NDArray[np.uint16] | None = None
    at: int = 0

    def is_torn(self) -> bool:
        return False

    def release(self) -> None:
        pass


@dataclass
class _Moving:
    """A photograph of which rectangles scroll: each at its pictures a second, from a time to another."""

    parts: Sequence[tuple[Rect, float, float, float]] = ()
    picture: Picture = field(default_factory=lambda: Picture(_SIZE, BGRX))
    pixels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((*_SIZE[::-1], 4), np.uint8))
    photograph: NDArray[np.uint8] = field(default_factory=lambda: photograph(*_SIZE[::-1]))

    def next_change(self, after: float) -> float:
        if after < 0:
            return 0.0
        times = (
            max((math.floor(after * fps + 1e-6) + 1) / fps, begin)
            for _, fps, begin, end in self.parts
            if max((math.floor(after * fps + 1e-6) + 1) / fps, begin) <= end
        )
        return min(times, default=math.inf)

    def paint(self, now: float) -> None:
        changed = [part[0] for part in self.parts]
        if not self.picture.generation:
            self.pixels[..., :3] = self.photograph
            changed = [_WHOLE]
        for rect, fps, begin, end in self.parts:
            turn = int((min(now, end) - begin) * fps) if now >= begin else 0
            self.pixels[(*rect.slices, slice(3))] = np.roll(self.photograph[rect.slices], -24 * turn, 0)
        self.picture.read(_Captured(self.pixels, changed))
        self.picture.commit(int(now * 1e9) + 1)


def _scrolling(until: float, since: float = 0.0) -> _Moving:
    return _Moving([(_WHOLE, 60, since, until)])


def _of(viewer: Viewer, begin: float, end: float) -> list[Sent]:
    """Return messages of changes."""
    return [each for each in viewer.sent if begin <= each.sent < end and each.found.generation != each.found.ask.since]


def _latency(messages: Sequence[Sent]) -> float:
    return median(each.latency for each in messages)


# -- convergence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffer", [0.0, 200e3, 4e6])
def test_a_slow_line_is_behind_by_less_than_a_message_takes_whatever_its_buffers_hide(buffer: float) -> None:
    viewer = Viewer(_scrolling(4), Pace(), Line(_SLOW, buffer=buffer))
    viewer.run(4)
    settled = _of(viewer, 1, 4)
    assert _latency(settled) < 0.1
    assert max(each.latency for each in settled) < 0.15
    assert len(settled) > 36
    assert len({each.found.ask.level for each in settled}) <= 2


@pytest.mark.parametrize(
    ("line", "most"),
    [
        (Line(_SLOW, delay=0.04, jitter=0.02), 0.12),
        (Line(_SLOW, delay=0.1), 0.14),
        (Line(2e6, delay=0.03, jitter=0.03), 0.12),
        (Line(100e3, delay=0.02), 0.2),
        (Line(_FAST, delay=0.1), 0.11),
    ],
    ids=["400 kB/s, jitter", "400 kB/s, long", "2 MB/s, jitter", "100 kB/s", "20 MB/s, long"],
)
def test_levels_settle_on_lines_of_delay_and_jitter(line: Line, most: float) -> None:
    viewer = Viewer(_scrolling(5), Pace(), line)
    viewer.run(5)
    settled = _of(viewer, 2, 5)
    assert _latency(settled) < most
    levels = [each.found.ask.level for each in settled]
    assert sum(one != other for one, other in itertools.pairwise(levels)) <= 2
    if line.rate < _FAST:  # else it is decoding that takes the time
        assert viewer.pace.rate == pytest.approx(line.rate, rel=0.4)
    # The line is used, unless it takes many pictures.
    used = sum(each.found.update.nbytes for each in settled) / 3 / line.rate
    assert used > 0.6 or len(settled) > 75


def test_a_fast_line_has_the_best_level_and_as_many_pictures_as_it_takes() -> None:
    viewer = Viewer(_scrolling(3), Pace(), Line(_FAST))
    viewer.run(3)
    settled = _of(viewer, 1, 3)
    assert {each.found.ask.level for each in settled} == {LADDER[0]}
    assert _latency(settled) < 0.03
    assert len(settled) > 90


def test_a_line_that_becomes_slow_and_fast_again_is_followed_within_a_second() -> None:
    line = Line(_FAST)
    viewer = Viewer(_scrolling(6.5), Pace(), line)
    viewer.run(1)
    line.rate = _SLOW
    viewer.run(4)
    assert max(each.latency for each in _of(viewer, 1.05, 4)) < 1.2
    assert max(each.latency for each in _of(viewer, 2, 4)) < 0.15
    line.rate = _FAST
    viewer.run(6)
    assert {each.found.ask.level for each in _of(viewer, 5, 6)} == {LADDER[0]}


# -- stops -------------------------------------------------------------------------------------------------------------


def test_a_viewer_that_stops_costs_nothing_and_is_as_new_as_before_right_after() -> None:
    viewer = Viewer(_scrolling(16), Pace(), Line(_SLOW, stops=[(3, 13)]))
    viewer.run(3.2)
    steps, captures, sent = viewer.steps, viewer.captures, len(viewer.sent)
    viewer.run(12.9)
    assert len(viewer.sent) - sent <= 1
    assert viewer.captures - captures <= 1
    assert viewer.steps - steps <= 10
    viewer.run(16)
    assert max(each.latency for each in _of(viewer, 13.2, 16)) < 0.15
    assert len(_of(viewer, 13.2, 16)) > 30


def test_a_viewer_that_never_acknowledges_is_sent_two_messages_at_most() -> None:
    viewer = Viewer(_scrolling(30), Pace(), Line(_SLOW, stops=[(0.0, 1e9)]))
    viewer.run(30)
    assert len(viewer.sent) <= 2
    assert viewer.captures <= 3
    assert viewer.steps < 20


def test_a_still_screen_sends_nothing_and_asks_for_nothing_but_a_change() -> None:
    viewer = Viewer(_Moving(), Pace(), Line(_FAST))
    viewer.run(5)
    steps, sent = viewer.steps, len(viewer.sent)
    viewer.run(60)
    assert (viewer.steps - steps, len(viewer.sent) - sent) == (1, 0)
    assert viewer.pace.next(60, viewer.scene.picture) == Pause(has_room=True, until=None)


# -- exact pixels ------------------------------------------------------------------------------------------------------


def test_all_is_exact_within_a_second_after_the_last_change_on_a_fast_line() -> None:
    viewer = Viewer(_scrolling(2), Pace(), Line(_FAST, delay=0.02))
    viewer.run(2.1)
    assert viewer.pace._lossy
    viewer.run(10)
    assert viewer.pace.is_exact
    assert viewer.sent[-1].shown < 3
    refined = [each.found for each in viewer.sent if each.found.ask.refine]
    assert {part.codec for found in refined for part in found.update.parts} == {Codec.PNG}
    assert max(part.rect.width * part.rect.height for found in refined for part in found.update.parts) <= SMALL


def test_a_change_waits_no_longer_than_a_strip_while_exact_pixels_are_sent_over_a_slow_line() -> None:
    still = 3.0
    scene = _Moving([(_WHOLE, 60, 0, still), (Rect(300, 300, 40, 20), 4, still + 0.5, still + 4)])
    viewer = Viewer(scene, Pace(), Line(_SLOW))
    viewer.run(still + 4)
    letters = _of(viewer, still + 0.5, still + 4)
    assert len(letters) >= 10
    assert max(each.latency for each in letters) < 0.16
    assert any(each.found.ask.refine for each in viewer.sent if each.sent > still + 0.5)


def test_what_is_still_becomes_exact_beside_what_never_is() -> None:
    film = Rect(480, 270, 480, 270)
    viewer = Viewer(_Moving([(_WHOLE, 60, 0, 1), (film, 30, 1, 4)]), Pace(), Line(1e6))
    viewer.run(4)
    lossy = [each.rect for each in viewer.pace._lossy]
    assert lossy
    assert all(film.contains(rect) for rect in lossy)
    assert _latency(_of(viewer, 3, 4)) < 0.13


# -- modes, tiles ------------------------------------------------------------------------------------------------------


def test_mode_exact_is_lossless_whatever_the_line_takes() -> None:
    viewer = Viewer(_scrolling(1), Pace("exact"), Line(_FAST))
    viewer.run(1)
    assert {part.codec for each in viewer.sent for part in each.found.update.parts} == {Codec.PNG}
    assert viewer.pace.is_exact


def test_a_tile_is_scaled_and_sent_whole_again_once_it_is_shown_large() -> None:
    scene = _scrolling(1)
    viewer = Viewer(scene, Pace(width=320), Line(_FAST))
    viewer.run(3)
    small = sum(each.found.update.nbytes for each in viewer.sent) / len(viewer.sent)
    assert small < 30e3
    assert all(part.is_lossy for each in viewer.sent for part in each.found.update.parts)
    assert viewer.pace.is_exact  # as good as tiles get
    sent = len(viewer.sent)
    viewer.pace.width = None
    viewer.run(6)
    assert viewer.sent[sent].found.ask.since == 0
    assert viewer.pace.is_exact
    assert not any(part.is_lossy for part in viewer.sent[-1].found.update.parts)


def test_another_picture_is_sent_whole() -> None:
    scene = _scrolling(3)
    viewer = Viewer(scene, Pace(), Line(_FAST))
    viewer.run(1)
    scene.picture = Picture(_SIZE, BGRX)
    sent = len(viewer.sent)
    viewer.run(2)
    assert viewer.sent[sent].found.ask.since == 0


# -- by hand -----------------------------------------------------------------------------------------------------------


def _written() -> Picture:
    scene = _Moving()
    scene.paint(0)
    return scene.picture


def _asked(pace: Pace, picture: Picture, now: float) -> Ask:
    step = pace.next(now, picture)
    assert isinstance(step, Ask)
    return step


def test_what_was_encoded_before_all_had_to_be_sent_anew_does_not_count() -> None:
    pace, picture, encoder = Pace(), _written(), Encoder()
    pace.sent(encoder.update(picture, _asked(pace, picture, 0)), 0)  # the probe
    pace.acked(1, 0.01)
    pace.sent(encoder.update(picture, _asked(pace, picture, 0.01)), 0.02)
    pace.acked(2, 0.03)
    assert isinstance(pace.next(0.5, picture), Pause)
    stale = encoder.update(picture, _asked(pace, picture, 0.54))
    assert stale.ask.refine
    pace.begin_again()
    number = pace.sent(stale, 0.55)
    pace.acked(number, 0.56)
    assert _asked(pace, picture, 0.57).since == 0


def test_acknowledgements_of_what_was_never_sent_are_refused() -> None:
    pace = Pace()
    for number in (0, 1, -1, 1 << 40):
        with pytest.raises(InvalidArgument, match="never sent"):
            pace.acked(number, 0.0)
    picture = _written()
    number = pace.sent(Encoder().update(picture, _asked(pace, picture, 0)), 0.0)
    pace.acked(number, 0.1)
    pace.acked(number, 0.2)  # twice is none
    with pytest.raises(InvalidArgument, match="the last one was 1"):
        pace.acked(number + 1, 0.3)


def test_what_is_kept_is_bounded_however_it_is_used() -> None:
    pace, random = Pace(), np.random.default_rng(1)
    picture = _written()
    whole = _asked(pace, picture, 0)._replace(is_probe=False)
    for turn in range(400):
        rects = tuple(Rect(int(x), int(y), 9, 9) for x, y in zip(*(random.integers(0, 600, (2, 16))), strict=True))
        parts = tuple(Part(Codec.JPEG, True, rect, b"x" * 100) for rect in rects)
        found = EncodedUpdate(whole, 1, Update(_SIZE, 0, parts), rects, ())
        number = pace.sent(found, turn / 10)
        pace.acked(number, turn / 10 + 0.01)
    line = pace._line
    assert len(pace._lossy) <= 32
    assert len(line._rates) <= 8
    assert len(line._delays) <= 16
    assert not line._under_way


def test_the_ladder_goes_down() -> None:
    assert LADDER[0].quality == BEST_QUALITY
    expected = [Pace()._content.expected(1 << 20, level, 1) for level in LADDER]
    assert expected == sorted(expected, reverse=True)
