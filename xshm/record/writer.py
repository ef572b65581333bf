"""SinkWriter: the encoder thread's work: it writes each new picture to the sink, or the last one again.

The last picture is written again where nothing has changed for KEEP_ALIVE, when a pause begins, and, at a constant
rate, for each frame that no new picture has come for. What it writes has strictly rising times. An exception of the
sink ends it: then the sink is aborted, and `error` has it.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from xshm.geometry import merged
from xshm.record.timing import KEEP_ALIVE, TICK, Grid

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.record.handover import Finished, Handover, Kept
    from xshm.record.sinks.sink import Sink
    from xshm.record.timing import Clock

_MOST_RECTS = 16  # as in `handover`


class SinkWriter:
    """Writes the pictures of a recording to its sink; `run` is a thread's work, from the first one to the end.

    `frames` counts pictures written, repeats of a constant rate included, keep-alives not. `calls` counts all calls of
    the sink that returned: while it stands still and `busy` is True, a call takes its time.
    """

    def __init__(self, sink: Sink, handover: Handover, clock: Clock, grid: Grid | None) -> None:
        self.frames = 0
        self.calls = 0
        self.busy = False
        self.error: BaseException | None = None
        self._sink = sink
        self._handover = handover
        self._clock = clock
        self._grid = grid
        self._marks: deque[tuple[int, str]] = deque()
        self._current: Kept | None = None  # the picture of now: written last, or at a constant rate to be written next
        self._changed: list[Rect] = []  # where it differs from what was written last
        self._aborted = False
        self._last = -TICK  # the time of what was written last

    def mark(self, title: str) -> None:
        """Let a chapter begin now. Any thread may call it."""
        self._marks.append((self._clock.now(), title))

    def run(self) -> None:
        """Write until the end, and complete the file."""
        try:
            while (end := self._handover.end) is None:
                self._step()
            self._conclude(end)
        except BaseException as error:  # noqa: BLE001 - whatever it is, `stop` raises it, in a thread that can act on it
            self.error = self.error or error
            self.abort()
        finally:
            self.busy = False
            self._handover.finish(self._clock.now())  # after an error nobody has to go on capturing

    def abort(self, error: BaseException | None = None) -> None:
        """Abort the sink, once, because of `error`; a call of it that hangs ends then, if that is possible."""
        self.error = self.error or error
        if not self._aborted:
            self._aborted = True
            self._sink.abort()

    # -- one step ------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Write what comes, or what is due where nothing comes."""
        finished = self._handover.take(self._deadline())
        if finished is not None:
            self._receive(finished)
        elif self._grid is not None:
            self._repeat(self._grid.passed(self._clock.now()))
        elif self._current is not None:
            now = self._clock.now()
            if now >= self._last + KEEP_ALIVE or (self._clock.paused and now >= self._last + TICK):
                self._write(self._current, now)

    def _deadline(self) -> float:
        """Return when the last picture has to be written again."""
        if self._current is None:
            return float("inf")
        return self._clock.monotonic(self._last + KEEP_ALIVE if self._grid is None else self._grid.deadline())

    def _receive(self, finished: Finished) -> None:
        """Take a new picture: write it, or, at a constant rate, all that is shown before it."""
        if self._grid is not None and self._current is not None:
            self._repeat(self._grid.due(finished.at))
        former, self._current = self._current, finished.kept
        self._changed = list(merged([*self._changed, *finished.changed], _MOST_RECTS))
        if former is not None:
            self._handover.recycle(former)
        if self._grid is None:
            self._write(self._current, max(finished.at, self._last + TICK))
            self.frames += 1

    def _repeat(self, count: int) -> None:
        """Write so many frames of a constant rate, all of the present picture."""
        assert self._grid is not None  # noqa: S101 - for type checkers: only called at a constant rate
        for _ in range(count):
            if self._current is not None:
                self._write(self._current, self._grid.next())
                self.frames += 1

    def _write(self, kept: Kept, at: int) -> None:
        """Write a picture, and before it the chapters that begin until then."""
        self.busy = True
        while self._marks and self._marks[0][0] <= at:
            self._sink.mark(*self._marks.popleft())
        changed, self._changed = self._changed, []
        self._sink.write(kept.picture, at, changed)
        self._last = at
        self.calls += 1
        self.busy = False

    def _conclude(self, end: int) -> None:
        """Write what waits still, and complete the file."""
        finished = self._handover.take(time.monotonic())
        if finished is not None:
            self._receive(finished)
        end = max(end, self._last + TICK)
        if self._grid is not None:
            self._repeat(max(self._grid.due(end), 1 - self._grid.count))  # the shortest one has its first picture
        self.busy = True
        while self._marks:
            at, title = self._marks.popleft()
            self._sink.mark(min(at, end), title)
        self._sink.finish(end)
        self.calls += 1
