"""Fork a program that has its mark, the soft limit of file locks (`descendants`), before its first instruction.

A resource limit belongs to the whole process, and a child inherits its parent's. So this process has the mark as its
own limit during the fork, and must fork nothing else meanwhile.

Always true:

1. Setting the limit, forking and restoring the limit are one call into C, during which no other Python thread runs and
   no signal handler: an exception leaves this process with its own limit, too.
2. A child that a thread without the interpreter lock forked in that moment gets this process's limit back.
3. Where the fork is not Popen's of CPython, or an interpreter has no lock (free threading), or a library replaced Popen
   (gevent), the mark is set as soon as the program runs. Its group and environment find the program until then.
"""

from __future__ import annotations

import operator
import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import Ignored, is_a_handlers, released_by
from xshm.virtual.processes import process_groups
from xshm.virtual.processes.descendants import RLIMIT_LOCKS, has_environment_mark

if TYPE_CHECKING:
    from collections.abc import Callable

_FORK: Final = "_fork_exec"  # what Popen calls, from CPython 3.11 on


class _Limits(tuple[int, int]):
    """A soft and a hard limit of this process, set in C when the tuple is deallocated (as a Descriptor closes)."""

    __slots__ = ()
    __del__ = released_by(partial(resource.setrlimit, RLIMIT_LOCKS))


def marking(mark: int, execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return Popen's `_execute_child` as a function that forks with the mark; as it is where that is impossible (3)."""
    code = getattr(execute, "__code__", None)
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    # gevent's Popen has another `_execute_child`; an interpreter without a lock forks beside other threads.
    if code is None or _FORK not in code.co_names or not callable(getattr(subprocess, _FORK, None)) or not has_lock:
        return execute
    # The same code, with another _fork_exec among its globals: subprocess itself is not changed.
    names = execute.__globals__ | {_FORK: partial(_fork, mark, execute.__globals__[_FORK])}
    return FunctionType(code, names, code.co_name, execute.__defaults__, execute.__closure__)


def mark(pid: int, number: int) -> None:
    """Mark a running program, a child that has not been reaped, and unmark other children that got the mark (2).

    A hard limit that is lower, or another user (`user=`), prevents that; then group and environment find the program.
    """
    with Ignored(OSError, ValueError):
        soft, hard = resource.prlimit(pid, RLIMIT_LOCKS)
        if soft != number:
            resource.prlimit(pid, RLIMIT_LOCKS, (number, hard))
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - numbers
        _unmark([child for child in _children(os.getpid()) if child != pid], number)


def _fork(mark: int, fork: Callable[..., int], *arguments: object) -> int:
    """Fork with the mark as the soft limit, where the hard limit allows it (1)."""
    soft, hard = resource.getrlimit(RLIMIT_LOCKS)
    if hard not in (resource.RLIM_INFINITY, -1) and hard < mark:
        return fork(*arguments)
    call: Callable[[Any], Any] = operator.call
    set_limits = partial(partial, resource.setrlimit, RLIMIT_LOCKS)
    # list() over map() runs the three calls in C. No variable holds `_Limits`: where the fork raises, the arguments are
    # deallocated at once, and with them `_Limits`, which restores the limits; a variable would live with the traceback.
    pid: int = list(
        map(call, (set_limits((mark, hard)), partial(fork, *arguments), set_limits(_Limits((soft, hard)))))
    )[1]
    return pid


def _unmark(pids: list[int], number: int) -> None:
    """Give this process's limit to those of the processes that have the mark as theirs, and to all below them.

    An orphan of the program, our child where this process is a subreaper, keeps it: it has the mark in its environment.
    """
    mark = range(number, number + 1)
    for pid in pids:
        with Ignored(OSError, ValueError):
            if resource.prlimit(pid, RLIMIT_LOCKS)[0] == number and not has_environment_mark(pid, mark):
                resource.prlimit(pid, RLIMIT_LOCKS, resource.getrlimit(RLIMIT_LOCKS))
                _unmark(_children(pid), number)


def _children(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task")
    try:
        lists = [tasks.joinpath(task, "children").read_text() for task in os.listdir(tasks)]  # noqa: PTH208 - numbers
    except OSError as error:  # a thread has ended, or the kernel does not list them (CONFIG_PROC_CHILDREN)
        if is_a_handlers(error, "pathlib"):
            raise
        return [each.pid for each in process_groups.processes() if each.parent == pid]
    return [int(child) for line in lists for child in line.split()]
