"""What ends under a map, and what it ends: all results are right nevertheless, and nothing is left of any display."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from display_traces import Traces, left_of, traces

from xshm import DisplaySpec, StartFailed, VirtualDisplay, fleet
from xshm.errors import Closed, FleetError, SeatLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("nothing_is_left", "cluster")
_SPEC = DisplaySpec(160, 120, args=("-extension", "GLX"))
_ITEMS = 16


@pytest.fixture(scope="module")
def pool(nothing_is_left: None, cluster: Any) -> Iterator[fleet.DisplayPool]:  # noqa: ARG001 - it comes before
    """Give a pool that is there again after each test: of two displays, one to a worker."""
    assert cluster
    with fleet.DisplayPool(2, _SPEC, tries=2) as pool:
        yield pool


def is_soon(condition: Callable[[], object], seconds: float = 20) -> bool:
    """Wait until it is so; return False where it is not in so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def slow(display: VirtualDisplay, item: int) -> tuple[int, int]:
    """Take a while, and answer what only a display that lives can."""
    time.sleep(0.05)
    return item, display.screen.grab().width


_RIGHT = [(item, 160) for item in range(_ITEMS)]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


# -- an item that ends something ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_worker", [1, 3])
def test_an_item_that_ends_its_worker_each_time_is_its_own_error_alone(
    pool: fleet.DisplayPool, per_worker: int
) -> None:
    def poison(display: VirtualDisplay, item: int) -> int:
        if item == 1:
            time.sleep(0.1)  # others run beside it
            os._exit(1)
        return slow(display, item)[0]

    with contextlib.ExitStack() as closing:
        if per_worker > 1:
            pool = closing.enter_context(fleet.DisplayPool(per_worker, _SPEC, per_worker=per_worker, tries=2))
        before = pool.stats()
        found = list(pool.map(poison, range(8), return_exceptions=True))
        assert isinstance(found[1], SeatLost)
        assert (found[1].item, found[1].tries) == (1, 2)
        assert "lost its display or its worker 2 times" in str(found[1])
        assert [*found[:1], *found[2:]] == [0, *range(2, 8)]
        assert pool.stats().workers_lost - before.workers_lost == 2


def test_an_item_that_ends_its_displays_server_each_time_is_its_own_error_alone(pool: fleet.DisplayPool) -> None:
    def poison(display: VirtualDisplay, item: int) -> int:
        if item == 1:
            assert display.pid is not None
            kill(display.pid)
            display.wait()
        return slow(display, item)[0]

    before = pool.stats()
    found = list(pool.map(poison, range(6), return_exceptions=True))
    assert isinstance(found[1], SeatLost)
    assert [*found[:1], *found[2:]] == [0, *range(2, 6)]
    after = pool.stats()
    assert after.displays_lost - before.displays_lost == 2
    assert after.workers_lost == before.workers_lost


# -- ended from outside ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["server", "supervisor", "worker"])
def test_all_results_are_right_where_a_process_is_killed_in_the_middle_of_a_map(
    pool: fleet.DisplayPool, what: str
) -> None:
    found: Traces = pool.submit(traces).result(20)
    results = pool.map(slow, range(_ITEMS))
    first = [next(results) for _ in range(4)]
    kill(getattr(found, what))
    assert first + list(results) == _RIGHT
    assert is_soon(lambda: pool.stats().up == 2)
    gone = found._replace(processes=frozenset(each for each in found.processes if each[0] != found.worker))
    assert not left_of([found if what == "worker" else gone])


def test_an_idle_worker_that_was_killed_is_replaced_and_costs_no_item_a_try(pool: fleet.DisplayPool) -> None:
    before = pool.stats()
    old = pool.infos()[0]
    kill(old.pid)
    assert is_soon(lambda: pool.stats().workers_lost > before.workers_lost)
    assert is_soon(lambda: pool.stats().up == 2)
    assert pool.grab(0).width == 160
    assert pool.infos()[0].pid != old.pid
    assert list(pool.map(slow, range(_ITEMS))) == _RIGHT
    assert pool.stats().again == before.again


def test_all_results_are_right_where_nodes_are_removed_in_the_middle_of_maps(cluster: Any) -> None:
    def more() -> Any:
        return cluster.add_node(num_cpus=1, object_store_memory=80 << 20, resources={"steady": 1})

    def halved(node: Any) -> list[Traces]:
        """Remove a node; return what had been there."""
        (number,) = (number for number, info in enumerate(pool.infos()) if info.node == node.node_id)
        found = {each for future in [pool.submit(traces) for _ in range(6)] for each in [future.result(20)]}
        there = pool.infos()[number].pid
        results = pool.map(slow, range(_ITEMS))
        first = [next(results) for _ in range(4)]
        yield_to = iter(results)
        removal(node)
        assert first + list(yield_to) == _RIGHT
        return [each for each in found if each.worker == there]

    def planned(node: Any) -> None:
        cluster.remove_node(node)

    def hard(node: Any) -> None:
        raylet = node.all_processes["raylet"][0].process
        kill(raylet.pid)
        raylet.wait()

    removal = planned
    node = more()
    with fleet.DisplayPool(2, _SPEC, resources={"steady": 1}) as pool:
        assert not left_of(halved(node))
        assert is_soon(lambda: pool.stats().workers_lost == 1)
        node, removal = more(), hard
        assert is_soon(lambda: pool.stats().up == 2), "the worker that had no room has it now"
        gone = halved(node)
        cluster.remove_node(node, allow_graceful=False)
        assert gone
        assert not left_of(gone)
        assert is_soon(lambda: pool.stats().workers_lost == 2)


