"""Events: calls for one thread, those that others have put, and those that are due at a time, the soonest first.

Always true: what was cancelled is not called, and holds none of its values any more.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MANY: Final = 64  # cancelled ones; from then on they go as soon as they are half of all


class Due(NamedTuple):
    """A call, and its values."""

    call: Callable[..., None]
    values: tuple[Any, ...]


class Timer:
    """What is due, until it was taken or cancelled."""

    __slots__ = ("due",)

    def __init__(self, due: Due) -> None:
        self.due: Due | None = due


class Events:
    """Any thread may `put`; all else is for the one that takes them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Due] = queue.SimpleQueue()
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._cancelled = 0

    def put(self, call: Callable[..., None], *values: Any) -> None:
        """Have a call made."""
        self._queue.put(Due(call, values))

    def next(self) -> Due:
        """Wait for the next call, and return it."""
        while True:
            due = self._take()
            if due is not None:
                return due
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=self._pause())

    def rest(self) -> Iterator[Due]:
        """Return what was put, and not taken yet."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._queue.get_nowait()

    def after(self, seconds: float, call: Callable[..., None], *values: Any) -> Timer:
        """Have a call due in so many seconds; return what cancels it."""
        timer = Timer(Due(call, values))
        heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Have a call not be made. One that was made already is no error."""
        if timer is None or timer.due is None:
            return
        timer.due = None
        self._cancelled += 1
        if self._cancelled > max(_MANY, len(self._heap) // 2):
            self._heap = [each for each in self._heap if each[2].due is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def has(self, call: Callable[..., None]) -> bool:
        """Return whether this one is to be called."""
        return any(timer.due is not None and timer.due.call == call for _, _, timer in self._heap)

    def _pause(self) -> float | None:
        """Return the seconds until the next call, 0 where it is due; None where there is none."""
        while self._heap and self._heap[0][2].due is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None

    def _take(self) -> Due | None:
        """Return the next call if it is due."""
        if self._pause() != 0:
            return None
        timer = heapq.heappop(self._heap)[2]
        due, timer.due = timer.due, None
        return due
