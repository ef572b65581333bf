"""The times of a recording: Clock, which stands still in pauses; Pace, a bound of the rate; Grid, a constant rate.

Times of a recording are nanoseconds since its first picture; those of the outer world are time.monotonic_ns or, for
deadlines, time.monotonic, of the same clock.
"""

from __future__ import annotations

import math
import time
from typing import Final

from xshm.record.sinks.sink import LEAST_LAST_RATE, USUAL_RATE

SECOND: Final = 10**9  # nanoseconds
# The least between two pictures: containers count in milliseconds, and two of the same time are one for a player.
TICK: Final = SECOND // 1000
# How long after its time a frame of a constant rate is repeated: a picture of that time may be on its way still.
_LAG: Final = SECOND // 20


class Clock:
    """The time of a recording: 0 at its first picture, standing still while it is paused. Any thread may ask.

    It stands still for good at `limit`, nanoseconds: whoever ends the recording then may come late. What it knows of
    pauses is one tuple, which is replaced and never changed.
    """

    def __init__(self) -> None:
        self.limit: float = math.inf
        self._first: int | None = None
        self._pauses: tuple[int, int | None] = (0, None)  # how long the ended ones were; when the present one began

    def begin(self, monotonic_ns: int) -> None:
        """Let the recording begin: this moment is 0."""
        self._first = monotonic_ns

    def at(self, monotonic_ns: int) -> int:
        """Return the time of a moment; 0 before the first picture."""
        past, paused = self._pauses
        if self._first is None:
            return 0
        if paused is not None:
            monotonic_ns = min(monotonic_ns, paused)
        return max(0, int(min(monotonic_ns - self._first - past, self.limit)))

    def now(self) -> int:
        """Return the time as of now."""
        return self.at(time.monotonic_ns())

    def monotonic(self, at: int) -> float:
        """Return when (time.monotonic) a time comes; never while it is paused, and from its limit on."""
        past, paused = self._pauses
        if paused is not None or self._first is None or at >= self.limit:
            return math.inf
        return (self._first + past + at) / SECOND

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._pauses[1] is not None

    def pause(self) -> None:
        """Stand still from now on; again is fine."""
        past, paused = self._pauses
        self._pauses = past, time.monotonic_ns() if paused is None else paused

    def resume(self) -> None:
        """Go on from where it stands."""
        past, paused = self._pauses
        if paused is not None:
            self._pauses = past + time.monotonic_ns() - paused, None


def shown_alone(fps: float | None) -> int:
    """Return how long, in ns, a player shows a picture after which none comes: one of the rate, but 50 ms at most."""
    return round(SECOND / max(USUAL_RATE if fps is None else fps, LEAST_LAST_RATE))


class Pace:
    """When the next picture may be captured: on average at most `fps` a second, None: one a millisecond.

    A change is captured up to half a period early: of changes that come at the rate itself, each a little early or
    late, none is left out.
    """

    def __init__(self, fps: float | None) -> None:
        self._period = 0.0 if fps is None else 1 / fps
        self._least = max(self._period / 2, TICK / SECOND)
        self.due = 0.0  # time.monotonic

    def captured(self, at_ns: int) -> None:
        """Count a picture that was captured at a moment (time.monotonic_ns)."""
        self.due = max(self.due + self._period, at_ns / SECOND + self._least)


class Grid:
    """The frames of a constant rate: frame n is shown from n / fps on, and is the picture of the middle of its time.

    So a recording of some length has exactly round(length * fps) of them.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self.count = 0  # frames written

    def due(self, time_ns: int) -> int:
        """Return how many frames have to be written still, of those whose middle is not after a time."""
        return math.floor(time_ns * self._fps / SECOND + 0.5) - self.count

    def next(self) -> int:
        """Count a frame, and return its time."""
        self.count += 1
        return round((self.count - 1) * SECOND / self._fps)

    def deadline(self) -> int:
        """Return when the next frame is repeated, if no new picture has come for it."""
        return math.ceil((self.count + 0.5) * SECOND / self._fps) + _LAG

    def passed(self, now: int) -> int:
        """Return how many frames have to be repeated now: those whose deadline has come."""
        return max(0, self.due(now - _LAG))
