"""What is left to whichever thread waits for something: errors that no call waits for, and what has lost its owner."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

from xshm.system.deadlines import ENDS, holding
from xshm.x11.io.release_queue import Release

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from xshm.x11.protocol.requests import Request

    Late = tuple[Request | None, bytes] | Release


class LateErrors:
    """Tells handlers of the errors in `queue`, and has each Release there given back (see `x11.holdings`).

    In order, each once, or again where a signal handler raised meanwhile.

    The first is None while it is being told. A thread that comes then waits, so that whoever synced comes back when
    all errors from before have been told.
    """

    def __init__(self, queue: deque[Late | None]) -> None:
        self.handler: Callable[[bytes], None] = lambda _message: None  # for those of no request that is known
        self.give_back: Callable[[Release], None] = lambda _release: None
        self._queue = queue
        self._lock = RLock()

    def tell(self) -> None:
        """Call the handlers: outside the Wire's lock, and not as the reader, since they may make requests."""
        if ENDS:  # another thread's handler may wait for the server without a limit
            holding(self._lock, self._tell_each)
        else:
            with self._lock:
                self._tell_each()

    def _tell_each(self) -> None:
        queue = self._queue
        while queue:
            first = queue[0]
            if first is None:
                return  # a handler made a request; its own error is still being told, by this thread
            queue[0] = None
            try:
                self._tell_one(first)
            except BaseException:
                queue[0] = first
                raise
            del queue[0]

    def _tell_one(self, late: Late) -> None:
        if isinstance(late, Release):
            self.give_back(late)
            return
        pending, message = late
        if pending is not None and pending.on_error is not None:
            pending.on_error(message)
        else:
            self.handler(message)
