"""How many displays fit, by what was measured on the nodes: nothing is given away twice, and the reason has numbers."""

from __future__ import annotations

import os
import pickle
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xshm import DisplaySpec, NoRoom
from xshm.fleet.nodes import memory
from xshm.fleet.nodes.memory import Supply
from xshm.fleet.nodes.probe import Measured
from xshm.fleet.nodes.share import Need, Node, cluster_wide, share
from xshm.fleet.room import described, worker_memory

_SPEC = DisplaySpec()
_MB = 1_000_000
_MUCH = 10**12
_NEED = Need(1, 0.25, 100 * _MB, 100 * _MB, 4 * _MB)


def _node(
    name: str = "a",
    *,
    host: str = "alpha",
    cpus: float = 1000,
    ray_memory: float = _MUCH,
    machine: Supply | None = None,
    groups: tuple[Supply, ...] = (),
    framebuffers: Supply | None = None,
    is_one: bool = False,
    why_not: str = "",
    resources: dict[str, float] | None = None,
) -> Node:
    """Return a node that has much of all that is not given; its machine is its own."""
    measured = Measured(
        host=host,
        nice=15,
        left={"CPU": cpus, "memory": ray_memory, **(resources or {})},
        machine=machine or Supply(f"machine of {name}", _MUCH),
        groups=groups,
        place="/dev/shm" if framebuffers else "",  # noqa: S108 - a name
        framebuffers=framebuffers,
        is_one=is_one,
        why_not=why_not,
    )
    return Node(name * 56, host, {"CPU": 64.0, "memory": float(_MUCH)}, measured)


_supplies = st.builds(
    Supply,
    st.sampled_from(["one", "another", "a third"]),
    st.integers(0, 60 * _MB),
    st.one_of(st.just(0), st.integers(0, 30 * _MB)),
)


_OTHERS = st.sampled_from([(), (("GPU", 1),), (("disk", 0.5), ("GPU", 0.25))])


@st.composite
def _clusters(draw: st.DrawFn) -> tuple[list[Node], Need]:
    need = Need(
        draw(st.integers(1, 4)), draw(st.sampled_from([0, 0.25, 1, 3])), *_amounts(draw), 4 * _MB, draw(_OTHERS)
    )
    nodes = [
        _node(
            name,
            cpus=draw(st.sampled_from([0, 0.5, 2, 7.75])),
            ray_memory=draw(st.integers(0, 90 * _MB)),
            resources={name: draw(st.sampled_from([0, 0.5, 2, 9])) for name in ("GPU", "disk")},
            machine=draw(_supplies),
            groups=tuple(draw(st.lists(_supplies, max_size=2, unique_by=lambda each: each.identity))),
            framebuffers=draw(st.none() | _supplies),
        )
        for name in "abcd"[: draw(st.integers(1, 4))]
    ]
    return nodes, need


def _amounts(draw: st.DrawFn) -> tuple[int, int]:
    return draw(st.sampled_from([0, 5 * _MB, 20 * _MB])), draw(st.sampled_from([3 * _MB, 10 * _MB]))


def _used(nodes: list[Node], need: Need, workers: list[tuple[str, int]]) -> Counter[str]:
    """Return what workers take of each thing, counted one by one."""
    used = Counter[str]()
    by_id = {node.id: node.measured for node in nodes}
    for place, displays in workers:
        found = by_id[place]
        assert isinstance(found, Measured)
        used[f"{place} cpus"] += round(need.cpus * 100)
        used[f"{place} ray"] += need.ray_memory
        for name, each in need.resources:
            used[f"{place} {name}"] += round(each * 100)
        for kind, supplies in (("m", [found.machine]), ("g", found.groups)):
            for supply in supplies:
                used[f"{kind} {supply.identity}"] += need.memory
        if found.framebuffers:
            used[f"f {found.framebuffers.identity}"] += need.framebuffer * displays
    return used


def _there(nodes: list[Node]) -> dict[str, int]:
    """Return what there is of each thing: the least that was seen free, less what all stores may still take."""
    seen: dict[str, list[Supply]] = {}
    there = {}
    for node in nodes:
        found = node.measured
        assert isinstance(found, Measured)
        left = found.left or {}
        there[f"{node.id} cpus"] = round(left["CPU"] * 100)
        there[f"{node.id} ray"] = int(left["memory"])
        there |= {f"{node.id} {name}": round(left[name] * 100) for name in ("GPU", "disk")}
        for kind, supplies in (("m", [found.machine]), ("g", found.groups), ("f", [found.framebuffers])):
            for supply in supplies:
                if supply:
                    seen.setdefault(f"{kind} {supply.identity}", []).append(supply)
    for thing, supplies in seen.items():
        there[thing] = max(0, min(each.free for each in supplies) - sum(each.reserved for each in supplies))
    return there


