"""The two threads of a recording: what is written is what was there, in order; a slow sink costs pictures, no time."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from counter_screen import HEIGHT, CounterScreen
from listing_sink import ListingSink, shows
from programs import eventually

import xshm
from xshm.errors import InvalidArgument, RecordingStalled
from xshm.geometry import Rect
from xshm.record import pipeline as module
from xshm.record import writer
from xshm.record.feeds.opening import open_feed
from xshm.record.pictures.painter import Painter as PicturePainter
from xshm.record.pipeline import Pipeline
from xshm.record.timing import shown_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from painter import Painter

    from xshm.record.feeds.feed import Feed

_SECOND = 1_000_000_000


class _Recording:
    """A pipeline of 400x200 pixels into a ListingSink."""

    def __init__(self, screen: xshm.Screen, fps: float | None = None, *, constant: bool = False) -> None:
        feed = open_feed(screen, screen.rect.from_ltrb(0, 0, 400, 200), cursor=False)
        self.sink = ListingSink(feed.size)
        painter = PicturePainter(feed.format, feed.size, self.sink.layout)
        self.pipeline = Pipeline(feed, painter, self.sink, fps, constant=constant)

    def __enter__(self) -> tuple[Pipeline, ListingSink]:
        self.pipeline.start()
        return self.pipeline, self.sink

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.pipeline.stop()
        else:
            with contextlib.suppress(Exception):
                self.pipeline.stop()


def test_each_change_is_a_picture_of_its_own_moment(screen: xshm.Screen, counter: CounterScreen) -> None:
    shown = []
    with _Recording(screen) as (_, sink):
        begun = time.monotonic_ns()
        for _ in range(12):
            time.sleep(0.02)
            counter.count()
            shown.append(time.monotonic_ns() - begun)
        time.sleep(0.02)
    assert [number for _, number in sink.pictures] == list(range(13))
    for (at, _), seen in zip(sink.pictures[1:], shown, strict=True):
        assert abs(at - seen) < 0.05 * _SECOND
    assert sink.end is not None
    assert sink.end > sink.pictures[-1][0]


def test_only_what_has_changed_is_painted_and_told(
    screen: xshm.Screen, counter: CounterScreen, painter: Painter
) -> None:
    painter.fill((0, 40, 400, 160), (9, 9, 9))
    with _Recording(screen) as (_, sink):
        for shade in range(8):
            time.sleep(0.02)
            painter.fill((300, 100 + shade, 7, 5), (shade, 99, 255))
        time.sleep(0.05)
        truth = screen.grab((0, 0, 400, 200)).rgb()
    assert shows(sink, truth)
    assert sink.areas[0] == 400 * 200
    assert all(0 < area < 300 for area in sink.areas[1:])
    assert counter.number == 0


def test_what_is_drawn_last_before_the_stop_is_recorded(screen: xshm.Screen, counter: CounterScreen) -> None:
    with _Recording(screen, fps=1) as (_, sink):
        counter.show(77)
    assert [number for _, number in sink.pictures] == [0, 77]


def _outrun(pipeline: Pipeline, sink: ListingSink, draws: Iterable[Callable[[], object]]) -> None:
    """Draw while the sink stands still; return when each drawing is captured, and the sink has the first one."""
    eventually(lambda: pipeline.writer.frames)
    sink.keep_alive = 60 * _SECOND  # nothing else comes between
    sink.free.clear()
    for draw in draws:
        before = pipeline._pace.due
        draw()
        eventually(lambda before=before: pipeline._pace.due > before)  # type: ignore[misc]
        eventually(lambda: pipeline.writer._busy)


def test_a_slow_sink_costs_pictures_which_are_counted_and_the_newest_wins(
    screen: xshm.Screen, counter: CounterScreen
) -> None:
    with _Recording(screen) as (pipeline, sink):
        _outrun(pipeline, sink, [counter.count] * 12)
        assert pipeline.dropped == 10
        sink.free.set()
    assert [number for _, number in sink.pictures] == [0, 1, 12]
    assert pipeline.writer.frames == 3


def test_a_picture_that_replaces_others_tells_what_was_drawn_in_any_of_them(
    screen: xshm.Screen, counter: CounterScreen, painter: Painter
) -> None:
    painter.fill((0, 40, 400, 160), (9, 9, 9))
    boxes = [(10 + 90 * place, 50 + 30 * place, 8, 8) for place in range(4)]
    with _Recording(screen) as (pipeline, sink):
        _outrun(pipeline, sink, [functools.partial(painter.fill, box, (255, 0, 99)) for box in boxes])
        sink.free.set()
    assert len(sink.areas) == 3
    assert shows(sink, screen.grab((0, 0, 400, 200)).rgb())
    assert counter.number == 0


def test_a_picture_of_a_constant_rate_tells_what_was_drawn_in_others_of_its_time(
    screen: xshm.Screen, counter: CounterScreen, painter: Painter
) -> None:
    painter.fill((0, 40, 400, 160), (9, 9, 9))
    with _Recording(screen, 4, constant=True) as (pipeline, sink):
        eventually(lambda: sink.areas)
        for place in range(3):
            painter.fill((10 + 90 * place, 50 + 30 * place, 8, 8), (255, 0, 99))
            pipeline.catch_up()
        eventually(lambda: len(sink.areas) > 1)
    assert shows(sink, screen.grab((0, 0, 400, 200)).rgb())
    assert counter.number == 0


class _OvertakenPainter(PicturePainter):
    """Paints the upper half of a counter, then lets the next number be shown, and paints the lower one."""

    def __init__(self, painter: PicturePainter, feed: Feed, count: Callable[[], object]) -> None:
        super().__init__(feed.format, feed.size, painter._layout)
        self._count = count
        self.overtakes = 2

    def paint(self, picture: Any, pixels: Any, rects: Any, colormap: Any = None) -> list[Rect]:
        upper, lower = Rect(0, 0, 400, HEIGHT // 2), Rect(0, HEIGHT // 2, 400, 200 - HEIGHT // 2)
        painted = []
        for half in (upper, lower):
            parts = [part for rect in rects if (part := rect.intersect(half))]
            painted += super().paint(picture, pixels, parts, colormap)
            if half is upper and self.overtakes:
                self.overtakes -= 1
                self._count()
        return painted


def test_what_is_drawn_to_while_it_is_painted_is_painted_again() -> None:
    with (
        xshm.VirtualDisplay(400, 200) as display,
        display.activate(),
        CounterScreen(display.name) as counter,
    ):
        recording = _Recording(display.screen)
        pipeline = recording.pipeline
        overtaken = pipeline._painter = _OvertakenPainter(pipeline._painter, pipeline._feed, counter.count)
        with recording as (_, sink):
            eventually(lambda: sink.pictures)
            assert sink.pictures == [(0, 2)]  # which the sink has found whole
            overtaken.overtakes = 1
            counter.count()
    assert [number for _, number in sink.pictures] == [2, 4]


def test_the_rate_is_bounded(screen: xshm.Screen, counter: CounterScreen) -> None:
    with _Recording(screen, fps=20) as (_, sink):
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            counter.count()
            time.sleep(0.002)
    times = [at / _SECOND for at, _ in sink.pictures]
    assert 11 <= len(times) <= 0.6 * 20 + 3
    assert all(later - earlier >= 0.024 for earlier, later in itertools.pairwise(times[:-1]))


def test_a_still_screen_costs_nothing_but_a_keep_alive(
    screen: xshm.Screen, counter: CounterScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listing_sink.KEEP_ALIVE", _SECOND // 10 + shown_alone(None))
    with _Recording(screen) as (pipeline, sink):
        time.sleep(0.48)
    assert sink.pictures == [(0, counter.number)]
    assert len(sink.alive) in (3, 4)
    assert pipeline.writer.frames == 1


def test_a_change_right_after_a_keep_alive_is_not_nearer_to_it_than_two_of_the_rate(
    screen: xshm.Screen, counter: CounterScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listing_sink.KEEP_ALIVE", _SECOND // 5)
    with _Recording(screen, fps=25) as (_, sink):
        for _ in range(3):
            before = len(sink.alive)
            eventually(lambda before=before: len(sink.alive) > before)  # type: ignore[misc]
            counter.count()
            eventually(lambda: sink.pictures[-1][1] == counter.number)
    times = sorted([at for at, _ in sink.pictures] + sink.alive)
    assert len(sink.pictures) == 4
    assert min(later - at for at, later in itertools.pairwise(times)) >= _SECOND // 25


def test_a_pause_takes_no_time(screen: xshm.Screen, counter: CounterScreen) -> None:
    with _Recording(screen) as (pipeline, sink):
        time.sleep(0.1)
        pipeline.pause()
        pipeline.pause()
        at = pipeline.duration
        time.sleep(0.3)
        counter.show(5)
        assert pipeline.duration == at
        assert len(sink.pictures) == 1
        # Until then it has lasted, where the last picture is shown as long as any.
        assert [(each + shown_alone(None)) / _SECOND for each in sink.alive] == [at]
        pipeline.resume()
        time.sleep(0.1)
    assert [number for _, number in sink.pictures] == [0, 5]
    assert sink.pictures[1][0] / _SECOND == pytest.approx(at, abs=0.04)
    assert 0.2 <= pipeline.duration < 0.35


@pytest.mark.parametrize("fps", [30, 12.5, 29.97])
def test_a_constant_rate_has_exactly_its_frames(screen: xshm.Screen, counter: CounterScreen, fps: float) -> None:
    with _Recording(screen, fps, constant=True) as (pipeline, sink):
        for _ in range(4):
            time.sleep(0.07)
            counter.count()
    times = sorted([at for at, _ in sink.pictures] + sink.alive)
    assert len(times) == pipeline.writer.frames == round(pipeline.duration * fps)
    assert times == [round(place * _SECOND / fps) for place in range(len(times))]


@pytest.mark.parametrize("constant", [False, True])
def test_a_recording_that_is_stopped_after_its_limit_is_as_if_it_was_stopped_then(
    screen: xshm.Screen, counter: CounterScreen, monkeypatch: pytest.MonkeyPatch, *, constant: bool
) -> None:
    monkeypatch.setattr("listing_sink.KEEP_ALIVE", _SECOND // 5)
    recording = _Recording(screen, 25, constant=constant)
    recording.pipeline.clock.limit = limit = _SECOND // 2
    with recording as (pipeline, sink):
        late = time.monotonic() + 0.8
        while time.monotonic() < late:
            counter.count()
            time.sleep(0.01)
        pipeline.writer.mark("late")
        pipeline.catch_up()
        assert pipeline.writer._deadline() == math.inf, "nobody waits for a time that does not come"
    times = sorted([at for at, _ in sink.pictures] + sink.alive)
    assert pipeline.duration == 0.5
    assert times[-1] < limit
    assert len(sink.pictures) > 8
    assert [at for at, _ in sink.marks] == [limit]
    assert sink.end == limit
    if constant:
        assert len(times) == pipeline.writer.frames == 13


@pytest.mark.usefixtures("counter")
def test_the_shortest_recording_has_a_frame(screen: xshm.Screen) -> None:
    with _Recording(screen, 1, constant=True) as (pipeline, _):
        pass
    assert pipeline.writer.frames == 1


def test_chapters_begin_when_they_are_marked(screen: xshm.Screen, counter: CounterScreen) -> None:
    with _Recording(screen) as (pipeline, sink):
        pipeline.writer.mark("one")
        time.sleep(0.1)
        counter.count()
        pipeline.writer.mark("two")
    (first, one), (second, two) = sink.marks
    assert (one, two) == ("one", "two")
    assert first / _SECOND < 0.05
    assert second / _SECOND == pytest.approx(0.1, abs=0.05)


class _BrokenSink(ListingSink):
    def write(self, picture: Any, at: int, changed: Any) -> None:
        assert self.free.wait(20)
        if self.pictures:
            raise OSError(28, "No space left on device", "video")
        super().write(picture, at, changed)


def test_an_error_of_the_sink_ends_the_capture_and_is_raised_by_stop(
    screen: xshm.Screen, counter: CounterScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_pipeline.ListingSink", _BrokenSink)
    recording = _Recording(screen)
    recording.pipeline.start()
    _outrun(recording.pipeline, recording.sink, [counter.count])
    time.sleep(0.05)  # the capture thread waits for the next change
    recording.sink.free.set()
    recording.pipeline._capturing.join(1)
    assert not recording.pipeline._capturing.is_alive()
    assert not recording.pipeline.is_running
    begun = time.monotonic()
    recording.pipeline.catch_up()  # for which nothing is to be waited for
    assert time.monotonic() - begun < 1
    with pytest.raises(OSError, match="No space left"):
        recording.pipeline.stop()
    assert recording.sink.aborted == 1


class _HangingSink(ListingSink):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.given_up = threading.Event()

    def write(self, picture: Any, at: int, changed: Any) -> None:
        super().write(picture, at, changed)
        if len(self.pictures) > 1:
            assert self.given_up.wait(10)
            raise InvalidArgument("a consequence, not the reason")

    def abort(self) -> None:
        super().abort()
        self.given_up.set()


def test_a_sink_that_hangs_is_an_error_in_time_and_holds_up_nothing(
    screen: xshm.Screen, counter: CounterScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE", 0.6)
    monkeypatch.setattr(module, "_PATROL", 0.1)
    monkeypatch.setattr("test_pipeline.ListingSink", _HangingSink)
    recording = _Recording(screen)
    recording.pipeline.start()
    for _ in range(20):
        counter.count()
        time.sleep(0.01)
    assert recording.pipeline.dropped > 10
    with pytest.raises(RecordingStalled, match="has taken nothing"):
        recording.pipeline.stop()
    recording.pipeline._writing.join(5)
    assert recording.sink.aborted == 2  # by the thread that has noticed, and by the one that has hung


class _ToilingSink(ListingSink):
    """Computes, or writes, for longer than a sink may do nothing."""

    computes = False

    def write(self, picture: Any, at: int, changed: Any) -> None:
        super().write(picture, at, changed)
        if len(self.pictures) > 1 and self.computes:
            until = time.thread_time() + 0.8
            while time.thread_time() < until:
                pass
        elif len(self.pictures) > 1:
            for _ in range(8):
                time.sleep(0.1)
                self.nbytes += 1


@pytest.mark.parametrize("computes", [True, False])
def test_a_sink_that_toils_is_left_alone(
    screen: xshm.Screen, counter: CounterScreen, monkeypatch: pytest.MonkeyPatch, computes: bool
) -> None:
    monkeypatch.setattr(writer, "PATIENCE", 0.5)
    monkeypatch.setattr(module, "_PATROL", 0.1)
    monkeypatch.setattr(_ToilingSink, "computes", computes)
    monkeypatch.setattr("test_pipeline.ListingSink", _ToilingSink)
    with _Recording(screen) as (_, sink):
        counter.count()
    assert not sink.aborted
    assert [number for _, number in sink.pictures] == [0, 1]


def test_whoever_asks_waits_until_what_is_there_is_written(screen: xshm.Screen, counter: CounterScreen) -> None:
    with _Recording(screen, fps=1) as (pipeline, sink):
        for number in (3, 5, 8):
            counter.show(number)
            pipeline.catch_up()
            assert sink.pictures[-1][1] == number
        assert pipeline.is_running