# -- a start that fails ------------------------------------------------------------------------------------------------


class Refusing(fleet.Seat):
    """A seat that can't be set up where there is a file; another one kills the worker, once."""

    refused: Path

    def set_up(self) -> None:
        (self.refused / f"{self.display.pid}").touch()
        if (self.refused / "kill").exists():
            (self.refused / "kill").unlink()
            kill(os.getpid())
        if (self.refused / "no").exists():
            raise StartFailed("nothing starts here")


@pytest.fixture
def refusing(tmp_path: Path) -> type[Refusing]:
    return type("Refusing", (Refusing,), {"refused": tmp_path, "__module__": "__main__"})


def test_a_set_up_that_raises_is_the_constructors_error_and_nothing_is_left(
    refusing: type[Refusing], tmp_path: Path
) -> None:
    (tmp_path / "no").touch()
    with pytest.raises(StartFailed, match="nothing starts here"):
        fleet.DisplayPool(2, _SPEC, kind=refusing)
    servers = [int(path.name) for path in tmp_path.iterdir() if path.name != "no"]
    assert servers
    assert is_soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in servers))


def test_a_worker_that_is_killed_while_it_starts_is_tried_again(
    refusing: type[Refusing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xshm.fleet.dispatch._PAUSES", (0.1,))
    (tmp_path / "kill").touch()
    with fleet.DisplayPool(1, _SPEC, kind=refusing) as pool:
        assert list(pool.map(slow, range(2))) == _RIGHT[:2]
    assert len([*tmp_path.iterdir()]) == 2, "two displays have been set up, and the file is gone"


def test_tasks_fail_with_words_where_no_worker_can_be_started_any_more(
    refusing: type[Refusing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xshm.fleet.dispatch._PAUSES", (0.1,))
    monkeypatch.setattr("xshm.fleet.dispatch._STARTS", 2)
    with fleet.DisplayPool(1, _SPEC, kind=refusing) as pool:
        (tmp_path / "no").touch()

        def end(_: VirtualDisplay, item: int) -> int:
            if item == 1:
                os._exit(1)
            return item

        results = pool.map(end, range(4))
        assert next(results) == 0
        for _ in range(3):
            with pytest.raises(FleetError, match="no worker is left, and none can be started: nothing starts here"):
                next(results)
        with pytest.raises(FleetError, match="no worker is left"):
            pool.submit(slow, 1).result(10)
        assert len([*tmp_path.iterdir()]) == 1 + 1 + 2, "it was tried twice"


# -- the pool's end ----------------------------------------------------------------------------------------------------


def _raised_by(results: Iterator[Any]) -> BaseException | None:
    try:
        next(results)
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return error
    return None


def test_closing_ends_what_runs_and_what_waits_and_all_of_the_displays(tmp_path: Path) -> None:
    framebuffers = tmp_path / "framebuffers"
    framebuffers.mkdir()

    def busy(display: VirtualDisplay, spec: str) -> None:
        (tmp_path / spec).touch()
        display.launch(["xclock"])
        threading.Event().wait()

    def of(display: VirtualDisplay) -> Traces:
        display.run(["sh", "-c", "sleep 1000 & sleep 1000"])
        display.run(["xclock"])
        return traces(display, *framebuffers.iterdir())

    sysv = DisplaySpec(160, 120, args=_SPEC.args, framebuffer="sysv")
    kept = DisplaySpec(160, 120, args=_SPEC.args, framebuffer=framebuffers)
    found: list[Traces] = []
    for spec, count in ((sysv, 2), (kept, 1)):
        with fleet.DisplayPool(count, spec, per_worker=count) as pool:
            found += [pool.submit(of).result(20) for _ in range(2 * count)]
            name = type(spec.framebuffer).__name__
            results = pool.map(busy, [name] * count)
            held: list[BaseException | None] = []
            running = threading.Thread(target=lambda results=results, held=held: held.append(_raised_by(results)))
            running.start()
            assert is_soon((tmp_path / name).exists)
            waiting = [pool.submit(busy, "never") for _ in range(4)]
        running.join(10)
        assert [type(each) for each in held] == [Closed]
        for future in waiting:
            with pytest.raises(Closed):
                future.result(1)
        with pytest.raises(Closed):
            pool.map(slow, [1])
    assert any(each.segments for each in found)
    assert any(str(framebuffers) in path for each in found for path, _ in each.files)
    assert all(len(each.processes) >= 6 for each in found), "a worker, shell, supervisor, server, program, its child"
    assert not left_of(found)
    assert not [*framebuffers.iterdir()]


def test_a_pool_that_is_dropped_is_closed_with_a_warning_once_nobody_waits_for_its_results() -> None:
    results = fleet.DisplayPool(1, _SPEC).map(lambda display, _: traces(display), range(2))
    first, second = next(results), next(results)
    assert isinstance(first, Traces)
    assert first == second
    with pytest.warns(ResourceWarning, match="DisplayPool of 1> was not closed"):
        del results
    assert not left_of([first])
