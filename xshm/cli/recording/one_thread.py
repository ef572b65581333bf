"""numpy and OpenCV without the threads of their linear algebra, which nothing here uses.

The start of those of one library takes 0.1 s of CPU, at its import. The variable that says so stays in the environment
as long as the command is at work, since OpenCV is imported when it is worth it: what the command starts gets the
environment as it was before.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARIABLE: Final = "OPENBLAS_NUM_THREADS"  # which OpenBLAS reads when it is loaded


@contextlib.contextmanager
def asked_for() -> Iterator[None]:
    """Have libraries that are imported meanwhile use one thread, unless the user has said how many."""
    is_ours = _VARIABLE not in os.environ
    os.environ.setdefault(_VARIABLE, "1")
    try:
        yield
    finally:
        if is_ours:
            del os.environ[_VARIABLE]
