"""Read a Feed as a recording does: the changed rectangles alone, over one picture that is kept.

picture = Recorded(feed)
picture.update()                     # waits for nothing
assert picture.shows(core_image(display))
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.record.feeds.feed import Captured, Feed

_UNDEFINED = {24: 0x00FFFFFF, 30: 0x3FFFFFFF, 32: 0xFFFFFFFF}  # the bits of a pixel that are defined


class Recorded:
    """The picture that a feed's changes add up to."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        shape, dtype, _ = feed.format.layout(*feed.size)
        self.pixels: NDArray[Any] = np.full(shape, 7, dtype)
        self.changed: list[Rect] = []

    def update(self, read: Callable[[Captured, NDArray[Any]], None] | None = None) -> bool:
        """Read what has changed, until it is not torn; return whether anything has."""
        captured = self.feed.capture()
        if captured is None:
            return False
        self.changed = []
        while captured is not None:
            assert captured.pixels.shape == self.pixels.shape
            assert time.monotonic_ns() - captured.at < 2e9
            (read or _read)(captured, self.pixels)
            self.changed += captured.changed
            is_torn = captured.is_torn()
            captured.release()
            captured = self.feed.capture() if is_torn else None
        return True

    def follow(self, seconds: float = 5.0) -> bool:
        """Wait for a change, and read it; False where none comes in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.feed.wait(deadline) and self.update():
                return True
        return False

    def shows(self, truth: NDArray[Any]) -> bool:
        """Return whether it is another picture of the same layout, in the bits that are defined."""
        return np.array_equal(self._defined(self.pixels), self._defined(truth))

    def _defined(self, pixels: NDArray[Any]) -> NDArray[Any]:
        if self.feed.format.bits_per_pixel != 32:
            return pixels
        words = np.ascontiguousarray(pixels).view(np.uint32).reshape(pixels.shape[:2])
        return words & _UNDEFINED[self.feed.format.depth]


def _read(captured: Captured, pixels: NDArray[Any]) -> None:
    for rect in captured.changed:
        pixels[rect.slices] = captured.pixels[rect.slices]
