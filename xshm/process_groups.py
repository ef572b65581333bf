"""Processes and their groups as the kernel lists them, and how to end them.

Waiting is done on pidfds, never by looking again and again. Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import errno
import posix
import time

from xshm import polling

GRACE = 2.0  # seconds between asking (TERM) and ending (KILL)
NO_ROOM = (errno.EMFILE, errno.ENFILE)  # for another descriptor
ENDING = 1.0  # seconds for what was killed to be gone


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
    return [pid for pid, state, _, group in processes() if group in groups and state not in (b"Z", b"X")]


def processes() -> list[tuple[int, bytes, int, int]]:
    """Return process id, state, parent and process group of every process (proc(5), stat)."""
    found = []
    for name in posix.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - pathlib takes its time
                    state, parent, group = file.read().rpartition(b")")[2].split()[:3]
            except OSError as error:
                if error.errno in NO_ROOM:  # it is not known to have ended
                    raise
                continue  # it has ended
            found.append((int(name), state, int(parent), int(group)))
    return found


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
