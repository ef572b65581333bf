"""Wait: a step of a stream that waits, by blocking the thread or by suspending an asyncio task.

While a task is suspended the event loop watches a duplicate of the connection's descriptor: no thread is needed, and
several streams may share a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Descriptor, owned
from xshm.errors import ConnectFailed, RequestTimeout
from xshm.system import limits
from xshm.system.deadlines import timed_out

if TYPE_CHECKING:
    from xshm.x11.io.wire import Wire
    from xshm.x11.protocol.requests import Waitable

# Seconds. Another thread may read what a task waits for, and then the descriptor does not become readable: the task
# checks again after this long.
_RECHECK: Final = 0.25


@dataclass(slots=True)
class Wait:
    """Wait until `what` is done, or until `deadline` (time.monotonic). `what` None: sleep until then.

    With `is_reply`, RequestTimeout is raised after the seconds that any reply of the connection may take. They begin
    with the wait, not with the request: a caller that was interrupted, and resumes much later, gets the reply.
    """

    what: Waitable | None
    deadline: float = math.inf
    is_reply: bool = False

    def block(self, wire: Wire) -> None:
        """Wait in this thread."""
        if self.what is None:
            time.sleep(self._left())
        elif self.is_reply:
            wire.wait_for(self.what, wire.timeout)
        else:
            with contextlib.suppress(RequestTimeout):  # the deadline has come
                wire.wait_for(self.what, self._left())

    async def suspend(self, wire: Wire) -> None:
        """Wait in this task, while the event loop runs others."""
        if self.what is None:
            await asyncio.sleep(self._left())
            return
        loop = asyncio.get_running_loop()
        limit = wire.timeout if self.is_reply else None
        deadline = self.deadline if limit is None else time.monotonic() + limit
        wire.pump()  # what has arrived already needs no event loop
        while not self.what.done:
            left = min(_RECHECK, deadline - time.monotonic())
            if left <= 0:
                if limit is not None:
                    raise timed_out()
                return
            arrived = asyncio.Event()
            descriptor = _duplicate(wire)
            # Not asyncio.timeout: its TimeoutError looks the same as one that a signal handler raises.
            timer = loop.call_later(left, arrived.set)
            try:
                loop.add_reader(descriptor, arrived.set)
                await arrived.wait()
            finally:
                timer.cancel()
                loop.remove_reader(descriptor)
                del descriptor  # which closes it, after the loop has removed it
            wire.pump()

    def _left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


def _duplicate(wire: Wire) -> Descriptor:
    """Duplicate the connection's descriptor: an event loop has one reader for each."""
    try:
        with limits.Explained(ConnectFailed, "a stream can't be waited for"):
            return owned(os.dup, wire.socket.fileno())
    except OSError as error:
        if error.errno == errno.EBADF:
            wire.check()  # raises the reason, if another thread has closed the connection since
        raise
