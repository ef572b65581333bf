"""Say why no more displays fit on nodes, with the numbers and the way out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from xshm.fleet.nodes.probe import Measured
from xshm.fleet.nodes.share import STEPS, draws, kind_of, why_not

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xshm.fleet.nodes.share import Need, Node, Shared

_NAMED: Final = 3  # hosts in a message, before they are counted
_SHORT: Final = 8  # digits of a node's id
_WAYS_OUT: Final = {
    "CPUs": "pass a smaller num_cpus, or give Ray more: ray start --num-cpus",
    "Ray's memory": "pass memory=, the bytes that a worker really takes, or give Ray more: ray start --memory",
    "memory": "end other programs, or take smaller screens; several displays in a worker, per_worker=, take less",
    "container": "raise its limit, or take smaller screens; several displays in a worker, per_worker=, take less",
    "framebuffers": "give it room, in containers by --shm-size; start Ray with a smaller object_store_memory; or pass "
    "framebuffer='none'",
    "directory": "with framebuffer='auto' each has a directory of its own",
}


def why_no_more(nodes: Sequence[Node], need: Need, shared: Shared) -> str:
    """Return why no more fit: for each thing that is used up what there was, what is taken of it, and the way out."""
    clauses = []
    for kind, way_out in (_WAYS_OUT | {kind_of(name): way_to(name) for name, _ in need.resources}).items():
        full = [node for node in nodes if shared.limits.get(node.id) == kind]
        if full:
            clauses.append(f"{_used_up(kind, full, need, shared)} ({way_out})")
    for reason in dict.fromkeys(filter(None, map(why_not, nodes))):
        names = [f"{short(node.id)} ({node.host})" for node in nodes if why_not(node) == reason]
        clauses.append(f"{_listed(names, 'nodes')}: {reason}")
    return "; ".join(clauses)


def _used_up(kind: str, full: Sequence[Node], need: Need, shared: Shared) -> str:
    drawn = ([draw for draw in draws(node, need) if draw.kind == kind] for node in full)
    # Of groups within each other the one with the least.
    things = {min(each, key=lambda draw: draw.free - draw.reserved).identity for each in drawn}
    reserved = sum(shared.reserved[each] for each in things)
    of_store = f", of which Ray's object store may still take {size(reserved)}" if reserved else ""
    left = sum(shared.free[each] for each in things)
    where = _listed([node.host for node in full], "machines")
    places = " and ".join(dict.fromkeys(node.measured.place for node in full if isinstance(node.measured, Measured)))
    for name, each in need.resources:
        if kind == kind_of(name):
            return f"Ray has {left / STEPS:g} {name} free on {where}, and a worker takes {each:g}"
    return {
        "CPUs": f"Ray has {left / STEPS:g} CPUs free on {where}, and a worker takes {need.cpus:g}",
        "Ray's memory": f"Ray has {size(left)} of memory to give on {where}, and a worker takes "
        f"{size(need.ray_memory)}",
        "memory": f"{size(left)} of memory are available on {where}{of_store}, and a worker takes {size(need.memory)}",
        "container": f"the container's limit leaves {size(left)} on {where}{of_store}, and a worker takes "
        f"{size(need.memory)}",
        "framebuffers": f"{places} has {size(left)} free on {where}{of_store}, and a display takes "
        f"{size(need.framebuffer)}",
        "directory": f"{places} takes the framebuffers of one display",
    }[kind]


def too_little(name: str, resources: Mapping[str, float], need: Need) -> str:
    """Return, as a clause, that a node was started with too little of what Ray counts by this name."""
    each = dict(need.resources)[name]
    return f"has {resources.get(name, 0):g} {name} in all, and a worker takes {each:g} ({way_to(name)})"


def way_to(resource: str) -> str:
    """Return how a node gets more of what Ray counts by this name."""
    if resource == "GPU":
        return "start Ray where there are some, or with --num-gpus"
    return f"start Ray there with --resources='{json.dumps({resource: 1})}', or more of it"


def short(node: str) -> str:
    """Return the beginning of a node's id, which tells it from the others of a cluster."""
    return node[:_SHORT]


def _listed(names: Sequence[str], plural: str) -> str:
    found = list(dict.fromkeys(names))
    return " and ".join(found) if len(found) <= _NAMED else f"{len(found)} {plural}"


def size(count: int) -> str:
    """Return bytes as a reader has them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - a gigabyte
