"""Run something in a forked child, and hear what came of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def in_child(work: Callable[[], object]) -> str:
    """Fork; return what the child's work returned or raised. The child leaves by os._exit, as workers do."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            told = repr(work())
        except BaseException as error:  # noqa: BLE001 - it is told to the parent
            told = f"{type(error).__name__}: {error}"
        os.write(theirs, told.encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        told = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return told
