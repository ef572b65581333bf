"""The process groups of a display's programs, and the end of all that descends from these.

A group's leader has ended and is not buried, so its number can't become anybody else's while the group is ours. Part of
the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import posix
import time

from xshm.system import polling
from xshm.virtual.processes.descendants import Descendants, of_the_display
from xshm.virtual.processes.process_groups import process, processes, signal_group

_MOST_LEFT = 16  # groups that are kept until there is time to look whether they are empty
_IDLE = 0.1  # seconds
_ROOM = 16  # descriptors that it takes to look at processes, and to end them
_MOST_HELD = 256  # pidfds; of what runs beside so many programs the marks have to do


class _Group:
    """One program's: the group, the process id and pidfd of the program (-1: not known), whether that has ended."""

    def __init__(self, number: int) -> None:
        self.number, self.pid, self.pidfd, self.left = number, 0, -1, False

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
        self._since = 0
        self._new_left = 0  # groups whose programs have ended since the last look
        self.idle_at: float | None = None  # when to look, on the monotonic clock

    def make(self, mark: int) -> int:
        """Return a new, empty process group of this session, for a program to be put into."""
        leader = posix.fork()
        if leader == 0:
            posix.setpgid(0, 0)
            posix._exit(0)  # noqa: SLF001 - its public name
        posix.waitid(posix.P_PID, leader, posix.WEXITED | posix.WNOWAIT)
        if not self._last:
            ourselves = process(posix.getpid())
            self._since = ourselves.start if ourselves else 0
            with open(f"/proc/self/fdinfo/{self._owner}", "rb") as file:  # noqa: PTH123 - pathlib takes its time
                self._owner_pid = int(file.read().partition(b"\nPid:")[2].split()[0])
        self._groups[mark] = _Group(leader)
        self._last = mark
        return leader

    def started(self, mark: int, pid: int, pidfd: int) -> None:
        """Take note of the program itself."""
        group = self._groups.get(mark)
        held = sum(each.pidfd >= 0 for each in self._groups.values())
        # Of open files a new one has the lowest number that is free.
        is_near_the_limit = pidfd >= posix.sysconf("SC_OPEN_MAX") - _ROOM
        if group is None or group.pidfd >= 0 or held >= _MOST_HELD or is_near_the_limit:
            posix.close(pidfd)
        else:
            group.pid, group.pidfd = pid, pidfd

    def left(self, mark: int) -> None:
        """Take note that a program has ended."""
        if mark in self._groups:
            self._groups[mark].left = True
            self._new_left += 1
            self.idle_at = time.monotonic() + _IDLE
            if self._new_left >= _MOST_LEFT:  # a look at every process takes longer than a start
                self.forget_empty()

    def forget_empty(self) -> None:
        """Give up the groups whose program has ended, and that no process is in any more."""
        self._new_left, self.idle_at = 0, None
        pidfds = tuple(group.pidfd for group in self._groups.values() if group.pidfd >= 0)
        ended = set(polling.readable(pidfds, 0)) if pidfds else set()
        left = {mark: group for mark, group in self._groups.items() if group.left or group.pidfd in ended}
        for group in left.values():
            group.close()
            group.left = True
        if left:
            taken = {each.group for each in processes() if each.lives}
            for mark, group in left.items():
                if group.number not in taken:
                    del self._groups[mark]
                    posix.waitpid(group.number, 0)

    def end(self, mark: int) -> list[str]:
        """End all that descends from a program: by TERM, and after a grace by KILL. Return what is left even so."""
        return self._end(range(mark, mark + 1))

    def end_all(self) -> list[str]:
        """End all that descends from any program of the display's, as `end` does."""
        return self._end(of_the_display(self._last)) if self._last else []

    def _end(self, marks: range) -> list[str]:
        ours = {mark: group for mark, group in self._groups.items() if mark in marks}
        numbers = {group.number for group in ours.values()}
        held = {pid: pidfd for group in ours.values() for pid, pidfd in group.held.items()}
        left = Descendants(marks, numbers, held, self._since, self._owner_pid).end()
        if left:  # the numbers stay theirs
            return left
        for mark, group in ours.items():
            del self._groups[mark]
            group.close()
            posix.waitpid(group.number, 0)
        # An owner that was killed in the middle of starting a program may have put it there just now. While there are
        # members the number is taken, so it is still the same group; without any it has no successor yet.
        for number in {each.group for each in processes() if each.lives and each.group in numbers}:
            signal_group(number, _signal.SIGKILL)
        return []
