"""Several threads that start one recording, or one trace, or stop it meanwhile; and what is left of a failed start."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from interrupt_points import at_every_point
from programs import eventually

import xshm
from xshm.errors import Closed, RecordingFailed
from xshm.record import pipeline
from xshm.record import recorder as recorder_module
from xshm.record.course import Course
from xshm.record.sinks import opening
from xshm.trace import engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Startable = xshm.Recorder | xshm.Trace

_REGION = (0, 0, 60, 50)
_THREADS = 4


@pytest.fixture(params=["recorder", "ring", "trace"])
def startable(request: pytest.FixtureRequest, screen: xshm.Screen, tmp_path: Path) -> Startable:
    """Give each of what `start` starts."""
    if request.param == "recorder":
        return screen.record(tmp_path / "made.mkv", region=_REGION)
    if request.param == "ring":
        return screen.record(keep_last=5, region=_REGION)
    return screen.trace(tmp_path / "made.html", region=_REGION)


def test_of_several_threads_that_start_it_one_does(startable: Startable) -> None:
    before = set(threading.enumerate())
    together = threading.Barrier(_THREADS)

    def start() -> None:
        together.wait(10)
        startable.start()

    with ThreadPoolExecutor(_THREADS) as pool:
        started = [pool.submit(start) for _ in range(_THREADS)]
        refused = [error for each in started if (error := each.exception(10)) is not None]
    assert len(refused) == _THREADS - 1
    for each in refused:
        assert isinstance(each, RecordingFailed)
        assert "started already; begin another one" in str(each)
    assert startable.is_running
    startable.stop()
    assert eventually(lambda: not set(threading.enumerate()) - before)


def _stopped(startable: Startable, started: Future[None], before: set[threading.Thread]) -> None:
    """Look that a start which was stopped meanwhile says so, and has left nothing at work."""
    with pytest.raises(Closed, match="has ended; begin a new one with"):
        started.result(10)
    assert not startable.is_running
    assert "over" in repr(startable)
    assert not {each for each in set(threading.enumerate()) - before if each.name.startswith("xshm")}
    with pytest.raises(Closed):
        startable.start()
    startable.stop()


def test_what_is_stopped_while_a_fifo_has_no_reader_yet_is_not_recorded(
    screen: xshm.Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.mkv")
    recorder = screen.record(tmp_path / "pipe.mkv", region=_REGION)
    before = set(threading.enumerate())
    waiting = threading.Event()
    original = opening._open

    def wait_for_reader(*arguments: Any) -> Any:
        waiting.set()
        return original(*arguments)

    monkeypatch.setattr(opening, "_open", wait_for_reader)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(recorder.start)
        assert waiting.wait(10)
        recorder.stop()  # which does not wait for it
        assert not started.done()
        reader = os.open(tmp_path / "pipe.mkv", os.O_RDONLY | os.O_NONBLOCK)
        _stopped(recorder, started, before)
    assert os.read(reader, 100) == b""
    os.close(reader)


@pytest.mark.parametrize("point", ["_launch", "open_feed"])
def test_what_is_stopped_while_it_is_started_ends_by_itself(
    startable: Startable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """At the last moment, when its threads run, and before there is anything."""
    before = set(threading.enumerate())
    is_trace = isinstance(startable, xshm.Trace)
    where: Any = (
        (engine if is_trace else recorder_module)
        if point == "open_feed"
        else (engine.Engine if is_trace else pipeline.Pipeline)
    )
    original = getattr(where, point)

    def stopped_meanwhile(*arguments: Any, **options: Any) -> Any:
        startable.stop()
        return original(*arguments, **options)

    monkeypatch.setattr(where, point, stopped_meanwhile)
    with ThreadPoolExecutor(1) as pool:
        _stopped(startable, pool.submit(startable.start), before)
    if is_trace or point == "open_feed":
        assert list(tmp_path.iterdir()) == []


# -- what is left of a start that failed -------------------------------------------------------------------------------


def _starting(course: Course[str]) -> Callable[[], None]:
    def begin() -> None:
        assert course.publish("at work")

    return lambda: course.start(begin)


def test_a_start_that_failed_may_be_tried_again_whichever_point_of_it_is_interrupted() -> None:
    course = Course[str]("recording", "record")

    def fail() -> None:
        raise OSError("full")

    def work() -> None:
        with suppress(OSError):
            course.start(fail)

    attempts = 0
    for _ in at_every_point(work):
        attempts += 1
        assert not course._claims
    assert attempts > 1
    _starting(course)()
    assert course.work == "at work"
    with pytest.raises(RecordingFailed, match=r"this recording was started already; begin another one with record\(\)"):
        _starting(course)()
