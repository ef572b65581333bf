"""A trace that a signal's handler interrupts: whichever point of a call it is, no lock stays taken, no thread is left.

The points are those of the package's own code, and those of `threading`, which is written in Python, too.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import interrupt_points
import pytest
from descriptors import new_descriptors, open_descriptors
from interrupt_points import at_every_point, count_points, interrupted_at
from programs import eventually

from xshm.trace import engine

if TYPE_CHECKING:
    from pathlib import Path

    from painter import Painter

    import xshm

_BOX = (0, 0, 60, 50)


@pytest.fixture(autouse=True)
def _in_threading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what `threading` does be interrupted as well; a thread that was left to itself ends soon."""
    monkeypatch.setattr(interrupt_points, "_PACKAGE", (interrupt_points._PACKAGE, threading.__file__))
    monkeypatch.setattr(engine, "_PATROL", 0.1)


def _ends(trace: xshm.Trace) -> bool:
    """Stop a trace in a thread of its own, and return whether that has come to an end in time."""
    stopping = threading.Thread(target=trace.stop, daemon=True)
    stopping.start()
    stopping.join(5)
    return not stopping.is_alive()


def test_a_trace_goes_on_whichever_point_of_a_call_is_interrupted(screen: xshm.Screen, painter: Painter) -> None:
    trace = screen.trace(keep_last=60, region=_BOX)
    trace.start()

    def work() -> None:
        trace.mark("mark")
        trace.log("line")
        trace.catch_up()

    attempts = 0
    for _ in at_every_point(work):
        attempts += 1
        caught_up = threading.Thread(target=trace.catch_up, daemon=True)
        caught_up.start()
        caught_up.join(5)
        assert not caught_up.is_alive()
    assert attempts > 30
    painter.fill(_BOX, (255, 0, 0))
    reader = trace.reader()
    assert (reader.at(reader.duration).rgb() == (255, 0, 0)).all()
    assert reader.marks[-1].title == "mark"
    assert _ends(trace)


@pytest.mark.parametrize("apart", [53, pytest.param(1, marks=pytest.mark.proof)])
def test_it_ends_whichever_point_of_its_start_or_stop_is_interrupted(
    screen: xshm.Screen, tmp_path: Path, apart: int
) -> None:
    path = tmp_path / "trace.html"
    made: list[xshm.Trace] = []

    def work() -> None:
        made[0].start()
        made[0].stop()

    with screen.trace(path, region=_BOX):
        pass
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    made[:] = [screen.trace(path, region=_BOX)]
    last = count_points(work)
    assert last > 100
    for point in range(1, last + 1, apart):
        made[:] = [screen.trace(path, region=_BOX)]
        interrupted_at(point, work)
        if made[0]._engine is not None:
            assert _ends(made[0]), f"point {point}"
        made.clear()
        assert eventually(lambda: not set(threading.enumerate()) - threads), f"point {point}"
    assert eventually(lambda: new_descriptors(descriptors) == {})
    assert eventually(lambda: not screen._session.listeners)
    assert [each.name for each in tmp_path.iterdir()] == ["trace.html"]
