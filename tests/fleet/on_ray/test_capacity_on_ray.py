"""How many displays fit on a cluster's nodes, against what the machine and Ray say by other ways."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from xshm import DisplaySpec, NoRoom
from xshm.errors import InvalidArgument, InvalidType
from xshm.fleet import DisplayPool
from xshm.fleet import cluster as rays
from xshm.fleet.nodes import probe
from xshm.fleet.room import capacity, room_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_NONE = DisplaySpec(framebuffer="none")
_PUT = 40 << 20

ray = rays.ray()  # as Any


def _free_cpus(wanted: float) -> None:
    """Wait until Ray says of all nodes together that so many CPUs are free."""
    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU", 0) != wanted:
        assert time.monotonic() < deadline, ray.available_resources()
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def _idle(cluster: Any) -> None:
    assert cluster
    _free_cpus(4)


def test_rays_cpus_are_counted_node_by_node() -> None:
    found = capacity(_NONE, num_cpus=0.25, memory=1)
    assert {row.id for row in found.nodes} == {each["NodeID"] for each in ray.nodes()}
    assert [(row.cpus, row.fits, row.limit) for row in found.nodes] == [(8, 8, "CPUs")] * 2
    assert capacity(_NONE, num_cpus=1.5, memory=1).fits == 2  # 2 CPUs each; the 4 of both would be enough for one more
    with pytest.raises(NoRoom, match="17 displays don't fit, 16 do: Ray has 4 CPUs free"):
        found.check(17)


def test_a_node_without_what_a_worker_takes_is_named_and_not_asked(cluster: Any) -> None:
    first, second = (node.node_id for node in cluster.list_all_nodes())
    found = capacity(_NONE, num_cpus=0.25, memory=1, resources={"steady": 0.5})
    rows = {row.id: row for row in found.nodes}
    assert (rows[second].fits, rows[second].limit) == (2, "resource steady")
    assert (rows[first].fits, rows[first].limit, rows[first].cpus) == (0, "resource steady", None)
    assert "Ray has 1 steady free on" in found.reason
    assert f"{first[:8]} ({rows[first].host}): has 0 steady in all, and a worker takes 0.5 (start Ray" in found.reason


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"resources": {"no such thing": 1}}, r"has 0 no such thing in all.*--resources='{\"no such thing\": 1}'"),
        ({"num_gpus": 1}, r"has 0 GPU in all.*--num-gpus"),
        ({"accelerator_type": "T4"}, r"has 0 accelerator_type:T4 in all"),
        ({"resources": {"steady": 1}}, r"^2 displays don't fit, 1 do: .*Ray has 1 steady free on"),
    ],
)
def test_a_pool_that_no_node_has_enough_for_is_refused_at_once(option: dict[str, Any], says: str) -> None:
    with pytest.raises(NoRoom, match=says):  # where nothing is counted, workers are waited for, and other words come
        DisplayPool(2, _NONE, **option)


def test_resources_are_checked_before_anything_is_started() -> None:
    with pytest.raises(InvalidArgument, match="pass num_gpus="):
        DisplayPool(1, _NONE, resources={"GPU": 1})
    with pytest.raises(InvalidArgument, match="0 or more; not -1"):
        capacity(_NONE, resources={"steady": -1})
    with pytest.raises(InvalidType, match="mapping"):
        DisplayPool(1, _NONE, resources=["steady"])
    with pytest.raises(InvalidType, match="num_gpus is a number"):
        capacity(_NONE, num_gpus="one")  # type: ignore[arg-type]


def test_what_an_actor_has_is_no_room() -> None:
    class Holder:
        def node(self) -> str:
            return str(ray.get_runtime_context().get_node_id())

    actor = ray.remote(num_cpus=1)(Holder).remote()
    node = ray.get(actor.node.remote())
    _free_cpus(3)
    found = capacity(_NONE, num_cpus=0.25, memory=1)
    assert {row.fits for row in found.nodes if row.id == node} == {4}
    assert found.fits == 12
    ray.kill(actor)


def test_room_that_has_just_been_given_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, Any] = {"per_worker": 1, "num_cpus": 1, "memory": 1}
    assert room_for(5, _NONE, **wanted).fits == 4  # there never are more

    class Holder:
        pass

    for n in (4, None):
        actors = [ray.remote(num_cpus=2)(Holder).remote() for _ in range(2)]
        ray.get([actor.__ray_ready__.remote() for actor in actors])
        _free_cpus(0)
        with monkeypatch.context() as hurried:
            hurried.setattr("xshm.fleet.room._SETTLED", 0.3)
            assert room_for(4, _NONE, **wanted).fits == 0
        for actor in actors:
            ray.kill(actor)
        assert room_for(n, _NONE, **wanted).fits == 4


def test_the_memory_of_the_machine_is_there_once_for_two_nodes() -> None:
    worker = 500_000_000
    found = capacity(_NONE, num_cpus=0, memory=worker)
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    assert found.fits <= available / worker + 2
    rays = min(available, 0.9 * sum(each["Resources"]["memory"] for each in ray.nodes()))
    assert any(row.limit == "container" for row in found.nodes) or found.fits >= 0.7 * rays / worker - 2


def _probe(node: str, spec: DisplaySpec) -> Any:
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.get(ray.remote(num_cpus=0)(probe.measure).options(scheduling_strategy=there).remote(spec, node, 0))


def test_dev_shm_is_there_once_for_two_nodes() -> None:
    spec = DisplaySpec(4000, 4000)
    found = capacity(spec, num_cpus=0, memory=1, per_worker=16)
    free = shutil.disk_usage("/dev/shm").free  # noqa: S108 - looked at
    assert {row.place for row in found.nodes} == {"/dev/shm"}  # noqa: S108 - as above
    assert all(0.8 * free <= (row.framebuffers or 0) * spec.nbytes <= 1.1 * free for row in found.nodes)
    assert found.fits * spec.nbytes <= 1.1 * free
    seen = [_probe(row.id, spec) for row in found.nodes]
    assert len({each.framebuffers.identity for each in seen}) == len({each.machine.identity for each in seen}) == 1


def test_what_is_in_the_object_store_is_reserved_no_longer() -> None:
    me = ray.get_runtime_context().get_node_id()
    before = _probe(me, DisplaySpec())
    kept = ray.put(np.ones(_PUT, np.uint8))
    after = _probe(me, DisplaySpec())
    assert abs(before.framebuffers.reserved - after.framebuffers.reserved - _PUT) < 2 << 20
    assert after.machine.reserved == after.framebuffers.reserved
    del kept


def test_the_callers_own_directory_takes_one_display(tmp_path: Path) -> None:
    found = capacity(DisplaySpec(framebuffer=tmp_path), num_cpus=0.25, memory=1)
    assert found.fits == 1
    assert str(tmp_path) in found.reason


def test_a_node_on_which_no_display_starts_says_why() -> None:
    found = capacity(DisplaySpec(framebuffer=Path("/no such directory")), num_cpus=0.25, memory=1)
    assert (found.fits, {row.limit for row in found.nodes}) == (0, {"no display"})
    assert "is no directory; make it first" in found.reason


def test_the_niceness_of_workers_is_told() -> None:
    assert capacity(_NONE).nice == ray.get(ray.remote(num_cpus=0)(lambda: os.nice(0)).remote())


def test_a_node_that_does_not_answer_is_named_and_not_waited_for(cluster: Any) -> None:
    _, second = cluster.list_all_nodes()
    (raylet,) = second.all_processes["raylet"]
    with _stopped(raylet.process.pid):
        found = capacity(_NONE, num_cpus=0.25, memory=1, timeout=2)
    silent = {row.id for row in found.nodes if row.limit == "no answer"}
    assert silent == {second.node_id}
    assert found.fits == 8
    assert f"{second.node_id[:8]} ({found.nodes[0].host}): did not answer within 2 s" in found.reason


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
