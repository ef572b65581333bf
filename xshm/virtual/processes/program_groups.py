"""The process groups that a supervisor makes for a display's programs, and the end of all that descends from these.

Always true:

1. A group is made before its program is started, so the program is a member from its first instruction.
2. The group's leader is a zombie that the supervisor has not reaped, so no other process can get the group's number.
3. A group is dropped, and its leader reaped, once its program has ended and no living process is a member.

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`; its enums take longer than all other imports
import posix
import time

from xshm.system import polling
from xshm.virtual.processes.descendants import Descendants, marks_of_display
from xshm.virtual.processes.process_groups import process, processes, signal_group

_MOST_EXITED = 16  # groups of ended programs that are kept until the supervisor is idle
_IDLE = 0.1  # seconds without another end of a program, after which it counts as idle
_ROOM = 16  # free descriptors that it takes to look through /proc and to end processes
_MOST_HELD = 256  # pidfds of programs; those of further programs are found by their marks alone


class _Group:
    """A program's group: its number, the program's process id and pidfd (-1: none), whether the program has ended."""

    def __init__(self, number: int) -> None:
        self.number, self.pid, self.pidfd, self.exited = number, 0, -1, False

    @property
    def held(self) -> dict[int, int]:
        return {self.pid: self.pidfd} if self.pidfd >= 0 else {}

    def close(self) -> None:
        if self.pidfd >= 0:
            posix.close(self.pidfd)
        self.pidfd = -1


class ProgramGroups:
    """The groups of one display, by the marks of the programs that they were made for. `owner` is a pidfd."""

    def __init__(self, owner: int) -> None:
        self._owner, self._owner_pid = owner, 0
        self._groups: dict[int, _Group] = {}
        self._last = 0  # the mark that was given last
        self._since = 0  # clock ticks since boot at which this process started
        self._new_exited = 0  # programs that have ended since the last `reap_empty`
        self.idle_at: float | None = None  # when to call `reap_empty`, on time.monotonic

    def make(self, mark: int) -> int:
        """Return a new, empty process group of this session, for a program to be put into."""
        leader = posix.fork()
        if leader == 0:
            posix.setpgid(0, 0)
            posix._exit(0)  # noqa: SLF001 - its public name
        posix.waitid(posix.P_PID, leader, posix.WEXITED | posix.WNOWAIT)  # ended, and not reaped (2)
        if not self._last:
            ourselves = process(posix.getpid())
            self._since = ourselves.start if ourselves else 0
            with open(f"/proc/self/fdinfo/{self._owner}", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
                self._owner_pid = int(file.read().partition(b"\nPid:")[2].split()[0])
        self._groups[mark] = _Group(leader)
        self._last = mark
        return leader

    def program_started(self, mark: int, pid: int, pidfd: int) -> None:
        """Keep the program's process id and pidfd, which finds the program where it leaves its group."""
        group = self._groups.get(mark)
        held = sum(each.pidfd >= 0 for each in self._groups.values())
        # open(2) gives the lowest free number, so a high one means that few are left.
        is_near_the_limit = pidfd >= posix.sysconf("SC_OPEN_MAX") - _ROOM
        if group is None or group.pidfd >= 0 or held >= _MOST_HELD or is_near_the_limit:
            posix.close(pidfd)
        else:
            group.pid, group.pidfd = pid, pidfd

    def program_exited(self, mark: int) -> None:
        """Mark a program's group as one to be dropped once it is empty."""
        if mark in self._groups:
            self._groups[mark].exited = True
            self._new_exited += 1
            self.idle_at = time.monotonic() + _IDLE
            if self._new_exited >= _MOST_EXITED:  # to list all processes takes longer than a start
                self.reap_empty()

    def reap_empty(self) -> None:
        """Drop the groups whose program has ended and that have no living member (3)."""
        self._new_exited, self.idle_at = 0, None
        pidfds = tuple(group.pidfd for group in self._groups.values() if group.pidfd >= 0)
        ended = set(polling.readable(pidfds, 0)) if pidfds else set()
        exited = {mark: group for mark, group in self._groups.items() if group.exited or group.pidfd in ended}
        for group in exited.values():
            group.close()
            group.exited = True
        if exited:
            taken = {each.group for each in processes() if each.lives}
            for mark, group in exited.items():
                if group.number not in taken:
                    del self._groups[mark]
                    posix.waitpid(group.number, 0)

    def end(self, mark: int) -> list[str]:
        """End all that descends from a program: SIGTERM, SIGKILL after GRACE. Return descriptions of what is left."""
        return self._end(range(mark, mark + 1))

    def end_all(self) -> list[str]:
        """End all that descends from any program of the display, as `end` does."""
        return self._end(marks_of_display(self._last)) if self._last else []

    def _end(self, marks: range) -> list[str]:
        ours = {mark: group for mark, group in self._groups.items() if mark in marks}
        numbers = {group.number for group in ours.values()}
        held = {pid: pidfd for group in ours.values() for pid, pidfd in group.held.items()}
        left = Descendants(marks, numbers, held, self._since, self._owner_pid).end()
        if left:  # then the groups are kept, and with them their numbers
            return left
        for mark, group in ours.items():
            del self._groups[mark]
            group.close()
            posix.waitpid(group.number, 0)
        # An owner that was killed while it started a program may have put that into the group just now. A group with
        # members keeps its number, and an empty one's number is not in use again so soon: no other process is hit.
        for number in {each.group for each in processes() if each.lives and each.group in numbers}:
            signal_group(number, _signal.SIGKILL)
        return []
