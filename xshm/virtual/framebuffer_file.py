"""Map the file that a framebuffer is in, and read it where another process may truncate it.

Always true:

1. A file that another process may truncate is copied by read(2), which then comes back short. It takes 1.5 to 2.5 times
   as long as a copy out of the mapping.
2. Its size is checked before an array over the mapping is returned. An access to the array after a later truncation is
   SIGBUS all the same, which ends the process.
3. No other process can truncate a file that is sealed (F_SEAL_SHRINK), nor one without a name that root or this user
   owns and no other user may write: there remain processes that could end this one anyway, root's and this user's own,
   by way of /proc. Xvfb makes its file itself, on a tmpfs, whose files take no seals (F_ADD_SEALS: EPERM); so those of
   our displays are of the second kind.

What does not work: to check the size before each access to the mapping. The truncation may come in between.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import Descriptor, Ignored, is_a_handlers, is_the_kernels, owned
from xshm.errors import ConnectFailed, FramebufferTruncated, InvalidArgument, UnsupportedFormat, XshmError
from xshm.system import limits
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT: Final = 0


def open_file(path: str | os.PathLike[str], writable: bool, flags: int = 0) -> Descriptor:
    """Open a regular file to map it. Raises OSError; UnsupportedFormat for another kind of file, without a wait."""
    # O_NONBLOCK: a FIFO without a writer opens at once, and is refused. O_NOCTTY: a terminal does not become ours.
    flags |= (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = owned(os.open, path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UnsupportedFormat(f"{os.fsdecode(path)} is no file of a framebuffer, but a device, a pipe or a directory")
    return descriptor


def can_be_truncated(descriptor: int) -> bool:
    """Tell whether an open file can become shorter by a process that could not end this one as well (3)."""
    with Ignored(OSError):  # of a file system that has no seals
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            return False
    status = os.fstat(descriptor)
    return bool(status.st_nlink or status.st_uid not in (_ROOT, os.geteuid()) or status.st_mode & _BY_OTHERS)


class FramebufferFile:
    """An open file, of `size` bytes at first. It keeps a descriptor of its own."""

    def __init__(self, descriptor: int, size: int) -> None:
        # A duplicate: the caller closes its own, and mmap does not give out the one that it keeps.
        self._descriptor = owned(fcntl.fcntl, descriptor, fcntl.F_DUPFD_CLOEXEC, 0)
        self._size = size

    def check(self) -> None:
        """Raise FramebufferTruncated if the file is shorter than it was (2)."""
        left = os.fstat(self._descriptor).st_size
        if left < self._size:
            raise self._truncated(left)

    def read(self, at: int, count: int) -> NDArray[np.uint8]:
        """Return `count` bytes from the offset `at` on. Raises FramebufferTruncated."""
        data = np.empty(count, np.uint8)
        left = data.data
        while left:
            read = os.preadv(self._descriptor, (left,), at)
            if not read:
                raise self._truncated(os.fstat(self._descriptor).st_size)
            left, at = left[read:], at + read
        return data

    def _truncated(self, left: int) -> FramebufferTruncated:
        return FramebufferTruncated(
            f"the framebuffer's file has {left} of its {self._size} bytes left: its owner, uid "
            f"{os.fstat(self._descriptor).st_uid}, has cut it, or somebody else who may write it; arrays over it must "
            f"not be read any more, so grab the Screen"
        )


@dataclass(frozen=True, slots=True)
class FramebufferMemory:
    """A framebuffer in memory: a segment, or a mapping of a file, shared with the server.

    `private` is a second mapping, of a file that is not to be written; `file` is there where the file can be truncated.
    """

    shared: memoryview | mmap.mmap
    private: mmap.mmap | None = None
    file: FramebufferFile | None = None

    def beginning(self, count: int) -> Any:
        """Return the first `count` bytes, as far as there are so many, or more; a file that can be truncated is read.

        Raises FramebufferTruncated.
        """
        return self.file.read(0, min(len(self.shared), count)) if self.file else self.shared


def map_file(descriptor: int, writable: bool) -> FramebufferMemory:
    """Map an open file, which stays the caller's to close.

    Raises InvalidArgument for a descriptor that is not open or not opened for that; UnsupportedFormat for no regular
    file; FramebufferTruncated; ConnectFailed where no descriptor is left.
    """
    try:
        status = os.fstat(descriptor)
    except (OSError, OverflowError) as error:
        if is_a_handlers(error):
            raise
        raise InvalidArgument(f"{quoted(descriptor)} is no descriptor that is open here") from None
    if not stat.S_ISREG(status.st_mode):
        raise UnsupportedFormat(f"descriptor {descriptor} is no file of a framebuffer")
    size = status.st_size
    if not size:  # which mmap(2) refuses
        raise UnsupportedFormat("0 bytes are no XWD dump")
    both = mmap.PROT_READ | mmap.PROT_WRITE
    try:
        with limits.Explained(ConnectFailed, "the framebuffer can't be mapped"):  # each mapping keeps a descriptor
            file = FramebufferFile(descriptor, size) if can_be_truncated(descriptor) else None
            if writable:
                return FramebufferMemory(mmap.mmap(descriptor, size, mmap.MAP_SHARED, both), None, file)
            shared = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ)
            # Linux shows in a private mapping what is written to the file, in pages that were not written here.
            return FramebufferMemory(shared, mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, both), file)
    except OSError as error:  # opened for less, or sealed
        if isinstance(error, XshmError) or not is_the_kernels(error):
            raise
        how = "and written " if writable else ""
        raise InvalidArgument(f"descriptor {descriptor} can't be mapped to be read {how}({error.strerror})") from error
    except ValueError as error:  # mmap checks the size, too
        if is_a_handlers(error):
            raise
        raise FramebufferTruncated(f"a framebuffer's file of {size} bytes was cut short meanwhile") from error
