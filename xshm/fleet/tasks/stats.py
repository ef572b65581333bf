"""FleetStats: what a pool has done, and what it has lost."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(slots=True)
class FleetStats:
    """Counts of a pool: items, workers and displays.

    `done` and `failed` items; `again`: tries beyond the first; `workers_lost`, `displays_lost`: what has ended under an
    item, or while nothing ran; `up`: workers that are there now, `starting`: those that are waited for.
    """

    done: int = 0
    failed: int = 0
    again: int = 0
    workers_lost: int = 0
    displays_lost: int = 0
    up: int = 0
    starting: int = 0
