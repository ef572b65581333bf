"""What <sys/ipc.h> and <sys/shm.h> declare on this platform: the constants, structures and C functions, by ctypes.

The functions return C's results, -1 or FAILED for an error; `call_errno` calls one and reads errno. On a platform whose
structures are not known, each function raises ENOSYS (`_structures.refuse`).
"""

from __future__ import annotations

import ctypes
import operator
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NewType

from xshm.sysv import _structures

if TYPE_CHECKING:
    from collections.abc import Callable

ShmId = NewType("ShmId", int)
"""The kernel's number for a segment, in one IPC namespace; it is reused, though not soon, so it proves no identity."""

IPC_PRIVATE: Final = 0
# flags of shmget, beside nine bits of permission
IPC_CREAT: Final = 0o1000
IPC_EXCL: Final = 0o2000
IPC_NOWAIT: Final = 0o4000  # of no effect on segments
SHM_HUGETLB: Final = 0o4000
SHM_NORESERVE: Final = 0o10000
SHM_HUGE_SHIFT: Final = 26  # from this bit on, with SHM_HUGETLB: the base-2 logarithm of the page size
SHM_HUGE_2MB: Final = 21 << SHM_HUGE_SHIFT
SHM_HUGE_1GB: Final = 30 << SHM_HUGE_SHIFT
# flags of shmat
SHM_RDONLY: Final = 0o10000
SHM_RND: Final = 0o20000
SHM_REMAP: Final = 0o40000
SHM_EXEC: Final = 0o100000
# commands of shmctl
IPC_RMID: Final = 0
IPC_SET: Final = 1
IPC_STAT: Final = 2
IPC_INFO: Final = 3
SHM_LOCK: Final = 11
SHM_UNLOCK: Final = 12
SHM_STAT: Final = 13
SHM_INFO: Final = 14
SHM_STAT_ANY: Final = 15
# in IpcPerm.mode
SHM_DEST: Final = 0o1000  # removed: it is freed with its last detach
SHM_LOCKED: Final = 0o2000

ShmLimits = _structures.ShmLimits
ShmUsage = _structures.ShmUsage
if TYPE_CHECKING:
    IpcPerm = _structures.IpcPerm
    ShmDesc = _structures.ShmDesc
else:  # on a platform that is not known, the base classes, whose `__new__` raises ENOSYS
    IpcPerm, ShmDesc = _structures.PLATFORMS.get(_structures.running(), (_structures.IpcPerm, _structures.ShmDesc))

KNOWN: Final = _structures.running() in _structures.PLATFORMS
FAILED: Final = ctypes.c_size_t(-1).value  # what shmat returns for an error, (void *) -1


def function(name: str, result: type, *arguments: type, library: type[ctypes.CDLL] = ctypes.CDLL) -> Callable[..., int]:
    """Return a function of the C library by its name, with the C types of its result and arguments."""
    if not KNOWN:
        return _structures.refuse
    found = getattr(library(None, use_errno=True), name)
    found.restype, found.argtypes = result, arguments
    return found  # type: ignore[no-any-return]  # a foreign function's type is Any


shmget = function("shmget", ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
shmat = function("shmat", ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
shmdt = function("shmdt", ctypes.c_int, ctypes.c_size_t)
shmctl = function("shmctl", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
ftok = function("ftok", ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
kill = function("kill", ctypes.c_int, ctypes.c_int, ctypes.c_int)

# The same with the GIL held (PyDLL), so that no other thread runs between shmget, shmat and IPC_RMID: a thread that has
# the GIL keeps it for up to 5 ms (sys.getswitchinterval), for which a kill would leave the segment behind.
shmget_with_gil = function("shmget", ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_int, library=ctypes.PyDLL)
shmat_with_gil = function("shmat", ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, library=ctypes.PyDLL)
# shmctl(shmid, IPC_RMID, NULL), as a function of the id alone, to be a finalizer. It is made without `use_errno`, so
# that ctypes.get_errno still returns the errno of the shmat before it.
remove_with_gil: Any = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)(
    ("shmctl", ctypes.PyDLL(None)), ((1, "shmid"), (1, "cmd", IPC_RMID), (1, "buf", None))
)


def call_errno(callee: Callable[..., int], *arguments: object) -> tuple[int, int]:
    """Call a function of the C library; return its result, and errno as the function left it."""
    # signal-safe (5): both calls are made by one `map`, in C
    calls: tuple[Callable[[], int], ...] = (partial(callee, *arguments), ctypes.get_errno)
    result, code = map(operator.call, calls)
    return result, code


def error(code: int, call: str, why: str = "") -> OSError:
    """Return the OSError for an errno; `call` is the call with its arguments, "shmat(shmid=7, flags=0o0)"."""
    return OSError(code, f"{os.strerror(code)}: {call}{why and ': '}{why}")
