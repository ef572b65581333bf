"""All that descends from a program, whatever it has done since: found by the marks that it carries, ended in time.

A program is its owner's child, a subprocess.Popen with all that this promises. So no subreaper of ours stands above it:
what leaves its group (setsid) and loses its parent (a daemon) goes past the supervisor to init. (Programs that the
supervisor started would stay below it, but they would be nobody's child that Popen can wait for, and have the
supervisor's credentials, limits and signals in place of their owner's.) Therefore each program has a number, which all
that it starts inherits, in two places:

- The environment (XSHM_PROGRAMS), from the first instruction on. A process can drop it, and a service manager can take
  it over for services that are none of ours. So it counts only for an orphan, whose parent is now an ancestor of the
  owner's, in our own cgroup; children of what is ours are that anyway.
- The soft limit of file locks (RLIMIT_LOCKS), which Linux has not looked at since 2.4, and which anybody may read. It
  outlasts fork, exec, setsid, env -i and a change of user; nothing but descent brings it (marked_start.py).

A signal goes through a pidfd, opened and then compared with the process that was looked at (by its start), so that it
never hits a stranger who got the number. Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import posix
import time

from xshm.system import polling
from xshm.virtual.processes.process_groups import (
    ENDING,
    GRACE,
    NO_ROOM,
    Process,
    process,
    processes,
    read,
    signal_group,
)

TYPE_CHECKING = False  # that of typing takes its time
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "XSHM_PROGRAMS"  # numbers in hexadecimal with colons: a display may be started by another one's program
_COUNTED = 28  # bits of a number that tell the programs of one display apart
_RANDOM = 34  # bits that tell displays apart; with the others a limit that is not taken for "unlimited" anywhere
_LIMIT = b"Max file locks"
RLIMIT_LOCKS = 10  # asm-generic/resource.h; the `resource` module has no name for it
_AT_ONCE = 64  # descriptors that are held open to wait for
_GONE, _NO_ROOM = -1, -2  # in place of one
_TOGETHER = 0.005  # seconds between the ends of two that are waited for at once


def first_mark(random: bytes) -> int:
    """Return the number before the one of a display's first program."""
    return (int.from_bytes(random, "big") & (1 << _RANDOM) - 1 | 1 << _RANDOM) << _COUNTED


def of_the_display(mark: int) -> range:
    """Return the numbers of all programs of the display to which that one belongs."""
    first = mark >> _COUNTED << _COUNTED
    return range(first, first + (1 << _COUNTED))


def noted(text: str) -> range:
    """Return the numbers of all programs of a display of which one number was written down; none where none was."""
    is_one = text.isdecimal() and int(text) >> _COUNTED + _RANDOM == 1  # cut short it is less
    return of_the_display(int(text)) if is_one else range(0)


def marked(environment: Mapping[str, str], mark: int) -> dict[str, str]:
    """Return an environment with the mark, beside that of a program in which this process runs."""
    before = environment.get(VARIABLE)
    return {**environment, VARIABLE: f"{before}:{mark:x}" if before else f"{mark:x}"}


def carries(pid: int, marks: range) -> bool:
    """Tell whether a process has the limit that only descent brings."""
    limit = read(pid, "limits").partition(_LIMIT)[2].split(maxsplit=1)[:1]
    return bool(limit) and limit[0].isdigit() and int(limit[0]) in marks


def are_ours(marks: range) -> bool:
    """Tell whether this process descends from a program with one of these marks."""
    pid = posix.getpid()
    return carries(pid, marks) or any(mark in marks for mark in inherited(pid))


