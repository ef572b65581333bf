"""Processes and process groups as proc(5) lists them, and how to end them.

Always true: a wait is a poll(2) on pidfds, never a loop with a sleep. A process that ends while it is looked at, or
that belongs to another user, is left out and is no error; the lack of a descriptor (EMFILE) is one.

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`; its enums take longer than all other imports
import posix
import time

from xshm.system import polling

_NO_PROCESS = (FileNotFoundError, ProcessLookupError, PermissionError)  # it has ended, or is another user's
GRACE = 2.0  # seconds from SIGTERM to SIGKILL
TERM_THEN_KILL = (_signal.SIGTERM, _signal.SIGKILL)
ENDING = 1.0  # seconds for a process to be gone after SIGKILL


class Process:
    """A line of /proc/PID/stat: process id, parent, process group, state, start time in clock ticks since boot."""

    __slots__ = ("group", "lives", "parent", "pid", "start", "state")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.state = fields[0].decode()
        self.parent, self.group, self.start = int(fields[1]), int(fields[2]), int(fields[19])
        # A process whose first thread has ended is shown as a zombie, though its other threads may go on.
        self.lives = self.state not in ("Z", "X") or (self.state == "Z" and int(fields[17]) > 1)


def process(pid: int) -> Process | None:
    """Return a process; None when it has ended."""
    stat = read(pid, "stat").rpartition(b")")[2].split()  # the name before the last ")" may have spaces and ")"
    return Process(pid, stat) if stat else None


def own_start() -> int:
    """Return when this process was started, in clock ticks since boot."""
    ourselves = process(posix.getpid())
    assert ourselves  # noqa: S101 - it lives
    return ourselves.start


def processes() -> list[Process]:
    """Return every process, zombies included."""
    found = [process(int(name)) for name in posix.listdir("/proc") if name.isdigit()]
    return [each for each in found if each is not None]


def read(pid: int, name: str) -> bytes:
    """Return the contents of /proc/PID/name; b"" where the process has ended or is another user's. Raises OSError."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            return file.read()
    except _NO_PROCESS:
        return b""


def members(group: int) -> list[int]:
    """Return the process ids of the living members of a group."""
    return [each.pid for each in processes() if each.lives and each.group == group]


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group; one that is empty, or whose members are another user's, is no error."""
    try:  # noqa: SIM105 - contextlib is slow to import
        posix.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def end_process(pidfd: int, numbers: tuple[int, ...] = TERM_THEN_KILL) -> None:
    """End one process by signals, the next one after GRACE. A child is the caller's to reap.

    Raises ProcessLookupError where it was reaped already.
    """
    for number in numbers:
        _signal.pidfd_send_signal(pidfd, number)
        _signal.pidfd_send_signal(pidfd, _signal.SIGCONT)  # a stopped process gets SIGTERM only when it continues
        if wait((pidfd,), time.monotonic() + GRACE) == pidfd:
            return


def wait(descriptors: tuple[int, ...], deadline: float | None, writable: tuple[int, ...] = ()) -> int:
    """Return the first descriptor that is readable, or of `writable` one that takes data; -1 at the deadline.

    `deadline` is a time of time.monotonic; a pidfd is readable when its process has ended.
    """
    fired = polling.ready(descriptors, writable, None if deadline is None else deadline - time.monotonic())
    return fired[0] if fired else -1


def wait_for_members(group: int, seconds: float) -> None:
    """Wait until no process of the group lives, or the time is over."""
    deadline = time.monotonic() + seconds
    while alive := members(group):
        try:
            pidfd = posix.pidfd_open(alive[0])
        except ProcessLookupError:
            continue  # it has ended
        try:
            if wait((pidfd,), deadline) < 0:
                return
        finally:
            posix.close(pidfd)
