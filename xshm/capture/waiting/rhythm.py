"""Rhythm: whether the changes of one place are a steady rhythm (a caret, a spinner, a clock, a video), by evidence.

A Place is fed with its changes, each with its time and what the place shows since; it does no I/O and reads no clock.
Three kinds of evidence prove a rhythm. Each needs several changes, and contents that go back and forth:

1. Cycle: the pictures repeat (A B A B, or A B C A B C), at the times of the round before. Five changes at least; three
   where the place has the shape of a caret: those of Qt are 500 ms visible and 500 not, of GTK 800 and 400, of Tk and
   xterm 600 and 300, of Chromium 600 and 600.
2. Flow: `_FLOW_RATE` changes a second or more, for `_FLOW_TIME`, without a pause, in bounds that do not grow, and with
   pixels that go up and down again. The contents need not repeat: a video, a spinner, a bar that is always busy.
3. Tick: about one change a second, three times in a row, and pixels that go up and down again: a clock.

All else is a change. What only goes forth is none of the three: of a fade-in, a bar that fills, a list that grows, no
pixel ever turns back. A rhythm ends, and its last change counts, when the next one is overdue, or does not fit.

Proof works backwards: changes before it that belong to the rhythm do not count either, but for the first one of a
rhythm that began while it was watched.

What does not work: telling a rhythm from work that looks like one. Output that scrolls through a terminal for longer
than `_FLOW_TIME`, faster than `_FLOW_RATE`, is a flow, and so is a page that redraws itself as often with pictures that
go back and forth; a text that counts in seconds is a tick; "Loading" that blinks is a cycle. All of these are changes
again when they end. Nor the reverse: a bar that creeps, a second hand that sweeps for an hour, never turn back.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
else:
    from xshm._numpy import np

# A page that repaints every 200 ms while it loads has a rate of 5; Chromium's <progress> without a value one of 8.
_FLOW_RATE: Final = 6.5
_FLOW_TIME: Final = 2.0  # seconds; transitions of user interfaces are shorter
_FLOW_PAUSE: Final = 0.25  # seconds: the longest between two changes of a flow; 0.22 was seen of Chromium's <progress>
_STALL: Final = 1.0  # seconds: a longer pause is an end of a flow; after a shorter one it goes on
_FLOW_GROWTH: Final = 1.25  # by this factor bounds may grow during `_FLOW_TIME`: a video's edges are often still
_BEATS_OF_KNOWN: Final = 3  # changes after which a flow that is known from an earlier wait may count as the same again
_TURNED_OF_KNOWN: Final = 0.05  # of its pixels: a spinner of one turn a second has turned a fifth back after 0.4 s only
_SLOWER, _FLOW_LATE = 2, 0.03  # a factor, and seconds, by which its pauses may be longer: the machine is busy
_TICK: Final = (0.8, 1.2)  # seconds between two ticks of a clock, on a machine that is busy
_TICKS: Final = 4
_TURNED: Final = 0.2  # of the pixels that changed; more turn back in videos, spinners and clocks, and none in a fade
_LEVELS: Final = 2  # a channel that moves by no more is noise
_LONGEST_CYCLE: Final = 32  # pictures
_EQUAL: Final = (0.25, 0.05)  # a share, and seconds, by which a pause may differ from that of the round before
_BLINK: Final = (0.1, 1.6)  # seconds: a caret's phases
_MOST_CHANGES: Final = 512  # remembered of a place

CYCLE, FLOW, TICK = "cycle", "flow", "tick"


class Known(NamedTuple):
    """What is remembered of a rhythm, or of what looks like a caret, from one wait to the next."""

    rect: Rect
    rhythm: str | None
    gap: float  # seconds: the longest between two changes; 0 where none was measured
    marks: tuple[int, ...]  # of the pictures, as `Place.marks`


class Swing:
    """The directions in which sampled pixels move, and when each of them has turned back last."""

    def __init__(self, area: Rect, values: NDArray[np.uint8]) -> None:
        self.area = area
        self._values = values.astype(np.int16)
        self._directions = np.zeros(values.shape, np.int8)
        self._turned_at = np.full(values.shape, -math.inf)

    def add(self, values: NDArray[np.uint8], at: float) -> None:
        """Take the samples after one more change, and its time."""
        moves = values - self._values
        moved = np.abs(moves) > _LEVELS
        # Only where a pixel has moved: the steps of a slow fade, each below the noise, add up.
        np.copyto(self._values, values, where=moved)  # half of the time of `[moved]`
        signs = np.sign(moves).astype(np.int8)
        self._turned_at[moved & (signs == -self._directions)] = at
        np.copyto(self._directions, signs, where=moved)

    def turned(self, rect: Rect, since: float = -math.inf) -> float:
        """Return the share of the samples inside `rect` that turned back after a time, of those that have moved."""
        rows, columns = len(self._directions), len(self._directions[0])
        across, down = columns / self.area.width, rows / self.area.height
        left, top = int((rect.x - self.area.x) * across), int((rect.y - self.area.y) * down)
        right, bottom = -int(-(rect.right - self.area.x) * across // 1), -int(-(rect.bottom - self.area.y) * down // 1)
        part = slice(max(top, 0), max(bottom, 1)), slice(max(left, 0), max(right, 1))
        moved = int(np.count_nonzero(self._directions[part]))
        return int(np.count_nonzero(self._turned_at[part] > since)) / moved if moved else 0.0


class Place:
    """One place of a picture, the changes in it, and the rhythm that they are proven to be, if any.

    `rect` is in the source's coordinates, and grows (`grow`) to cover each change. `silent_since`: nothing has changed
    here between that time and the first change.
    """

    def __init__(self, rect: Rect, mark: int, silent_since: float, *, is_caret: bool = False) -> None:
        self.rect = rect
        self.silent_since = silent_since
        self.is_caret = is_caret  # it has a caret's shape, and has never changed in another one
        self.rhythm: str | None = None
        self.swing: Swing | None = None
        # Of the picture before the first change, and after each: equal marks are equal pictures.
        self.marks: deque[int] = deque([mark], 2 * _LONGEST_CYCLE + 2)
        self._changes: deque[tuple[float, bool]] = deque(maxlen=_MOST_CHANGES)  # the time, and whether it is exact
        self._sure: tuple[float, float] | None = None  # first and last of the changes that no proof takes back
        self._grown_at = -1.0
        self._grown_from = rect
        self._known: Known | None = None  # of a flow: it is soon believed again
        self.is_recalled = False  # an earlier wait has seen it
        self._stalled: tuple[float, tuple[float, float] | None] | None = None  # when a flow ended, `_sure` until then
        self.gap = 0.0  # of a rhythm: the longest between two changes, in seconds

    # -- what is known of it -------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """The number of changes since the last one that does not belong to a rhythm."""
        return len(self._changes)

    @property
    def first(self) -> float:
        """The time of the first change that is remembered."""
        return self._sure[0] if self._sure else self._changes[0][0] if self._changes else self.silent_since

    @property
    def last(self) -> float:
        """The time of the last change."""
        return self._changes[-1][0] if self._changes else self._sure[1] if self._sure else self.silent_since

    @property
    def period(self) -> float | None:
        """The mean seconds between two changes; None before the second one."""
        gaps = self._gaps()
        return statistics.fmean(gaps[-_LONGEST_CYCLE:]) if gaps else None

    @property
    def overdue(self) -> float:
        """The time at which a rhythm has ended unless there is another change before."""
        if self.rhythm == FLOW:
            return self.last + max(1.5 * _FLOW_PAUSE, 3 * self.gap)
        return self.last + 1.6 * (self.gap or _BLINK[1] / 2) + 0.1

    @property
    def is_unsure(self) -> bool:
        """Whether all of its changes may yet be proven to be a rhythm."""
        return self._sure is None

    def may_widen(self, rect: Rect) -> bool:
        """Return whether the bounds of a proven rhythm may grow to cover `rect`, too."""
        if self.rhythm == TICK:
            return may_tick(self.rect, rect)
        return self.rhythm == FLOW and _area(self.rect.union(rect)) <= _FLOW_GROWTH * _area(self.rect)

    def changes(self) -> tuple[float, float] | None:
        """Return the times of the first and the last change that counts, or None: those of a rhythm do not."""
        if self.rhythm or not self._changes:
            return self._sure
        return self._sure[0] if self._sure else self._changes[0][0], self._changes[-1][0]

    def remembered(self) -> Known | None:
        """Return what the next wait is to know, or None."""
        if self.rhythm or (self.is_caret and len(set(self.marks)) == 2):  # noqa: PLR2004 - visible and not
            return Known(self.rect, self.rhythm, self.gap, tuple(self.marks) if self.rhythm != FLOW else ())
        return self._known

    # -- what happens to it --------------------------------------------------------------------------------------------

    def recall(self, known: Known) -> None:
        """Go on with what an earlier wait has seen here, before the first change is added."""
        here = self.marks[0]
        self.is_recalled = True
        if known.rhythm == FLOW:
            self._known = known
            return
        if known.rhythm == CYCLE and here not in known.marks:
            return
        self.gap = known.gap
        self.rhythm = known.rhythm
        self.marks = deque([*known.marks, *([here] if known.marks[-1] != here else [])], self.marks.maxlen)

    def grow(self, rect: Rect, mark: int) -> None:
        """Cover `rect`, too; `mark` is of the larger place as it was before this change."""
        self.rect = self.rect.union(rect)
        if _area(self.rect) > _FLOW_GROWTH * _area(self._grown_from):
            self._grown_from, self._grown_at = self.rect, self.last
        if self.rhythm is None:
            self._restart(mark)

    def join(self, other: Place, mark: int) -> None:
        """Take over the changes of another place, which is one with this from now on."""
        other.end()
        self._changes = deque(dict(sorted([*self._changes, *other._changes])).items(), _MOST_CHANGES)
        self._count(other._sure)
        self.grow(other.rect, mark)
        self.is_caret, self.swing = False, None

    def add(self, at: float, mark: int, *, exact: bool = True) -> None:
        """Add a change: its time, and the mark of the place since; not `exact` where it may have been much earlier."""
        if self.rhythm and not self._fits(at, mark):
            self.end()
            self._restart(self.marks[-1])
        self._changes.append((at, exact))
        self.marks.append(mark)
        if self.rhythm is None:
            self._prove()
        elif self.rhythm == FLOW and self.count % 16 == 0:
            self.gap = statistics.median(self._gaps()[-64:] or [self.gap])
        elif self.rhythm != FLOW:
            # A caret's two phases differ: the longer one may not have come yet.
            former = [self.gap] if self.count < _TICKS else []
            self.gap = max([*self._gaps()[-8:], *former], default=self.gap)

    def review(self, now: float) -> None:
        """End a rhythm whose next change is overdue: its last change counts."""
        if self.rhythm and self._changes and now >= self.overdue:
            stalled = (self.last, self._sure) if self.rhythm == FLOW else None
            self.end()
            self._stalled = stalled

    def end(self) -> None:
        """End a rhythm: its last change counts. Without one, nothing changes."""
        if self.rhythm and self._changes:
            self._count((self.last, self.last))
            self._known = Known(self.rect, FLOW, self.gap, ()) if self.rhythm == FLOW else None
            self._changes.clear()
            self._restart(self.marks[-1])
        self.rhythm = None

    # -- evidence ------------------------------------------------------------------------------------------------------

    def _fits(self, at: float, mark: int) -> bool:
        if self.rhythm == CYCLE:
            return mark in self.marks
        if self.rhythm == TICK and self._changes and self._changes[-1][1]:
            return _TICK[0] <= at - self.last <= _TICK[1]
        return True  # a pause in a flow is found by `review`

    def _restart(self, mark: int) -> None:
        """Forget the pictures so far: the place has another size."""
        self.marks.clear()
        self.marks.append(mark)

    def _prove(self) -> None:
        found = self._cycle() or self._flow() or self._tick()
        if found is None:
            return
        self.rhythm, start, self.gap = found
        if self._stalled is not None and self._changes[start][0] - self._stalled[0] <= _STALL:
            self._sure = self._stalled[1]  # it had not ended
        self._stalled = None
        before = [at for at, _ in itertools.islice(self._changes, start)]
        if before:
            self._count((before[0], before[-1]))
            for _ in before:
                self._changes.popleft()
        # One that was not there while the place was watched, for longer than it ever pauses, has begun by a change.
        at, exact = self._changes[0]
        silent = before[-1] if before else self.silent_since
        gaps = sorted(self._gaps()) or [self.gap]
        usual = gaps[int(0.9 * (len(gaps) - 1) + 0.5)]  # a few of a busy machine's are longer
        if exact and not self.is_recalled and at - silent > 1.5 * usual + 0.03:
            self._count((at, at))

    def _cycle(self) -> tuple[str, int, float] | None:
        length = cycle_length(self.marks, 2 if self.is_caret else 4)
        if length is None:
            return None
        gaps = self._gaps()[-2 * length :]  # none of an earlier wait
        if self.is_caret and length == 2:  # noqa: PLR2004 - visible and not
            if not all(_BLINK[0] <= gap <= _BLINK[1] for gap in gaps):
                return None
        else:
            share, seconds = _EQUAL
            pairs = list(zip(gaps, gaps[length:], strict=False))  # of one round, and of the next
            if len(pairs) < 2 or any(abs(a - b) > share * max(a, b) + seconds for a, b in pairs):  # noqa: PLR2004
                return None
        # The changes between pictures of the cycle; the one that led to the first of these pictures is none of them.
        pictures = set(list(self.marks)[-length:])
        fitting = sum(1 for _ in itertools.takewhile(pictures.__contains__, reversed(self.marks)))
        start, gap = max(0, self.count - (fitting - 1)), max(gaps, default=0.0)
        if fitting == len(self.marks):
            # Before that the place was smaller: the first round of a spinner, if it was as fast.
            times = [at for at, _ in self._changes]
            while start and times[start] - times[start - 1] <= 1.5 * gap + 0.03:
                start -= 1
        return CYCLE, start, gap

    def _flow(self) -> tuple[str, int, float] | None:
        times = [at for at, _ in self._changes]
        start = _run_start(times, len(times) - 1)
        run = times[start:]
        # What was as fast before a pause belongs to it: the machine was busy.
        while start and times[start] - times[start - 1] <= _STALL:
            earlier = _run_start(times, start - 1)
            if earlier == start - 1:
                break
            start = earlier
        if self._known and self._is_known_flow(self._known, run):
            return FLOW, start, self._known.gap
        # Early refusals: this is called at each change.
        if run[-1] - run[0] < _FLOW_TIME or run[-1] - self._grown_at < _FLOW_TIME or self.swing is None:
            return None
        # In the later half of these changes: what fades in may begin by a turn, from the colour before it to black.
        turned = self.swing.turned(self.rect, since=(run[0] + run[-1]) / 2)
        if (len(run) - 1) / (run[-1] - run[0]) < _FLOW_RATE or turned < _TURNED:
            return None
        return FLOW, start, statistics.median(b - a for a, b in itertools.pairwise(run))

    def _is_known_flow(self, known: Known, run: Sequence[float]) -> bool:
        """Return whether a flow that was seen here goes on: a page that loads in its place is slower, or goes forth."""
        if len(run) < _BEATS_OF_KNOWN or not known.rect.contains(self.rect) or self.swing is None:
            return False
        pace = (run[-1] - run[0]) / (len(run) - 1)
        slowest = min(1 / _FLOW_RATE, _SLOWER * known.gap + _FLOW_LATE)
        return pace <= slowest and self.swing.turned(self.rect) >= _TURNED_OF_KNOWN

    def _tick(self) -> tuple[str, int, float] | None:
        recent = list(self._changes)[-_TICKS:]
        gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(recent) if earlier[1] and later[1]]
        if len(gaps) < _TICKS - 1 or not all(_TICK[0] <= gap <= _TICK[1] for gap in gaps):
            return None
        if self.swing is None or self.swing.turned(self.rect) < _TURNED:
            return None
        start = self.count - 1
        times = [at for at, _ in self._changes]
        while start and _TICK[0] <= times[start] - times[start - 1] <= _TICK[1]:
            start -= 1
        return TICK, start, max(gaps)

    def _gaps(self) -> list[float]:
        """Return the seconds between changes whose times are exact."""
        return [
            later[0] - earlier[0] for earlier, later in itertools.pairwise(self._changes) if earlier[1] and later[1]
        ]

    def _count(self, times: tuple[float, float] | None) -> None:
        """Count changes, the first and the last of which are given, for good."""
        if times is not None:
            sure = self._sure or times
            self._sure = min(sure[0], times[0]), max(sure[1], times[1])


def _run_start(times: Sequence[float], end: int) -> int:
    """Return the index of the first of those times up to `end` that follow each other without a pause."""
    start = end
    while start and times[start] - times[start - 1] <= _FLOW_PAUSE:
        start -= 1
    return start


def cycle_length(marks: Sequence[int] | deque[int], least: int) -> int | None:
    """Return after how many marks they repeat, so that the last `least`, and a whole round, are repetitions."""
    found = list(marks)
    for length in range(2, min(_LONGEST_CYCLE, len(found) - least) + 1):
        repeated = max(length if length > 2 else 0, least)  # noqa: PLR2004 - of two pictures, `least` is enough
        if len(found) >= length + repeated and found[-repeated:] == found[-repeated - length : -length]:
            round_ = found[-length:]
            if all(one != other for one, other in zip(round_, [*round_[1:], round_[0]], strict=True)):
                return length
    return None


def may_tick(clock: Rect, rect: Rect) -> bool:
    """Return whether a difference may be one of a clock's hands, where they have not been yet: around its centre."""
    return clock.intersect(rect) is not None and _area(rect) <= 2 * _area(clock)


def _area(rect: Rect) -> int:
    return rect.width * rect.height
