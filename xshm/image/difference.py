"""Comparing two pictures of one size: how much differs, and where.

Works on a mask (height, width) of bool, True where the pictures differ; how that mask is made is the pixels' matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xshm.geometry import Rect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

# Changes closer together than this are one rectangle: a line of text, not each of its letters.
_GAP = 16


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two pictures: `pixels` of them, a `ratio` of the whole (0.0 to 1.0), inside `rects`.

    The rectangles are tight, do not overlap, and are in the coordinates of the pictures' own corner. It is false
    where nothing differs.
    """

    pixels: int
    ratio: float
    rects: tuple[Rect, ...]

    def __bool__(self) -> bool:
        return self.pixels > 0


def difference(mask: NDArray[np.bool_]) -> Difference:
    """Count a mask and put rectangles around what is True in it."""
    count = int(np.count_nonzero(mask))
    rects = tuple(sorted(rectangles(mask), key=lambda rect: (rect.y, rect.x))) if count else ()
    return Difference(count, count / mask.size, rects)


def rectangles(mask: NDArray[np.bool_], gap: int = _GAP) -> list[Rect]:
    """Return tight rectangles around all that is True, cut wherever `gap` empty rows or columns lie between."""
    found: list[Rect] = []
    height, width = mask.shape
    todo = [(0, 0, width, height, -1)]
    while todo:
        left, top, right, bottom, settled = todo.pop()
        part = mask[top:bottom, left:right]
        # Rows and columns in turn; a box that neither cuts is a rectangle.
        axis = 1 if settled == 0 else 0
        runs = _runs(np.logical_or.reduce(part, axis=1 - axis), gap)
        if len(runs) == 1 and settled in (0, 1) and runs[0] == (0, part.shape[axis]):
            found.append(Rect(left, top, right - left, bottom - top))
            continue
        for start, end in runs:
            if axis == 0:
                todo.append((left, top + start, right, top + end, 0))
            else:
                todo.append((left + start, top, left + end, bottom, 1))
    return found


def _runs(line: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Return the stretches of True, where those less than `gap` apart are one."""
    hits: NDArray[Any] = np.flatnonzero(line)
    if not hits.size:
        return []
    breaks = np.flatnonzero(np.diff(hits) > gap)
    starts = hits[np.concatenate(([0], breaks + 1))]
    ends = hits[np.concatenate((breaks, [hits.size - 1]))] + 1
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
