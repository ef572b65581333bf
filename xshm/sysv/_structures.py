"""The structures of shmctl(2) as ctypes structures, with the layout of each known platform.

The tests check every layout by size and offset, and use that of Linux on x86-64. On a platform that is not listed no
structure can be made, since the kernel would write past the end of one that is too short.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from ctypes import c_int32, c_int64, c_uint16, c_uint32, c_uint64, c_ulong
from typing import NoReturn, Self

# Fields that several layouts have.
_IDS = tuple((name, c_uint32) for name in ("uid", "gid", "cuid", "cgid"))
_TIMES = tuple((name, c_int64) for name in ("atime", "dtime", "ctime"))


class Record(ctypes.Structure):
    """A C structure that shows its fields when printed; padding, named with an underscore, stays hidden."""

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Make the structure; raise ENOSYS where its layout on this platform is not known."""
        if not hasattr(cls, "_fields_"):  # a base class, which `libc` has where no layout is known
            refuse()
        return super().__new__(cls, *args, **kwargs)

    def __repr__(self) -> str:
        names = [field[0] for field in self._fields_ if not field[0].startswith("_")]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


class IpcPerm(Record):
    """A segment's key, owner, creator and permissions (`struct ipc_perm`).

    `key` as given to shmget, 0 for IPC_PRIVATE and after IPC_RMID; `uid` and `gid` of the owner, `cuid` and `cgid` of
    the creator; `mode`, nine bits of permission, SHM_DEST and SHM_LOCKED; `seq`, the kernel's count of the slot's uses.
    """

    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    seq: int


class ShmDesc(Record):
    """The kernel's record of a segment (`struct shmid_ds`).

    `perm`, an IpcPerm; `segsz`, bytes as given to shmget, not rounded to pages; `atime`, `dtime` and `ctime`, seconds
    since 1970 of the last attach, detach and change, 0 for never; `cpid` and `lpid`, the processes that made it and
    that attached or detached last; `nattch`, how often it is attached now.
    """

    perm: IpcPerm
    segsz: int
    atime: int
    dtime: int
    ctime: int
    cpid: int
    lpid: int
    nattch: int


class ShmLimits(Record):
    """The limits of the IPC namespace, from IPC_INFO (Linux, `struct shminfo`).

    Bytes in one segment, `shmmax` at most and `shmmin` at least; `shmmni` segments; `shmall` pages in all of them;
    `shmseg`, which Linux does not enforce.
    """

    shmmax: int
    shmmin: int
    shmmni: int
    shmseg: int
    shmall: int
    _fields_ = (
        *((name, c_ulong) for name in ("shmmax", "shmmin", "shmmni", "shmseg", "shmall")),
        ("_reserved", c_ulong * 4),
    )


class ShmUsage(Record):
    """What the IPC namespace uses, from SHM_INFO (Linux, `struct shm_info`).

    `used_ids` segments; pages: `shm_tot` in all, `shm_rss` in memory, `shm_swp` swapped out.
    """

    used_ids: int
    shm_tot: int
    shm_rss: int
    shm_swp: int
    _fields_ = (
        ("used_ids", ctypes.c_int),
        *((name, c_ulong) for name in ("shm_tot", "shm_rss", "shm_swp", "_swap_attempts", "_swap_successes")),
    )


class IpcPermLinux64(IpcPerm):
    """Linux on x86-64 and aarch64 (asm-generic/ipcbuf.h)."""

    _fields_ = (
        ("key", c_int32),
        *_IDS,
        ("mode", c_uint32),  # __kernel_mode_t, which has 16 bits on i386 and arm
        ("seq", c_uint16),
        ("_pad", c_uint16),
        ("_reserved", c_uint64 * 2),
    )


class ShmDescLinux64(ShmDesc):
    """Linux on x86-64 and aarch64 (asm-generic/shmbuf.h)."""

    _fields_ = (
        ("perm", IpcPermLinux64),
        ("segsz", c_uint64),
        *_TIMES,
        ("cpid", c_int32),
        ("lpid", c_int32),
        ("nattch", c_uint64),
        ("_reserved", c_uint64 * 2),
    )


