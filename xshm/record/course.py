"""Course: of several threads that start the same recording, or the same trace, one does.

Nothing waits, and a signal handler that raises leaves no claim behind: it is made by one call into C, and dropped
without a call, in which no handler runs (idiom 2 of `_signal_safety`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from xshm.errors import RecordingFailed

if TYPE_CHECKING:
    from collections.abc import Callable

_Work = TypeVar("_Work")


class Course(Generic[_Work]):
    """From new to started: `work` does it then. `what` it is, and the `call` that makes a new one, go into messages."""

    def __init__(self, what: str, call: str) -> None:
        self._what, self._call = what, call
        self._claims: dict[str, object] = {}  # "start": of the thread that is starting it
        self.work: _Work | None = None

    def start(self, begin: Callable[[], None]) -> None:
        """Call `begin`, which sets `work` at its end; after an error it may be tried again.

        Raises RecordingFailed where that was done, or another thread is at it.
        """
        claim = object()
        try:
            if self._claims.setdefault("start", claim) is not claim or self.work is not None:
                raise RecordingFailed(f"this {self._what} was started already; begin another one with {self._call}()")
            begin()
        finally:
            if "start" in self._claims and self._claims["start"] is claim:
                del self._claims["start"]
