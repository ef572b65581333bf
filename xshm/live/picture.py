"""Picture: what a screen shows now, in memory of its own, and which parts of it have changed since when.

Each change is a generation, a number that rises. A viewer says which one it has, and gets what has changed since: so
there is no queue, however slow it is, and the newest state is always the next one that it gets.

1. The channel's thread alone writes: `read`, which viewers don't see, then `commit`. So no viewer sees a picture that
   was drawn to while it was read.
2. Pixels that were drawn anew and are as before are no change.
3. What `copy` returns is of one generation, and is nobody else's memory.

Locking rules: `_lock` is held for the pixels: while they are written, copied or converted. `_listing` is held for the
list of changes, for look-ups alone, so that `delta` waits for no pixels; it is taken after `_lock`, where both are.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.geometry import Rect, merged
from xshm.pixels.raster import Raster
from xshm.trace.rectangles import Shadow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
    from xshm.record.feeds.feed import Captured

_REMEMBERED: Final = 256  # generations: a viewer that is further behind gets all of the picture
_MOST_RECTS: Final = 16


class Copied(NamedTuple):
    """Parts of a picture, of one generation; each Raster is of the rectangle with its index."""

    generation: int
    changed_ns: int
    rects: tuple[Rect, ...]
    rasters: tuple[Raster, ...]


class Picture:
    """A picture of one size and format: where those change, there is another Picture.

    `format` has no alpha, since what is not opaque is seen over black, and no colormap. `generation` is 0 before the
    first `commit`; `changed_ns` is when the newest was captured (CLOCK_MONOTONIC).
    """

    def __init__(self, size: tuple[int, int], fmt: PixelFormat) -> None:
        self._shadow = Shadow(size, fmt)
        self.size = size
        self.format = dataclasses.replace(self._shadow.format, opaque=True)
        self.generation = 0
        self.changed_ns = 0
        self.whole = Rect(0, 0, *size)
        self._lock, self._listing = threading.Lock(), threading.Lock()
        self._changes: deque[tuple[int, tuple[Rect, ...]]] = deque(maxlen=_REMEMBERED)

    # -- the channel's thread ------------------------------------------------------------------------------------------

    def read(self, captured: Captured) -> None:
        """Take over what a capture has; also again, where it was drawn to meanwhile."""
        self._shadow.read(captured.pixels, captured.changed, captured.colormap)

    def commit(self, at: int) -> bool:
        """Make what was read what viewers see, as of a time (nanoseconds); return whether anything differs."""
        rects = self._shadow.compared()
        if not rects:
            self._shadow.accept(())
            return False
        with self._lock:
            self._shadow.accept(rects)
            few = merged(rects, _MOST_RECTS)
            with self._listing:
                self._changes.append((self.generation + 1, few))
                self.changed_ns = at
                self.generation += 1
        return True

    # -- any thread ----------------------------------------------------------------------------------------------------

    def delta(self, since: int) -> tuple[int, tuple[Rect, ...]]:
        """Return the newest generation, and where it differs from an earlier one (0: from nothing)."""
        with self._listing:
            generation = self.generation
            if since >= generation:
                return generation, ()
            if not since or not self._changes or self._changes[0][0] > since + 1:
                return generation, (self.whole,)
            newer = [*(rect for number, rects in self._changes if number > since for rect in rects)]
        return generation, merged(newer, _MOST_RECTS)

    def copy(self, since: int, also: Sequence[Rect] = ()) -> Copied:
        """Return what `delta` does, with copies of the pixels; and of the rectangles `also`."""
        with self._lock:
            generation, rects = self.delta(since)
            if also:
                rects = merged([*rects, *also], _MOST_RECTS)
            return Copied(generation, self.changed_ns, rects, tuple(map(self._raster, rects)))

    def part(self, rect: Rect) -> Copied:
        """Return a copy of one rectangle as it is now."""
        with self._lock:
            return Copied(self.generation, self.changed_ns, (rect,), (self._raster(rect),))

    def read_into(self, since: int, read: Callable[[NDArray[Any], tuple[Rect, ...]], object]) -> tuple[int, int]:
        """Call `read` with the pixels, and with where they have changed since; return the newest generation, and when.

        For those that convert pixels, who need no copy of them; viewers wait meanwhile, and so does the channel.
        """
        with self._lock:
            generation, rects = self.delta(since)
            if rects:
                read(self._shadow.pixels, rects)
            return generation, self.changed_ns

    def _raster(self, rect: Rect) -> Raster:
        pixels: Any = self._shadow.pixels[rect.slices].copy()
        return Raster(pixels, self.format)
