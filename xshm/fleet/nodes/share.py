"""Share what nodes have among displays: how many fit, on which node, and what is used up on each.

Always true: nothing is given away twice. What several nodes have together (two nodes on one machine, or in one tmpfs)
is known by its identity, and what each node's object store may still take of it is set aside first.

Workers are given to the nodes in turn, one each, until none takes another one. Last comes one worker with fewer
displays, where there is room for that: it is how a pool deals its displays out, too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.fleet.nodes.probe import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xshm.fleet.nodes.memory import Supply

STEPS: Final = 10_000  # of a CPU, and of other things: what Ray counts in
_MOST: Final = 1 << 40  # what is more is as little to be had


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker takes: CPUs, bytes of memory that Ray counts, bytes that it truly takes; bytes of a framebuffer.

    `resources`: what Ray counts beside those, with its names: "GPU", and what nodes were started with.
    """

    displays: int  # in a worker
    cpus: float
    ray_memory: int
    memory: int
    framebuffer: int
    resources: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A node as Ray lists it, with all that it has by Ray's names, and what was measured there; a text says why not."""

    id: str
    host: str
    resources: Mapping[str, float]
    measured: Measured | str


class Draw(NamedTuple):
    """One thing that a node's workers take: `each` for a worker, and `by_display` for each display in it."""

    kind: str  # as in reasons, or that of a resource
    identity: str
    free: int
    reserved: int
    each: int
    by_display: int

    def of(self, displays: int) -> int:
        """Return what a worker with so many displays takes."""
        return self.each + self.by_display * displays


class Shared(NamedTuple):
    """Who gets what: the node of each worker, in order, and how many displays are in each of them.

    `limits` has by node what is used up. `free` has by identity what there is of each thing, as the node with the least
    has seen it, and `reserved` what all object stores may still take of it.
    """

    places: tuple[str, ...]
    counts: tuple[int, ...]
    limits: dict[str, str]
    free: dict[str, int]
    reserved: dict[str, int]


def draws(node: Node, need: Need) -> list[Draw]:
    """Return what a worker on this node would take; [] where nothing was measured."""
    found = node.measured
    if isinstance(found, str):
        return []
    taken = [
        *_of_ray(node.id, node.resources if found.left is None else found.left, need),
        Draw("memory", *_fields(found.machine), need.memory, 0),
        *(Draw("container", *_fields(group), need.memory, 0) for group in found.groups),
    ]
    if found.framebuffers and found.is_one:
        taken.append(Draw("directory", f"{found.framebuffers.identity} {found.place}", 1, 0, 0, 1))
    elif found.framebuffers:
        taken.append(Draw("framebuffers", *_fields(found.framebuffers), 0, need.framebuffer))
    return taken


def share(nodes: Sequence[Node], need: Need, cluster: Sequence[Draw] = ()) -> Shared:
    """Return where workers go, as many as there is room for.

    `cluster` is what Ray has left in all. Workers draw on that, too, on nodes of which Ray did not say what they have
    left; its own figures of a node are newer.
    """
    known = {
        node.id: [*draws(node, need), *(cluster if node.measured.left is None else ())]
        for node in nodes
        if isinstance(node.measured, Measured)
    }
    free, reserved = _beginnings(known)  # the stores of nodes on which no display starts take of it, too
    left = {identity: max(0, free[identity] - reserved[identity]) for identity in free}
    wanted = {node.id: known[node.id] for node in nodes if not why_not(node)}
    places: list[tuple[str, int]] = []
    limits: dict[str, str] = {}
    while len(limits) < len(wanted):
        for node, taken in wanted.items():
            if node in limits:
                continue
            if limit := _lacking(taken, need.displays, left):
                limits[node] = limit
            else:
                _take(taken, need.displays, left)
                places.append((node, need.displays))
    most, node = max(((_most(taken, left), node) for node, taken in wanted.items()), default=(0, ""))
    if most:
        places.append((node, most))
    return Shared(tuple(node for node, _ in places), tuple(count for _, count in places), limits, free, reserved)


def why_not(node: Node) -> str:
    """Return why no display starts on a node, as a clause; "" where one does."""
    return node.measured if isinstance(node.measured, str) else node.measured.why_not


def kind_of(resource: str) -> str:
    """Return what a limit is called that Ray counts by this name."""
    return "GPUs" if resource == "GPU" else f"resource {resource}"


def lacking(resources: Mapping[str, float], need: Need) -> str:
    """Return by Ray's name what a node has less of than a worker takes, of all that it was started with; "": none."""
    return next((name for name, each in need.resources if resources.get(name, 0) < each), "")


def alone(taken: Sequence[Draw], kinds: Sequence[str], need: Need) -> int | None:
    """Return how many displays there would be, were these kinds of things the node's only ones; None: without limit."""
    numbers = []
    for draw in taken:
        room = max(0, draw.free - draw.reserved)
        if draw.kind in kinds and draw.each:
            numbers.append(room // draw.each * need.displays)
        elif draw.kind in kinds and draw.by_display:
            numbers.append(room // draw.by_display)
    return min(numbers, default=None)


def cluster_wide(left: Mapping[str, float], need: Need) -> list[Draw]:
    """Return what workers of all nodes take of what Ray has left in all, by its names."""
    return _of_ray("cluster", left, need)


def _of_ray(where: str, left: Mapping[str, float], need: Need) -> list[Draw]:
    """Return what a worker takes of what Ray counts, and has left there."""
    return [
        Draw("CPUs", f"{where} cpus", _steps(left.get("CPU", 0)), 0, _steps(need.cpus), 0),
        Draw("Ray's memory", f"{where} memory", int(left.get("memory", 0)), 0, need.ray_memory, 0),
        *(
            Draw(kind_of(name), f"{where} resource {name}", _steps(left.get(name, 0)), 0, _steps(each), 0)
            for name, each in need.resources
        ),
    ]


def _beginnings(known: dict[str, list[Draw]]) -> tuple[dict[str, int], Counter[str]]:
    """Return what is free of each thing, and what all nodes' stores may still take of it."""
    free: dict[str, int] = {}
    reserved = Counter[str]()
    for taken in known.values():
        for draw in taken:
            free[draw.identity] = min(draw.free, free.get(draw.identity, draw.free))
            reserved[draw.identity] += draw.reserved
    return free, reserved


def _lacking(taken: Sequence[Draw], displays: int, left: dict[str, int]) -> str | None:
    """Return what there is too little of for another worker, None where it fits."""
    return next((draw.kind for draw in taken if left[draw.identity] < draw.of(displays)), None)


def _most(taken: Sequence[Draw], left: dict[str, int]) -> int:
    """Return how many displays the last worker on a node has, fewer than a whole one; 0: it gets none."""
    if any(left[draw.identity] < draw.each for draw in taken):
        return 0
    return min(((left[draw.identity] - draw.each) // draw.by_display for draw in taken if draw.by_display), default=0)


def _take(taken: Sequence[Draw], displays: int, left: dict[str, int]) -> None:
    for draw in taken:
        left[draw.identity] -= draw.of(displays)


def _steps(amount: float) -> int:
    return round(min(amount, _MOST) * STEPS)


def _fields(supply: Supply) -> tuple[str, int, int]:
    return supply.identity, supply.free, supply.reserved
