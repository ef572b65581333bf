"""LiveFeed: pictures without a copy, in the memory in which a server of our own keeps its screen.

DAMAGE says what was drawn: one round trip, DamageSubtract and FetchRegion. Once it is over, all that was drawn before
is in the memory. Always true:

1. What is drawn after the DamageSubtract of a capture sends an event, and is in the next capture. So where no event has
   come by the reply to a later request, the pixels were the same from the capture to that reply: `is_torn`.
2. Where they were not, all pixels that may have been read half drawn are in the next capture's `changed`.
3. `_is_whole` is True while a capture is on its way: where it is interrupted, the next one has the whole picture.

What does not work: `is_torn` by the events that have arrived, without the round trip. The server sends an event when it
has processed what a client has sent at once: milliseconds after the drawing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from xshm.capture.damage_region import DamageRegion
from xshm.errors import Closed, DisplayGone, RequestTimeout
from xshm.geometry import Rect, merged
from xshm.record.feeds.source_feed import RELEASED, Canvas, CapturedPixels, SourceFeed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.capture.session import LiveMemory
    from xshm.capture.source import Source

_MOST_RECTS: Final = 16  # of `changed`
_TRIES: Final = 5  # of one capture, of a screen that is resized all the time


class LivePixels(CapturedPixels):
    """The live pixels as a Captured."""

    __slots__ = ("_feed",)

    def __init__(
        self,
        feed: LiveFeed,
        pixels: NDArray[Any],
        colormap: NDArray[np.uint16] | None,
        changed: Sequence[Rect],
        at: int,
    ) -> None:
        super().__init__(pixels, colormap, changed, at)
        self._feed = feed

    def is_torn(self) -> bool:
        """See `Captured.is_torn`. A round trip, unless an event is there already."""
        return self._feed.is_drawn_by_now()


class LiveFeed(SourceFeed):
    """The Feed of a Screen whose memory is at hand, without the pointer. Needs DAMAGE and XFIXES 2."""

    how = "the screen's own memory, without a copy: the server is an Xvfb of this process"

    def __init__(self, source: Source, memory: LiveMemory, region: Rect | None) -> None:
        super().__init__(source, region)
        self.format = memory.format
        self._memory: LiveMemory | None = memory  # None: closed
        self._pixels: NDArray[Any] = memory.pixels[self.rect.slices]
        self._damage = DamageRegion(source, self.rect)
        self._wire.sync()  # the event of its creation comes before the first capture, and not after it
        self._is_whole = True
        self._canvas: Canvas | None = None  # where a part of the region is outside of the screen by now

    def capture(self) -> LivePixels | None:
        """See `Feed.capture`."""
        source, memory, drawn = self._source, self._memory, list[Rect]()
        if memory is None:
            raise Closed("this feed was closed")
        is_whole, self._is_whole = self._is_whole, True
        for _ in range(_TRIES):
            is_resized = source._geometry_changed
            extent = source._current()
            if is_resized or extent is not self._extent:
                is_whole, self._canvas, self._extent = True, None, extent
            drawn += self._collect()
            if not source._geometry_changed:
                break
        at = time.monotonic_ns()
        if not (drawn or is_whole):
            self._is_whole = False
            return None
        colormap = memory.colormap if self.format.needs_colormap else None
        if self._is_recoloured(colormap):
            is_whole, self._canvas = True, None
        changed = (self._whole,) if is_whole else self._from_corner(merged(drawn, _MOST_RECTS))
        pixels = self._pixels if extent.contains(self.rect) else self._pasted(extent, changed, colormap)
        self._is_whole = False
        return LivePixels(self, pixels, colormap, changed, at)

    def is_drawn_by_now(self) -> bool:
        """Return whether anything may have been drawn since the last capture, by a round trip where no event says so.

        True where the server does not reply, or has ended: the next capture raises why.
        """
        events, source = self._damage.events, self._source
        if not events and not source._geometry_changed:
            try:
                self._wire.sync()
            except (Closed, DisplayGone, RequestTimeout):
                return True
        return bool(events) or source._geometry_changed

    def close(self) -> None:
        """See `Feed.close`. The memory goes with the last Captured."""
        self._memory, self._pixels, self._canvas = None, RELEASED, None
        self._damage.close()

    def _is_drawn(self) -> bool:
        return self._is_whole or bool(self._damage.events)

    def _collect(self) -> list[Rect]:
        """Return what was drawn inside the region since the last call."""
        damage = self._damage
        damage.events.clear()  # first: what is drawn from here on sends a new event
        collect, fetched = damage.collect(), damage.fetch()
        self._wire.send_all((*collect, fetched))
        return damage.read(fetched, *collect)

    def _pasted(self, extent: Rect, changed: Sequence[Rect], colormap: NDArray[np.uint16] | None) -> NDArray[Any]:
        """Return a copy that is black where the screen ends by now."""
        if self._canvas is None:
            self._canvas = Canvas(self.size, self.format, colormap)
        inside = extent.intersect(self.rect)
        if inside is not None:
            seen = Rect(0, 0, inside.width, inside.height)
            self._canvas.paste(self._pixels, [part for rect in changed if (part := rect.intersect(seen)) is not None])
        return self._canvas.pixels
