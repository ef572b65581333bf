"""The System V segments that this library makes for itself, and what a kill leaves of them.

A segment is made, attached and removed from the kernel's table in one go (`sysv._make_removed`), a few microseconds in
which SIGKILL leaves it, attached by nobody, until the machine is shut down. So for that time it has a key by which it
is found again: three bytes that are this library's and a random one. IPC_RMID takes the key away, so that only what
was left has one.

The next process that opens a Screen looks once, and removes what must have been left: the key, owner and creator this
user, mode 0600 and nothing else, not attached, over a minute old, its creator no more. What it can't be sure of stays,
and `xshm segments` marks it.

A creator is known to be no more when the kernel gives a number above 0 for it and no process has that number. Since
Linux 4.17 a segment refers to its creator itself, dead or alive, and IPC_STAT and /proc/sysvipc/shm give its number in
the pid namespace of whoever asks (not of the mount, or of the creator): 0 where it has none there, as in another
container that shares the IPC namespace. Before, it was the number in the creator's own namespace, whichever that was.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
import time
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from xshm import sysv
from xshm.system.user_namespace import may_be_anybody

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm.sysv import ShmDesc, ShmId

_KEYS: Final = 0x7F787300  # "\x7fxs"; to ftok, a project that is no letter
_AGE = 60  # seconds
_MODE: Final = 0o600
_CREATORS_TOLD: Final = (4, 17)  # the first Linux that gives a creator's number in the reader's namespace

_kill = sysv._libc("kill", ctypes.c_int, ctypes.c_int, ctypes.c_int)  # noqa: SLF001 - one subject in two files
_first_look = iter((True,))


def make(size: int) -> tuple[ShmId, memoryview]:
    """Make a segment, attached here and removed from the kernel's table; its id and its bytes. Errors: shmget's."""
    return sysv._make_removed(size, _keys())  # noqa: SLF001


def _keys() -> Iterator[int]:
    first = os.urandom(1)[0]
    for number in range(256):
        yield _KEYS | (first + number) & 0xFF
    yield sysv.IPC_PRIVATE  # all are taken, by what was left or on purpose; then it is not found again


def is_own(perm: Any) -> bool:
    """Tell of a SegmentInfo or an IpcPerm whether it is of ours, this user's, and was left or is just being made."""
    return bool(perm.key & ~0xFF == _KEYS and perm.uid == perm.cuid == os.geteuid())


def look_once() -> None:
    """Remove what was left, the first time in a process. What the kernel refuses is left to the next process."""
    if next(_first_look, False):
        remove_left()


def remove_left() -> None:
    """Look through the kernel's table once, and remove what kills have left of this user's over a minute ago."""
    before = time.time() - _AGE
    for shmid in _left(before):
        desc = sysv.ShmDesc()
        result, _ = _shmctl(shmid, sysv.IPC_STAT, ctypes.byref(desc))
        if result == 0 and _is_left(desc, before):
            _shmctl(shmid, sysv.IPC_RMID, None)


def _left(before: float) -> list[int]:
    """Return the ids of what must have been left. By SHM_STAT: in /proc the looking alone takes longer."""
    if sys.platform != "linux" or not sysv._KNOWN:  # noqa: SLF001
        return []
    usage, desc = sysv.ShmUsage(), sysv.ShmDesc()
    last, _ = _shmctl(0, sysv.SHM_INFO, ctypes.byref(usage))
    if last < 0 or not usage.used_ids:
        return []
    # Each step fills the desc anew. -1 is what is not there, or not for us to look at.
    ids = map(sysv._shmctl, range(last + 1), repeat(sysv.SHM_STAT), repeat(ctypes.byref(desc)))  # noqa: SLF001
    left = [shmid for shmid in ids if shmid >= 0 and _is_left(desc, before)]
    return left if left and _creators_are_told() and not may_be_anybody(os.geteuid()) else []


def _is_left(desc: ShmDesc, before: float) -> bool:
    return (
        is_own(desc.perm)
        and desc.perm.mode == _MODE
        and desc.nattch == 0
        and desc.ctime < before
        and desc.cpid > 0
        and sysv._ask(_kill, desc.cpid, 0) == (-1, errno.ESRCH)  # noqa: SLF001
    )


def _shmctl(*arguments: object) -> tuple[int, int]:
    """Return the kernel's answer, and errno; an exception can only be a signal handler's."""
    return sysv._ask(sysv._shmctl, *arguments)  # noqa: SLF001


def _creators_are_told() -> bool:
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return release is not None and (int(release[1]), int(release[2])) >= _CREATORS_TOLD
