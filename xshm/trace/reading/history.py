"""When a region of a trace gets other colours: which picture is the last, or the next, that changes it.

A rectangle that is drawn anew with the colours that it had is no change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.trace.reading.canvas import TraceCanvas
else:
    from xshm._numpy import np


def last_change(canvas: TraceCanvas, region: Rect, last: int) -> int | None:
    """Return which picture, up to `last`, is the last one that changes a region; None: none does."""
    after: NDArray[Any] | None = None  # the region in the key picture of the group after
    first = last + 1  # of that group
    while first > 0:
        key, _ = canvas.group(first - 1)
        found, start, end = _in_group(canvas.pixels_of(region, key, first - 1))
        if after is not None and not np.array_equal(end, after):
            return first
        if found is not None:
            return found
        first, after = key, start
    return None


def next_change(canvas: TraceCanvas, region: Rect, since: int) -> int | None:
    """Return which picture after `since` is the first one that changes a region; None: none does. -1: of all."""
    key, _ = canvas.group(max(since, 0))
    former: NDArray[Any] | None = None
    for index, pixels in canvas.pixels_of(region, key, len(canvas) - 1):
        if index > since and former is not None and not np.array_equal(former, pixels):
            return index
        former = pixels.copy()
    return None


def _in_group(pixels: Iterator[tuple[int, NDArray[Any]]]) -> tuple[int | None, NDArray[Any], NDArray[Any]]:
    """Return which picture behind a key picture last changes a region; its pixels in the first and the last one."""
    _, found = next(pixels)
    start, former, last = found.copy(), found.copy(), None
    for index, found in pixels:
        if not np.array_equal(found, former):
            last, former = index, found.copy()
    return last, start, former
