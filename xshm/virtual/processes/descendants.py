"""Find and end all that descends from a program, daemons included, by a mark that descendants inherit.

A program is a child of its display's owner, a subprocess.Popen with all that Popen promises. So no subreaper of ours is
above it: a process that leaves the program's group (setsid) and loses its parent (a daemon) becomes init's child.
(Programs forked by the supervisor would stay below it, but Popen could not wait for them, and they would have the
supervisor's credentials, limits and signal masks.) Therefore each program has a number, its mark, in two places that
its descendants inherit:

1. The soft limit of file locks, RLIMIT_LOCKS, which Linux has ignored since 2.4.25 and every user may read. It survives
   fork, exec, setsid, `env -i` and a change of user, and nothing but descent sets it (`marked_fork`).
2. The environment variable XSHM_PROGRAMS, there from the first instruction. A process can drop it, and a service
   manager can copy it to services that are not ours. So it counts only for orphans in our own cgroup: processes whose
   parent is an ancestor of this process, as init is. Children of a process that was found are found with that one.

The supervisor does this for its display; where the supervisor was killed, the owner, the shell above the supervisor, or
the next display that starts (`servers.cleanup`) does.

A signal goes through a pidfd whose process is compared with the one that was found (by its start time), so it never
hits another process that got the same process id.

What does not work: cgroups (need delegation), PR_SET_CHILD_SUBREAPER on the owner (it would adopt orphans of others),
a walk up /proc/PID/stat's parents (a daemon's parent is init).

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`; its enums take longer than all other imports
import posix
import time

from xshm.system import polling
from xshm.virtual.processes.process_groups import (
    ENDING,
    GRACE,
    Process,
    process,
    processes,
    read,
    signal_group,
)

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "XSHM_PROGRAMS"  # marks in hexadecimal, joined by colons: a program of one display may start another display
# A mark is 1, then random bits that tell displays apart, then a count of the display's programs. 63 bits in all: less
# than RLIM_INFINITY, and than what glibc and others take for "unlimited".
_COUNT_BITS = 28
_RANDOM_BITS = 34
_LIMIT = b"Max file locks"  # in /proc/PID/limits
RLIMIT_LOCKS = 10  # asm-generic/resource.h; the `resource` module has no name for it
_MOST_AWAITED = 16  # processes at a time, each by a descriptor, of which few may be left
_TOGETHER = 0.005  # seconds; processes that end within this time are waited for together


def first_mark(random: bytes) -> int:
    """Return the number before the mark of a display's first program, the start of `marks_of_display`."""
    return (int.from_bytes(random, "big") & (1 << _RANDOM_BITS) - 1 | 1 << _RANDOM_BITS) << _COUNT_BITS


def marks_of_display(mark: int) -> range:
    """Return the marks of all programs of the display that has this mark."""
    first = mark >> _COUNT_BITS << _COUNT_BITS
    return range(first, first + (1 << _COUNT_BITS))


def parse_marks(text: str) -> range:
    """Return the marks of the display of which one mark was noted in decimal; an empty range for other text."""
    is_mark = text.isdecimal() and int(text) >> _COUNT_BITS + _RANDOM_BITS == 1  # a truncated one is less
    return marks_of_display(int(text)) if is_mark else range(0)


def with_mark(environment: Mapping[str, str], mark: int) -> dict[str, str]:
    """Return an environment with the mark, after the marks of the programs that this process descends from."""
    before = environment.get(VARIABLE)
    return {**environment, VARIABLE: f"{before}:{mark:x}" if before else f"{mark:x}"}


def has_mark(pid: int, marks: range) -> bool:
    """Tell whether the soft limit of file locks of a process is one of these marks."""
    limit = read(pid, "limits").partition(_LIMIT)[2].split(maxsplit=1)[:1]
    return bool(limit) and limit[0].isdigit() and int(limit[0]) in marks


def has_environment_mark(pid: int, marks: range) -> bool:
    """Tell whether one of these marks is in the environment with which a process was executed."""
    name = f"{VARIABLE}=".encode()
    values = [entry[len(name) :] for entry in read(pid, "environ").split(b"\0") if entry.startswith(name)]
    try:
        return any(int(mark, 16) in marks for value in values for mark in value.split(b":"))
    except ValueError:  # not ours
        return False


def is_this_process_marked(marks: range) -> bool:
    """Tell whether this process descends from a program with one of these marks."""
    pid = posix.getpid()
    return has_mark(pid, marks) or has_environment_mark(pid, marks)


