"""Handover: three pictures between the thread that paints them and the thread that writes them; the newest wins.

Always true:

1. A picture is in one place: free, being painted, waiting, or with the writer. The writer keeps the one that it wrote
   last, to write it again; so of three one is always free to be painted.
2. `stale` of a picture has the rectangles, in the source's pixels, that were drawn to since it was painted (buffer
   age). Only the painting thread uses it.
3. A picture that waits while the next one is finished is replaced by it, and counted in `dropped`. Its changed
   rectangles join the newer one's: `changed` is always against what the writer took last.

Locking rules: `lock` guards what is shared, its attributes included, and `condition`, which is over it, is notified of
each change. It is never held while anything is painted or written.

Signal safety: the thread that starts, stops and saves may be the main one. It takes `lock` itself, which is done in C,
never `condition`, of which an exception in between leaves the lock taken; it waits by an End; and what it was about to
notify of is seen a little later, since no thread waits for long.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from xshm.geometry import Rect, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xshm.record.pictures.picture import Picture

# Rectangles are joined where they are more: to convert the pixels between two costs less than one more call.
_MOST_RECTS: Final = 16

_LONGEST: Final = 2.0  # seconds that a thread waits, though nothing has woken it


def joined(former: Iterable[Rect], newer: Iterable[Rect]) -> list[Rect]:
    """Return a few rectangles that cover all of both."""
    return list(merged([*former, *newer], _MOST_RECTS))


@dataclass(slots=True, eq=False)
class Kept:
    """A picture, and what of it is stale."""

    picture: Picture
    stale: list[Rect]


@dataclass(slots=True, eq=False)
class Finished:
    """A picture of a time; `changed` has the rectangles, in its own pixels, where it differs from the one before."""

    kept: Kept
    at: int
    changed: list[Rect] = field(default_factory=list)


class End:
    """The end of some work; any thread may wait for it, and a signal's handler may raise in that.

    After that Thread.join takes a thread that is still at work for one that has ended, up to Python 3.12.
    """

    def __init__(self) -> None:
        self.over = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def come(self) -> None:
        """Say that it is there; once."""
        self.over = True  # first: whoever was interrupted with the lock in hand needs it no more
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait for it for so long, and return whether it is there."""
        if not self.over and self._lock.acquire(timeout=seconds):
            self._lock.release()
        return self.over


class Handover:
    """Pictures on their way from the painting thread to the writing one."""

    def __init__(self, pictures: Sequence[Picture], whole: Rect) -> None:
        self.lock = threading.RLock()  # the collector may interrupt its owner by a finalizer that takes it, too
        self.condition = threading.Condition(self.lock)
        self.dropped = 0
        self.end: int | None = None  # the recording's length, once nothing more comes
        # Whoever wants all that is there by now written counts `asked`. The painting thread looks at the source, and
        # makes `looked` the same; then the writing thread writes, and makes `written` the same.
        self.asked = self.looked = 0
        self.written: float = 0
        self._askers: deque[tuple[int, End]] = deque()  # `asked` of each, and what comes when it is written
        self._all = [Kept(each, [whole]) for each in pictures]
        self._whole = whole
        self._free = list(self._all)
        self._waiting: Finished | None = None

    def ask(self) -> End:
        """Ask for all that the source shows by now; what is returned comes when that is written. For any thread."""
        written = End()
        with self.lock:
            self.asked += 1
            if self.written >= self.asked:  # nothing is written any more
                written.come()
            else:
                self._askers.append((self.asked, written))
            self.condition.notify_all()
        return written

    def stop_asking(self, written: End) -> None:
        """Have all that is there written without a further look: the source does not answer."""
        with self.lock:
            asked = next((asked for asked, each in self._askers if each is written), 0)
            self.looked = max(self.looked, asked)
            self.condition.notify_all()

    # -- the painting thread -------------------------------------------------------------------------------------------

    def begin(self) -> Kept:
        """Take a free picture to paint; `hand_over` or `give_back` ends that."""
        with self.lock:
            return self._free.pop()

    def note(self, changed: Sequence[Rect]) -> None:
        """Note what was drawn to, which makes that part of all pictures stale."""
        for kept in self._all:
            kept.stale = joined(kept.stale, changed)

    def hand_over(self, finished: Finished) -> None:
        """Give the writer a picture that is up to date, in place of one that waits still."""
        finished.kept.stale = []
        with self.lock:
            former, self._waiting = self._waiting, finished
            if former is not None:
                self.dropped += 1
                finished.changed = joined(former.changed, finished.changed)
                self._free.append(former.kept)
            self.condition.notify_all()

    def give_back(self, kept: Kept) -> None:
        """Return a picture that was not painted to its end: all of it is stale."""
        kept.stale = [self._whole]
        with self.lock:
            self._free.append(kept)

    def finish(self, end: int) -> None:
        """Say that nothing more comes, and how long the recording is."""
        with self.lock:
            if self.end is None:
                self.end = end
            self.condition.notify_all()

    def note_look(self, asked: int) -> None:
        """Say that the source was looked at after so many have asked for it."""
        with self.lock:
            self.looked = max(self.looked, asked)  # others have stopped asking meanwhile
            self.condition.notify_all()

    # -- the writing thread --------------------------------------------------------------------------------------------

    def wait(self, deadline: float) -> int | None:
        """Wait for a picture, the end, or any notification; return the time of the picture that waits, or None."""
        with self.lock:
            if self._waiting is None and self.end is None and self.looked <= self.written:
                left = deadline - time.monotonic()
                if left > 0:
                    self.condition.wait(min(left, _LONGEST))
            return None if self._waiting is None else self._waiting.at

    def take(self, at: int) -> Finished | None:
        """Return the picture that waits, if it is still the one of that time."""
        with self.lock:
            if self._waiting is None or self._waiting.at != at:
                return None
            found, self._waiting = self._waiting, None
            return found

    def note_written(self, looked: float) -> None:
        """Say that all is written that was there at a look; infinity: nothing is written any more."""
        with self.lock:
            self.written = looked
            self._answer(looked)

    def _answer(self, looked: float) -> None:
        while self._askers and self._askers[0][0] <= looked:
            self._askers.popleft()[1].come()

    def recycle(self, kept: Kept) -> None:
        """Return a picture that is as up to date as it was: not written again, or not painted into."""
        with self.lock:
            self._free.append(kept)
