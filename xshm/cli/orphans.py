"""Processes that lost their parents and became ours: reaped when they end, and ended with the command.

A process that leaves its group (setsid) is out of reach of whoever ends groups. `xshm run` makes itself a child
subreaper (prctl(2)), so that it comes to us when its parent has ended. In a container whose first process we are, all
orphans do. Only own children that nobody has waited for are ever signalled, so no number can be a stranger's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final, Self

from xshm.virtual.processes import process_groups

if TYPE_CHECKING:
    from types import FrameType

_PR_SET_CHILD_SUBREAPER: Final = 36


class Orphans:
    """The orphans of this process, a context manager that ends them.

    Make it before the first child is started. Children that there are when it is entered (the shell above a
    display's supervisor) are left to those who started and wait for them.
    """

    def __init__(self) -> None:
        self._before = children()  # of a program that was this process before it executed us
        self._awaited: set[int] = set()
        self._handler: Any = signal.SIG_DFL
        become_subreaper()

    def reap(self, *awaited: int) -> None:
        """From here on reap every child that has ended, but for these process ids as well, which others wait for."""
        self._awaited.update(awaited)
        signal.signal(signal.SIGCHLD, self._reap)
        self._reap()

    def end(self) -> None:
        """End those that are left: by TERM, and after a grace by KILL. Their own children come to us one by one."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # no handler is to reap between the look and the signal
        for how, seconds in ((signal.SIGTERM, process_groups.GRACE), (signal.SIGKILL, process_groups.ENDING)):
            asked: set[int] = set()
            deadline = time.monotonic() + seconds
            while (left := self._left()) and time.monotonic() < deadline:
                for pid in left - asked:
                    os.kill(pid, how)
                    os.kill(pid, signal.SIGCONT)  # a stopped process hears TERM only then
                asked |= left
                _wait_for_any(left, deadline)

    def __enter__(self) -> Self:
        self._awaited = children() - self._before
        self._handler = signal.getsignal(signal.SIGCHLD)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        signal.signal(signal.SIGCHLD, self._handler)

    def _left(self) -> set[int]:
        self._reap()
        return children() - self._before - self._awaited

    def _reap(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in self._awaited:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)


def children() -> set[int]:
    """Return the process ids of this process's children, those of its other threads as well."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # it has none, which takes no look at every process
        return set()
    ours = os.getpid()
    return {each.pid for each in process_groups.processes() if each.parent == ours}


def become_subreaper() -> None:
    """Have orphaned descendants become children of this process. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(number)}")


def _wait_for_any(pids: set[int], deadline: float) -> None:
    """Wait until one of these children has ended."""
    with contextlib.ExitStack() as opened:
        pidfds = []
        for pid in pids:
            pidfds.append(os.pidfd_open(pid))
            opened.callback(os.close, pidfds[-1])
        process_groups.wait(tuple(pidfds), deadline)
