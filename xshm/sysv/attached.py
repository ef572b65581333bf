"""Attached memory as a memoryview: the segment is detached when the last view, slice or array over it dies.

A view is made over a ctypes array at the segment's address. The array refers to the Mapping, an int that is the
address, and every slice or array made of the view refers to the ctypes array. So the Mapping's finalizer, shmdt in C,
runs after the last of them.

`make_removed` makes a segment, attaches it and removes it from the kernel's table in one step in C. Linux keeps a
removed segment, and allows attaching it by its id, as long as it is attached anywhere. So no process leaves it behind,
except one that is killed between its shmget and its IPC_RMID, a few microseconds.

What does not work:
- A finalizer of the view itself: slices and arrays over the memory may outlive the view.
- weakref.finalize, and `__del__` in Python: see `_signal_safety`, idiom 3.
"""

from __future__ import annotations

import ctypes
import errno
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from xshm._signal_safety import WeakRegistry, released_by
from xshm.sysv import libc
from xshm.sysv.libc import IPC_CREAT, IPC_EXCL, IPC_PRIVATE, SHM_RDONLY, ShmId

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEW = IPC_CREAT | IPC_EXCL | 0o600

untrack = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("PyObject_GC_UnTrack", ctypes.pythonapi))
"""Take an object out of the garbage collector's lists."""

views: WeakRegistry[memoryview] = WeakRegistry()
"""The views that shmat returned and shmdt has not released."""


class Mapping(int):
    """The address of an attached segment; the segment is detached when the last reference to this object goes."""

    __slots__ = ()
    __del__ = released_by(libc.shmdt)  # signal-safe (3)


def view_of(mapping: int, size: int, flags: int) -> memoryview:
    """Return the view of `size` bytes at a Mapping; read-only with SHM_RDONLY in `flags`."""
    owner = (ctypes.c_ubyte * size).from_address(mapping)
    vars(owner)["mapping"] = mapping
    # Where a view is part of a reference cycle, the garbage collector runs the finalizers of all objects in the cycle,
    # the mapping's too, while a `__del__` in the same cycle may still read the view: a crash, seen on 3.11 to 3.13. An
    # untracked object counts as alive, so that only its last reference detaches.
    untrack(owner)
    view = memoryview(owner).cast("B")
    if flags & SHM_RDONLY:
        view = view.toreadonly()
        _hide_exporter(owner, view)
    views.add(view)
    return view


def _hide_exporter(owner: object, view: memoryview) -> None:
    """Make `obj` of a read-only view, and of its slices and casts, None: it is a writable array over read-only memory.

    A write to that array would be a SIGSEGV. `obj` is read from each view's own Py_buffer (C API,
    PyMemoryView_GET_BUFFER), which slices and casts copy: the one word in it that is the owner's address is zeroed. The
    managed buffer that all of them share keeps the owner alive.
    """
    words = (ctypes.c_size_t * (memoryview.__basicsize__ // ctypes.sizeof(ctypes.c_size_t))).from_address(id(view))
    (place,) = (number for number, word in enumerate(words) if word == id(owner))
    words[place] = 0


def shmdt(view: memoryview) -> None:
    """Release a view that shmat returned; the segment is detached now, or when the last array or slice over it dies.

    The view itself can't be used afterwards. Errors: EINVAL for another object, or a view that was released before;
    nothing is changed then. After fork, parent and child each detach their own. (shmdt(2))
    """
    if id(view) in views and not _is_released(view):
        with suppress(BufferError):  # another object, such as a PickleBuffer, still exports the view
            view.release()
        # Of two threads that release one view, one removes the entry, and the other raises. A signal handler that
        # raises before this leaves the entry of a released view, which goes with the view.
        if views.discard(view):
            return
    call = f"shmdt(<{type(view).__name__} at {id(view):#x}>)"
    raise libc.error(errno.EINVAL, call, "not a view that shmat returned, or released before")


def _is_released(view: memoryview) -> bool:
    with suppress(ValueError):
        len(view)
        return False
    return True


class _InTable(int):
    """The id of a segment, which is removed from the kernel's table when the last reference to this object goes."""

    __slots__ = ()
    __del__ = released_by(libc.remove_with_gil)  # signal-safe (3)


def make_removed(size: int, keys: Iterable[int]) -> tuple[ShmId, memoryview]:
    """Make a segment of mode 0600, attach it and remove it from the kernel's table; return its id and its bytes.

    It is made with the first of the keys that is free. Errors: as shmget's, shmat's.
    """
    made, mapping, code, call = dict[None, int](), None, errno.EEXIST, ""
    for key in keys:
        call = f"shmget(key={'IPC_PRIVATE' if key == IPC_PRIVATE else hex(key)}, size={size}, flags={_NEW:#o})"
        # signal-safe (1, 5): `next` runs all of it in C, from the innermost to the outermost. No signal handler and no
        # other thread runs between shmget and IPC_RMID: that follows shmat, after which `map` drops the _InTable that
        # it passed on.
        ids = filter((-1).__ne__, map(libc.shmget_with_gil, (key,), (size,), (_NEW,)))
        noted = map(partial(made.setdefault, None), ids)  # made[None] is the id
        addresses = map(libc.shmat_with_gil, map(_InTable, noted), (0,), (0,))
        mapping, code = libc.call_errno(next, map(Mapping, addresses), None)
        if made or code != errno.EEXIST:
            break
    if mapping is None:
        raise libc.error(code, call)
    shmid = ShmId(made[None])
    if mapping == libc.FAILED:
        raise libc.error(code, f"shmat(shmid={shmid}, flags=0o0)", f"after {call}")
    return shmid, view_of(mapping, size, 0)
