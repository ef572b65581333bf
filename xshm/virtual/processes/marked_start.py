"""A program that has its mark, the soft limit of file locks (descendants.py), before its first instruction.

A limit is the whole process's, and a child has what its parent has when it is forked. So ours is the mark during the
fork, and nothing else of this process may fork meanwhile: limit, fork and limit are one call into C, during which no
other thread gets the interpreter. What a thread has forked even so that runs without the interpreter gets its limit
back. Where that way is barred, by an interpreter without its lock, or by a library's Popen in the place of subprocess's
(gevent), the limit is set as soon as the program runs.
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

from xshm.system.kernel_errors import Ignored, is_a_handlers
from xshm.virtual.processes import process_groups
from xshm.virtual.processes.descendants import RLIMIT_LOCKS, inherited

if TYPE_CHECKING:
    from collections.abc import Callable

_FORK: Final = "_fork_exec"  # what Popen calls, from CPython 3.11 on


class _Limits(tuple[int, int]):
    """A soft and a hard limit, which are this process's again when it goes (as descriptor.py closes a descriptor)."""

    __slots__ = ()
    __del__ = property(partial(partial, resource.setrlimit, RLIMIT_LOCKS))


def under(mark: int, execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return Popen's `_execute_child` as one that forks under the mark."""
    code = getattr(execute, "__code__", None)
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    if code is None or _FORK not in code.co_names or not callable(getattr(subprocess, _FORK, None)) or not has_lock:
        return execute
    names = execute.__globals__ | {_FORK: partial(_fork, mark, execute.__globals__[_FORK])}
    return FunctionType(code, names, code.co_name, execute.__defaults__, execute.__closure__)


def mark(pid: int, number: int) -> None:
    """Mark a program that runs, a child that nobody has waited for; and nobody else.

    What is refused, its group and environment make up for: a hard limit that is lower, or another user's (`user=`).
    """
    with Ignored(OSError, ValueError):
        soft, hard = resource.prlimit(pid, RLIMIT_LOCKS)
        if soft != number:
            resource.prlimit(pid, RLIMIT_LOCKS, (number, hard))
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - numbers
        _unmark([child for child in _children(os.getpid()) if child != pid], number)


def _fork(mark: int, fork: Callable[..., int], *arguments: object) -> int:
    """Fork, where the hard limit allows it under the mark; no bytecode is run, and no handler, while that is ours."""
    soft, hard = resource.getrlimit(RLIMIT_LOCKS)
    if hard not in (resource.RLIM_INFINITY, -1) and hard < mark:
        return fork(*arguments)
    call: Callable[[Any], Any] = operator.call
    put = partial(partial, resource.setrlimit, RLIMIT_LOCKS)
    # Where the fork fails, the limits are put back when the list's arguments go.
    pid: int = list(map(call, (put((mark, hard)), partial(fork, *arguments), put(_Limits((soft, hard))))))[1]
    return pid


def _unmark(pids: list[int], number: int) -> None:
    """Give the limit that this process has to those that have the mark, and to all below them.

    An orphan of the program's, which is our child where we are a subreaper, has the mark in its environment, too.
    """
    for pid in pids:
        with Ignored(OSError, ValueError):
            if resource.prlimit(pid, RLIMIT_LOCKS)[0] == number and number not in inherited(pid):
                resource.prlimit(pid, RLIMIT_LOCKS, resource.getrlimit(RLIMIT_LOCKS))
                _unmark(_children(pid), number)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    try:
        said = [tasks.joinpath(task, "children").read_text() for task in os.listdir(tasks)]  # noqa: PTH208 - numbers
    except OSError as error:  # a thread has ended, or the kernel does not list them (CONFIG_PROC_CHILDREN)
        if is_a_handlers(error, "pathlib"):
            raise
        return [each.pid for each in process_groups.processes() if each.parent == pid]
    return [int(child) for line in said for child in line.split()]
