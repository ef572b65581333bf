"""A segment of shared memory that an X server can attach: a System V segment or a memfd.

1. Only this user can open it: its mode is 0600, or it is a memfd, whose descriptor is sent to the server alone.
2. It is freed with its last mapping, here or in the server: a memfd has no name, and a System V segment is removed from
   the kernel's table (IPC_RMID) before the server is sent its id. Linux lets a removed segment be attached while
   another mapping exists. Only a process that is killed between shmget and IPC_RMID leaves a segment behind
   (`own_segments`).
3. Its size never changes (`_SEALS`).
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import Final, Literal

from xshm import sysv
from xshm._signal_safety import owned
from xshm.errors import InvalidArgument
from xshm.shm import own_segments

Kind = Literal["sysv", "memfd"]
_PAGE: Final = mmap.PAGESIZE
# Unsealed, any process that has the descriptor could truncate the file: the next access to the memory, here or in the
# server, would be a SIGBUS.
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Segment:
    """Shared memory of `size` bytes, all zero at first. A "sysv" has a `shmid`, a "memfd" a `descriptor`, else -1.

    `memory` stays mapped as long as a reference to it or to a view over it exists, longer than this object if need be.
    """

    __slots__ = ("__weakref__", "descriptor", "kind", "memory", "shmid", "size")

    def __init__(self, kind: Kind, size: int) -> None:
        if size < 1:
            raise InvalidArgument(f"a segment has at least 1 byte, not {size}")
        self.kind = kind
        self.size = size
        self.shmid = sysv.ShmId(-1)
        self.descriptor: int = -1
        # Frames are views of a ctypes array made over `memory` by `from_buffer`, which keeps it mapped (`pool`).
        self.memory: memoryview | mmap.mmap = self._make_sysv() if kind == "sysv" else self._make_memfd()

    def _make_sysv(self) -> memoryview:
        self.shmid, memory = own_segments.make(self.size)
        return memory

    def _make_memfd(self) -> mmap.mmap:
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        # signal-safe (3): a Descriptor, which is closed when the last reference to it goes.
        self.descriptor = descriptor = owned(os.memfd_create, "xshm", flags)
        os.ftruncate(descriptor, self.size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        return mmap.mmap(descriptor, self.size)

    def close_descriptor(self) -> None:
        """Close our descriptor of the memfd, once the server has its own; the mapping stays."""
        self.descriptor = -1  # the last reference to the Descriptor


def round_up(nbytes: int) -> int:
    """Return the size of a segment for `nbytes`: whole pages, at most an eighth more than that.

    Few sizes result, so that a freed segment serves another frame of about the same size (`pool`).
    """
    pages = -(-nbytes // _PAGE)  # rounded up
    # Eight steps from each power of two to the next.
    step = 1 << max(0, pages.bit_length() - 4)
    return -(-pages // step) * step * _PAGE
