"""A file descriptor with an owner: closed when the last reference to it goes, exactly once.

Not even a signal handler that raises can come between: looking up `__del__` gives partial(os.close, self), which runs
in C throughout, where a method in Python could be cut short at its first instruction.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import chain, starmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Descriptor(int):
    """A descriptor that nobody else closes. It is an int wherever one is wanted; `del` is how to close it."""

    __slots__ = ()
    __del__ = property(partial(partial, os.close))


def owned(opens: Callable[..., int], *arguments: object) -> Descriptor:
    """Call what opens a descriptor and is written in C, as `os.open` is; what it returns has its owner from then on."""
    return next(map(Descriptor, map(opens, *((each,) for each in arguments))))


def pipe() -> tuple[Descriptor, Descriptor]:
    """Make a pipe whose ends have their owners at once: the one to read from, the one to write to."""
    reads, writes = map(Descriptor, chain.from_iterable(starmap(os.pipe, ((),))))
    return reads, writes