class IpcPermLinux32(IpcPerm):
    """Linux on i386 and arm: the mode has 16 bits."""

    _fields_ = (
        ("key", c_int32),
        *_IDS,
        *((name, c_uint16) for name in ("mode", "_pad1", "seq", "_pad2")),
        ("_reserved", c_uint32 * 2),
    )


class ShmDescLinux32(ShmDesc):
    """Linux on i386 and arm: a time is two words, low before high, which little-endian machines read as one."""

    _layout_ = "ms"  # Python 3.14 wants the layout named wherever _pack_ is set
    _pack_ = 4  # a time starts at a word, where ctypes would align an int64 to 8
    _fields_ = (
        ("perm", IpcPermLinux32),
        ("segsz", c_uint32),
        *_TIMES,
        ("cpid", c_int32),
        ("lpid", c_int32),
        ("nattch", c_uint32),
        ("_reserved", c_uint32 * 2),
    )


class IpcPermDarwin(IpcPerm):
    """Darwin: the key comes last."""

    _fields_ = (*_IDS, ("mode", c_uint16), ("seq", c_uint16), ("key", c_int32))


class ShmDescDarwin(ShmDesc):
    """Darwin: packed to 4, lpid before cpid, 16 bits of attaches."""

    _layout_ = "ms"
    _pack_ = 4  # `#pragma pack(4)` in <sys/shm.h>
    _fields_ = (
        ("perm", IpcPermDarwin),
        ("segsz", c_uint64),
        ("lpid", c_int32),
        ("cpid", c_int32),
        ("nattch", c_uint16),  # shmatt_t
        *_TIMES,
        ("_internal", c_uint64),  # a pointer of the kernel's
    )


# By the names that `platform_name` returns. No big-endian platform is here: its two words of a time are swapped.
PLATFORMS: dict[str, tuple[type[IpcPerm], type[ShmDesc]]] = {
    "linux x86_64": (IpcPermLinux64, ShmDescLinux64),
    "linux aarch64": (IpcPermLinux64, ShmDescLinux64),
    "linux i386": (IpcPermLinux32, ShmDescLinux32),
    "linux arm": (IpcPermLinux32, ShmDescLinux32),
    "darwin x86_64": (IpcPermDarwin, ShmDescDarwin),
    "darwin arm64": (IpcPermDarwin, ShmDescDarwin),
}


def running() -> str:
    """Return the name of the platform that this interpreter runs on, such as "linux x86_64", known or not."""
    machine = os.uname().machine if hasattr(os, "uname") else "unknown"
    multiarch = getattr(sys.implementation, "_multiarch", "")  # "x86_64-linux-gnux32" tells x32 from i386
    return platform_name(sys.platform, machine, 8 * ctypes.sizeof(ctypes.c_void_p), multiarch)


def platform_name(system: str, machine: str, bits: int, multiarch: str) -> str:
    """Return a platform's name; `machine` is the kernel's, as uname has it, which may run programs of fewer `bits`."""
    if bits == ctypes.sizeof(c_int64) * 8:  # the program is as wide as the kernel, so `machine` is its platform
        return f"{system} {machine}"
    # x32 has pointers of 32 bits and the structures of x86-64.
    if re.fullmatch(r"i[3-6]86|x86_64", machine) and not multiarch.endswith("x32"):
        return f"{system} i386"
    if re.fullmatch(r"armv\w+l|aarch64", machine):  # l for little-endian
        return f"{system} arm"
    return f"{system} {machine} with {bits}-bit pointers"


def refuse(*_arguments: object) -> NoReturn:
    """Raise ENOSYS, as every use of System V shared memory does on a platform that is not known."""
    # It takes any arguments, since it also stands in for the C functions (`libc.function`).
    message = (
        f"System V shared memory: the layouts of its structures are not known on {running()}; "
        f"they are on {', '.join(PLATFORMS)} (of which linux x86_64 is tested)"
    )
    raise OSError(errno.ENOSYS, message)
