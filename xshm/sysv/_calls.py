"""shmget, shmat, shmctl and ftok as Python functions, and the kernel's table of segments.

A call that fails raises an OSError that names the function and its arguments. All arguments are checked first, since
ctypes would cut an int to C's width, and the kernel would write past the end of a structure that is too short.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from xshm import _arguments
from xshm.errors import InvalidType
from xshm.system import limits
from xshm.system.printable import quoted
from xshm.sysv import _structures, libc
from xshm.sysv.attached import Mapping, view_of
from xshm.sysv.libc import (
    IPC_INFO,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SHM_INFO,
    SHM_LOCK,
    SHM_REMAP,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
    ShmDesc,
    ShmId,
    ShmLimits,
    ShmUsage,
)

if TYPE_CHECKING:
    from xshm.sysv._structures import Record

_FTOK_PROJECTS = 255  # ftok takes the lowest 8 bits, and leaves 0 undefined
# The name of each command for messages, and the structure that the kernel fills or reads.
_COMMANDS: dict[int, tuple[str, type[Record] | None]] = {
    IPC_RMID: ("IPC_RMID", None),
    IPC_SET: ("IPC_SET", ShmDesc),
    IPC_STAT: ("IPC_STAT", ShmDesc),
    IPC_INFO: ("IPC_INFO", ShmLimits),
    SHM_LOCK: ("SHM_LOCK", None),
    SHM_UNLOCK: ("SHM_UNLOCK", None),
    SHM_STAT: ("SHM_STAT", ShmDesc),
    SHM_INFO: ("SHM_INFO", ShmUsage),
    SHM_STAT_ANY: ("SHM_STAT_ANY", ShmDesc),
}


def shmget(key: int, size: int, flags: int = 0) -> ShmId:
    """Find the segment of a key, or make one, and return its id.

    `key` is IPC_PRIVATE, one of ftok's, or any number of 32 bits. `size` is in bytes and starts as zeros; to find a
    segment it may be less than the segment's, 0 too. `flags` are nine bits of permission, IPC_CREAT, IPC_EXCL,
    SHM_NORESERVE, SHM_HUGETLB. A new segment lives until it is removed, beyond this process; remove it as soon as
    it is attached everywhere (on Linux: as soon as it is attached once, before anything is written to it). A process
    that is killed earlier leaves it behind, and only the caller knows that it is of no use: `segments()` lists it, and
    `remove`, or `xshm segments --remove ID`, removes it.
    Errors: ENOENT no such key, EEXIST it is taken, EACCES, EINVAL for the size, ENOMEM, ENOSPC. (shmget(2))
    """
    key, size, flags = _integer("shmget: key", key), _integer("shmget: size", size), _integer("shmget: flags", flags)
    call = f"shmget(key={'IPC_PRIVATE' if key == IPC_PRIVATE else hex(key)}, size={_digits(size)}, flags={flags:#o})"
    # ctypes cuts an int to the bits that C takes; one that has more must not become another key, size or flag.
    if not (_is_word(key) and _is_word(flags) and 0 <= size <= libc.FAILED):
        raise libc.error(errno.EINVAL, call)
    shmid, code = libc.call_errno(libc.shmget, key, size, flags)
    if shmid == -1:
        raise libc.error(code, call)
    return ShmId(shmid)


def shmat(shmid: int, flags: int = 0, address: int | None = None) -> memoryview:
    """Attach a segment and return its bytes: a memoryview, format "B", of exactly the segment's size.

    It is read-only with SHM_RDONLY. The segment stays attached as long as this view, a slice of it or an array over
    it lives, whatever else is dropped, removed or collected; `with shmat(…) as view` and shmdt release the view
    itself. `address` is where to attach it, a multiple of the page size or rounded down to one by SHM_RND.
    Errors: EINVAL no such id or no room at the address, EACCES, ENOMEM; EINVAL for SHM_REMAP, which would put the
    segment in place of memory that other objects use. (shmat(2))
    """
    shmid, flags = _integer("shmat: shmid", shmid), _integer("shmat: flags", flags)
    place = 0 if address is None else _integer("shmat: address", address)
    call = f"shmat(shmid={_digits(shmid)}, flags={flags:#o}{'' if address is None else f', address={place:#x}'})"
    if flags & SHM_REMAP:
        raise libc.error(errno.EINVAL, call, "SHM_REMAP would replace memory that other objects use")
    if not (_is_id(shmid) and _is_word(flags) and 0 <= place <= libc.FAILED):
        raise libc.error(errno.EINVAL, call)
    # signal-safe (1): the address is a Mapping before any Python code, such as a signal handler, can run.
    mapping, code = libc.call_errno(next, map(Mapping, map(libc.shmat, (shmid,), (place,), (flags,))))
    if mapping == libc.FAILED:
        raise libc.error(code, call)
    desc = ShmDesc()
    # After the attach, since now the id can't become that of another segment, of another size.
    result, code = libc.call_errno(libc.shmctl, shmid, IPC_STAT, ctypes.byref(desc))
    if result == -1:
        del mapping  # detach now: the exception's traceback refers to this frame
        raise libc.error(code, call, "IPC_STAT did not return its size")
    return view_of(mapping, desc.segsz, flags)


def shmctl(shmid: int, cmd: int, desc: ShmDesc | ShmLimits | ShmUsage | None = None) -> int:
    """Read or change the kernel's record of a segment; return what the kernel returns, mostly 0.

    - IPC_STAT fills the ShmDesc; IPC_SET takes `perm.uid`, `perm.gid` and nine bits of `perm.mode` from it.
    - IPC_RMID removes the segment: now, or with its last detach. Linux still attaches it by its id until then.
    - SHM_LOCK and SHM_UNLOCK keep it in memory (Linux).
    - SHM_STAT and SHM_STAT_ANY (Linux) fill the ShmDesc for an index in the kernel's table and return the id;
      SHM_STAT_ANY needs no permission to read. IPC_INFO fills a ShmLimits, SHM_INFO a ShmUsage, and both return the
      highest index in use.

    Errors: EINVAL no such id, index or command, EACCES, EPERM. (shmctl(2))
    """
    shmid, cmd = _integer("shmctl: shmid", shmid), _integer("shmctl: cmd", cmd)
    name, record = _COMMANDS.get(cmd, (_digits(cmd), None))
    # The kernel writes as many bytes as its own structure has, whatever the length of the buffer.
    if record is not None and not isinstance(desc, record):
        raise InvalidType(f"shmctl: {name} takes a {record.__name__}, not {type(desc).__name__}: {quoted(desc)}")
    sets = ""
    if cmd == IPC_SET and isinstance(desc, ShmDesc):  # named in the error: EPERM may be about the values that are set
        sets = f", mode={desc.perm.mode:#o}, uid={desc.perm.uid}, gid={desc.perm.gid}"
    call = f"shmctl(shmid={_digits(shmid)}, cmd={name}{sets})"
    if not (_is_id(shmid) and _is_word(cmd)):
        raise libc.error(errno.EINVAL, call)
    result, code = libc.call_errno(
        libc.shmctl, shmid, cmd, None if record is None or desc is None else ctypes.byref(desc)
    )
    if result == -1:
        raise libc.error(code, call)
    return result


def stat(shmid: int) -> ShmDesc:
    """Return the kernel's record of a segment; errors as shmctl's with IPC_STAT."""
    desc = ShmDesc()
    shmctl(shmid, IPC_STAT, desc)
    return desc


def size(shmid: int) -> int:
    """Return a segment's size in bytes, as given to shmget, not rounded to pages; errors as shmctl's with IPC_STAT."""
    return stat(shmid).segsz


def remove(shmid: int) -> None:
    """Remove a segment: now, or with its last detach; errors as shmctl's with IPC_RMID."""
    shmctl(shmid, IPC_RMID)


