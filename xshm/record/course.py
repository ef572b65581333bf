"""Course: of several threads that start the same recording, or the same trace, one does; and what is stopped stays so.

1. Nothing waits. A signal handler that raises leaves no claim behind: it is made by one call into C, and dropped
   without a call, in which no handler runs (idiom 2 of `_signal_safety`).
2. Of a start and an end that come together the first one counts: one call into C decides. Where that is the end, what
   was begun ends itself before anybody sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from xshm.errors import Closed, RecordingFailed

if TYPE_CHECKING:
    from collections.abc import Callable

_Work = TypeVar("_Work")


class Course(Generic[_Work]):
    """From new to at work, to over. `what` it is, and the `call` that makes a new one, go into messages."""

    def __init__(self, what: str, call: str) -> None:
        self._what, self._call = what, call
        self._claims: dict[str, object] = {}  # "start": of the thread that is starting it
        self._decided: dict[str, _Work | None] = {}  # "work": what has been published; None: it was ended before
        self._is_closed = False

    @property
    def is_over(self) -> bool:
        """Whether it was closed, or was ended before anything was published."""
        return self._is_closed or self._decided.get("work", self) is None

    @property
    def work(self) -> _Work | None:
        """What is, or was, at work; None where nothing has been published."""
        return self._decided.get("work")

    def start(self, begin: Callable[[], None]) -> None:
        """Call `begin`, which publishes what it has begun; after an error it may be tried again.

        Raises RecordingFailed where that was done, or another thread is at it; Closed where it is over.
        """
        self.check()
        claim = object()
        try:
            if self._claims.setdefault("start", claim) is not claim or self.work is not None:
                raise RecordingFailed(f"this {self._what} was started already; begin another one with {self._call}()")
            begin()
        finally:
            if "start" in self._claims and self._claims["start"] is claim:
                del self._claims["start"]

    def check(self) -> None:
        """Raise Closed where it is over."""
        if self.is_over:
            raise Closed(f"this {self._what} has ended; begin a new one with {self._call}()")

    def publish(self, work: _Work) -> bool:
        """Let `work` be at work; False where `end` has come before."""
        return self._decided.setdefault("work", work) is work

    def withdraw(self, work: _Work) -> None:
        """Let it be new again, if `work` was published: its start was interrupted at that."""
        if self._decided.get("work") is work:
            del self._decided["work"]

    def end(self) -> _Work | None:
        """Return what has to be stopped; None where nothing was published, and nothing can be any more."""
        return self._decided.setdefault("work", None)

    def close(self) -> None:
        """Let it be over."""
        self._is_closed = True
