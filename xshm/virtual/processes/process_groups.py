"""Processes and their groups as the kernel lists them, and how to end them.

Waiting is done on pidfds, never by looking again and again. Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import errno
import posix
import time

from xshm.system import polling

_NO_PROCESS = (FileNotFoundError, ProcessLookupError, PermissionError)  # it has ended, or is another user's
GRACE = 2.0  # seconds between asking (TERM) and ending (KILL)
NO_ROOM = (errno.EMFILE, errno.ENFILE)  # for another descriptor
ENDING = 1.0  # seconds for what was killed to be gone


class Process:
    """What proc(5) says in `stat`: process id, parent, process group, state, and the start in ticks since boot."""

    __slots__ = ("group", "lives", "parent", "pid", "start", "state")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.state = fields[0].decode()
        self.parent, self.group, self.start = int(fields[1]), int(fields[2]), int(fields[19])
        # One whose first thread has ended is called a zombie, and may have others that go on.
        self.lives = self.state not in ("Z", "X") or (self.state == "Z" and int(fields[17]) > 1)


def process(pid: int) -> Process | None:
    """Return a process; None when it has ended."""
    stat = read(pid, "stat").rpartition(b")")[2].split()
    return Process(pid, stat) if stat else None


def processes() -> list[Process]:
    """Return every process, those that have ended and are not buried as well."""
    found = [process(int(name)) for name in posix.listdir("/proc") if name.isdigit()]
    return [each for each in found if each is not None]


def read(pid: int, name: str) -> bytes:
    """Return a file of a process's; nothing where it has ended or is another user's. Raises OSError (EMFILE)."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - pathlib takes its time
            return file.read()
    except _NO_PROCESS:
        return b""


def end(groups: set[int]) -> None:
    """End every process of the groups: by TERM, and after a grace by KILL."""
    for how, seconds in ((_signal.SIGTERM, GRACE), (_signal.SIGKILL, ENDING)):
        for group in groups:
            signal_group(group, how)
            signal_group(group, _signal.SIGCONT)  # a stopped process hears TERM only then
        wait_for_members(groups, seconds)


def end_process(pid: int, pidfd: int) -> None:
    """End one process, which is not buried yet: by TERM, and after a grace by KILL."""
    for how in (_signal.SIGTERM, _signal.SIGKILL):
        posix.kill(pid, how)
        posix.kill(pid, _signal.SIGCONT)
        if wait((pidfd,), time.monotonic() + GRACE) == pidfd:
            return


def signal_group(group: int, number: int) -> None:
    """Send a signal to all of a group; nobody may be left in it, or none whom this user may signal."""
    try:  # noqa: SIM105 - contextlib takes its time
        posix.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def members(groups: set[int]) -> list[int]:
    """Return the living processes of these groups."""
    if not groups:
        return []
    return [each.pid for each in processes() if each.lives and each.group in groups]


def wait(descriptors: tuple[int, ...], deadline: float | None, writable: tuple[int, ...] = ()) -> int:
    """Return a descriptor that can be read, or of `writable` one that has room; -1 when the time is over.

    Of several the first.
    """
    fired = polling.ready(descriptors, writable, None if deadline is None else deadline - time.monotonic())
    return fired[0] if fired else -1


def wait_for_members(groups: set[int], seconds: float) -> None:
    """Wait until no process of the groups lives, or the time is over."""
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
