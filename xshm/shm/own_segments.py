"""The System V segments that this library makes for itself, and removing those that a killed process left behind.

A segment is made, attached and removed from the kernel's table in one step (`sysv.attached`) of a few microseconds. A
SIGKILL in between leaves the segment, unattached, until the machine is shut down. So for that time it has a key by
which it is found: three fixed bytes and a random one. IPC_RMID resets the key, so that only segments left behind have
one.

The first Screen of a process looks for them. It removes a segment only if all of these hold: the key; owner and creator
are this user; the mode is exactly 0600; it is not attached; it is over a minute old; its creator has ended. Other
segments with such a key are marked by `xshm segments`.

A creator has ended when the kernel reports a pid above 0 for it and no process has that pid. Since Linux 4.17 a segment
refers to its creator itself, dead or alive, and IPC_STAT and /proc/sysvipc/shm report its pid in the PID namespace of
the process that reads: 0 where it has none there, as in another container that shares the IPC namespace. Before, the
pid was the one in the creator's own namespace, which may be any.
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
from xshm.sysv import libc
from xshm.sysv.attached import make_removed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm.sysv import ShmDesc, ShmId

_KEYS: Final = 0x7F787300  # "\x7fxs"; ftok makes such a key for no project that is a letter
_MIN_AGE = 60  # seconds; making one takes microseconds, on a machine under load milliseconds
_MODE: Final = 0o600
_PIDS_ARE_TRANSLATED: Final = (4, 17)  # the first Linux that gives a creator's pid in the reader's namespace

_first_look = iter((True,))


def make(size: int) -> tuple[ShmId, memoryview]:
    """Make a segment, attached here and removed from the kernel's table; return its id and its bytes.

    Errors: shmget's, shmat's.
    """
    return make_removed(size, _keys())


def _keys() -> Iterator[int]:
    first = os.urandom(1)[0]
    for number in range(256):
        yield _KEYS | (first + number) & 0xFF
    yield sysv.IPC_PRIVATE  # all 256 are in use, maybe on purpose: then it could not be found if it were left


def is_own(perm: Any) -> bool:
    """Return whether a SegmentInfo or an IpcPerm is this library's and this user's: left behind, or just being made."""
    return bool(perm.key & ~0xFF == _KEYS and perm.uid == perm.cuid == os.geteuid())


def look_once() -> None:
    """Remove the segments left behind, at the first call in a process. Those that the kernel refuses stay."""
    if next(_first_look, False):  # one call into C, so that one thread looks
        remove_left()


def remove_left() -> None:
    """Read the kernel's table, and remove the segments that killed processes of this user left over a minute ago."""
    before = time.time() - _MIN_AGE
    for shmid in _left(before):
        desc = sysv.ShmDesc()
        # Checked again: since `_left` the id may have become another segment's.
        result, _ = libc.call_errno(libc.shmctl, shmid, sysv.IPC_STAT, ctypes.byref(desc))
        if result == 0 and _is_left(desc, before):
            libc.call_errno(libc.shmctl, shmid, sysv.IPC_RMID, None)


def _left(before: float) -> list[int]:
    """Return the ids of segments left behind, by SHM_STAT: the kernel takes longer to write /proc/sysvipc/shm."""
    if sys.platform != "linux" or not libc.KNOWN:
        return []
    usage, desc = sysv.ShmUsage(), sysv.ShmDesc()
    last, _ = libc.call_errno(libc.shmctl, 0, sysv.SHM_INFO, ctypes.byref(usage))
    if last < 0 or not usage.used_ids:
        return []
    # Each step fills `desc` anew; -1 is an index that is free, or a segment that this user may not read.
    ids = map(libc.shmctl, range(last + 1), repeat(sysv.SHM_STAT), repeat(ctypes.byref(desc)))
    left = [shmid for shmid in ids if shmid >= 0 and _is_left(desc, before)]
    # Checked last, since there hardly ever is a segment. A uid that stands for several users proves no ownership.
    return left if left and _pids_are_translated() and not may_be_anybody(os.geteuid()) else []


def _is_left(desc: ShmDesc, before: float) -> bool:
    return (
        is_own(desc.perm)
        and desc.perm.mode == _MODE
        and desc.nattch == 0
        and desc.ctime < before
        and desc.cpid > 0
        # Not os.kill, whose ProcessLookupError could as well be a signal handler's: -1 and errno are the kernel's.
        and libc.call_errno(libc.kill, desc.cpid, 0) == (-1, errno.ESRCH)
    )


def _pids_are_translated() -> bool:
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return release is not None and (int(release[1]), int(release[2])) >= _PIDS_ARE_TRANSLATED
