"""numpy, imported when it is first used: its import takes longer than a screenshot, which can do without.

Modules name it by `if TYPE_CHECKING: import numpy as np` and `else: from xshm._numpy import np`.
"""

from __future__ import annotations

import importlib
from typing import Any


class _Later:
    """Stands for a module. What was asked for once is an attribute like any other from then on.

    Its copies are itself, in this process and, pickled, in others: it is the name of a place, not its content.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, found)
        return found

    def __reduce__(self) -> str:
        return "np"


np = _Later("numpy")
