"""List the open descriptors of a process, and find new ones.

A worker of the suite runs hundreds of tests: what an earlier one left to the garbage collector may close at any time,
so a mere count can fall while a test runs. A leak is what is open afterwards and was not before.
"""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")


def open_descriptors() -> dict[str, str]:
    """Return the number and the target of each descriptor that is open, after a collection."""
    gc.collect()
    found = {}
    for each in _DESCRIPTORS.iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that listed them
            found[each.name] = str(each.readlink())
    return found


def open_file_of(pid: int | None, name: str) -> Path:
    """Return the way to the file that process `pid` has open under a path with `name` in it.

    A server that lives closes descriptors whenever one of its clients leaves: what is gone meanwhile is passed over.
    """
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if name in str(each.readlink()):
                return each
    raise FileNotFoundError(f"process {pid} has no file open that is called {name}")


def new_descriptors(before: dict[str, str]) -> dict[str, str]:
    """Return what is open now and was not in `before`."""
    return {number: target for number, target in open_descriptors().items() if before.get(number) != target}
