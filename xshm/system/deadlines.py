"""Deadlines of threads: the time by which the replies to a thread's requests have to come, on all connections.

Two limits bound a reply, and the nearer one decides. A connection's `timeout` bounds each reply. The `timeout` of a
public method ("verb") bounds all replies to the requests that its thread makes within the verb: so a server that is
stopped, is grabbed by another client, or sends each reply late, delays a caller no longer than the caller allowed.

`ENDS` has an entry for each thread inside such a verb. Where it is empty, as mostly, the connection's I/O checks only
that.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from xshm.errors import RequestTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock, RLock

# Seconds for a reply on a connection for which the caller set no limit, since xshm opened it on the caller's behalf.
PATIENCE: Final = 30.0
# Seconds beyond a verb's end: a verb grabs once more when its time is over, and the server needs time to reply. They
# are also the time for a first grab where imports or reading a file have used up all of the verb's.
GRACE: Final = 0.5

# By thread id: the end of the verb, and the deadline of replies, both of time.monotonic. `get_ident` is looked up at
# each use, since libraries with greenlets patch it to give each greenlet an id of its own.
ENDS: Final[dict[int, tuple[float, float]]] = {}
_NEVER: Final = (math.inf, math.inf)

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


def within(end: float, work: Callable[_Given, _Returned], *args: _Given.args, **options: _Given.kwargs) -> _Returned:
    """Call `work`; the replies to its requests have to come by `end` (time.monotonic) and GRACE.

    Where `end` is past, GRACE begins now. Later replies are RequestTimeout. Of nested deadlines the earlier one holds;
    math.inf is no limit.
    """
    me = threading.get_ident()
    before = ENDS.get(me, _NEVER)
    end = min(end, before[0])
    if end == math.inf:
        return work(*args, **options)
    here = end, max(end, time.monotonic()) + GRACE
    try:
        ENDS[me] = here
        return work(*args, **options)
    finally:  # written out: a signal handler could raise at the first instruction of a function called here
        if before is _NEVER:
            ENDS.pop(me, None)
        else:
            ENDS[me] = before


def nearest(end: float) -> float:
    """Return the earlier of `end` and the deadline that this thread is in."""
    return min(end, ENDS.get(threading.get_ident(), _NEVER)[0])


def bounded(timeout: float | None) -> float | None:
    """Return the seconds for a reply: `timeout`, or what is left of this thread's deadline (< 0 when past) if less."""
    here = ENDS.get(threading.get_ident())
    if here is None:
        return timeout
    left = here[1] - time.monotonic()
    return left if timeout is None or left < timeout else timeout


def holding(
    lock: Lock | RLock, work: Callable[_Given, _Returned], *args: _Given.args, **options: _Given.kwargs
) -> _Returned:
    """Call `work` under a lock that another thread may hold while it waits for the server.

    Raises RequestTimeout where the lock is not free by this thread's deadline.
    """
    taken: list[bool] = []
    left = bounded(None) if ENDS else None
    try:
        # Idiom 1 of `_signal_safety`: that the lock is taken is noted inside the call that takes it.
        taken.extend(map(lock.acquire, (True,), (-1 if left is None else min(max(left, 0.0), threading.TIMEOUT_MAX),)))
        if not taken[0]:
            raise timed_out()
        return work(*args, **options)
    finally:
        if taken and taken[0]:
            lock.release()


def timed_out() -> RequestTimeout:
    """Return the exception for a reply that did not come in time."""
    return RequestTimeout("the server did not answer in time; it may be stopped or grabbed by another client")
