"""A million grabs (at an effort of 100) that leave nothing: memory, descriptors, segments, X resources as before.

Each kind of grab is done by tens of thousands, on one Screen, with boxes of changing sizes among them. Memory is what
the process has resident; it may differ by what an allocator keeps, and by nothing that grows with the number.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if __name__ == "__main__":
    _TESTS = Path(__file__).resolve().parent.parent
    sys.path[:1] = [str(_TESTS), str(_TESTS / "helpers")]

from descriptors import new_descriptors, open_descriptors
from servers import start

import xshm
from xshm import sysv
from xshm.x11.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.report import Report

_GRABS: Final = 10_000  # for each unit of effort, of all kinds together
_WARM: Final = 300  # of each kind before anything is measured
_MOST: Final = (
    1 << 20
)  # bytes that memory may differ by: an allocator's arena, and no byte per grab from an effort of 100
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def provoke(report: Report, effort: int) -> None:
    """Grab in a process of its own, whose memory nothing else changes."""
    places = os.pathsep.join((*sys.path[:1], os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, __file__, str(effort)],
        env=os.environ | {"PYTHONPATH": places},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for name, grabs, wrong in json.loads(done.stdout):
        row = report.row(name)
        row.tried += grabs
        row.failures += wrong


def _kinds(screen: xshm.Screen) -> dict[str, tuple[float, Callable[[int], object]]]:
    """Return each kind of grab, and what share of all it has."""
    into = screen.grab((0, 0, 64, 48)).pixels.copy()
    return {
        "one pixel": (0.5, lambda n: screen.grab((n % 300, n % 200, 1, 1))),
        "64×48": (0.2, lambda n: screen.grab((n % 200, n % 100, 64, 48))),
        "of changing sizes": (0.1, lambda n: screen.grab((0, 0, 1 + n * 7 % 320, 1 + n * 5 % 240))),
        "into an array": (0.1, lambda _: screen.grab_into(into, (0, 0, 64, 48))),
        "with the pointer": (0.05, lambda _: screen.grab((0, 0, 64, 48), cursor=True)),
        "grab_many": (0.05, lambda n: screen.grab_many([(0, 0, 9, 9), (n % 99, 0, 20, 20)])),
    }


def _main(effort: int) -> None:
    told: list[tuple[str, int, list[str]]] = []
    with start("Xvfb", 320, 240) as server:
        other = Connection(server.name, None, 10.0)
        for transport in ("sysv", "fd"):
            with xshm.Screen(server.name, transport) as screen:
                for name, (share, grab) in _kinds(screen).items():
                    count = int(_GRABS * effort * share / 2)
                    told.append((f"{name} ({transport})", count, _grab(screen, other, grab, count)))
        other.close()
    print(json.dumps(told))


def _grab(screen: xshm.Screen, other: Connection, grab: Callable[[int], object], count: int) -> list[str]:
    for number in range(_WARM):
        grab(number)
    before, opened, memory = _state(screen, other), open_descriptors(), _memory()
    for number in range(count):
        grab(number)
    wrong = []
    after = _state(screen, other)  # which first gives back what no frame holds
    if (more := _memory() - memory) > _MOST:
        wrong.append(f"{more:,} bytes of memory more after {count:,} grabs")
    if new := new_descriptors(opened):
        wrong.append(f"descriptors more after {count:,} grabs: {new}")
    if after != before:
        wrong.append(f"after {count:,} grabs {after}, before {before}")
    return wrong


def _memory() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _state(screen: xshm.Screen, other: Connection) -> tuple[Any, ...]:
    """Count the segments of this process, and what the server keeps for the screen's connection, by kind."""
    from Xlib.ext import res  # noqa: PLC0415 - python-xlib's own

    pool = screen._session.pool
    assert pool is not None
    pool.trim()
    screen.connection.sync()
    extension = other.extension("X-Resource")
    assert extension is not None
    client = screen.connection.info.resource_id_base
    held: Counter[int] = Counter()
    for each in other.request(res.QueryClientResources, opcode=extension.major, client=client).types:
        held[each.resource_type] += each.count
    return len([each for each in sysv.segments() if each.cpid == os.getpid()]), sorted(held.items())


if __name__ == "__main__":
    _main(int(sys.argv[1]))
