"""Difference of two pictures of one size: how many pixels differ, and rectangles around them (recursive X-Y cut).

It is computed from a mask, (height, width) bool, True where the pictures differ, which `Frame.diff` and the command
`xshm diff` make. The rectangles are in the coordinates of the frame; of two files their corner is 0, 0.
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

# Pixels. Changes closer together than this are in one rectangle: a line of text is one, not each of its letters.
_GAP = 16


@dataclass(frozen=True, slots=True)
class Difference:
    """How two pictures differ: the number of `pixels`, their `ratio` to all (0.0 to 1.0), and `rects` around them.

    The rectangles are tight, do not overlap, are sorted by y, then x, and are in the coordinates of the frame whose
    `diff` was called: those of its `rect`. A Difference is false where nothing differs.
    """

    pixels: int
    ratio: float
    rects: tuple[Rect, ...]

    def __bool__(self) -> bool:
        return self.pixels > 0


def difference(mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> Difference:
    """Return the Difference of two pictures, given the mask of the pixels that differ, and where its corner lies."""
    count = int(np.count_nonzero(mask))
    rects = sorted(rectangles(mask), key=lambda rect: (rect.y, rect.x)) if count else []
    if corner != (0, 0):
        rects = [rect.moved(*corner) for rect in rects]
    return Difference(count, count / mask.size, tuple(rects))


def bounds(mask: NDArray[np.bool_]) -> Rect | None:
    """Return the tight rectangle around all that is True; None where nothing is."""
    rows = np.flatnonzero(np.logical_or.reduce(mask, axis=1))
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(np.logical_or.reduce(mask[top:bottom], axis=0))
    return Rect.from_ltrb(int(columns[0]), top, int(columns[-1]) + 1, bottom)


def rectangles(mask: NDArray[np.bool_], gap: int = _GAP) -> list[Rect]:
    """Return tight rectangles around all that is True, in no order; at least `gap` empty rows or columns part them.

    A recursive X-Y cut: a box is cut at its runs of empty rows, each part at its runs of empty columns, each of those
    at empty rows again, and so on; a part that can be cut along neither axis is a rectangle. An outer empty margin is
    cut off at each step, which makes them tight.
    """
    found: list[Rect] = []
    height, width = mask.shape
    # Left, top, right, bottom of a box, and the axis that it was cut along last, -1 for none. A list, not
    # recursion, whose depth the picture would decide.
    todo = [(0, 0, width, height, -1)]
    while todo:
        left, top, right, bottom, last_axis = todo.pop()
        part = mask[top:bottom, left:right]
        axis = 1 if last_axis == 0 else 0
        runs = _runs(np.logical_or.reduce(part, axis=1 - axis), gap)
        # One run, all of the box, along this axis and, in the step before, along the other: there is nothing to cut.
        if last_axis in (0, 1) and runs == [(0, part.shape[axis])]:
            found.append(Rect(left, top, right - left, bottom - top))
            continue
        for start, end in runs:
            if axis == 0:
                todo.append((left, top + start, right, top + end, 0))
            else:
                todo.append((left + start, top, left + end, bottom, 1))
    return found


def _runs(line: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Return start and end of the runs of True; runs with fewer than `gap` elements between them are one."""
    hits: NDArray[Any] = np.flatnonzero(line)
    if not hits.size:
        return []
    # A run ends, and the next one starts, where the indices of two hits differ by more than `gap`.
    breaks = np.flatnonzero(np.diff(hits) > gap)
    starts = hits[np.concatenate(([0], breaks + 1))]
    ends = hits[np.concatenate((breaks, [hits.size - 1]))] + 1
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
