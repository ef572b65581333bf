"""SinkWriter: the encoder thread's work: it writes each new picture to the sink, or the last one again.

The last picture is written again where nothing has changed for the sink's `keep_alive`, when a pause begins, and, at a
constant rate, for each frame that no new picture has come for. What it writes has strictly rising times. A picture that
is written again begins as long before now as a last one is shown: so it is shown until now, and a new picture that
comes at once is not so near to it that converters, which count in frames of the rate, would drop one.

An exception of the sink ends it: then the sink is aborted, and `error` has it. A sink of which no call returns, and
that writes nothing and computes nothing for PATIENCE, is aborted by those who ask `is_stalled`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm.errors import RecordingStalled
from xshm.record.pictures.handover import joined
from xshm.record.timing import SECOND, TICK

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.record.pictures.handover import Handover, Kept
    from xshm.record.sinks.sink import Sink
    from xshm.record.timing import Clock, Grid

# Seconds that a sink may do nothing. Pipes and lines end by themselves after 10 s, with an error that tells more.
PATIENCE: Final = 12.0


class SinkWriter:
    """Writes the pictures of a recording to its sink; `run` is a thread's work, from the first one to the end.

    `frames` counts pictures written, repeats of a constant rate included, keep-alives not.
    """

    def __init__(self, sink: Sink, handover: Handover, clock: Clock, grid: Grid | None, shown: int) -> None:
        """`shown`: for how many ns the last picture is shown."""
        self.frames = 0
        self.error: BaseException | None = None
        self._sink = sink
        self._handover = handover
        self._clock = clock
        self._grid = grid
        self._shown = shown
        self._marks: deque[tuple[int, str]] = deque()
        self._current: Kept | None = None  # the picture of now: written last, or at a constant rate to be written next
        self._changed: list[Rect] = []  # where it differs from what was written last
        self._last = -TICK  # the time of what was written last
        self._is_repeated = False  # whether that was the picture before once more
        self._calls = 0  # of the sink, that have returned
        self._busy = False  # whether one is at work
        self._thread: int | None = None  # the one that writes
        self._watched: tuple[object, float] = (None, 0.0)  # what the sink had done, and since when (time.monotonic)

    def mark(self, title: str) -> None:
        """Let a chapter begin now. Any thread may call it."""
        self._marks.append((self._clock.now(), title))

    def run(self) -> None:
        """Write until the end, and complete the file."""
        self._thread = threading.get_native_id()
        try:
            while (end := self._handover.end) is None:
                self._step()
            self._conclude(end)
        except BaseException as error:  # noqa: BLE001 - whatever it is, `stop` raises it, in a thread that can act on it
            self.abort(error)
        finally:
            self._busy = False
            self._handover.note_written(math.inf)
            self._handover.finish(self._clock.now())  # after an error nobody has to go on capturing

    def abort(self, error: BaseException) -> None:
        """Abort the sink because of `error`: a call of it that hangs ends then, if that is possible.

        Where another thread has done that, the thread that writes does it again at its end: then nothing is at work,
        and all can be released.
        """
        self.error = self.error or error
        self._sink.abort()

    def is_stalled(self) -> bool:
        """Return whether the sink has done nothing for too long; then it was aborted. To be asked again and again."""
        seen = (self._calls, self._sink.nbytes, _cpu_time(self._thread)) if self._busy else None
        before, since = self._watched
        now = time.monotonic()
        if seen is None or seen != before:
            self._watched = seen, now
            return False
        if now - since < PATIENCE:
            return False
        end = self._handover.end
        length = self._clock.now() if end is None else end
        self.abort(
            RecordingStalled(
                f"the recording ended after {length / SECOND:.1f} s: what it is written to has taken nothing for "
                f"{PATIENCE:.0f} s; its reader may be stopped, or its line down"
            )
        )
        return True

    # -- one step ------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Write what comes, or what is due where nothing comes."""
        at = self._handover.wait(self._deadline())
        looked = self._handover.looked
        if at is not None:
            self._receive(at)
        elif looked > self._handover.written:
            self._catch_up()
            self._handover.note_written(looked)
        elif self._grid is not None:
            self._repeat(self._grid.passed(self._clock.now()))
        elif self._current is not None:
            paused = self._clock.paused
            if self._clock.now() >= self._last + self._sink.keep_alive or (paused and not self._is_repeated):
                self._keep_alive(self._current)
            elif paused:
                self._extend(self._current)

    def _catch_up(self) -> None:
        """Write the last picture again, so that what is written lasts until now."""
        if self._grid is not None:
            self._repeat(self._grid.due(self._clock.now()))
        elif self._current is not None:
            self._extend(self._current)

    def _extend(self, kept: Kept) -> None:
        """Write the last picture again unless it is shown until now as it is."""
        if self._clock.now() >= self._last + self._shown + TICK:
            self._keep_alive(kept)

    def _keep_alive(self, kept: Kept) -> None:
        """Write the last picture again, so that it is shown until now, and that it leaves the sink: those keep one."""
        now = self._clock.now()
        self._write(kept, max(now - self._shown, self._last + TICK), now)
        self._is_repeated = True

    def _deadline(self) -> float:
        """Return when the last picture has to be written again."""
        if self._current is None:
            return math.inf
        return self._clock.monotonic(
            self._last + self._sink.keep_alive if self._grid is None else self._grid.deadline()
        )

    def _receive(self, at: int) -> None:
        """Write the picture that waits; at a constant rate first, one at a call, those that are shown before it.

        It is taken when its turn has come, so that a newer one replaces it until then: with the one that is written,
        the one that waits and the one that is painted all three are in use.
        """
        if self._grid is not None and self._current is not None and self._grid.due(at) > 0:
            self._repeat(1)
            return
        finished = self._handover.take(at)
        if finished is None:
            return
        former, self._current = self._current, finished.kept
        self._changed = joined(self._changed, finished.changed)
        if former is not None:
            self._handover.recycle(former)
        if self._grid is None:
            self._write(self._current, max(finished.at, self._last + TICK))
            self._is_repeated = False
            self.frames += 1

    def _repeat(self, count: int) -> None:
        """Write so many frames of a constant rate, all of the present picture."""
        assert self._grid is not None  # noqa: S101 - for type checkers: only called at a constant rate
        for _ in range(count):
            if self._current is not None:
                self._write(self._current, self._grid.next())
                self.frames += 1

    def _write(self, kept: Kept, at: int, now: int = 0) -> None:
        """Write a picture, and before it the chapters that begin until then, or until now."""
        self._busy = True
        while self._marks and self._marks[0][0] <= max(at, now):
            self._sink.mark(*self._marks.popleft())
        changed, self._changed = self._changed, []
        self._sink.write(kept.picture, at, changed)
        self._last = at
        self._calls += 1
        self._busy = False

    def _conclude(self, end: int) -> None:
        """Write what waits still, and complete the file."""
        while (at := self._handover.wait(0.0)) is not None:
            self._receive(at)
        end = max(end, self._last + TICK)
        if self._grid is not None:
            self._repeat(max(self._grid.due(end), 1 - self._grid.count))  # the shortest one has its first picture
        self._busy = True
        while self._marks:
            at, title = self._marks.popleft()
            self._sink.mark(min(at, end), title)
        self._sink.finish(end)
        self._calls += 1


def _cpu_time(thread: int | None) -> int:
    """Return how many tenths of a second of CPU a thread has used; 0 where /proc does not tell."""
    with suppress(OSError, ValueError):
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) * 10 // SECOND
    return 0
