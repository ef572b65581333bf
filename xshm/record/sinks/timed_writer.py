"""TimedWriter: writes to a pipe, a socket or a device that end in time, whatever its reader does.

1. A reader that takes nothing for `timeout` seconds, or has gone, is an error; so is a write that `abort` ends. After
   one nothing more is written: what was cut short can't be gone on with.
2. The descriptor never blocks. A pipe is opened anew for that, so that whoever else writes to it finds it as it was;
   what can't be opened anew (a socket) is made to block again at the end.
3. Of a regular file, as after `> file` in a shell, `take_back` removes what was not written whole, on a full disk.
4. `close` is called by the thread that writes, or when it writes no more; `abort` by any thread.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from xshm._signal_safety import Descriptor, Ignored, is_a_handlers, is_the_kernels, owned
from xshm.errors import Closed, TargetGone, TargetTimeout
from xshm.system.closing import Closing
from xshm.system.polling import ready
from xshm.system.replacement import about_target

TIMEOUT: Final = 10.0  # seconds
_PIPE_SIZE: Final = 1 << 20  # bytes, the most that a user may ask for; the usual 64 KiB is filled 120 times a picture


class TimedWriter(Closing):
    """Writes to an open descriptor, which stays the caller's and open; `name` is what errors call it.

    It has what a Replacement has, so that both can be written to in the same way; `commit` does nothing.
    """

    def __init__(self, descriptor: int, name: str, timeout: float = TIMEOUT) -> None:
        self.name: Final = name
        self.nbytes = 0  # written so far
        self._timeout = timeout
        self._ended: str | None = None  # why nothing more is written
        self._restores = False
        self._aborts: Descriptor | None = owned(os.eventfd, 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._file: Descriptor | None = self._own(descriptor)

    def _own(self, descriptor: int) -> Descriptor:
        """Return a descriptor of our own, which does not block, for the same file."""
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(kind):
            with Ignored(OSError):  # without /proc, or a pipe that another user has made
                file = owned(os.open, f"/proc/self/fd/{int(descriptor)}", os.O_WRONLY | os.O_NONBLOCK)
                _enlarge(file)
                return file
        file = owned(os.dup, descriptor)
        if not stat.S_ISREG(kind) and os.get_blocking(file):  # shared with all that have this file open
            self._restores = True
            os.set_blocking(file, False)
        return file

    @property
    def descriptor(self) -> int:
        """The open file, for what asks about it; it is written to by `write`."""
        if self._file is None:
            raise Closed(f"{self.name} is closed, and is not written to any more")
        return int(self._file)

    def write(self, data: bytes | memoryview) -> int:
        """Write all of it; return its length. Raises TargetTimeout, TargetGone, Closed after `abort`, OSError."""
        left = memoryview(data).cast("B") if len(data) else memoryview(b"")
        size = len(left)
        while left:
            written = self._write(left)
            self.nbytes += written
            left = left[written:]
        return size

    def _write(self, left: memoryview) -> int:
        """Write some of it, after a wait where nothing can be written now."""
        while True:
            descriptor = self.descriptor
            if self._ended is not None:
                raise Closed(f"nothing more is written to {self.name}: {self._ended}")
            try:
                return os.write(descriptor, left)
            except BlockingIOError as error:
                if is_a_handlers(error):
                    raise
            except (BrokenPipeError, ConnectionResetError) as error:
                if is_a_handlers(error):
                    raise
                self._ended = "its reader has closed it"
                raise TargetGone(error.errno, self._ended, self.name) from None
            except OSError as error:
                if is_the_kernels(error):
                    self._ended = f"it failed ({error.strerror})"
                    raise about_target(self.name, error) from error
                raise
            self._wait(descriptor)

    def _wait(self, descriptor: int) -> None:
        aborts = self._aborts
        fired = ready(() if aborts is None else (aborts,), (descriptor,), self._timeout)
        if aborts in fired:
            self._ended = "it was given up"
        elif not fired:
            self._ended = f"its reader has taken nothing for {self._timeout:g} s"
            raise TargetTimeout(errno.ETIMEDOUT, self._ended, self.name)

    def abort(self) -> None:
        """End a `write` that waits, at once, by Closed; so do later ones. Any thread may call it. Raises nothing."""
        self._ended = self._ended or "it was given up"
        aborts = self._aborts  # kept open by this, though another thread closes the writer
        if aborts is not None:
            with Ignored(OSError):
                os.eventfd_write(aborts, 1)

    def take_back(self, nbytes: int) -> None:
        """End a regular file after so many bytes of those that were written; anything else keeps all. Raises nothing.

        A file that others have written to behind is left alone, too.
        """
        with Ignored(OSError, Closed):
            file = self.descriptor
            status, end = os.fstat(file), os.lseek(file, 0, os.SEEK_CUR)
            if stat.S_ISREG(status.st_mode) and end == status.st_size:
                end -= self.nbytes - nbytes
                os.ftruncate(file, end)
                os.lseek(file, end, os.SEEK_SET)
                self.nbytes = nbytes

    def commit(self) -> None:
        """Do nothing: what is written is with its reader already."""

    def discard(self) -> None:
        """Close it; what was written stays written. Twice is fine. Raises nothing."""
        file, self._file = self._file, None
        self._aborts = None
        if file is not None and self._restores:
            with Ignored(OSError):
                os.set_blocking(file, True)

    def close(self) -> None:
        """Close it. Twice is fine."""
        self.discard()


def _enlarge(pipe: int) -> None:
    """Let a pipe hold more, where this user may: a picture goes through it in fewer steps."""
    import fcntl  # noqa: PLC0415 - only for recordings to pipes

    with Ignored(OSError):
        if fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) < _PIPE_SIZE:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