def ftok(path: str | bytes | os.PathLike[str], project: int) -> int:
    """Return the key that a file and a project's number, 1 to 255, stand for. Different files can have one key.

    Errors: those of stat(2), and EINVAL for the project. (ftok(3))
    """
    project = _integer("ftok: project", project)
    if not isinstance(path, str | bytes | os.PathLike):
        raise InvalidType(f"ftok: path is a text, bytes or a path, not {type(path).__name__}: {quoted(path)}")
    call = f"ftok(path={quoted(os.fspath(path))}, project={_digits(project)})"
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:  # half of a surrogate pair
        raise libc.error(errno.EINVAL, call) from None
    if not 1 <= project <= _FTOK_PROJECTS or b"\0" in raw:
        raise libc.error(errno.EINVAL, call)
    key, code = libc.call_errno(libc.ftok, raw, project)
    if key == -1:
        raise libc.error(code, call)
    return key


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment as the kernel lists it: bytes, seconds since 1970 (0 for never), the mode as IpcPerm has it."""

    shmid: ShmId
    key: int
    size: int
    mode: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    cpid: int
    lpid: int
    nattch: int
    atime: int
    dtime: int
    ctime: int


def segments() -> list[SegmentInfo]:
    """Return all segments of this IPC namespace, other users' too, as the kernel lists them in /proc (Linux)."""
    if not libc.KNOWN:
        _structures.refuse()
    try:
        with open("/proc/sysvipc/shm", encoding="ascii") as file:  # noqa: PTH123 - a screenshot needs no pathlib
            header, *lines = file.read().splitlines()
    except OSError as error:
        why = limits.explain(error)
        raise libc.error(
            error.errno or errno.EIO, "segments()", f"reading /proc/sysvipc/shm{': ' if why else ''}{why or ''}"
        ) from error
    # By the columns' names, since kernels differ in their number. shmid has a type of its own, and perms, in octal, is
    # `mode` here.
    rows = [dict(zip(header.split(), line.split(), strict=True)) for line in lines]
    same = [field.name for field in fields(SegmentInfo) if field.name not in ("shmid", "mode")]
    return [
        SegmentInfo(ShmId(int(row["shmid"])), mode=int(row["perms"], 8), **{name: int(row[name]) for name in same})
        for row in rows
    ]


def _integer(what: str, value: int) -> int:
    return _arguments.integer(value, f"{what} is a whole number")


def _digits(value: int) -> str:
    """Return a number for an error message; by `quoted` where it is long, since str() raises from 4300 digits on."""
    return str(value) if -libc.FAILED <= value <= libc.FAILED else quoted(value)


def _is_id(value: int) -> bool:
    # Negative ids are the kernel's to refuse, with its errno.
    return -(2**31) <= value < 2**31


def _is_word(value: int) -> bool:
    """Return whether C takes the value for an int without loss; keys and flags are often written unsigned."""
    return -(2**31) <= value < 2**32