def _distinct(nodes: list[Node]) -> list[Node]:
    """Return the nodes with identities that differ by kind: a machine is no directory."""
    kinds = {"machine": "m", "groups": "g", "framebuffers": "f"}
    found = []
    for node in nodes:
        was = node.measured
        assert isinstance(was, Measured)
        named = {
            "machine": _renamed(was.machine, kinds["machine"]),
            "groups": tuple(_renamed(each, kinds["groups"]) for each in was.groups),
            "framebuffers": was.framebuffers and _renamed(was.framebuffers, kinds["framebuffers"]),
        }
        values = {name: getattr(was, name) for name in Measured.__slots__}
        found.append(Node(node.id, node.host, node.resources, Measured(**{**values, **named})))
    return found


def _renamed(supply: Supply, kind: str) -> Supply:
    return Supply(f"{kind} {supply.identity}", supply.free, supply.reserved)


@given(_clusters())
def test_nothing_is_given_away_twice_and_nothing_is_left_that_another_worker_could_have(
    cluster: tuple[list[Node], Need],
) -> None:
    nodes, need = cluster
    distinct = _distinct(nodes)
    capacity = described(_SPEC, need, distinct)
    full, rest = divmod(capacity.fits, need.displays)
    counts = [need.displays] * full + [rest] * bool(rest)
    workers = list(zip(share(distinct, need, ()).places, counts, strict=True))
    there = _there(nodes)
    assert all(amount <= there[thing] for thing, amount in _used(nodes, need, workers).items())
    for node in nodes:  # one more whole worker would be too much
        more = _used(nodes, need, [*workers[:full], (node.id, need.displays)])
        assert any(amount > there[thing] for thing, amount in more.items())
    dealt = Counter[str]()
    for place, count in workers:
        dealt[place] += count
    assert dict(dealt) == {row.id: row.fits for row in capacity.nodes if row.fits}


@given(_clusters())
def test_a_node_gets_no_more_than_each_thing_alone_would_allow(cluster: tuple[list[Node], Need]) -> None:
    capacity = described(_SPEC, cluster[1], _distinct(cluster[0]))
    for row in capacity.nodes:
        alone = (row.cpus, row.ray_memory, row.memory, row.framebuffers)
        # The last worker may have fewer displays than the others, which the first three count in.
        assert all(each is None or row.fits < each + cluster[1].displays for each in alone[:3])
        assert row.framebuffers is None or row.fits <= row.framebuffers


def test_nodes_of_one_machine_share_its_shared_memory() -> None:
    shm = Supply("boot device 27", 40 * _MB)
    apart = described(_SPEC, _NEED, [_node("a", framebuffers=shm), _node("b", framebuffers=Supply("x", 40 * _MB))])
    together = described(_SPEC, _NEED, [_node("a", framebuffers=shm), _node("b", framebuffers=shm)])
    assert apart.fits == 20
    assert [(row.framebuffers, row.fits) for row in together.nodes] == [(10, 5), (10, 5)]


def test_what_every_nodes_object_store_may_still_take_is_set_aside() -> None:
    nodes = [
        _node(name, framebuffers=Supply("shm", 40 * _MB, reserved)) for name, reserved in (("a", 0), ("b", 20 * _MB))
    ]
    capacity = described(_SPEC, _NEED, nodes)
    assert capacity.fits == 5
    assert "40.0 MB free on alpha, of which Ray's object store may still take 20.0 MB" in capacity.reason


def test_the_store_of_a_node_on_which_no_display_starts_is_set_aside_too() -> None:
    machine = Supply("boot", 500 * _MB, 200 * _MB)
    capacity = described(_SPEC, _NEED, [_node("a", machine=machine), _node("b", machine=machine, why_not="no server")])
    assert capacity.fits == 1


def test_the_last_worker_may_have_fewer_displays() -> None:
    need = Need(4, 1, 0, _MB, 4 * _MB)
    nodes = [_node("a", framebuffers=Supply("f", 27 * _MB))]
    assert described(_SPEC, need, nodes).fits == 6
    assert share(nodes, need, ()).counts == (4, 2)
    by_cpu = described(_SPEC, need, [_node("a", cpus=1.5, framebuffers=Supply("f", 27 * _MB))])
    assert by_cpu.fits == 4


