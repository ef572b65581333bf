"""numpy, imported at the first use of an attribute: its import takes longer than a screenshot that needs no array.

Modules name it by `if TYPE_CHECKING: import numpy as np` and `else: from xshm._numpy import np`.

That use may be at any moment, and numpy can be imported only once in a process, and as a whole. So it is done in a
thread of its own: a signal handler that raises, which is called in the main thread, does not cut it short; and a fork
waits for its end, since a child would wait for ever for a thread that it does not have.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from functools import partial
from typing import Any, Final

from xshm._signal_safety import begun

_MOMENT: Final = 0.001  # seconds; the import takes a hundred times as long

_importing: set[int] = set()  # threads


class _LazyModule:
    """A stand-in for a module: it imports the module at the first access, and stores each attribute that was used.

    A copy of it, or an unpickled one, in another process too, is the `np` of this file.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(_imported(self.__name__), name)
        setattr(self, name, found)  # so that the next access does not call this
        return found

    def __reduce__(self) -> str:
        return "np"  # a global name: pickle looks it up in this module


def _imported(name: str) -> Any:
    if name not in sys.modules:
        wait = begun(partial(_import, name))
        if wait is not None:
            wait()
    # A handler may have cut the wait short, this one or an earlier one. Not by importlib's lock for the module: that is
    # left taken by a handler that raises within it.
    _wait_for_others()
    # Where the thread could not be started, or its import has failed, it is done here, and says why.
    return importlib.import_module(name)


def _import(name: str) -> None:
    me = threading.get_ident()
    _importing.add(me)
    try:
        importlib.import_module(name)
    except BaseException:  # noqa: BLE001, S110 - it is raised where it is tried again
        pass
    finally:
        _importing.discard(me)


def _wait_for_others() -> None:
    while _importing - {threading.get_ident()}:
        time.sleep(_MOMENT)


np = _LazyModule("numpy")
os.register_at_fork(before=_wait_for_others)
