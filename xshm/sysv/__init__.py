"""System V shared memory as shmget(2) has it: make, attach, inspect, detach and remove segments. No X, no numpy.

A view's memory stays attached as long as anything shows it: the view, a slice, an array over it. Every failure is
an OSError with the kernel's errno that names the call and its arguments (InvalidType where an argument can't be one).
Known are Linux (x86-64, aarch64, i386, arm) and Darwin; only Linux on x86-64 is run. Elsewhere every use is ENOSYS.
"""

from __future__ import annotations

import ctypes
import errno
import operator
import os
import weakref
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NewType

from xshm.errors import InvalidType
from xshm.system import limits
from xshm.system.printable import quoted
from xshm.sysv import _structures as layouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ShmId = NewType("ShmId", int)
"""The kernel's number for a segment, in one IPC namespace; never reused soon, but no proof of identity."""

IPC_PRIVATE: Final = 0
# shmget, beside nine bits of permission
IPC_CREAT: Final = 0o1000
IPC_EXCL: Final = 0o2000
IPC_NOWAIT: Final = 0o4000  # of no effect on segments
SHM_HUGETLB: Final = 0o4000
SHM_NORESERVE: Final = 0o10000
SHM_HUGE_SHIFT: Final = 26  # the page size's logarithm goes here, with SHM_HUGETLB
SHM_HUGE_2MB: Final = 21 << SHM_HUGE_SHIFT
SHM_HUGE_1GB: Final = 30 << SHM_HUGE_SHIFT
# shmat
SHM_RDONLY: Final = 0o10000
SHM_RND: Final = 0o20000
SHM_REMAP: Final = 0o40000
SHM_EXEC: Final = 0o100000
# shmctl
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
SHM_DEST: Final = 0o1000  # removed; it goes with its last attach
SHM_LOCKED: Final = 0o2000

_KNOWN = layouts.running() in layouts.PLATFORMS
_FTOK_PROJECTS = 255  # ftok takes the lowest 8 bits, and leaves 0 undefined
_FAILED = ctypes.c_size_t(-1).value

ShmLimits = layouts.ShmLimits
ShmUsage = layouts.ShmUsage
if TYPE_CHECKING:
    IpcPerm = layouts.IpcPerm
    ShmDesc = layouts.ShmDesc
else:
    IpcPerm, ShmDesc = layouts.PLATFORMS.get(layouts.running(), (layouts.IpcPerm, layouts.ShmDesc))


def _libc(name: str, result: type, *arguments: type, library: type[ctypes.CDLL] = ctypes.CDLL) -> Callable[..., int]:
    if not _KNOWN:
        return layouts.refuse
    function = getattr(library(None, use_errno=True), name)
    function.restype, function.argtypes = result, arguments
    return function  # type: ignore[no-any-return]  # a foreign function's type is Any


