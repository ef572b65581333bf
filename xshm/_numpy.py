"""numpy, imported at the first use of an attribute: its import takes longer than a screenshot that needs no array.

Modules name it by `if TYPE_CHECKING: import numpy as np` and `else: from xshm._numpy import np`.
"""

from __future__ import annotations

import importlib
from typing import Any


class _LazyModule:
    """A stand-in for a module: it imports the module at the first access, and stores each attribute that was used.

    A copy of it, or an unpickled one, in another process too, is the `np` of this file.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, found)  # so that the next access does not call this
        return found

    def __reduce__(self) -> str:
        return "np"  # a global name: pickle looks it up in this module


np = _LazyModule("numpy")
