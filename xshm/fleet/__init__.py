"""Displays on many machines, by Ray: as actors, and as a pool that functions are mapped over.

    from xshm import fleet

    def title(display, url):
        with display.launch(["chromium", url]):
            return display.screen.windows()[0].title

    with fleet.DisplayPool(32) as pool:
        for each in pool.map(title, urls):
            print(each)

In reading order:

- `picture`: Picture and Delta, a screen elsewhere that is followed by what changes
- `changes`: what the display's side of that remembers
- `cluster`: Ray, and the options of its actors
- `seats`: Seat, one display and what is done on it; `actors`: a single one as an actor
- `room`: how many displays fit, and why not more; `nodes`, a package of its own, measures that on each node
- `worker`: what the pool's actors run; `dispatch`: which item runs where, and again; `tasks`: what it needs for that
- `items`: the results of a map
- `pool`: DisplayPool
- `wall`: all displays as one picture, or in a browser; `tiles`: how these are put together

Nothing of Ray is imported before it is used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm.fleet.actors import seat
    from xshm.fleet.picture import Delta, Picture, Seen
    from xshm.fleet.pool import DisplayPool
    from xshm.fleet.room import Capacity, NodeRoom, capacity
    from xshm.fleet.seats import Seat, SeatInfo
    from xshm.fleet.tasks.stats import FleetStats
    from xshm.fleet.wall import Wall

__all__ = [
    "Capacity",
    "Delta",
    "DisplayPool",
    "FleetStats",
    "NodeRoom",
    "Picture",
    "Seat",
    "SeatInfo",
    "Seen",
    "Wall",
    "capacity",
    "seat",
]

_HOMES = {
    "Capacity": "room",
    "Delta": "picture",
    "DisplayPool": "pool",
    "FleetStats": "tasks.stats",
    "NodeRoom": "room",
    "Picture": "picture",
    "Seat": "seats",
    "SeatInfo": "seats",
    "Seen": "picture",
    "Wall": "wall",
    "capacity": "room",
    "seat": "actors",
}

if not TYPE_CHECKING:  # a type checker would take any misspelt name for an Any

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'xshm.fleet' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
        value = getattr(importlib.import_module(f"xshm.fleet.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
