"""Measure one node, by a task on it: what is free there for displays of a description, or why none starts there.

Always true: nothing is started or made on the node. What is measured is what a worker of that node would find, with its
environment, rights and container: each is asked by the code that starts displays.
"""

from __future__ import annotations

import importlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument, StartFailed
from xshm.fleet.nodes import memory
from xshm.fleet.nodes.memory import Supply
from xshm.virtual import start
from xshm.virtual.kinds import choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.virtual.spec import DisplaySpec

_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - Ray's place for its store


@dataclass(frozen=True, slots=True)
class Measured:
    """What a node has free.

    - `left`: what Ray would still give away there, by its names ("CPU", "memory" in bytes, …) but those of what is used
      up; None where Ray did not say.
    - `machine` and `groups`: memory, and the limits of the control groups (containers) that a worker is in.
    - `place`: the directory of framebuffers, "" where a display needs none, and what is free there; where `is_one`, the
      directory is the caller's own, and holds one display's framebuffers.
    - `why_not`: why no display starts there, as a clause; "" where one does.
    """

    host: str
    nice: int
    left: Mapping[str, float] | None
    machine: Supply
    groups: tuple[Supply, ...] = ()
    place: str = ""
    framebuffers: Supply | None = None
    is_one: bool = False
    why_not: str = ""


def measure(spec: DisplaySpec, node: str, store: int) -> Measured:
    """Return what the Ray node of this id, which this worker is on, has free; its object store has `store` bytes."""
    stores = memory.stores(os.getppid())
    reserved = memory.untouched(stores) if stores else _unseen(store)
    found = _framebuffers(spec)
    place = found if isinstance(found, Path) else None
    supply = memory.of_directory(str(place), stores) if place else None
    if supply and not stores and str(place) == _SHARED_MEMORY:
        supply = Supply(supply.identity, supply.free, reserved)
    return Measured(
        host=socket.gethostname(),
        nice=os.nice(0),
        left=_left_by_ray(node),
        machine=memory.of_machine(reserved),
        groups=tuple(memory.of_groups(reserved)),
        place=str(place or ""),
        framebuffers=supply,
        is_one=isinstance(spec.framebuffer, Path),
        why_not=found if isinstance(found, str) else "",
    )


def _framebuffers(spec: DisplaySpec) -> Path | str | None:
    """Return where a display of this description would keep its framebuffers, None: nowhere; or a text: why not."""
    try:
        command = start.command_of(spec, choice.choose(spec))
        where = start.directories_of(spec, command)
    except (StartFailed, InvalidArgument) as error:
        return str(error)
    place = where.kept or where.memory
    return Path(place) if place else None


def _unseen(store: int) -> int:
    """Return what a store may still take that can't be seen (the worker is in a container of its own): all of it.

    Ray has it in /dev/shm where that is as large, else in a temporary directory on a disk.
    """
    room = os.statvfs(_SHARED_MEMORY)
    return store if room.f_blocks * room.f_frsize >= store else 0


def _left_by_ray(node: str) -> dict[str, float] | None:
    """Return what Ray has left of all that a node has, by its names; None where this Ray does not tell."""
    try:
        # Ray's public functions have the sum of all nodes only.
        state: Any = importlib.import_module("ray._private.state")
        return dict(state.available_resources_per_node()[node])
    except (ImportError, AttributeError, KeyError):  # of a Ray that is newer than this
        return None
