"""How many displays fit on the nodes of a cluster, and why not more: Capacity, which is measured on each node.

Always true: a node that does not answer in time counts as full, and is named; nothing is started or reserved. What is
measured is what is free now: a moment later other programs may have taken it. What has just ended counts with Ray for
some tenths of a second longer.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from xshm import _arguments
from xshm.errors import InvalidArgument, NoRoom
from xshm.fleet import cluster
from xshm.fleet.nodes import probe, reasons
from xshm.fleet.nodes.probe import Measured
from xshm.fleet.nodes.share import (
    Draw,
    Need,
    Node,
    Shared,
    alone,
    cluster_wide,
    draws,
    kind_of,
    lacking,
    share,
    why_not,
)
from xshm.fleet.seats import checked_spec
from xshm.system.printable import printable, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xshm.virtual.spec import DisplaySpec

_ANSWER: Final = 20.0  # seconds; a node starts a worker in one or two, and has xshm imported in another
# Bytes of a worker with Ray and xshm; of a display's server with its supervisor, and without the framebuffer. Measured:
# 55 to 83 MB; Xvfb, Xvnc and Xwayland 18 MB, and the supervisor 5.
_WORKER: Final = 85_000_000
_DISPLAY: Final = 25_000_000
_SETTLED: Final = 2.0  # seconds until Ray has noticed what has ended; 0.4 on two busy cores
_PAUSE: Final = 0.1
_TITLE: Final = "How many displays each thing has room for:"
_HEADS: Final = ("node", "host", "CPUs", "Ray's memory", "memory", "framebuffers", "fit", "limit")


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """One node's room: how many displays each thing would allow there, were it the only one; None: any number.

    - `id` is Ray's for the node, `host` the machine's name.
    - `cpus` and `ray_memory`: what Ray counts; `memory`: what the machine has available, and a container may take;
      `framebuffers`: what is free in `place`, where displays keep them ("": nowhere).
    - `fits`: displays that are given to this node. Nodes on one machine share what they have together.
    - `limit`: what is used up then: "CPUs", "Ray's memory", "memory", "container", "framebuffers", "directory",
      "GPUs", or another resource of Ray's, as in "resource disk". "no display": none starts there, "no answer": it was
      not measured; `why_not` says why.
    - `nice`: the nice value of its workers, None where the node did not answer.
    """

    id: str
    host: str
    cpus: int | None
    ray_memory: int | None
    memory: int | None
    framebuffers: int | None
    place: str
    fits: int
    limit: str
    why_not: str
    nice: int | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many displays fit on a cluster: `fits` in all, `reason` says why not more; `str()` is a table of the nodes.

    - `spec`: a display; `per_worker`: so many in a worker, which takes `num_cpus`, `memory` (bytes) and `resources` (by
      name) of what Ray has.
    - `nodes`: a row for each node.
    """

    spec: DisplaySpec
    per_worker: int
    num_cpus: float
    memory: int
    nodes: tuple[NodeRoom, ...]
    reason: str
    resources: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def fits(self) -> int:
        """How many displays fit in all."""
        return sum(node.fits for node in self.nodes)

    @property
    def nice(self) -> int:
        """The nice value of the nodes' workers, the greatest one: how far they give way to other processes."""
        return max((node.nice for node in self.nodes if node.nice is not None), default=0)

    def check(self, n: int) -> None:
        """Raise NoRoom, with the numbers of each node, where `n` displays don't fit."""
        count = _arguments.integer(n, "a number of displays is a whole number")
        if count > self.fits:
            what = "1 display doesn't" if count == 1 else f"{quoted(count)} displays don't"
            raise NoRoom(f"{what} fit, {self.fits} do: {self.reason}\n{self._table()}")

    def __str__(self) -> str:
        displays = "1 display" if self.fits == 1 else f"{self.fits} displays"
        screens = " and ".join(map(str, self.spec.all_screens()))
        taken = [f"{self.num_cpus:g} CPUs", *(f"{each:g} {name}" for name, each in self.resources.items())]
        workers = f"{self.per_worker} in each worker of {', '.join(taken)} and {reasons.size(self.memory)}"
        head = f"{displays} of {screens}, {workers}"
        return f"{head}\n{self._table()}\nNo more: {self.reason}"

    def _table(self) -> str:
        rows = [_HEADS, *map(_cells, self.nodes)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        right = [head in _HEADS[2:7] for head in _HEADS]
        lines = (
            (
                cell.rjust(width) if is_number else cell.ljust(width)
                for cell, width, is_number in zip(row, widths, right, strict=True)
            )
            for row in rows
        )
        return "\n".join((_TITLE, *("  ".join(cells).rstrip() for cells in lines)))


def worker_memory(spec: DisplaySpec, per_worker: int) -> int:
    """Return the bytes that a worker with so many displays takes, their framebuffers included, and no program's."""
    return _WORKER + per_worker * (_DISPLAY + spec.nbytes)


def capacity(
    spec: DisplaySpec | None = None,
    *,
    per_worker: int = 1,
    num_cpus: float = cluster.CPUS,
    memory: int | None = None,
    num_gpus: float = 0,
    resources: Mapping[str, float] | None = None,
    timeout: float = _ANSWER,
) -> Capacity:
    """Return how many displays fit on the cluster's nodes, beside what runs there now, and why not more.

    - `spec` describes each display (None: 1280x800x24); `per_worker` of them are in one process.
    - `num_cpus` and `memory` (bytes) are what Ray is to count for a worker. None: what a worker without programs takes;
      say how much it is with them. 0: Ray does not count it; the machine's memory is a limit all the same, and no
      worker is taken to have less than half of that.
    - `num_gpus` and `resources`, which nodes were started with: what a worker takes of them, as Ray's options have it.
    - `timeout`: seconds for the nodes' answers; one that has not answered then counts as full.

    Each node is asked by a short task on it. Ray is connected to as by a DisplayPool. Raises MissingExtra,
    InvalidArgument, InvalidType.
    """
    wanted = checked_spec(spec)
    others = cluster.counted({"num_gpus": num_gpus, "resources": resources})
    need = _checked_need(wanted, per_worker, num_cpus, memory, others)
    patience = _arguments.seconds(timeout, "the timeout is a number of seconds, 0 or more")
    cluster.connect()
    return _measured(wanted, need, _asked(wanted, need, patience))


def room_for(
    n: int | None,
    spec: DisplaySpec | None = None,
    *,
    per_worker: int,
    num_cpus: float,
    memory: int | None,
    others: Mapping[str, float] | None = None,
) -> Capacity:
    """Return the capacity as soon as `n` displays fit, else after two seconds: Ray still counts what has just ended.

    None: as many as there are room for after that. Where Ray has given nothing away, nothing is waited for. `others`
    is what Ray counts for a worker beside CPUs and memory.
    """
    wanted = checked_spec(spec)
    need = _checked_need(wanted, per_worker, num_cpus, memory, others or {})
    cluster.connect()
    deadline = time.monotonic() + _SETTLED
    while True:
        nodes = _asked(wanted, need, _ANSWER)
        found = _measured(wanted, need, nodes)
        is_enough = n is not None and n <= found.fits
        if is_enough or time.monotonic() > deadline or not any(_is_given_away(node, need) for node in nodes):
            return found
        time.sleep(_PAUSE)


def _checked_need(
    spec: DisplaySpec, per_worker: object, num_cpus: object, memory: object, others: Mapping[str, float]
) -> Need:
    displays = _arguments.integer(per_worker, "per_worker is a whole number")
    if displays < 1:
        raise InvalidArgument(f"per_worker is 1 or more, not {quoted(per_worker)}")
    cpus = _arguments.amount(num_cpus, "num_cpus is a number, 0 or more")
    taken = worker_memory(spec, displays)
    ray_memory = taken if memory is None else int(_arguments.amount(memory, "memory is a number of bytes, 0 or more"))
    return Need(displays, cpus, ray_memory, max(ray_memory or taken, taken // 2), spec.nbytes, tuple(others.items()))


def _measured(spec: DisplaySpec, need: Need, nodes: Sequence[Node]) -> Capacity:
    return described(spec, need, nodes, cluster_wide(cluster.ray().available_resources(), need))


def _is_given_away(node: Node, need: Need) -> bool:
    """Return whether Ray has given away some of what a worker needs of a node, as far as is known."""
    found = node.measured
    if isinstance(found, str) or found.left is None:
        return False
    names = ("CPU", "memory", *(name for name, _ in need.resources))
    return any(found.left.get(name, 0) < node.resources.get(name, 0) for name in names)


def described(spec: DisplaySpec, need: Need, nodes: Sequence[Node], of_all: Sequence[Draw] = ()) -> Capacity:
    """Return the Capacity of nodes that were measured, which take from `of_all` together."""
    shared = share(nodes, need, of_all)
    fits = Counter[str]()
    for place, count in zip(shared.places, shared.counts, strict=True):
        fits[place] += count
    rows = tuple(_row(node, need, fits[node.id], shared) for node in nodes)
    reason = reasons.why_no_more(nodes, need, shared)
    return Capacity(spec, need.displays, need.cpus, need.ray_memory, rows, reason, dict(need.resources))


# -- asking the nodes --------------------------------------------------------------------------------------------------


def _asked(spec: DisplaySpec, need: Need, timeout: float) -> list[Node]:
    """Return all living nodes with what a task on each has measured, all at once, within so many seconds.

    Nodes that no worker could be on, whatever is free there, are not asked.
    """
    module = cluster.ray()
    pinned = module.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    task = module.remote(num_cpus=0, max_retries=0)(probe.measure)
    living = [each for each in module.nodes() if each["Alive"]]
    asked = {}
    for each in living:
        if not lacking(each["Resources"], need):
            where = pinned(each["NodeID"], soft=False)
            store = int(each["Resources"].get("object_store_memory", 0))
            asked[task.options(scheduling_strategy=where).remote(spec, each["NodeID"], store)] = each["NodeID"]
    ready, late = module.wait(list(asked), num_returns=len(asked), timeout=timeout) if asked else ([], [])
    for reference in late:
        module.cancel(reference, force=True)
    answers: dict[str, Measured | str] = dict.fromkeys(asked.values(), f"did not answer within {timeout:g} s")
    answers.update({asked[reference]: _answer(reference) for reference in ready})
    nodes = []
    for each in living:
        has, host = each["Resources"], printable(each["NodeManagerHostname"])
        name = lacking(has, need)
        measured = reasons.too_little(name, has, need) if name else answers[each["NodeID"]]
        nodes.append(Node(each["NodeID"], host, has, measured))
    return nodes


def _answer(reference: Any) -> Measured | str:
    module = cluster.ray()
    try:
        found: Measured = module.get(reference)
    except module.exceptions.RayError as error:
        lines = str(error).strip().splitlines()
        return printable(f"can't be asked: {lines[-1] if lines else type(error).__name__}")
    return found


# -- in words ----------------------------------------------------------------------------------------------------------


def _row(node: Node, need: Need, fits: int, shared: Shared) -> NodeRoom:
    found = node.measured if isinstance(node.measured, Measured) else None
    lacks = lacking(node.resources, need)
    taken = draws(node, need)
    return NodeRoom(
        id=node.id,
        host=node.host,
        cpus=alone(taken, ("CPUs",), need),
        ray_memory=alone(taken, ("Ray's memory",), need),
        memory=alone(taken, ("memory", "container"), need),
        framebuffers=alone(taken, ("framebuffers", "directory"), need),
        place=found.place if found else "",
        fits=fits,
        limit=shared.limits.get(node.id)
        or (kind_of(lacks) if lacks else "")
        or ("no display" if found else "no answer"),
        why_not=why_not(node),
        nice=found.nice if found else None,
    )


def _cells(node: NodeRoom) -> tuple[str, ...]:
    numbers = (node.cpus, node.ray_memory, node.memory, node.framebuffers)
    shown = ("–" if each is None else f"{each:,}" for each in numbers)
    return (reasons.short(node.id), node.host, *shown, f"{node.fits:,}", node.limit)
