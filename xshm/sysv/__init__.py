"""System V shared memory as shmget(2) has it: make, attach, inspect, detach and remove segments. No X, no numpy.

A segment stays attached as long as any object shows its memory: the view, a slice, an array over it. Every failure is
an OSError with the kernel's errno, whose message names the call and its arguments; InvalidType is an argument of a
wrong type. The layouts of Linux (x86-64, aarch64, i386, arm) and Darwin are known, and only Linux on x86-64 is tested.
On other platforms every use raises ENOSYS.

Files, in reading order:
- `_structures`: shmid_ds and its like, as each platform lays them out;
- `libc`: constants, structures and functions of this platform, called together with errno;
- `attached`: views of attached memory, shmdt, and segments removed as soon as they are attached;
- `_calls`: shmget, shmat, shmctl, ftok, and the kernel's table of segments.
"""

from __future__ import annotations

from xshm.sysv._calls import SegmentInfo, ftok, remove, segments, shmat, shmctl, shmget, size, stat
from xshm.sysv.attached import shmdt
from xshm.sysv.libc import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_INFO,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SHM_DEST,
    SHM_EXEC,
    SHM_HUGE_1GB,
    SHM_HUGE_2MB,
    SHM_HUGE_SHIFT,
    SHM_HUGETLB,
    SHM_INFO,
    SHM_LOCK,
    SHM_LOCKED,
    SHM_NORESERVE,
    SHM_RDONLY,
    SHM_REMAP,
    SHM_RND,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
    IpcPerm,
    ShmDesc,
    ShmId,
    ShmLimits,
    ShmUsage,
)

__all__ = [
    "IPC_CREAT",
    "IPC_EXCL",
    "IPC_INFO",
    "IPC_NOWAIT",
    "IPC_PRIVATE",
    "IPC_RMID",
    "IPC_SET",
    "IPC_STAT",
    "SHM_DEST",
    "SHM_EXEC",
    "SHM_HUGETLB",
    "SHM_HUGE_1GB",
    "SHM_HUGE_2MB",
    "SHM_HUGE_SHIFT",
    "SHM_INFO",
    "SHM_LOCK",
    "SHM_LOCKED",
    "SHM_NORESERVE",
    "SHM_RDONLY",
    "SHM_REMAP",
    "SHM_RND",
    "SHM_STAT",
    "SHM_STAT_ANY",
    "SHM_UNLOCK",
    "IpcPerm",
    "SegmentInfo",
    "ShmDesc",
    "ShmId",
    "ShmLimits",
    "ShmUsage",
    "ftok",
    "remove",
    "segments",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
    "size",
    "stat",
]
