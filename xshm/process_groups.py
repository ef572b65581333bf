"""Process groups that can be ended to the last process, without ever hitting a stranger's.

A group's leader has ended and is not buried, so its number can't become anybody else's while the group is ours. Waiting
is done on pidfds, never by looking again and again. Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import posix
import time

from xshm import polling

GRACE = 2.0  # seconds between asking (TERM) and ending (KILL)
_ENDING = 1.0  # seconds for what was killed to be gone


class ProcessGroups:
    """The groups of one display."""

    def __init__(self) -> None:
        self._groups: set[int] = set()

    def make(self) -> int:
        """Return a new, empty process group of this session, for programs to be put into."""
        leader = posix.fork()
        if leader == 0:
            posix.setpgid(0, 0)
            posix._exit(0)  # noqa: SLF001 - its public name
        posix.waitid(posix.P_PID, leader, posix.WEXITED | posix.WNOWAIT)
        self._groups.add(leader)
        return leader

    def forget_if_empty(self, group: int) -> None:
        """Give up a group that no process is in any more."""
        if group in self._groups and not members({group}):
            self._groups.discard(group)
            posix.waitpid(group, 0)

    def end(self, group: int) -> None:
        """End every process of a group: by TERM, and after a grace by KILL."""
        self._end(self._groups & {group})

    def end_all(self) -> None:
        """End every process of every group."""
        self._end(set(self._groups))

    def _end(self, groups: set[int]) -> None:
        end(groups)
        self._groups -= groups
        for group in groups:
            posix.waitpid(group, 0)
            # An owner that was killed in the middle of starting a program may have put it there just now. While there
            # are members the number is taken, so it is still the same group; without any it has no successor yet.
            if members({group}):
                signal_group(group, _signal.SIGKILL)


def end(groups: set[int]) -> None:
    """End every process of the groups: by TERM, and after a grace by KILL."""
    for how, seconds in ((_signal.SIGTERM, GRACE), (_signal.SIGKILL, _ENDING)):
        for group in groups:
            signal_group(group, how)
            signal_group(group, _signal.SIGCONT)  # a stopped process hears TERM only then
        _wait_for_members(groups, seconds)


def end_process(pid: int, pidfd: int) -> None:
    """End one process, which is not buried yet: by TERM, and after a grace by KILL."""
    for how in (_signal.SIGTERM, _signal.SIGKILL):
        posix.kill(pid, how)
        posix.kill(pid, _signal.SIGCONT)
        if wait((pidfd,), time.monotonic() + GRACE) == pidfd:
            return


def signal_group(group: int, number: int) -> None:
    """Send a signal to all of a group; nobody may be left in it."""
    try:  # noqa: SIM105 - contextlib takes its time
        posix.killpg(group, number)
    except ProcessLookupError:
        pass


def members(groups: set[int]) -> list[int]:
    """Return the living processes of these groups."""
    if not groups:
        return []
    return [pid for pid, state, _, group in processes() if group in groups and state not in (b"Z", b"X")]


def processes() -> list[tuple[int, bytes, int, int]]:
    """Return process id, state, parent and process group of every process (proc(5), stat)."""
    found = []
    for name in posix.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - pathlib takes its time
                    state, parent, group = file.read().rpartition(b")")[2].split()[:3]
            except OSError:
                continue  # it has ended
            found.append((int(name), state, int(parent), int(group)))
    return found


def wait(descriptors: tuple[int, ...], deadline: float | None, writable: tuple[int, ...] = ()) -> int:
    """Return a descriptor that can be read, or of `writable` one that has room; -1 when the time is over.

    Of several the first.
    """
    fired = polling.ready(descriptors, writable, None if deadline is None else deadline - time.monotonic())
    return fired[0] if fired else -1


def _wait_for_members(groups: set[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while alive := members(groups):
        try:
            pidfd = posix.pidfd_open(alive[0])
        except ProcessLookupError:
            continue  # it has ended
        try:
            if wait((pidfd,), deadline) < 0:
                return
        finally:
            posix.close(pidfd)
