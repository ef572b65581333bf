"""A file descriptor with an owner: closed when the last reference to it goes, exactly once.

Not even a signal handler that raises can come between: looking up `__del__` gives partial(os.close, self), which runs
in C throughout, where a method in Python could be cut short at its first instruction.
"""

from __future__ import annotations

import os
from functools import partial


class Descriptor(int):
    """A descriptor that nobody else closes. It is an int wherever one is wanted; `del` is how to close it."""

    __slots__ = ()
    __del__ = property(partial(partial, os.close))
