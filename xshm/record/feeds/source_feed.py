"""SourceFeed: what every Feed of a Source has in common: its region, the wait, and black where there is no source.

Always true:

1. The region has one size from the start on. Where the source is smaller by now, the rest is black; what a larger one
   has more is not seen.
2. A window that is hidden (unmapped, iconified) has no pictures. It is waited for by the events that would show it, not
   by asking again and again.
3. A wait shares the connection with all other threads: it reads for them, and they for it. `wake` sends the smallest
   request that has a reply, so that whichever thread reads looks at the waits that are over.

What does not work:
- `wake` while the server is stopped. It replies nothing, and the wait ends at its deadline.
- Events of what sends none: a pixmap that is freed, colours of an 8-bit screen that are stored anew. Both are seen with
  the next drawing, or capture.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from xshm.errors import Closed, DisplayGone, RequestTimeout
from xshm.geometry import Rect
from xshm.x11.protocol.core import SYNC
from xshm.x11.protocol.requests import Request
from xshm.x11.scheduling import with_server_grabbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from xshm.capture.source import Source
    from xshm.pixels.format import PixelFormat
    from xshm.x11.protocol.requests import Waitable

RELEASED: Final[NDArray[Any]] = np.empty((0, 0), np.uint8)  # in place of pixels that are not kept any more


_Found = TypeVar("_Found")


class SourceFeed:
    """The part `region` of a source (None: all that it is now), and the wait for a change in it.

    It is itself what a Wire waits for: `done`. A subclass says with `_is_drawn` whether an event has reported drawing.
    `also` is what else ends a wait, beside changes of the picture.
    """

    def __init__(self, source: Source, region: Rect | None) -> None:
        extent = source._current()
        self.rect = extent if region is None else source._within(region)
        self.size = self.rect.width, self.rect.height
        self.format: PixelFormat = source._format
        self._whole = Rect(0, 0, *self.size)  # `rect`, from its own corner
        self._source = source
        self._wire = source._session.connection.wire
        self._woken = False
        self.also: tuple[Waitable, ...] = ()
        self._extent: Rect | None = None  # the source's, as of the last capture; None: hidden, or there was none
        self._colormap: NDArray[np.uint16] | None = None  # of the last picture
        self._hidden: object = None  # while the source is hidden: `_geometry_events` as of then

    # -- waiting -------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether a wait is over. Called by any thread that reads events."""
        if self._woken or self._is_likely():
            return True
        return any(each.done for each in self.also)

    @property
    def is_due(self) -> bool:
        """Whether a capture may find something, as far as events tell by now, or the time since the last one."""
        return self._is_likely() or (self._hidden is None and time.monotonic() >= self._next_poll())

    @property
    def is_hidden(self) -> bool:
        """Whether the source had no picture when the last capture looked."""
        return self._hidden is not None

    def wait(self, deadline: float) -> bool:
        """See `Feed.wait`."""
        if not self.done:
            now = time.monotonic()
            until = min(deadline, math.inf if self._hidden is not None else self._next_poll())
            with contextlib.suppress(RequestTimeout):
                self._wire.wait_for(self, None if until == math.inf else max(0.0, until - now))
        if self._woken:
            self._woken = False
            return False
        return self.done or self.is_due

    def wake(self) -> None:
        """See `Feed.wake`."""
        self._woken = True
        with contextlib.suppress(Closed, DisplayGone):  # the wait has ended by that already
            self._wire.queue(Request(SYNC))
            self._wire.pump()

    def undisturbed(self, look: Callable[[], _Found]) -> _Found:
        """See `Feed.undisturbed`."""
        return with_server_grabbed(self._source._session.connection, look)

    def _from_corner(self, rects: Sequence[Rect]) -> Sequence[Rect]:
        """Return rectangles of the source as those from the region's corner."""
        x, y = self.rect.x, self.rect.y
        return [rect.moved(-x, -y) for rect in rects] if x or y else rects

    def _is_recoloured(self, colormap: NDArray[np.uint16] | None) -> bool:
        """Return whether a picture has other colours than the last one, though their indices may be the same."""
        before, self._colormap = self._colormap, colormap
        return colormap is not None and before is not None and not np.array_equal(before, colormap)

    def _is_likely(self) -> bool:
        """Return whether an event tells that a capture may find something, or raise why it can't."""
        source = self._source
        if source._closed:
            return True
        if self._hidden is not None:
            return source._geometry_events != self._hidden
        # The extent is compared too: a grab in another thread may have consumed the event.
        return source._geometry_changed or source._extent is not self._extent or self._is_drawn()

    def _is_drawn(self) -> bool:
        raise NotImplementedError

    def _next_poll(self) -> float:
        """Return when (time.monotonic()) to look even without an event."""
        return math.inf


class CapturedPixels:
    """Pixels of a feed's own, as a Captured; valid until the next capture."""

    __slots__ = ("at", "changed", "colormap", "pixels")

    def __init__(
        self, pixels: NDArray[Any], colormap: NDArray[np.uint16] | None, changed: Sequence[Rect], at: int
    ) -> None:
        self.pixels = pixels
        self.colormap = colormap
        self.changed = changed
        self.at = at

    def is_torn(self) -> bool:
        """See `Captured.is_torn`."""
        return False

    def release(self) -> None:
        """See `Captured.release`."""
        self.pixels = RELEASED


class Canvas:
    """A picture of a region of which the source has only the top left part, the rest black.

    It is one piece of memory, brought up to date by each `paste`.
    """

    def __init__(self, size: tuple[int, int], fmt: PixelFormat, colormap: NDArray[np.uint16] | None) -> None:
        shape, dtype, _ = fmt.layout(*size)
        self.pixels: NDArray[Any] = np.zeros(shape, dtype)
        if colormap is not None:  # the darkest colour that there is
            self.pixels[:] = int(colormap.sum(axis=1, dtype=np.uint32).argmin())

    def paste(self, pixels: NDArray[Any], rects: Iterable[Rect]) -> None:
        """Copy these rectangles of the top left part."""
        for rect in rects:
            self.pixels[rect.slices] = pixels[rect.slices]
