"""System V shared memory."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from xshm import sysv

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm.sysv"


def shmget() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 65536, sysv.IPC_CREAT | 0o600)
    print(sysv.size(shmid))
    sysv.remove(shmid)


def shmat() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 65536, sysv.IPC_CREAT | 0o600)
    try:
        memory = sysv.shmat(shmid)  # a memoryview of exactly 65536 bytes
        look = sysv.shmat(shmid, sysv.SHM_RDONLY)
    finally:
        sysv.remove(shmid)  # freed with the last detach, after kill -9 too
    memory[:5] = b"hello"
    print(bytes(look[:5]), look.readonly)


def shmdt() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    memory = sysv.shmat(shmid)
    sysv.remove(shmid)
    sysv.shmdt(memory)  # or drop it, and all views of it


def shmctl() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    desc = sysv.ShmDesc()
    sysv.shmctl(shmid, sysv.IPC_STAT, desc)
    desc.perm.mode = 0o640
    sysv.shmctl(shmid, sysv.IPC_SET, desc)
    sysv.shmctl(shmid, sysv.IPC_RMID)
    print(desc.segsz, desc.nattch)


def stat() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    desc = sysv.stat(shmid)
    print(desc.segsz, desc.nattch, oct(desc.perm.mode))
    sysv.remove(shmid)


def size() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 1000, 0o600)
    print(sysv.size(shmid))  # 1000, not rounded to pages
    sysv.remove(shmid)


def remove() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    sysv.remove(shmid)
    try:
        sysv.remove(shmid)
    except OSError as error:
        print(error, error.errno == errno.EINVAL)


def ftok(folder: Path) -> None:
    key = sysv.ftok(folder, 7)
    shmid = sysv.shmget(key, 4096, sysv.IPC_CREAT | sysv.IPC_EXCL | 0o600)
    print(sysv.shmget(key, 0) == shmid)  # found by another program, which knows folder and number
    sysv.remove(shmid)


def segments() -> None:
    for segment in sysv.segments():
        print(segment.shmid, segment.size, segment.nattch)


def SegmentInfo() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    mine = [segment for segment in sysv.segments() if segment.shmid == shmid]
    print(mine[0].size, mine[0].uid, oct(mine[0].mode))
    sysv.remove(shmid)


def ShmId() -> None:
    shmid: sysv.ShmId = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)  # an int, to a type checker one of a kind
    sysv.remove(shmid)


def ShmDesc() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    desc: sysv.ShmDesc = sysv.stat(shmid)
    print(desc.segsz, desc.nattch, desc.cpid)
    sysv.remove(shmid)


def IpcPerm() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o640)
    perm: sysv.IpcPerm = sysv.stat(shmid).perm
    print(perm.uid, perm.gid, oct(perm.mode))
    sysv.remove(shmid)


def ShmLimits() -> None:
    limits = sysv.ShmLimits()
    highest = sysv.shmctl(0, sysv.IPC_INFO, limits)  # an index in the kernel's table
    print(highest, limits.shmmax, limits.shmmni)


def ShmUsage() -> None:
    usage = sysv.ShmUsage()
    sysv.shmctl(0, sysv.SHM_INFO, usage)
    print(usage.used_ids, usage.shm_tot)


def SHM_STAT() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    for index in range(sysv.shmctl(0, sysv.SHM_INFO, sysv.ShmUsage()) + 1):
        for command in (sysv.SHM_STAT, sysv.SHM_STAT_ANY):  # the second needs no permission to read
            desc = sysv.ShmDesc()
            try:
                print(sysv.shmctl(index, command, desc), desc.segsz)
            except OSError as error:  # no segment has this index
                print(error.errno == errno.EINVAL)
    sysv.remove(shmid)


def SHM_LOCK() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    sysv.shmctl(shmid, sysv.SHM_LOCK)  # not to be swapped out
    print(bool(sysv.stat(shmid).perm.mode & sysv.SHM_LOCKED))
    sysv.shmctl(shmid, sysv.SHM_UNLOCK)
    sysv.remove(shmid)


def SHM_DEST() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    memory = sysv.shmat(shmid)
    sysv.remove(shmid)
    print(len(memory), bool(sysv.stat(shmid).perm.mode & sysv.SHM_DEST))  # it goes with the last detach


def SHM_NORESERVE() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 1 << 30, sysv.SHM_NORESERVE | 0o600)  # no swap is set aside for it
    print(sysv.size(shmid))
    sysv.remove(shmid)


def SHM_HUGETLB() -> None:
    two_megabytes = sysv.SHM_HUGETLB | sysv.SHM_HUGE_2MB | 0o600  # SHM_HUGE_1GB; 21 << SHM_HUGE_SHIFT is 2 MB, too
    print(sysv.SHM_HUGE_2MB == 21 << sysv.SHM_HUGE_SHIFT, sysv.SHM_HUGE_1GB == 30 << sysv.SHM_HUGE_SHIFT)
    try:
        sysv.remove(sysv.shmget(sysv.IPC_PRIVATE, 1 << 21, two_megabytes))
    except OSError as error:  # none were set aside: vm.nr_hugepages
        print(error)


def SHM_RND() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    memory = sysv.shmat(shmid, sysv.SHM_RND, 0x7E0000000123)  # at an address, rounded down to a page
    sysv.remove(shmid)
    print(len(memory))


def SHM_EXEC() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o700)
    memory = sysv.shmat(shmid, sysv.SHM_EXEC)  # the processor may run what is in it
    sysv.remove(shmid)
    print(len(memory))


def SHM_REMAP() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, 0o600)
    try:
        sysv.shmat(shmid, sysv.SHM_REMAP, 0x7E0000000000)
    except OSError as error:  # refused: it would replace memory that is in use
        print(error)
    sysv.remove(shmid)


def IPC_NOWAIT() -> None:
    print(oct(sysv.IPC_NOWAIT))  # for semget(2) and msgget(2): shared memory waits for nothing
