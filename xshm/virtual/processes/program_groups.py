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

from xshm.virtual.processes.descendants import Descendants, marks_of_display
from xshm.virtual.processes.process_groups import own_start, processes, signal_group

_MOST_EXITED = 16  # groups of ended programs that are kept until the supervisor is idle
_IDLE = 0.1  # seconds without another end of a program, after which it counts as idle


class ProgramGroups:
    """The groups of one display, by the marks of the programs that they were made for. `owner` is a pidfd."""

    def __init__(self, owner: int) -> None:
        self._owner, self._owner_pid = owner, 0
        self._groups: dict[int, int] = {}  # the number of each program's group
        self._exited: set[int] = set()  # the marks of the programs that have ended
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
            self._since = own_start()
            with open(f"/proc/self/fdinfo/{self._owner}", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
                self._owner_pid = int(file.read().partition(b"\nPid:")[2].split()[0])
        self._groups[mark] = leader
        self._last = mark
        return leader

    def program_exited(self, mark: int) -> None:
        """Note that a program has ended: its group is to be dropped once it is empty."""
        if mark in self._groups:
            self._exited.add(mark)
            self._new_exited += 1
            self.idle_at = time.monotonic() + _IDLE
            if self._new_exited >= _MOST_EXITED:  # to list all processes takes longer than a start
                self.reap_empty()

    def reap_empty(self) -> None:
        """Drop the groups whose program has ended and that have no living member (3)."""
        self._new_exited, self.idle_at = 0, None
        taken = {each.group for each in processes() if each.lives}
        for mark in [mark for mark in self._exited if self._groups[mark] not in taken]:
            self._drop(mark)

    def end(self, mark: int) -> list[str]:
        """End all that descends from a program: SIGTERM, SIGKILL after GRACE. Return descriptions of what is left."""
        return self._end(range(mark, mark + 1))

    def end_all(self) -> list[str]:
        """End all that descends from any program of the display, as `end` does."""
        return self._end(marks_of_display(self._last)) if self._last else []

    def _end(self, marks: range) -> list[str]:
        ours = [mark for mark in self._groups if mark in marks]
        numbers = {self._groups[mark] for mark in ours}
        left = Descendants(marks, numbers, self._since, self._owner_pid).end()
        if left:  # then the groups are kept, and with them their numbers
            return left
        for mark in ours:
            self._drop(mark)
        # An owner that was killed while it started a program may have put that into the group just now. A group with
        # members keeps its number, and an empty one's number is not in use again so soon: no other process is hit.
        for number in {each.group for each in processes() if each.lives and each.group in numbers}:
            signal_group(number, _signal.SIGKILL)
        return []

    def _drop(self, mark: int) -> None:
        posix.waitpid(self._groups.pop(mark), 0)
        self._exited.discard(mark)
