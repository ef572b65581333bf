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
from typing import Any

from xshm._signal_safety import is_a_handlers

_importing: set[threading.Thread] = set()


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
        thread = threading.Thread(target=_import, args=(name,), name="xshm import")
        try:
            thread.start()
        except RuntimeError as error:
            if is_a_handlers(error, "threading"):
                raise
        else:
            thread.join()
    # Where the thread could not be started, or its import has failed, it is done here, and says why. Where a handler
    # has cut the wait short before, this waits for the rest.
    return importlib.import_module(name)


def _import(name: str) -> None:
    me = threading.current_thread()
    _importing.add(me)
    try:
        importlib.import_module(name)
    except BaseException:  # noqa: BLE001, S110 - it is raised where it is tried again
        pass
    finally:
        _importing.discard(me)


def _before_fork() -> None:
    for thread in _importing - {threading.current_thread()}:
        thread.join()


np = _LazyModule("numpy")
os.register_at_fork(before=_before_fork)