class Descendants:
    """The processes of programs: of their groups, with their marks, and all below these.

    `held` are the programs themselves, process ids with their pidfds. Nothing that began before `since` carries a mark.
    """

    def __init__(self, marks: range, groups: set[int], held: dict[int, int], since: int, owner: int) -> None:
        self._marks, self._groups, self._held, self._since, self._owner = marks, groups, held, since, owner

    def end(self) -> list[str]:
        """End them: by TERM, and after a grace by KILL. Return what is left even so, a description each."""
        for how, seconds in ((_signal.SIGTERM, GRACE), (_signal.SIGKILL, ENDING)):
            deadline = time.monotonic() + seconds
            for group in self._groups:  # at a blow, so that none is forked past it
                signal_group(group, how)
                signal_group(group, _signal.SIGCONT)  # a stopped process hears TERM only then
            found = self.find()
            to_ask = [each for each in found if each.group not in self._groups]
            while found and _signal_and_wait(found, to_ask, how, deadline):
                found = self.find()
                # What starts after the TERM tidies up for one that has heard it.
                to_ask = found if how == _signal.SIGKILL else []
            if not found:
                return []
        return [_described(each) for each in self.find()]

    def find(self) -> list[Process]:
        """Return those that live."""
        table = {each.pid: each for each in processes()}
        above = _ancestors(table)
        pidfds = tuple(self._held.values())
        ended = set(polling.readable(pidfds, 0)) if pidfds else set()
        alive = {pid for pid, pidfd in self._held.items() if pidfd not in ended}
        children: dict[int, list[Process]] = {}
        new = []
        for each in table.values():
            if each.lives and each.pid not in above:
                children.setdefault(each.parent, []).append(each)
                if each.group in self._groups or each.pid in alive or self._is_marked(each, above):
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
        if carries(each.pid, self._marks):
            return True
        return (
            each.parent in above
            and each.parent != self._owner
            and any(mark in self._marks for mark in inherited(each.pid))
            and read(each.pid, "cgroup") == read(posix.getpid(), "cgroup")
        )


def _signal_and_wait(found: list[Process], to_ask: list[Process], how: int, deadline: float) -> bool:
    """Signal those that are to be asked, and wait until one of all has ended; False when the time is over."""
    asking = {each.pid for each in to_ask}
    pidfds: list[int] = []
    gone = False
    try:
        for each in found:
            while (pidfd := _opened(each, how if each.pid in asking else 0, pidfds)) == _NO_ROOM:
                posix.close(pidfds.pop())  # it is waited for by those that are left
            gone = gone or pidfd == _GONE
            if pidfd >= 0:
                pidfds.append(pidfd)
            if len(pidfds) > _AT_ONCE:
                posix.close(pidfds.pop())
        return (gone or _wait_for_some(pidfds, deadline)) and time.monotonic() < deadline
    finally:
        for pidfd in pidfds:
            posix.close(pidfd)


def _opened(each: Process, how: int, others: list[int]) -> int:
    """Signal a process and return its pidfd; or _GONE, or _NO_ROOM where one of the others can make some."""
    pidfd = -1
    try:
        pidfd = posix.pidfd_open(each.pid)
        now = process(each.pid) if how else None
    except ProcessLookupError:
        return _GONE
    except OSError as error:
        if pidfd >= 0:
            posix.close(pidfd)
        if error.errno in NO_ROOM and others:
            return _NO_ROOM
        raise
    if now is not None and now.start == each.start:
        _send(pidfd, how)
    return pidfd


def _wait_for_some(pidfds: list[int], deadline: float) -> bool:
    """Wait until one has ended, and then for those that end with it: to look who is left takes longer."""
    left, until = set(pidfds), deadline
    while left and (ended := polling.readable(tuple(left), until - time.monotonic())):
        left.difference_update(ended)
        until = min(deadline, time.monotonic() + _TOGETHER)
    return len(left) < len(pidfds)


def _send(pidfd: int, how: int) -> None:
    for number in (how, _signal.SIGCONT):
        try:
            _signal.pidfd_send_signal(pidfd, number)
        except (ProcessLookupError, PermissionError):  # it has ended, or another user: it will be said that it is left
            return


def _ancestors(table: dict[int, Process]) -> set[int]:
    """Return this process and those above it: never ours, and where orphans of its owner's go to."""
    above, pid = set(), posix.getpid()
    while pid not in above:
        above.add(pid)
        pid = table[pid].parent if pid in table else 0
    return above


def inherited(pid: int) -> list[int]:
    """Return the marks in the environment with which a process was executed."""
    name = f"{VARIABLE}=".encode()
    environment = read(pid, "environ")
    if name not in environment:
        return []
    values = [entry[len(name) :] for entry in environment.split(b"\0") if entry.startswith(name)]
    marks = []
    for word in b":".join(values).split(b":"):
        try:
            marks.append(int(word, 16))
        except ValueError:
            continue  # somebody else's idea of it
    return marks


def _described(each: Process) -> str:
    from xshm.system.printable import printable  # noqa: PLC0415 - hardly ever needed, and it takes its time

    name = printable(read(each.pid, "comm").removesuffix(b"\n").decode(errors="replace"))
    return f"process {each.pid} ({name}, state {each.state})"
