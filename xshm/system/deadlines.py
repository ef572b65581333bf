"""Until when a call's answers have to be there: a verb's own time, whatever connections it asks on, and opens for it.

A connection's `timeout` bounds each answer. A verb's bounds all that its thread asks within it, so that a server which
is stopped, or grabbed by another client, or dribbles its answers, does not keep a caller longer than he said. Of both
the nearer one holds. A Wire looks at `ENDS`, which is empty but for threads inside of such a verb.
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

# Seconds for an answer on a connection that nobody has given another limit, since somebody else has opened it for him.
PATIENCE: Final = 30.0
# A verb takes a last look when its time is over. A server has so many seconds to answer that, and a first look that its
# caller has kept waiting himself: with what he loads, reads or reckons.
GRACE: Final = 0.5

# By thread (of the moment: greenlets have ids of their own where a library has patched that): when its verb ends, and
# until when answers may come.
ENDS: Final[dict[int, tuple[float, float]]] = {}
_NEVER: Final = (math.inf, math.inf)

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


def within(end: float, work: Callable[_Given, _Returned], *args: _Given.args, **options: _Given.kwargs) -> _Returned:
    """Call `work`. What it asks a server for has to be answered by `end` (time.monotonic), and a grace.

    Where the end is past, the grace begins now. After that it is RequestTimeout. Inside of another one the earlier end
    holds; math.inf is no limit.
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
    finally:  # not in a function: a signal could cut its call short
        if before is _NEVER:
            ENDS.pop(me, None)
        else:
            ENDS[me] = before


def nearest(end: float) -> float:
    """Return when a verb of this thread ends that would end at `end` by itself: no later than what it is a part of."""
    return min(end, ENDS.get(threading.get_ident(), _NEVER)[0])


def bounded(timeout: float | None) -> float | None:
    """Return the seconds for an answer: `timeout`, or what is left of the thread's time where that is less, or < 0."""
    here = ENDS.get(threading.get_ident())
    if here is None:
        return timeout
    left = here[1] - time.monotonic()
    return left if timeout is None or left < timeout else timeout


def holding(
    lock: Lock | RLock, work: Callable[_Given, _Returned], *args: _Given.args, **options: _Given.kwargs
) -> _Returned:
    """Call `work` under a lock that another thread may hold while it waits for the server; RequestTimeout as above."""
    taken: list[bool] = []
    left = bounded(None)
    try:
        # Noted inside the call that takes it: a signal handler may raise right after that.
        taken.extend(map(lock.acquire, (True,), (-1 if left is None else min(max(left, 0.0), threading.TIMEOUT_MAX),)))
        if not taken[0]:
            raise timed_out()
        return work(*args, **options)
    finally:
        if taken and taken[0]:
            lock.release()


def timed_out() -> RequestTimeout:
    """Make the exception for an answer that did not come in time."""
    return RequestTimeout("the server did not answer in time; it may be stopped or grabbed by another client")
