"""What an item does to its own worker's process, and what becomes of the item and of those after it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xshm import DisplaySpec, VirtualDisplay, fleet
from xshm.errors import DisplayGone, FleetError, InvalidArgument, SeatLost

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_is_left", "cluster")
_SPEC = DisplaySpec(160, 120, args=("-extension", "GLX"))


@pytest.fixture(scope="module")
def pool(nothing_is_left: None, cluster: Any) -> Iterator[fleet.DisplayPool]:
    """Give a pool of one display, so that each item comes to the worker of the last one."""
    assert (nothing_is_left, bool(cluster)) == (None, True)
    with fleet.DisplayPool(1, _SPEC, tries=2) as pool:
        yield pool


def pid(_: VirtualDisplay) -> int:
    return os.getpid()


def test_a_worker_that_is_told_to_end_is_replaced_and_the_next_item_runs(pool: fleet.DisplayPool) -> None:
    old = pool.submit(pid).result(20)
    os.kill(old, signal.SIGTERM)
    assert pool.submit(pid).result(20) != old


def test_an_item_that_tells_its_worker_to_end_is_lost(pool: fleet.DisplayPool) -> None:
    def end(_: VirtualDisplay) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

    with pytest.raises(SeatLost):
        pool.submit(end).result(20)


@pytest.mark.parametrize("way", ["returns", "raises", "exits"])
def test_a_child_that_an_item_forks_ends_where_it_leaves_the_function(pool: fleet.DisplayPool, way: str) -> None:
    def fork(_: VirtualDisplay) -> int:
        child = os.fork()
        if child == 0:
            if way == "raises":
                raise ValueError(way)
            if way == "exits":
                raise SystemExit(3)
            return 0
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(child, signal.SIGKILL)
        return -1

    assert pool.submit(fork).result(20) == {"returns": 0, "raises": 1, "exits": 3}[way]


def test_a_worker_whose_process_an_item_has_spoilt_for_displays_is_replaced() -> None:
    def spoil(_: VirtualDisplay, item: int) -> int:
        if item == 1:
            os.environ["PATH"] = "/nowhere"
        return item

    with fleet.DisplayPool(1, _SPEC, tries=1) as pool:
        assert list(pool.map(spoil, range(6), fresh=True)) == [*range(6)]
        assert pool.stats().workers_lost == 1


def test_an_item_that_sees_its_displays_connection_end_before_its_server_runs_again(
    pool: fleet.DisplayPool, tmp_path: Path
) -> None:
    def see(display: VirtualDisplay, item: int) -> int:
        mark = tmp_path / "seen"
        if not mark.exists():
            mark.touch()
            subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {display.pid}"])
            raise ValueError("no picture") from DisplayGone("the connection to the X server has ended")
        return item

    assert list(pool.map(see, [5])) == [5]


class Curt(Exception):
    def add_note(self, _: str, /) -> None:
        raise TypeError("no notes here")


def test_an_exception_that_takes_no_notes_is_told_with_its_text(pool: fleet.DisplayPool) -> None:
    def fail(_: VirtualDisplay) -> None:
        raise Curt("what has happened")

    with pytest.raises(FleetError, match="Curt: what has happened") as caught:
        pool.submit(fail).result(20)
    assert "in the worker:" in caught.value.__notes__[0]


def test_a_killed_worker_leaves_nothing_of_the_evidence_that_it_gathers(
    pool: fleet.DisplayPool, tmp_path: Path
) -> None:
    def end(_: VirtualDisplay, __: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    before = set(Path(tempfile.gettempdir()).glob("xshm-item-*"))
    (error,) = pool.map(end, [1], return_exceptions=True, trace_on_failure=tmp_path, video_on_failure=tmp_path)
    assert isinstance(error, SeatLost)
    assert set(Path(tempfile.gettempdir()).glob("xshm-item-*")) <= before


def test_a_look_at_a_worker_that_does_not_answer_ends(pool: fleet.DisplayPool, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = pool.submit(pid).result(20)
    monkeypatch.setattr("xshm.fleet.pool._PATIENCE", 0.5)
    os.kill(stopped, signal.SIGSTOP)
    try:
        with pytest.raises(FleetError, match=r"display 0 has not answered within 0\.5 s"):
            pool.grab(0)
    finally:
        os.kill(stopped, signal.SIGCONT)


# -- what a pool is made with ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [{"lifetime": "detached"}, {"name": "pool"}])
def test_workers_that_would_outlive_their_pool_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=f"it does not take {next(iter(option))}"):
        fleet.DisplayPool(1, _SPEC, **option)


def test_an_endless_timeout_and_more_displays_to_a_worker_than_there_are_can_be_said() -> None:
    with fleet.DisplayPool(1, _SPEC, per_worker=1_000_000, timeout=math.inf) as pool:
        assert pool.submit(pid).result(20) > 0
        assert pool.capacity.per_worker == 1
