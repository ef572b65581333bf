"""The file that a framebuffer is in, for readers under whom somebody may cut it short.

To touch a mapping beyond the end of its file is SIGBUS, which ends the process; a look at the file's size beforehand
comes too early, however late it is. Reading the file just comes back short. So what can be cut is copied by reading it,
in one and a half to two and a half times the time, and the size is looked at before anything is handed out that shows
the mapping itself.

What can't be cut: a file that was sealed; and one that has no name any more, of root or of us, and that nobody else may
write. There are left those who can end this process anyway, root and our own programs, by way of /proc. Xvfb makes its
file itself, on a tmpfs, whose files take no seals (F_ADD_SEALS: EPERM); so ours is of the second kind.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm._signal_safety import Descriptor, owned
from xshm.errors import FramebufferTruncated, UnsupportedFormat
from xshm.system.kernel_errors import is_a_handlers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT: Final = 0


def open_file(path: str | os.PathLike[str], writable: bool, flags: int = 0) -> Descriptor:
    """Open a regular file to map it; UnsupportedFormat for what is none, at once for a FIFO too."""
    flags |= (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = owned(os.open, path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UnsupportedFormat(f"{os.fsdecode(path)} is no file of a framebuffer, but a device, a pipe or a directory")
    return descriptor


def can_be_cut(descriptor: int) -> bool:
    """Tell whether an open file can become shorter by somebody who could not end this process as well."""
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            return False
    except OSError as error:
        if is_a_handlers(error):
            raise  # else it is on a file system without seals
    status = os.fstat(descriptor)
    return bool(status.st_nlink or status.st_uid not in (_ROOT, os.geteuid()) or status.st_mode & _BY_OTHERS)


class FramebufferFile:
    """An open file of `size` bytes at first; it has a descriptor of its own."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = owned(fcntl.fcntl, descriptor, fcntl.F_DUPFD_CLOEXEC, 0)
        self._size = size

    def check(self) -> None:
        """Raise FramebufferTruncated if the file is shorter than it was."""
        left = os.fstat(self._descriptor).st_size
        if left < self._size:
            raise self._truncated(left)

    def read(self, at: int, count: int) -> NDArray[np.uint8]:
        """Return `count` bytes from there on; raises FramebufferTruncated."""
        data = np.empty(count, np.uint8)
        self.read_into(data, at)
        return data

    def read_into(self, array: NDArray[Any], at: int) -> None:
        """Fill a contiguous array with the bytes from there on; raises FramebufferTruncated."""
        left = array.data.cast("B")
        while left:
            count = os.preadv(self._descriptor, (left,), at)
            if not count:
                raise self._truncated(os.fstat(self._descriptor).st_size)
            left, at = left[count:], at + count

    def _truncated(self, left: int) -> FramebufferTruncated:
        return FramebufferTruncated(
            f"the framebuffer's file has {left} of its {self._size} bytes left: its owner, uid "
            f"{os.fstat(self._descriptor).st_uid}, has cut it, or somebody else who may write it; arrays over it must "
            f"not be read any more, so grab the Screen"
        )
