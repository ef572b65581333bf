"""Deadline: the time limit of a wait, and the polls of a ChangeTracker within it.

A wait polls at once, after each change, and a last time at its deadline, so that a condition that is met by then is
found. For that last reply the server has `GRACE` seconds more (system/deadlines.py).
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from xshm import _arguments
from xshm.capture.changes import ChangeTracker
from xshm.errors import RequestTimeout
from xshm.system.deadlines import nearest, within

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from xshm.capture.source import Source
    from xshm.geometry import Region
    from xshm.image.frame import Frame

# Seconds between two polls of a source that is drawn to all the time. Comparing every frame of a video would take a
# core; a wait notices a change this much later at most.
PAUSE: Final = 0.005

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


class Deadline:
    """The end of a wait that begins with the constructor: `end` (time.monotonic), math.inf without a limit."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout  # as it was given, for messages
        timeout = _arguments.timeout(timeout)
        self._start = time.monotonic()
        self.end = nearest(math.inf if timeout is None else self._start + timeout)
        self.is_unanswered = False  # True: no reply to the last poll came in time

    @property
    def seconds(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds until the end; 0.0 after it."""
        return max(0.0, self.end - time.monotonic())

    def call(self, work: Callable[_Given, _Returned], *args: _Given.args, **options: _Given.kwargs) -> _Returned:
        """Call `work`, which waits for replies. Raises RequestTimeout where one does not arrive by the end."""
        return within(self.end, work, *args, **options)

    def track(self, source: Source, region: Region | None) -> contextlib.closing[ChangeTracker]:
        """Return a context manager that enters with a ChangeTracker, and closes it."""
        # Not a generator with @contextmanager: the garbage collector may run its end, in the middle of a request.
        return contextlib.closing(self.call(_tracker, source, region))

    def poll(self, changes: ChangeTracker) -> Frame | None:
        """Poll; None also where no reply arrived by the end: then `is_unanswered` is set, and the wait ends.

        Raises RequestTimeout where a reply takes longer than the connection's own timeout.
        """
        try:
            return self.call(changes.poll)
        except RequestTimeout:
            if self.left:
                raise
            self.is_unanswered = True
            return None

    def frames(self, changes: ChangeTracker) -> Generator[Frame]:
        """Return the first frame, then one after each change, until the deadline."""
        yield self.call(first_frame, changes)
        while True:
            time.sleep(min(PAUSE, self.left))
            # After the end there is one more poll: for what was drawn since the poll before.
            is_last = not self.left
            if not is_last:
                wait_until(changes, self.end)
            frame = self.poll(changes)
            if frame is not None:
                yield frame
            if is_last or self.is_unanswered:
                return


def first_frame(changes: ChangeTracker) -> Frame:
    """Return the frame as of the beginning of the wait."""
    frame = changes.poll()
    assert frame is not None  # noqa: S101 - a tracker's first poll returns the whole picture, or raises
    return frame


def wait_until(changes: ChangeTracker, moment: float) -> None:
    """Wait for a change, until `moment` (time.monotonic) at most."""
    left = None if moment == math.inf else max(0.0, moment - time.monotonic())
    with contextlib.suppress(RequestTimeout):
        changes.wait(left)


def _tracker(source: Source, region: Region | None) -> ChangeTracker:
    source._current()
    return ChangeTracker(source, None if region is None else source._within(region), cursor=False)
