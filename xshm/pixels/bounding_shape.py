"""Bounding shape of a window (SHAPE 1.1): which pixels of its rectangle belong to the window.

`drawables.window` keeps a BoundingShape for the whole window and cuts it for each frame; `image.frame` clears what is
outside. Always true: a shape is a tuple of rectangles that do not overlap, as the server sends them. None in place of
such a tuple: every pixel belongs to the window. An empty tuple: none does.
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
    """A window's shape: `rects` in the window's coordinates; they may reach beyond the window, which has no effect."""

    __slots__ = ("_last", "rects")

    def __init__(self, rects: Iterable[Rect]) -> None:
        self.rects = tuple(rects)
        self._last: tuple[Rect, Rects | None] | None = None  # the last region and its part: streams repeat a region

    def within(self, region: Rect) -> Rects | None:
        """Return the part inside a region; None where that is all of the region."""
        last = self._last
        if last is None or last[0] != region:
            self._last = last = region, cut(self.rects, region)
        return last[1]


def cut(rects: Rects, region: Rect) -> Rects | None:
    """Intersect rectangles that do not overlap with a region; return None if they cover it."""
    cuts = [part for each in rects if (part := each.intersect(region)) is not None]
    # Rectangles that do not overlap cover the region where their areas add up to its own.
    if sum(part.width * part.height for part in cuts) == region.width * region.height:
        return None
    return tuple(cuts)


def clear_outside(array: NDArray[Any], rects: Rects, region: Rect) -> None:
    """Set all samples of a region's array, (height, width, n), outside of the rectangles to zero."""
    # By a mask: the complement of a few rectangles is many.
    outside = np.ones(array.shape[:2], bool)
    for rect in rects:
        outside[rect.moved(-region.x, -region.y).slices] = False
    array[outside] = 0
