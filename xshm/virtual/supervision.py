"""Supervision: the server of one display, its supervisor and its log, from the start until all have been ended.

Always true: until a display has been ended, or its owner has let go of it, the garbage collector can't take its server
away before it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

from xshm.errors import Closed, StartFailed
from xshm.virtual import start
from xshm.virtual.servers.launch import Directories
from xshm.virtual.servers.server import SupervisedServer
from xshm.virtual.servers.server_log import open_log
from xshm.virtual.spec import DisplaySpec

if TYPE_CHECKING:
    from xshm.virtual.kinds.choice import ServerChoice
    from xshm.virtual.servers.server_log import ServerLog

# The servers of displays that have not been closed. The garbage collector finalizes objects of a cycle in any order:
# without this reference it may close the control socket before VirtualDisplay.__del__ has ended the display over it.
_HELD: Final[set[SupervisedServer]] = set()


class Supervision:
    """What one display has started: `supervised`, its server with a supervisor, or a supervisor alone, or None."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._is_ended = False
        self._log: ServerLog | None = None
        self.supervised: SupervisedServer | None = None

    def start(self, spec: DisplaySpec, chosen: ServerChoice) -> SupervisedServer:
        """Start the server of a description. Raises StartFailed, InvalidArgument."""
        command = start.command_of(spec, chosen)
        directories = start.directories_of(spec, command)
        self._log = open_log(spec.log)
        self.supervised = start.start(command, self._log, float(spec.timeout), directories)
        _HELD.add(self.supervised)
        return self.supervised

    @property
    def address(self) -> str:
        """The name of the socket on which the server listens, and no other one; "" where there is none."""
        if self.supervised is None:
            return ""
        number = self.supervised.number
        # Without a socket file of its own, the file may be that of a server in another network namespace.
        return f":{number}" if self.supervised.has_socket_file else f"unix:@/tmp/.X11-unix/X{number}"

    @property
    def pidfd(self) -> int:
        """The server's pidfd, or -1."""
        return self.supervised.pidfd if self.supervised is not None else -1

    def said(self) -> str:
        """Return the server's messages so far; "" where there is none."""
        return self.supervised.said() if self.supervised is not None and self.supervised.pid else ""

    def of_programs(self) -> SupervisedServer:
        """Return the supervisor; a display that another process started gets one that supervises programs alone."""
        with self._lock:
            if self.supervised is None:
                self._check_open()
                self._log = self._log or open_log(None)
                timeout, nowhere = DisplaySpec().timeout, Directories()
                self.supervised = SupervisedServer(None, log=self._log, timeout=timeout, directories=nowhere)
                _HELD.add(self.supervised)
                if self._is_ended:  # by a signal handler meanwhile
                    self.end()
                    self._check_open()
            return self.supervised

    def let_go(self) -> None:
        """Leave the server to the garbage collector."""
        if self.supervised is not None:
            _HELD.discard(self.supervised)

    def end(self) -> None:
        """End all, and close the log; ending twice is fine. After StartFailed, end again.

        What another thread is just starting is waited for, and ended.
        """
        # In a forked child the lock may be held for ever, by a thread that only the parent has.
        with self._lock if os.getpid() == self._owner else contextlib.nullcontext():
            self._is_ended = True
        self.let_go()
        if self.supervised is not None:
            try:
                self.supervised.end()
            except StartFailed:
                _HELD.add(self.supervised)
                raise
        if self._log is not None:
            self._log.close()

    def disconnect(self) -> None:
        """Have the supervisor end everything, without waiting for that; a later `end` waits."""
        if self.supervised is not None:
            self.supervised.disconnect()

    def disconnect_at_exit(self) -> None:
        """Do as `disconnect` does, in a process that is about to end."""
        if self.supervised is not None:
            self.supervised.disconnect_at_exit()

    def _check_open(self) -> None:
        if self._is_ended:
            raise Closed("this display was closed")