class Descendants:
    """The processes of programs: members of the groups, processes with one of the marks, and all below these.

    A process that started before `since` (clock ticks since boot) can have no mark. `owner` is the process id of the
    programs' parent.
    """

    def __init__(self, marks: range, groups: set[int], since: int, owner: int) -> None:
        self._marks, self._groups, self._since, self._owner = marks, groups, since, owner

    def end(self) -> list[str]:
        """End them: SIGTERM, and SIGKILL after GRACE. Return descriptions of those that are left."""
        for number, seconds in ((_signal.SIGTERM, GRACE), (_signal.SIGKILL, ENDING)):
            deadline = time.monotonic() + seconds
            for group in self._groups:  # one call for all members: none can fork past it
                signal_group(group, number)
                signal_group(group, _signal.SIGCONT)  # a stopped process gets SIGTERM only when it continues
            found = self._find()
            to_signal = [each for each in found if each.group not in self._groups]  # the others have had it
            while found and _signal_and_wait(found, to_signal, number, deadline):
                found = self._find()
                # A process that appears after SIGTERM was started by one that shuts down and needs it: SIGKILL alone.
                to_signal = found if number == _signal.SIGKILL else []
            if not found:
                return []
        return [_description(each) for each in self._find()]

    def _find(self) -> list[Process]:
        """Return the living ones."""
        table = {each.pid: each for each in processes()}
        above = _ancestors(table)
        children: dict[int, list[Process]] = {}
        new = []
        for each in table.values():
            if each.lives and each.pid not in above:
                children.setdefault(each.parent, []).append(each)
                if each.group in self._groups or self._is_marked(each, above):
                    new.append(each)
        found = {}
        while new:
            each = new.pop()
            if each.pid not in found:
                found[each.pid] = each
                new += children.get(each.pid, ())
        return list(found.values())

    def _is_marked(self, each: Process, above: set[int]) -> bool:
        if each.start < self._since:
            return False
        if has_mark(each.pid, self._marks):
            return True
        return (
            each.parent in above  # an orphan
            and each.parent != self._owner  # whose other children are none of ours
            and has_environment_mark(each.pid, self._marks)
            and read(each.pid, "cgroup") == read(posix.getpid(), "cgroup")
        )


def _signal_and_wait(found: list[Process], to_signal: list[Process], number: int, deadline: float) -> bool:
    """Signal `to_signal`, and wait until any of the processes found has ended; return False at the deadline."""
    signalled = {each.pid for each in to_signal}
    pidfds: list[int] = []
    gone = False
    try:
        for each in found:
            if len(pidfds) == _MOST_AWAITED:
                posix.close(pidfds.pop())  # waiting for the others is enough: the caller looks again
            try:
                pidfds.append(posix.pidfd_open(each.pid))
            except ProcessLookupError:
                gone = True
                continue
            if each.pid in signalled:
                _send(pidfds[-1], each, number)
        return (gone or _wait_for_some(pidfds, deadline)) and time.monotonic() < deadline
    finally:
        for pidfd in pidfds:
            posix.close(pidfd)


def _wait_for_some(pidfds: list[int], deadline: float) -> bool:
    """Wait until one has ended, and _TOGETHER for others: to look through /proc again would take longer."""
    left, until = set(pidfds), deadline
    while left and (ended := polling.readable(tuple(left), until - time.monotonic())):
        left.difference_update(ended)
        until = min(deadline, time.monotonic() + _TOGETHER)
    return len(left) < len(pidfds)


def _send(pidfd: int, each: Process, number: int) -> None:
    """Signal a process, unless the pidfd is of another one that got its number."""
    now = process(each.pid)
    if now is None or now.start != each.start:
        return
    try:
        _signal.pidfd_send_signal(pidfd, number)
        _signal.pidfd_send_signal(pidfd, _signal.SIGCONT)  # a stopped process gets SIGTERM only when it continues
    except (ProcessLookupError, PermissionError):  # ended; or another user's, which `end` then returns as left
        pass


def _ancestors(table: dict[int, Process]) -> set[int]:
    """Return this process and its ancestors: no programs of ours, and one of them becomes an orphan's parent."""
    above, pid = set(), posix.getpid()
    while pid not in above:
        above.add(pid)
        pid = table[pid].parent if pid in table else 0
    return above


def _description(each: Process) -> str:
    from xshm.system.printable import printable  # noqa: PLC0415 - hardly ever needed, and slow to import

    name = printable(read(each.pid, "comm").removesuffix(b"\n").decode(errors="replace"))
    return f"process {each.pid} ({name}, state {each.state})"