_shmget = _libc("shmget", ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
_shmat = _libc("shmat", ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_shmdt = _libc("shmdt", ctypes.c_int, ctypes.c_size_t)
_shmctl = _libc("shmctl", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_ftok = _libc("ftok", ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
# The same with the GIL held: no other thread comes between two of them, to which it would have to be given for 5 ms.
_shmget_now = _libc("shmget", ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_int, library=ctypes.PyDLL)
_shmat_now = _libc("shmat", ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, library=ctypes.PyDLL)
_remove_now: Any = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)(
    ("shmctl", ctypes.PyDLL(None)), ((1, "shmid"), (1, "cmd", IPC_RMID), (1, "buf", None))
)  # it leaves ctypes' errno alone, which is that of the call before
_untrack = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("PyObject_GC_UnTrack", ctypes.pythonapi))


_COMMANDS: dict[int, tuple[str, type[layouts.Record] | None]] = {
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


class _Mapping(int):
    """The address of an attached segment, which is detached when the last reference to this goes.

    Looking up `__del__` gives partial(_shmdt, self): it runs in C throughout. A method in Python can be interrupted at
    its first instruction by a signal handler that raises: of 20,000 such interrupts 450 left a segment attached for
    good and 5,000 were swallowed, as exceptions in `__del__` are; here none.
    """

    __slots__ = ()
    __del__ = property(partial(partial, _shmdt))


class _Unnamed(int):
    """The id of a new segment, which is removed from the kernel's table when this goes: in C throughout."""

    __slots__ = ()
    __del__ = property(partial(partial, _remove_now))


_attached: dict[int, weakref.ref[memoryview]] = {}
"""The views that shmat gave and shmdt has not taken back, by id; each leaves when it dies."""


def shmget(key: int, size: int, flags: int = 0) -> ShmId:
    """Find the segment of a key, or make one, and return its id.

    `key` is IPC_PRIVATE, one of ftok's, or any number of 32 bits. `size` is in bytes and starts as zeros; to find a
    segment it may be less than the segment's, 0 too. `flags` are nine bits of permission, IPC_CREAT, IPC_EXCL,
    SHM_NORESERVE, SHM_HUGETLB. A new segment lives until it is removed, beyond this process; remove it as soon as
    it is attached everywhere (on Linux: as soon as it is attached once, before anything is written to it). A process
    that is killed earlier leaves it behind, and nobody but the caller can say that it is of no use: it is among
    `segments()`, and goes by `remove`, or `xshm segments --remove ID`.
    Errors: ENOENT no such key, EEXIST it is taken, EACCES, EINVAL for the size, ENOMEM, ENOSPC. (shmget(2))
    """
    key, size, flags = _whole("shmget: key", key), _whole("shmget: size", size), _whole("shmget: flags", flags)
    call = f"shmget(key={'IPC_PRIVATE' if key == IPC_PRIVATE else hex(key)}, size={_digits(size)}, flags={flags:#o})"
    if not (_is_word(key) and _is_word(flags) and 0 <= size <= _FAILED):
        raise _error(errno.EINVAL, call)
    shmid, code = _ask(_shmget, key, size, flags)
    if shmid == -1:
        raise _error(code, call)
    return ShmId(shmid)


def shmat(shmid: int, flags: int = 0, address: int | None = None) -> memoryview:
    """Attach a segment and return its bytes: a memoryview, format "B", of exactly the segment's size.

    It is read-only with SHM_RDONLY. The segment stays attached as long as this view, a slice of it or an array over
    it lives, whatever else is let go, removed or collected; `with shmat(…) as view` or shmdt let go of the view
    itself. `address` asks for a place in memory, a multiple of the page size or rounded down to one by SHM_RND.
    Errors: EINVAL no such id or no room at the address, EACCES, ENOMEM; EINVAL for SHM_REMAP, which would put the
    segment in place of memory that other objects use. (shmat(2))
    """
    shmid, flags = _whole("shmat: shmid", shmid), _whole("shmat: flags", flags)
    place = 0 if address is None else _whole("shmat: address", address)
    call = f"shmat(shmid={_digits(shmid)}, flags={flags:#o}{'' if address is None else f', address={place:#x}'})"
    if flags & SHM_REMAP:
        raise _error(errno.EINVAL, call, "SHM_REMAP would replace memory that other objects use")
    if not (_is_id(shmid) and _is_word(flags) and 0 <= place <= _FAILED):
        raise _error(errno.EINVAL, call)
    # The address is in its _Mapping before any Python code, a signal handler's say, can run and lose it.
    mapping, code = _ask(next, map(_Mapping, map(_shmat, (shmid,), (place,), (flags,))))
    if mapping == _FAILED:
        raise _error(code, call)
    desc = ShmDesc()
    result, code = _ask(_shmctl, shmid, IPC_STAT, ctypes.byref(desc))
    if result == -1:
        del mapping  # detaches now: the exception keeps this frame alive
        raise _error(code, call, "IPC_STAT did not tell its size")
    return _view_of(mapping, desc.segsz, flags)


def _make_removed(size: int, keys: Iterable[int]) -> tuple[ShmId, memoryview]:
    """Make a segment of mode 0600, attach it and remove it from the kernel's table; return its id and its bytes.

    It has the first of the keys that is free. The three calls follow each other in C: a signal handler runs, and
    another thread, before them or after; whoever is killed in between leaves the segment. Errors: as shmget's, shmat's.
    """
    flags, made, mapping, code, call = IPC_CREAT | IPC_EXCL | 0o600, dict[None, int](), None, errno.EEXIST, ""
    for key in keys:
        call = f"shmget(key={'IPC_PRIVATE' if key == IPC_PRIVATE else hex(key)}, size={size}, flags={flags:#o})"
        # An id is noted as a plain number, and is removed when shmat returns: then map lets go of its arguments.
        ids = filter((-1).__ne__, map(_shmget_now, (key,), (size,), (flags,)))
        unnamed = map(_Unnamed, map(partial(made.setdefault, None), ids))
        mapping, code = _ask(next, map(_Mapping, map(_shmat_now, unnamed, (0,), (0,))), None)
        if made or code != errno.EEXIST:
            break
    if mapping is None:
        raise _error(code, call)
    shmid = ShmId(made[None])
    if mapping == _FAILED:
        raise _error(code, f"shmat(shmid={shmid}, flags=0o0)", f"after {call}")
    return shmid, _view_of(mapping, size, 0)


def _view_of(mapping: int, size: int, flags: int) -> memoryview:
    owner = (ctypes.c_ubyte * size).from_address(mapping)
    vars(owner)["mapping"] = mapping
    # Where a view is part of a reference cycle, the garbage collector runs finalizers and weakref callbacks of all
    # that is in it, the mapping's too, while a __del__ of the same cycle may still read the view: a crash, seen on
    # 3.11 to 3.13. What is not tracked it takes for alive, and only the last reference detaches.
    _untrack(owner)
    view = memoryview(owner).cast("B")
    if flags & SHM_RDONLY:
        view = view.toreadonly()
        _hide(owner, view)
    _attached[id(view)] = weakref.ref(view, partial(_attached.pop, id(view)))
    return view


def shmdt(view: memoryview) -> None:
    """Release a view that shmat gave; the segment is detached now, or when the last array or slice over it dies.

    The view itself can't be used afterwards. What is not such a view, or was released before, is EINVAL and is left
    alone. After fork, parent and child each detach their own. (shmdt(2))
    """
    if id(view) in _attached and not _is_released(view):
        with suppress(BufferError):  # something uses the view itself: then it is the last holder
            view.release()
        # Of two threads that come here with one view, one takes it. A signal handler that raises before this
        # leaves an entry behind, which goes with the view.
        if _attached.pop(id(view), None) is not None:
            return
    call = f"shmdt(<{type(view).__name__} at {id(view):#x}>)"
    raise _error(errno.EINVAL, call, "not a view that shmat returned, or released before")


def shmctl(shmid: int, cmd: int, desc: ShmDesc | ShmLimits | ShmUsage | None = None) -> int:
    """Ask or change what the kernel knows of a segment; return what the kernel returns, mostly 0.

    - IPC_STAT fills the ShmDesc; IPC_SET takes `perm.uid`, `perm.gid` and nine bits of `perm.mode` from it.
    - IPC_RMID removes the segment: now, or with its last detach. Linux still attaches it by its id until then.
    - SHM_LOCK and SHM_UNLOCK keep it in memory (Linux).
    - SHM_STAT and SHM_STAT_ANY (Linux) fill the ShmDesc for an index in the kernel's table and return the id;
      SHM_STAT_ANY needs no permission to read. IPC_INFO fills a ShmLimits, SHM_INFO a ShmUsage, and both return the
      highest index in use.

    Errors: EINVAL no such id, index or command, EACCES, EPERM. (shmctl(2))
    """
    shmid, cmd = _whole("shmctl: shmid", shmid), _whole("shmctl: cmd", cmd)
    name, record = _COMMANDS.get(cmd, (_digits(cmd), None))
    if record is not None and not isinstance(desc, record):
        raise InvalidType(f"shmctl: {name} takes a {record.__name__}, not {type(desc).__name__}: {quoted(desc)}")
    call = f"shmctl(shmid={_digits(shmid)}, cmd={name})"
    if cmd == IPC_SET and isinstance(desc, ShmDesc):
        perm = desc.perm
        call = f"shmctl(shmid={_digits(shmid)}, cmd={name}, mode={perm.mode:#o}, uid={perm.uid}, gid={perm.gid})"
    if not (_is_id(shmid) and _is_word(cmd)):
        raise _error(errno.EINVAL, call)
    result, code = _ask(_shmctl, shmid, cmd, None if record is None or desc is None else ctypes.byref(desc))
    if result == -1:
        raise _error(code, call)
    return result


def stat(shmid: int) -> ShmDesc:
    """Return what the kernel knows of a segment; errors as shmctl's with IPC_STAT."""
    desc = ShmDesc()
    shmctl(shmid, IPC_STAT, desc)
    return desc


def size(shmid: int) -> int:
    """Return a segment's size in bytes, as it was asked for; errors as shmctl's with IPC_STAT."""
    return stat(shmid).segsz


def remove(shmid: int) -> None:
    """Remove a segment: now, or with its last detach; errors as shmctl's with IPC_RMID."""
    shmctl(shmid, IPC_RMID)


def ftok(path: str | bytes | os.PathLike[str], project: int) -> int:
    """Return the key that a file and a project's number, 1 to 255, stand for. Different files can have one key.

    Errors: those of stat(2), and EINVAL for the project. (ftok(3))
    """
    project = _whole("ftok: project", project)
    if not isinstance(path, str | bytes | os.PathLike):
        raise InvalidType(f"ftok: path is a text, bytes or a path, not {type(path).__name__}: {quoted(path)}")
    call = f"ftok(path={quoted(os.fspath(path))}, project={_digits(project)})"
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:  # half of a surrogate pair
        raise _error(errno.EINVAL, call) from None
    if not 1 <= project <= _FTOK_PROJECTS or b"\0" in raw:
        raise _error(errno.EINVAL, call)
    key, code = _ask(_ftok, raw, project)
    if key == -1:
        raise _error(code, call)
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
    if not _KNOWN:
        layouts.refuse()
    try:
        with open("/proc/sysvipc/shm", encoding="ascii") as file:  # noqa: PTH123 - a screenshot needs no pathlib
            header, *lines = file.read().splitlines()
    except OSError as error:
        why = limits.told(error)
        raise _error(
            error.errno or errno.EIO, "segments()", f"reading /proc/sysvipc/shm{why and ': '}{why or ''}"
        ) from error
    rows = [dict(zip(header.split(), line.split(), strict=True)) for line in lines]
    same = [field.name for field in fields(SegmentInfo) if field.name not in ("shmid", "mode")]
    return [
        SegmentInfo(ShmId(int(row["shmid"])), mode=int(row["perms"], 8), **{name: int(row[name]) for name in same})
        for row in rows
    ]


def _ask(function: Callable[..., int], *arguments: object) -> tuple[int, int]:
    """Call libc; return the result and errno, before a signal handler or finalizer can leave its own errno."""
    calls: tuple[Callable[[], int], ...] = (partial(function, *arguments), ctypes.get_errno)
    result, code = map(operator.methodcaller("__call__"), calls)
    return result, code


def _hide(owner: object, view: memoryview) -> None:
    """Make `view.obj`, and that of all that is made of the view, None: ctypes arrays are writable whatever they show.

    What keeps the owner alive is the buffer that all of them share. `obj` is read from each one's private Py_buffer
    (C API, PyMemoryView_GET_BUFFER), which slices and casts copy: in it the one word that is the owner's address.
    """
    words = (ctypes.c_size_t * (memoryview.__basicsize__ // ctypes.sizeof(ctypes.c_size_t))).from_address(id(view))
    (place,) = (number for number, word in enumerate(words) if word == id(owner))
    words[place] = 0


def _whole(what: str, value: int) -> int:
    try:
        return operator.index(value)  # a bool as well: it is one to C
    except TypeError:
        raise InvalidType(f"{what} is a whole number, not {type(value).__name__}: {quoted(value)}") from None


def _digits(value: int) -> str:
    """Return what an error says of a number; without `quoted`, in which an interrupt could be taken for a fault."""
    return str(value) if -_FAILED <= value <= _FAILED else quoted(value)


def _is_id(value: int) -> bool:
    return -(2**31) <= value < 2**31


def _is_word(value: int) -> bool:
    """Tell whether C takes the value for an int without loss; keys and flags are often written unsigned."""
    return -(2**31) <= value < 2**32


def _is_released(view: memoryview) -> bool:
    try:
        len(view)
    except ValueError:
        return True
    return False


def _error(code: int, call: str, why: str = "") -> OSError:
    return OSError(code, f"{os.strerror(code)}: {call}{why and ': '}{why}")