def test_what_is_free_on_two_nodes_is_no_room_for_a_worker_of_both() -> None:
    capacity = described(_SPEC, Need(1, 1, 0, _MB, 0), [_node("a", cpus=0.5), _node("b", cpus=0.5)])
    assert capacity.fits == 0


def test_a_ray_that_does_not_say_what_a_node_has_left_is_bounded_by_the_clusters_sum() -> None:
    measured = Measured("alpha", 0, None, Supply("boot", _MUCH))
    has = {"CPU": 4.0, "memory": 1e12}
    nodes = [Node("a", "alpha", has, measured), Node("b", "beta", has, measured)]
    assert described(_SPEC, _NEED, nodes, cluster_wide({"CPU": 3, "memory": 1e12}, _NEED)).fits == 12
    assert described(_SPEC, _NEED, nodes, cluster_wide({"CPU": 8, "memory": 3e8}, _NEED)).fits == 3


@pytest.mark.parametrize(
    ("node", "limit", "fits", "says"),
    [
        (_node(cpus=2), "CPUs", 8, r"Ray has 2 CPUs free on alpha, and a worker takes 0\.25 \(.*num_cpus"),
        (_node(ray_memory=350 * _MB), "Ray's memory", 3, r"350\.0 MB .* takes 100\.0 MB \(pass memory="),
        (_node(machine=Supply("m", 450 * _MB)), "memory", 4, r"450\.0 MB of memory .* takes 100\.0 MB \(end other"),
        (_node(groups=(Supply("g", 250 * _MB),)), "container", 2, r"limit leaves 250\.0 MB .* \(raise its limit"),
        (_node(framebuffers=Supply("f", 10 * _MB)), "framebuffers", 2, r"shm has 10\.0 MB .* --shm-size"),
        (_node(framebuffers=Supply("f", 10 * _MB), is_one=True), "directory", 1, r"of one display \(with framebuffer="),
        (_node(why_not="Xvfb is not installed"), "no display", 0, r"aaaaaaaa \(alpha\): Xvfb is not installed$"),
        (Node("a" * 56, "alpha", {}, "did not answer"), "no answer", 0, r"aaaaaaaa \(alpha\): did not answer$"),
    ],
)
def test_each_limit_is_named_with_its_numbers_and_the_way_out(node: Node, limit: str, fits: int, says: str) -> None:
    capacity = described(_SPEC, _NEED, [node])
    assert (capacity.fits, capacity.nodes[0].limit) == (fits, limit)
    assert re.search(says, capacity.reason)
    assert capacity.reason in str(capacity)


@pytest.mark.parametrize(
    ("resources", "left", "limit", "fits", "says"),
    [
        ({"GPU": 0.5}, {"GPU": 2}, "GPUs", 4, r"Ray has 2 GPU free on alpha, and a worker takes 0\.5 \(.*--num-gpus"),
        ({"disk": 1}, {"disk": 3}, "resource disk", 3, r"3 disk free on alpha.* takes 1 \(.*resources='{\"disk\": 1}'"),
        ({"disk": 1}, {"GPU": 3}, "resource disk", 0, r"Ray has 0 disk free on alpha"),
        ({"disk": 1, "GPU": 1}, {"GPU": 2, "disk": 3}, "GPUs", 2, r"Ray has 2 GPU free on alpha"),
    ],
)
def test_what_ray_counts_by_a_name_is_a_limit(
    resources: dict[str, float], left: dict[str, float], limit: str, fits: int, says: str
) -> None:
    need = Need(1, 0.25, 0, _MB, 0, tuple(resources.items()))
    capacity = described(_SPEC, need, [_node(resources=left)])
    assert (capacity.fits, capacity.nodes[0].limit) == (fits, limit)
    assert re.search(says, capacity.reason)
    assert all(f"{each:g} {name}" in str(capacity).splitlines()[0] for name, each in resources.items())
    hash(capacity)


def test_of_groups_within_each_other_the_least_is_named() -> None:
    capacity = described(_SPEC, _NEED, [_node(groups=(Supply("pod", 900 * _MB), Supply("container", 250 * _MB)))])
    assert "limit leaves 250.0 MB on alpha, and" in capacity.reason


