"""Orphaned descendants, of which `xshm run` becomes the parent: reaped when they end, ended with the command.

A signal to a process group misses a process that has left the group (setsid). So `xshm run` makes itself a child
subreaper (prctl(2)): the kernel makes it the parent of every descendant whose own parent has ended. As the first
process of a container it is the parent of all orphans there.

Always true: only children that were not reaped yet are signalled, so that no process id can be another process's by
then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final, Self

from xshm._signal_safety import owned
from xshm.virtual.processes import process_groups

if TYPE_CHECKING:
    from types import FrameType

_PR_SET_CHILD_SUBREAPER: Final = 36


class Orphans:
    """The orphans of this process, a context manager that ends them.

    To be made before the first child is started. Children that exist when it is entered (the shell above a display's
    supervisor) are left alone: the code that started them waits for them.
    """

    def __init__(self) -> None:
        self._before = children()  # children of a program that has replaced itself by us (execve)
        self._awaited: set[int] = set()
        self._handler: Any = signal.SIG_DFL
        become_subreaper()

    def reap(self, *awaited: int) -> None:
        """From now on reap every child that ends, but for these process ids too, which others wait for."""
        self._awaited.update(awaited)
        signal.signal(signal.SIGCHLD, self._reap)
        self._reap()

    def end(self) -> None:
        """End all orphans: SIGTERM, and SIGKILL after GRACE. The children of each become orphans, and are ended."""
        # A handler that reaps between the list of children and the signal would free a process id.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, seconds in ((signal.SIGTERM, process_groups.GRACE), (signal.SIGKILL, process_groups.ENDING)):
            signalled: set[int] = set()
            deadline = time.monotonic() + seconds
            while (left := self._left()) and time.monotonic() < deadline:
                for pid in left - signalled:
                    os.kill(pid, number)
                    os.kill(pid, signal.SIGCONT)  # a stopped process gets SIGTERM only when it continues
                signalled |= left
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
                if ended.si_pid in self._awaited:  # it would be returned again; others are reaped later
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)


def children() -> set[int]:
    """Return the process ids of this process's children, those of its other threads as well."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # no children at all, and no need to read every process of the machine
        return set()
    parent = os.getpid()
    return {each.pid for each in process_groups.processes() if each.parent == parent}


def become_subreaper() -> None:
    """Have orphaned descendants become children of this process. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(number)}")


def _wait_for_any(pids: set[int], deadline: float) -> None:
    """Wait until one of these children has ended."""
    process_groups.wait(tuple(owned(os.pidfd_open, pid) for pid in pids), deadline)
