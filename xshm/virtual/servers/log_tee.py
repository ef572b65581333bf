"""Copy what a server writes on its standard error into a log in memory, and on to a terminal, pipe or socket.

Always true: when `drain` returns, the log holds all that was in the pipe; errors quote it. The target may be slow or
stopped: it is written to only when poll(2) reports room, so that neither the server nor its supervisor ever waits.

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import posix

_READ_SIZE = 65536  # bytes: as much as a pipe holds
# Bytes for a target of which poll(2) reports room: a pipe then takes 4,096 (PIPE_BUF) without blocking, a terminal some
# 1,024. O_NONBLOCK is no choice for sockets and inherited terminals: other processes share that flag.
_WRITE_SIZE = 512


class LogTee:
    """Copies from `pipe` into `log` and to `target`: descriptors, which stay the caller's to close."""

    def __init__(self, pipe: int, log: int, target: int) -> None:
        posix.set_blocking(pipe, False)
        self.pipe = pipe  # -1 from its end on
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
        """Write to the target, which has room; give up one whose reader is gone."""
        try:
            written = posix.write(self._target, self._backlog[:_WRITE_SIZE])
        except BlockingIOError:
            return
        except OSError:
            self._target, written = -1, len(self._backlog)
        self._backlog = self._backlog[written:]
