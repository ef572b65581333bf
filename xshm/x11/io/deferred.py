"""Deferred work: calling the handlers of errors that no call waits for, and freeing resources without an owner.

The reader queues an error and no more, since it holds the Wire's lock; a finalizer queues a release and no more, since
it may run at any instruction. The next thread whose wait is over does the work.

Invariants:
1. The work is done in the queue's order, each item once, or again where a signal handler's exception interrupted it.
2. The queue's first item is None while a thread works on it. Another thread then waits for that thread, so that a sync
   returns after the handlers of all earlier errors have returned.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, TypeAlias

from xshm.system.deadlines import ENDS, holding

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from xshm.x11.protocol.requests import EventRoute, Request

    Deferred: TypeAlias = Callable[[], object]  # the call of an error's handler, or of what sends a Release


class Release:
    """The request that frees a resource or ends a grab or selection on the server, and what ends with it.

    With the request, the resource id `number` (without the connection's base) becomes free, and `routes` are removed.
    `lapsed`, if it is set, returns whether the server has ended the resource by itself: then the request must not be
    sent, since its id may name another client's resource by then.
    """

    __slots__ = ("lapsed", "number", "request", "routes")

    def __init__(self, number: int | None, request: Request) -> None:
        self.number = number
        self.request = request
        self.routes: tuple[EventRoute, ...] = ()
        self.lapsed: Callable[[], bool] | None = None


class DeferredWork:
    """Does the work in `queue`, in its order."""

    def __init__(self, queue: deque[Deferred | None]) -> None:
        self._queue = queue
        self._lock = RLock()  # reentrant: a handler may make a request, whose wait comes here again

    def run(self) -> None:
        """Do all queued work; neither under the Wire's lock nor as the reader, since handlers may make requests."""
        if ENDS:  # a deadline bounds the wait for the lock: another thread's handler may wait for the server for long
            holding(self._lock, self._run_each)
        else:
            with self._lock:
                self._run_each()

    def _run_each(self) -> None:
        queue = self._queue
        while queue:
            first = queue[0]
            if first is None:
                return  # this is a request of a handler on this thread, whose item is not done yet (RLock)
            queue[0] = None
            try:
                first()
            except BaseException:
                queue[0] = first
                raise
            del queue[0]