def test_more_than_fit_are_refused_with_a_table_of_the_nodes() -> None:
    nodes = [_node("a", cpus=2), Node("b" * 56, "beta", {}, "did not answer within 20 s")]
    capacity = described(_SPEC, _NEED, nodes)
    capacity.check(8)
    with pytest.raises(NoRoom, match=r"^9 displays don't fit, 8 do: Ray has 2 CPUs") as caught:
        capacity.check(9)
    head, first, second = str(caught.value).splitlines()[2:]
    assert first.split() == ["aaaaaaaa", "alpha", "8", "10,000", "10,000", "–", "8", "CPUs"]
    assert second.split() == ["bbbbbbbb", "beta", "–", "–", "–", "–", "0", "no", "answer"]
    for word, cell in (("CPUs", "8"), ("Ray's memory", "10,000")):  # numbers end where their heads end
        assert first[: head.index(word) + len(word)].endswith(cell)
    assert capacity.nice == 15
    with pytest.raises(NoRoom, match=r"^1 display doesn't fit, 0 do: "):
        described(_SPEC, _NEED, [_node("a", cpus=0)]).check(1)


def test_a_capacity_can_be_sent_and_compared() -> None:
    capacity = described(_SPEC, _NEED, [_node("a", cpus=2)])
    assert pickle.loads(pickle.dumps(capacity)) == capacity  # noqa: S301 - our own


def test_a_worker_takes_more_memory_for_each_display_and_its_pixels() -> None:
    large = DisplaySpec(1920, 1080)
    assert worker_memory(large, 1) - worker_memory(_SPEC, 1) == large.nbytes - _SPEC.nbytes
    alone = worker_memory(_SPEC, 1)
    assert alone < worker_memory(_SPEC, 4) < 4 * alone


# -- what is measured --------------------------------------------------------------------------------------------------


def test_pages_of_an_object_store_that_nobody_has_written_are_reserved() -> None:
    directory = "/dev/shm"  # noqa: S108 - where Ray has it
    size, written = 8 << 20, 3 << 20
    path = Path(directory, f"plasma-of-a-test-{os.getpid()}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        path.unlink()
        os.truncate(descriptor, size)
        os.pwrite(descriptor, bytes(written), 0)
        stores = memory.stores(os.getpid())
        assert [each.st_size for each in stores] == [size]
        found = memory.of_directory(directory, stores)
        assert found.reserved == memory.untouched(stores) == size - written
        free = os.statvfs(directory)
        assert abs(found.free - free.f_bavail * free.f_frsize) < 100 << 20
        assert memory.of_directory("/proc", stores).reserved == 0
    finally:
        os.close(descriptor)


def test_the_machines_memory_is_what_the_kernel_calls_available(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable: 4000 kB\n")
    found = memory.of_machine(7, tmp_path)
    assert (found.free, found.reserved) == (4000 * 1024, 7)
    assert memory.of_machine(0).identity == found.identity  # of the same kernel
    assert memory.of_machine(0).free > 0


_V2 = {
    "memory.max": "1000000\n",
    "memory.current": "600000\n",
    "memory.stat": "anon 100000\ninactive_file 50000\nactive_file 9\n",
}
_V1 = {
    "memory.limit_in_bytes": "1000000\n",
    "memory.usage_in_bytes": "600000\n",
    "memory.stat": "inactive_file 1\ntotal_inactive_file 50000\n",
}


@pytest.mark.parametrize(
    ("own", "groups", "left"),
    [
        ("0::/a/b\n", {"a": _V2, "a/b": {**_V2, "memory.max": "max\n"}}, [450_000]),
        ("0::/a/b\n", {"a": _V2, "a/b": {**_V2, "memory.max": "700000\n"}}, [150_000, 450_000]),
        ("0::/a/b\n", {"a/b": {**_V2, "memory.current": "2000000\n"}}, [0]),
        ("0::/\n", {"": _V2}, [450_000]),
        ("0::/../../elsewhere\n", {"": _V2}, [450_000]),
        ("0::/not/mounted/here\n", {"": _V2}, [450_000]),
        ("0::/\n", {}, []),
        (
            "5:cpu,memory:/a\n0::/\n",
            {"memory/a": _V1, "memory": {**_V1, "memory.limit_in_bytes": f"{2**63 - 4096}\n"}},
            [450_000],
        ),
    ],
)
def test_a_containers_limit_leaves_what_is_not_used_for_good(
    tmp_path: Path, own: str, groups: dict[str, dict[str, str]], left: list[int]
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(own)
    for name, files in groups.items():
        directory = tmp_path / "sys/fs/cgroup" / name
        directory.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (directory / file).write_text(text)
    found = memory.of_groups(3, tmp_path)
    assert [each.free for each in found] == left
    assert len({each.identity for each in found}) == len(left)
    assert all(each.reserved == 3 for each in found)
