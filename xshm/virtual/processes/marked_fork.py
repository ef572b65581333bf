"""Fork a program that has its mark, the soft limit of file locks (`descendants`), before its first instruction.

A resource limit belongs to the whole process, and a child inherits its parent's. So this process has the mark as its
own limit during the fork, and must fork nothing else meanwhile.

Always true:

1. Setting the limit, forking and restoring the limit are one call into C, during which no signal handler runs: an
   exception leaves this process with its own limit, too.
2. No two programs are forked at once (`_lock`): the one would take the other's mark for this process's own limit.
   Other threads run: since 3.11.4 CPython lets them while it waits for the child's exec (vfork). A child that one of
   them has forked in that moment gets this process's limit back at once, or before the programs are ended: what has the
   mark is ended with them.
3. Where the fork is not Popen's of CPython, or an interpreter has no lock (free threading), or a library replaced Popen
   (gevent), the mark is set as soon as the program runs. Its group and environment find the program until then.
"""

from __future__ import annotations

import operator
import os
import resource
import subprocess
import sys
import threading
from functools import partial
from itertools import filterfalse
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import Ignored, is_a_handlers, released_by
from xshm.virtual.processes import process_groups
from xshm.virtual.processes.descendants import RLIMIT_LOCKS, has_environment_mark, marks_of_display

if TYPE_CHECKING:
    from collections.abc import Callable

_FORK: Final = "_fork_exec"  # what Popen calls, from CPython 3.11 on


_lock = threading.RLock()
_programs: Final = set[int]()  # process ids of what was forked with a mark, until it is reaped; under the lock


def _after_fork_in_child() -> None:
    """Make the lock anew: a thread that does not exist in this process may have had it."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)


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
    """Mark a running program, a child that has not been reaped, and `unmark` other children (2).

    A hard limit that is lower, or another user (`user=`), prevents that; then group and environment find the program.
    """
    with _lock:
        _programs.add(pid)
    with Ignored(OSError, ValueError):
        soft, hard = resource.prlimit(pid, RLIMIT_LOCKS)
        if soft != number:
            resource.prlimit(pid, RLIMIT_LOCKS, (number, hard))
    unmark(number)


def unmark(number: int) -> None:
    """Give children that are no programs, and got a mark of the display of this one, this process's limit back (2).

    Without a free descriptor they can't be looked for; then they keep it.
    """
    with Ignored(OSError):
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - numbers
            _unmark(_others(), marks_of_display(number))


def _others() -> list[int]:
    """Return this process's children but for its programs."""
    with _lock:
        children = _children(os.getpid())
        _programs.intersection_update(children)
        return list(filterfalse(_programs.__contains__, children))


def _fork(mark: int, fork: Callable[..., int], *arguments: object) -> int:
    """Fork with the mark as the soft limit, where the hard limit allows it (1, 2)."""
    with _lock:
        pid = _fork_alone(mark, fork, arguments)
        _programs.add(pid)
        return pid


def _fork_alone(mark: int, fork: Callable[..., int], arguments: tuple[object, ...]) -> int:
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


def _unmark(pids: list[int], marks: range) -> None:
    """Give this process's limit to those of the processes that have one of the marks, and to all below them.

    An orphan of the program, our child where this process is a subreaper, keeps it: it has the mark in its environment.
    """
    for pid in pids:
        if _is_unmarked(pid, marks):
            _unmark(_children(pid), marks)


def _is_unmarked(pid: int, marks: range) -> bool:
    """Give a process with a mark this process's limit, which under the lock is its own; return whether it had one."""
    with _lock, Ignored(OSError, ValueError):
        if resource.prlimit(pid, RLIMIT_LOCKS)[0] in marks and not has_environment_mark(pid, marks):
            resource.prlimit(pid, RLIMIT_LOCKS, resource.getrlimit(RLIMIT_LOCKS))
            return True
    return False


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
