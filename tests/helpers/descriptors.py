"""List the open descriptors of this process, and find new ones.

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


def new_descriptors(before: dict[str, str]) -> dict[str, str]:
    """Return what is open now and was not in `before`."""
    return {number: target for number, target in open_descriptors().items() if before.get(number) != target}
