"""What the kernel tells of any process, a child or not (proc(5)), and a wait for the end of one."""

from __future__ import annotations

import os
import select
from pathlib import Path

_STATE, _PARENT, _TERMINAL = 0, 1, 4  # places in /proc/PID/stat, after the name, which may have spaces and ")"


def _stat(pid: int | None) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def state(pid: int) -> str:
    """Return the letter of its state: "Z" where it has ended and was not reaped; "" where it is gone."""
    try:
        return _stat(pid)[_STATE]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def lives(pid: int) -> bool:
    """Tell whether it has not ended; one that is dead and was not reaped has."""
    return state(pid) not in ("", "Z", "X")


def parent(pid: int | None) -> int:
    """Return its parent: of a display's server, the supervisor; of that, the shell above."""
    return int(_stat(pid)[_PARENT])


def terminal(pid: int) -> int:
    """Return its controlling terminal's number; 0 where it has none, or is gone."""
    try:
        return int(_stat(pid)[_TERMINAL])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def children(pid: int) -> list[int]:
    """Return the children that its first thread has started, zombies included; none where it is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def below(pid: int) -> list[int]:
    """Return a process and all that descend from it, each after its parent."""
    return [pid, *(each for child in children(pid) for each in below(child))]


def ended(pid: int, seconds: float = 5) -> bool:
    """Wait until it has ended; return False where it lives on."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(pidfd)
