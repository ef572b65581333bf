"""The System V segments that this library makes for itself, and what a kill leaves of them.

A segment is made, attached and removed from the kernel's table in one go (`sysv._make_removed`), a few microseconds in
which SIGKILL leaves it, attached by nobody, until the machine is shut down. So for that time it has a key by which it
is found again: three bytes that are this library's and a random one. IPC_RMID takes the key away, so that only what
was left has one.

The next process that opens a Screen looks once, and removes what must have been left: the key, owner and creator this
user, mode 0600 and nothing else, not attached, over a minute old, its creator no more. What it can't be sure of stays,
and `xshm segments` marks it.

A creator is known to be no more when the kernel gives a number above 0 for it and no process has that number. Since
Linux 4.17 a segment refers to its creator itself, dead or alive, and both /proc/sysvipc/shm and IPC_STAT give its
number in the pid namespace of whoever asks (not of the mount, or of the creator): 0 where it has none there, in another
container that shares the IPC namespace. Before, it was the number in the creator's own namespace, whichever that was.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import time
from typing import TYPE_CHECKING, Any, Final

from xshm import sysv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm.sysv import SegmentInfo, ShmId

_KEYS: Final = 0x7F787300  # "\x7fxs"; to ftok, a project that is no letter
_LISTED: Final = "2138600"  # how each of them begins in the kernel's list, where they are decimal
_AGE = 60  # seconds
_MODE: Final = 0o600
_CREATORS_TOLD: Final = (4, 17)  # the first Linux that gives a creator's number in the reader's namespace
_NOBODY: Final = 65534  # what stands for every user that a user namespace has no number for
_ALL_USERS: Final = [0, 0, 2**32 - 1]

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


def is_own(segment: SegmentInfo) -> bool:
    """Tell whether it is one of ours that was left, or that is just being made."""
    return _has_own_key(segment)


def _has_own_key(perm: Any) -> bool:
    return bool(perm.key & ~0xFF == _KEYS and perm.uid == perm.cuid == os.geteuid())


def look_once() -> None:
    """Remove what was left, the first time in a process. What the kernel refuses is left to the next process."""
    if next(_first_look, False):
        remove_left()


def remove_left() -> None:
    """Look through the kernel's list once, and remove what a kill left of this user's over a minute ago."""
    if not (sysv._KNOWN and _creators_are_told()):  # noqa: SLF001
        return
    try:
        table = sysv._table()  # noqa: SLF001
    except OSError as error:
        if error.errno is None:  # a signal handler's, a TimeoutError perhaps
            raise
        return
    if f"\n{_LISTED}" not in table or _may_be_anybody():
        return
    header, *lines = table.splitlines()
    before = time.time() - _AGE
    for segment in sysv._rows([header, *(line for line in lines if line.startswith(_LISTED))]):  # noqa: SLF001
        if _is_left(segment, segment, before):
            _remove_if_left(segment.shmid, before)


def _remove_if_left(shmid: ShmId, before: float) -> None:
    desc = sysv.ShmDesc()
    result, _ = sysv._ask(sysv._shmctl, shmid, sysv.IPC_STAT, ctypes.byref(desc))  # noqa: SLF001
    if result == 0 and _is_left(desc.perm, desc, before):
        sysv._ask(sysv._shmctl, shmid, sysv.IPC_RMID, None)  # noqa: SLF001


def _is_left(perm: Any, segment: Any, before: float) -> bool:
    return bool(
        _has_own_key(perm)
        and perm.mode == _MODE
        and segment.nattch == 0
        and segment.ctime < before
        and segment.cpid > 0
        and sysv._ask(_kill, segment.cpid, 0) == (-1, errno.ESRCH)  # noqa: SLF001
    )


def _creators_are_told() -> bool:
    system, _, release, *_ = os.uname()
    version = re.match(r"(\d+)\.(\d+)", release)
    return system == "Linux" and version is not None and tuple(map(int, version.groups())) >= _CREATORS_TOLD


def _may_be_anybody() -> bool:
    """Tell whether our own user id is the one by which a user namespace shows those that it has no number for."""
    if os.geteuid() != _NOBODY:
        return False
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:  # noqa: PTH123 - a screenshot needs no pathlib
            return [int(number) for number in file.read().split()] != _ALL_USERS
    except OSError as error:
        if error.errno is None:
            raise
        return True
