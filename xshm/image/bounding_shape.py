"""Bounding shapes (SHAPE 1.1): which pixels of a window's rectangle are the window's own.

A shape is rectangles that do not overlap, as the server sends them. None stands for a window without one, and no
rectangles for a window of which nothing is its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect

    Rects = tuple[Rect, ...]
else:
    from xshm._numpy import np


class BoundingShape:
    """A window's shape: `rects` in the window's coordinates. What lies outside of the window does not count."""

    __slots__ = ("_last", "rects")

    def __init__(self, rects: Iterable[Rect]) -> None:
        self.rects = tuple(rects)
        self._last: tuple[Rect, Rects | None] | None = None  # programs ask for the same region again and again

    def within(self, region: Rect) -> Rects | None:
        """Return the part inside a region, counted from the region's corner; None where that is all of the region."""
        last = self._last
        if last is None or last[0] != region:
            self._last = last = region, cut(self.rects, region)
        return last[1]


def cut(rects: Rects, region: Rect) -> Rects | None:
    """Return what of rectangles that do not overlap lies in a region, counted from its corner; None if it is all."""
    cuts = [part for each in rects if (part := each.intersect(region)) is not None]
    if sum(part.width * part.height for part in cuts) == region.width * region.height:
        return None
    return tuple(part.moved(-region.x, -region.y) for part in cuts)


def clear_outside(array: NDArray[Any], rects: Rects) -> None:
    """Make all samples of (height, width, n) zero outside of a shape."""
    outside = np.ones(array.shape[:2], bool)
    for rect in rects:
        outside[rect.slices] = False
    array[outside] = 0
