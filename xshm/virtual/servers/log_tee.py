"""What a server writes on its standard error, copied into a log in memory and on to a terminal, pipe or socket.

The log in memory is complete when `drain` returns, and is what errors quote. The other end may be slow or stopped: it
is written to when it has room, so neither the server nor its supervisor ever waits for it. Part of the supervisor:
imports only what takes no time.
"""

from __future__ import annotations

import posix

_READ_SIZE = 65536  # bytes: as much as a pipe holds
# Bytes to a file that poll(2) says has room. A pipe then takes 4,096 (PIPE_BUF) without blocking, a terminal 1,024 or
# so. Sockets and inherited terminals can't be set to non-blocking: their other users share that flag.
_WRITE_SIZE = 512


class LogTee:
    """Copies from a pipe's descriptor into the log's and the target's; all three are the caller's, who opened them."""

    def __init__(self, pipe: int, log: int, target: int) -> None:
        posix.set_blocking(pipe, False)
        self.pipe = pipe
        self._log = log
        self._target = target
        self._backlog = b""  # in the log, and not yet in the target

    @property
    def waiting_for_room(self) -> tuple[int, ...]:
        """The target's descriptor, if there is something left to write to it."""
        return (self._target,) if self._backlog else ()

    def drain(self) -> None:
        """Read all that is in the pipe into the log."""
        while self.pipe >= 0:
            try:
                data = posix.read(self.pipe, _READ_SIZE)
            except BlockingIOError:
                return
            if not data:
                posix.close(self.pipe)
                self.pipe = -1
                return
            posix.write(self._log, data)
            if self._target >= 0:
                self._backlog += data

    def forward(self) -> None:
        """Write to the target, which has room; one whose reader is gone gets no more."""
        try:
            written = posix.write(self._target, self._backlog[:_WRITE_SIZE])
        except BlockingIOError:
            return
        except OSError:
            self._target, written = -1, len(self._backlog)
        self._backlog = self._backlog[written:]
