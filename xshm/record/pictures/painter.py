"""Painter: converts changed rectangles of a source's pixels into a Picture's planes.

Always true:

1. What is painted of a rectangle does not depend on how changes are cut into rectangles, nor on the converter: a
   picture that was painted part by part equals one that was painted at once.
2. Each pixel of the source is read from the top down, and of BGRX pixels few times in a row: bands of rows that stay in
   the cache. They may be live memory; whoever owns them tells whether anything was drawn meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.pixels import opencv
from xshm.record.pictures import numpy_planes, opencv_planes
from xshm.record.pictures.bands import Reader
from xshm.record.pictures.picture import LAYOUTS
from xshm.record.pictures.scale import scaled_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
    from xshm.record.pictures.bands import Box
    from xshm.record.pictures.picture import Layout, Picture

_SMALLEST_EDGE: Final = 2
# Two rectangles are converted as one where that adds at most so many pixels: what a rectangle costs by itself.
_JOINED: Final = 8192
_LOOKED_AT: Final = 8  # rectangles before one that it may be joined with; they are sorted by rows
_DEAR: Final = 64_000_000  # pixels that numpy converts before OpenCV is imported: by then its 0.15 s are worth it


class Painter:
    """The conversion of one source's pixels into pictures of one size; for one thread.

    `size` is the width and height of the pictures. With `max_edge` they are scaled so that the longer edge is at most
    that, the shorter one rounded to the nearest; they are never enlarged. yuv420p's are then made even by one repeated
    column or row.
    """

    def __init__(self, fmt: PixelFormat, size: tuple[int, int], layout: Layout, *, max_edge: int | None = None) -> None:
        _arguments.choice(layout, LAYOUTS, "a layout is one of")
        if max_edge is not None and max_edge < _SMALLEST_EDGE:
            raise InvalidArgument(f"max_edge is at least {_SMALLEST_EDGE} pixels, not {max_edge}")
        self._source = Rect(0, 0, *size)
        width, height = scaled_size(size, max_edge)
        self._reader = Reader(fmt, size, (width, height))
        self._step = step = 2 if layout == "yuv420p" else 1
        self.size = (-(-width // step) * step, -(-height // step) * step)
        self._layout = layout
        self._opencv: opencv_planes.Writer | None = None
        self._converted = 0  # pixels, by numpy
        self._why = "OpenCV is not imported for so little"

    @property
    def how(self) -> str:
        """What converts the pixels, and why."""
        return "OpenCV" if self._opencv is not None else f"numpy: {self._why}"

    def paint(
        self, picture: Picture, pixels: NDArray[Any], rects: Iterable[Rect], colormap: NDArray[Any] | None = None
    ) -> list[Rect]:
        """Convert these rectangles of the source; return those of the picture that were painted."""
        boxes = [self._aligned(self._reader.touched(box)) for box in _joined(rects, self._source)]
        for box in boxes:
            self._paint(picture, pixels, colormap, box)
        return [Rect.from_ltrb(*box) for box in boxes]

    def _aligned(self, box: Box) -> Box:
        step = self._step
        left, top, right, bottom = box
        return left // step * step, top // step * step, -(-right // step) * step, -(-bottom // step) * step

    def _paint(self, picture: Picture, pixels: NDArray[Any], colormap: NDArray[Any] | None, box: Box) -> None:
        left, top, right, bottom = box
        writer = self._writer((right - left) * (bottom - top))
        band = numpy_planes.BAND if writer is None else opencv_planes.BAND
        write = numpy_planes.write if writer is None else writer.write
        # A band is of whole rows, but for pictures so wide that two rows are more than a band.
        step = self._step
        rows = max(band // (right - left) // step * step, step)
        columns = band // rows // step * step
        for y in range(top, bottom, rows):
            end = min(y + rows, bottom)
            for x in range(left, right, columns):
                part = (x, y, min(x + columns, right), end)
                found = self._reader.read(pixels, colormap, part)
                write(found, self._planes(picture, part), self._layout)

    def _planes(self, picture: Picture, box: Box) -> tuple[NDArray[np.uint8], ...]:
        left, top, right, bottom = box
        first, *others = picture.planes
        step = self._step
        rest = slice(top // step, bottom // step), slice(left // step, right // step)
        return first[top:bottom, left:right], *(plane[rest] for plane in others)

    def _writer(self, pixels: int) -> opencv_planes.Writer | None:
        """Return OpenCV's conversions where it is loaded, or worth its import; None for numpy."""
        if self._opencv is None and self._layout != "bgr0":
            self._converted += pixels
            cv2 = opencv.loaded()
            if cv2 is None and self._converted > _DEAR:
                cv2, self._why = opencv.module()
            if cv2 is not None:
                self._opencv = opencv_planes.Writer(cv2)
        return self._opencv


def _joined(rects: Iterable[Rect], whole: Rect) -> list[Box]:
    """Return boxes that cover the rectangles inside of `whole`: fewer, where joining them adds few pixels."""
    boxes: list[Box] = sorted(
        (
            (max(rect.x, 0), max(rect.y, 0), min(rect.right, whole.right), min(rect.bottom, whole.bottom))
            for rect in rects
        ),
        key=lambda box: (box[1], box[0]),
    )
    found: list[Box] = []
    for box in boxes:
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        joined = box
        for at in range(len(found) - 1, max(len(found) - 1 - _LOOKED_AT, -1), -1):
            other = found[at]
            union = (
                min(joined[0], other[0]),
                min(joined[1], other[1]),
                max(joined[2], other[2]),
                max(joined[3], other[3]),
            )
            if _area(union) <= _area(joined) + _area(other) + _JOINED:
                joined = union
                del found[at]
        found.append(joined)
    return found


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
