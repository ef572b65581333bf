"""Several threads that start one recording, or one trace, and what is left of a start that failed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from interrupt_points import at_every_point
from programs import eventually

from xshm.errors import RecordingFailed
from xshm.record.course import Course

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import xshm

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


# -- what is left of a start that failed -------------------------------------------------------------------------------


def _starting(course: Course[str]) -> Callable[[], None]:
    def begin() -> None:
        course.work = "at work"

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
