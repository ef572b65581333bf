"""TrackerFeed: pictures in memory that is shared with the server, which copies there what was drawn, and no more.

By a ChangeTracker (`capture.changes`), so for every kind of source, and with the pointer where it is asked for. A
picture is a frame: complete, of one moment, and untouched until it is released.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from xshm.capture.changes import ChangeTracker
from xshm.errors import OutOfBounds, WindowNotViewable
from xshm.geometry import Rect
from xshm.record.feeds.source_feed import Canvas, CapturedPixels, SourceFeed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.capture.source import Source
    from xshm.image.frame import Frame

_TRIES: Final = 5  # of one capture, of a source that is resized all the time


class CapturedFrame(CapturedPixels):
    """A frame as a Captured: its memory is kept until `release`, but for a picture on a Canvas."""

    __slots__ = ("_frame",)

    def __init__(self, frame: Frame, changed: Sequence[Rect]) -> None:
        colormap = None if frame.colormap is None else frame.colormap.astype(np.uint16, copy=False)
        super().__init__(frame.pixels, colormap, changed, frame.monotonic_ns)
        self._frame = frame

    def release(self) -> None:
        """See `Captured.release`."""
        super().release()
        self._frame.release()


class TrackerFeed(SourceFeed):
    """The Feed of any source. Needs DAMAGE and XFIXES 2."""

    def __init__(self, source: Source, region: Rect | None, *, cursor: bool) -> None:
        super().__init__(source, region)
        self._cursor = cursor
        self._part: Rect | None = self.rect  # what of `rect` the source has
        self._canvas: Canvas | None = None
        self._tracker: ChangeTracker | None = ChangeTracker(source, self.rect, cursor)
        self.how = self._tracker.how

    def capture(self) -> CapturedPixels | None:
        """See `Feed.capture`."""
        source = self._source
        for _ in range(_TRIES):
            seen = source._geometry_events  # before the look: what comes after it ends the wait
            try:
                extent = source._current()
                is_lost = self._match(self.rect.intersect(extent))
                self._extent, self._hidden = extent, None
                if is_lost:
                    return self._black()
                frame = None if self._tracker is None else self._tracker.poll()
            except WindowNotViewable:
                self._hidden = seen
                return None
            except OutOfBounds:  # resized in this moment
                continue
            return None if frame is None else self._captured(frame)
        return None

    def close(self) -> None:
        """See `Feed.close`."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            tracker.close()

    def _is_drawn(self) -> bool:
        return self._part is not None if self._tracker is None else self._tracker.done

    def _next_poll(self) -> float:
        return super()._next_poll() if self._tracker is None else self._tracker.next_poll

    def _match(self, part: Rect | None) -> bool:
        """Track what the source has of the region by now; return whether that is nothing, and was something before."""
        if part == self._part and (part is None or self._tracker is not None):
            return False
        self.close()
        self._part, self._canvas = part, None
        if part is not None:
            self._tracker = ChangeTracker(self._source, part, self._cursor)
        return part is None

    def _black(self) -> CapturedPixels:
        """Return a picture of nothing: the source is so small by now that the region lies outside of it."""
        black = Canvas(self.size, self.format, self._colormap)
        return CapturedPixels(black.pixels, self._colormap, (self._whole,), time.monotonic_ns())

    def _captured(self, frame: Frame) -> CapturedFrame:
        changed = self._from_corner(frame.changed or ())
        captured = CapturedFrame(frame, changed)
        if self._is_recoloured(captured.colormap):
            self._canvas = None
            changed = captured.changed = (Rect(0, 0, *frame.size),)
        if frame.rect == self.rect:
            return captured
        if self._canvas is None:
            self._canvas = Canvas(self.size, self.format, captured.colormap)
            captured.changed = (self._whole,)
        self._canvas.paste(captured.pixels, changed)
        captured.pixels = self._canvas.pixels
        return captured
