"""A recording that a signal's handler interrupts: whichever point of a call it is, no lock stays taken, no thread.

The points are those of the package's own code, and those of `threading`, which is written in Python, too.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import interrupt_points
import pytest
from interrupt_points import at_every_point, count_points, interrupted_at
from listing_sink import ListingSink
from programs import eventually

from xshm.record import pipeline as pipeline_module
from xshm.record.feeds.opening import open_feed
from xshm.record.pictures.painter import Painter as PicturePainter
from xshm.record.pipeline import Pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from counter_screen import CounterScreen

    import xshm


@pytest.fixture(autouse=True)
def _in_threading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what `threading` does be interrupted as well."""
    monkeypatch.setattr(interrupt_points, "_PACKAGE", (interrupt_points._PACKAGE, threading.__file__))


def _pipeline(screen: xshm.Screen) -> Pipeline:
    feed = open_feed(screen, screen.rect.from_ltrb(0, 0, 300, 100), cursor=False)
    sink = ListingSink(feed.size)
    return Pipeline(feed, PicturePainter(feed.format, feed.size, sink.layout), sink, None, constant=False)


def _ends(pipeline: Pipeline) -> bool:
    """Stop a pipeline in a thread of its own, and return whether that has come to an end in time."""
    stopping = threading.Thread(target=pipeline.stop, daemon=True)
    stopping.start()
    stopping.join(5)
    return not stopping.is_alive()


def test_a_recording_goes_on_whichever_point_of_a_call_is_interrupted(
    screen: xshm.Screen, counter: CounterScreen
) -> None:
    pipeline = _pipeline(screen)
    pipeline.start()

    def work() -> None:
        pipeline.pause()
        pipeline.resume()
        pipeline.writer.mark("chapter")
        pipeline.catch_up()

    attempts = 0
    for _ in at_every_point(work):
        attempts += 1
        resuming = threading.Thread(target=pipeline.resume, daemon=True)
        resuming.start()
        resuming.join(5)
        assert not resuming.is_alive()
    assert attempts > 30
    frames = pipeline.writer.frames
    counter.count()
    assert eventually(lambda: pipeline.writer.frames > frames)
    assert _ends(pipeline)


def test_it_ends_whichever_point_of_its_start_or_stop_is_interrupted(
    screen: xshm.Screen, counter: CounterScreen
) -> None:
    made: list[Pipeline] = []

    def work() -> None:
        made[0].start()
        made[0].stop()

    def look() -> None:
        assert made[0]._look()

    counter.show(1)
    before = set(threading.enumerate())
    made[:] = [_pipeline(screen)]
    point = count_points(look)  # so many come before the first thread is started
    made[0]._feed.close()
    interrupted, attempts = True, 0
    while interrupted:
        made[:] = [_pipeline(screen)]
        interrupted = interrupted_at(point, work)
        if made[0].has_begun:
            assert _ends(made[0]), f"point {point}"
        else:
            made[0]._feed.close()
        assert eventually(lambda: not set(threading.enumerate()) - before), f"point {point}"
        point += 1
        attempts += 1
    assert attempts > 20


@pytest.mark.usefixtures("no_collector")
def test_a_recorder_whose_stop_was_interrupted_ends_when_it_is_dropped(
    screen: xshm.Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "_PATROL", 0.1)
    before = set(threading.enumerate())
    for point in range(1, 12):
        recorder = screen.record(tmp_path / "video.y4m", region=(0, 0, 300, 100), fps=10)
        recorder.start()
        assert interrupted_at(point, recorder.stop)
        del recorder
        assert eventually(lambda: not set(threading.enumerate()) - before), f"point {point}"
