"""numpy without the threads of its linear algebra, which nothing here uses and whose start takes 0.1 s of CPU.

The variable that says so is in the environment during the import alone: a command that is started later does not
inherit it.
"""

from __future__ import annotations

import os
from typing import Final

_VARIABLE: Final = "OPENBLAS_NUM_THREADS"  # which OpenBLAS reads when it is loaded


def import_numpy() -> None:
    """Import numpy with one thread, unless the user has said how many."""
    is_ours = _VARIABLE not in os.environ
    os.environ.setdefault(_VARIABLE, "1")
    try:
        import numpy as np  # noqa: F401, PLC0415 - this is the import
    finally:
        if is_ours:
            del os.environ[_VARIABLE]
