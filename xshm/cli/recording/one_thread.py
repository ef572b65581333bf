"""numpy without the threads of its linear algebra, which nothing here uses and whose start takes 0.1 s of CPU.

The variable that says so is in the environment during the import alone: a command that is started later does not
inherit it.
"""

from __future__ import annotations

import os
from typing import Final

# OpenBLAS reads its variable when it is loaded, OpenCV its own when its first function is called.
_VARIABLES: Final = {"OPENBLAS_NUM_THREADS": "1"}


def import_numpy() -> None:
    """Import numpy with one thread, unless the user has said how many."""
    ours = {name: value for name, value in _VARIABLES.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        import numpy as np  # noqa: F401, PLC0415 - this is the import
    finally:
        for name in ours:
            del os.environ[name]
