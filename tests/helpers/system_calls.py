"""A process that is stopped at each of its system calls, before and after it, and killed at one of them: ptrace(2).

The traced process is a fork that runs a function. Its threads are traced with it, programs that it starts are not.
A kill before a call keeps the call from happening; a kill after it comes before the process can know how it went.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
_O_TRACESYSGOOD, _O_TRACECLONE, _O_EXITKILL = 1, 8, 0x100000
_AT_A_CALL: Final = signal.SIGTRAP | 0x80
_WALL: Final = 0x40000000  # threads, too
_NOT_DELIVERED: Final = {signal.SIGTRAP, signal.SIGSTOP}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Traced(NamedTuple):
    """How it went: the stops that there were, how it ended, the number of the call that it was killed at, its pid."""

    stops: int
    status: int
    call: str
    pid: int


def run_traced(work: Callable[[], object], kill_at: int | None = None) -> Traced:
    """Run `work` in a fork; kill it at its `kill_at`-th stop, counted from 0, or let it end. Nobody else may wait."""
    child = os.fork()
    if not child:
        _work(work)
    os.waitpid(child, _WALL)
    _request(_SETOPTIONS, child, _O_TRACESYSGOOD | _O_TRACECLONE | _O_EXITKILL)
    _request(_SYSCALL, child)
    stops, call = 0, ""
    while True:
        pid, status = os.waitpid(-1, _WALL)
        if not os.WIFSTOPPED(status):
            if pid == child:
                return Traced(stops, os.waitstatus_to_exitcode(status), call, child)
            continue
        number = os.WSTOPSIG(status)
        if number == _AT_A_CALL:
            if stops == kill_at:
                call = _call(pid)
                os.kill(child, signal.SIGKILL)
            stops += 1
        is_for_it = number != _AT_A_CALL and number not in _NOT_DELIVERED
        _request(_SYSCALL, pid, number if is_for_it else 0)


def _work(work: Callable[[], object]) -> None:
    code = 1
    try:
        _libc.ptrace(_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may unwind into the second copy of the caller
        traceback.print_exc()
    finally:
        os._exit(code)


def _request(what: int, pid: int, data: int = 0) -> None:
    # One that was just killed is gone (ESRCH), and waitpid says so next.
    _libc.ptrace(what, pid, None, data)


def _call(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/syscall").read_text().split()[0]
    return "?"
