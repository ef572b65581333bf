"""Painter: converts changed rectangles of a source's pixels into a Picture's planes.

Always true:

1. What is painted of a rectangle does not depend on how changes are cut into rectangles, nor on when a converter took
   over from another: a picture that was painted part by part equals one that was painted at once. The samples of
   libswscale, and those of pictures that OpenCV has scaled, alone may differ from others, their own included, by 1.
2. Pixels are read in bands from the top down: they may be live memory, whose owner tells whether anything was drawn
   meanwhile. Each is read once, or twice in a short time: by OpenCV for yuv420p, and at the rims of scaled parts.
3. No thread is started, and no setting of OpenCV, which is the process's own, is changed.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.pixels import opencv
from xshm.record.pictures import libav_planes
from xshm.record.pictures.numpy_planes import NumpyWriter
from xshm.record.pictures.opencv_planes import OpenCVWriter
from xshm.record.pictures.picture import LAYOUTS
from xshm.record.pictures.reader import Reader
from xshm.record.pictures.scale import scaled_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
    from xshm.record.pictures.numpy_planes import Planes
    from xshm.record.pictures.picture import Layout, Picture
    from xshm.record.pictures.reader import Box

_SMALLEST_EDGE: Final = 2
# Two rectangles are converted as one where that adds at most so many pixels: what a rectangle costs by itself.
_JOINED: Final = 8192
_LOOKED_AT: Final = 8  # rectangles before one that it may be joined with; they are sorted by rows
_BAND: Final = 32768  # pixels that are read at a time where they are not as the converters want them
_IMPORT: Final = 0.05  # seconds that the import of OpenCV takes


class Writer(Protocol):
    """A converter of pixels."""

    @property
    def name(self) -> str:
        """The library and its version."""

    @property
    def loss(self) -> float:
        """Seconds that a pixel takes longer than by OpenCV."""

    def write(self, pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
        """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p's is even."""


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
        self._writer: Writer = NumpyWriter()
        self._why = ""
        # Seconds that OpenCV would have saved so far; infinite once it is known not to be there. The first picture is
        # the whole one, and scaling that by numpy takes longer than the import.
        self._lost = self._reader.loss * width * height
        self._choose()

    @property
    def how(self) -> str:
        """What converts the pixels, and why."""
        return self._writer.name + self._why

    def paint(
        self, picture: Picture, pixels: NDArray[Any], rects: Iterable[Rect], colormap: NDArray[Any] | None = None
    ) -> list[Rect]:
        """Convert these rectangles of the source; return those of the picture that were painted."""
        boxes = [self._aligned(self._reader.touched(box)) for box in _joined(rects, self._source)]
        for box in boxes:
            self._paint(picture, pixels, colormap, box)
        loss = self._writer.loss + self._reader.loss
        if loss and self._lost < math.inf:
            self._lost += loss * sum(map(_area, boxes))
            if self._lost >= _IMPORT or "cv2" in sys.modules:
                self._choose()
        return [Rect.from_ltrb(*box) for box in boxes]

    def _aligned(self, box: Box) -> Box:
        step = self._step
        left, top, right, bottom = box
        return left // step * step, top // step * step, -(-right // step) * step, -(-bottom // step) * step

    def _paint(self, picture: Picture, pixels: NDArray[Any], colormap: NDArray[Any] | None, box: Box) -> None:
        left, top, right, bottom = box
        step = math.lcm(self._step, self._reader.rows)
        # Where reading needs memory, of bands that stay in the cache.
        rows = bottom - top if self._reader.is_plain(box) else max(_BAND // (right - left) // step * step, step)
        for y in range(top // step * step, bottom, rows):
            part = (left, max(y, top), right, min(y + rows, bottom))
            found = self._reader.read(pixels, colormap, part)
            self._writer.write(found, self._planes(picture, part), self._layout)

    def _planes(self, picture: Picture, box: Box) -> tuple[NDArray[np.uint8], ...]:
        left, top, right, bottom = box
        first, *others = picture.planes
        step = self._step
        rest = slice(top // step, bottom // step), slice(left // step, right // step)
        return first[top:bottom, left:right], *(plane[rest] for plane in others)

    def _choose(self) -> None:
        """Take the best converter there is, if its import is worth it by now: what it would have saved is as much.

        At worst that takes twice the time of the better decision.
        """
        is_copied = self._layout == "bgr0"
        if is_copied and not self._reader.loss:
            self._why = ", which copies BGRX as fast as anything"
            return
        cv2 = opencv.loaded()
        if cv2 is None and self._lost < _IMPORT:
            self._writer = self._writer if is_copied else libav_planes.loaded() or self._writer
            self._why = ": OpenCV is not imported for so little"
            return
        if cv2 is None:
            cv2, reason = opencv.module()
        if cv2 is not None:
            self._writer, self._why = OpenCVWriter(cv2), ""
            self._reader.use(cv2)
            return
        self._writer = self._writer if is_copied else libav_planes.installed() or self._writer
        self._why = f": {reason}"
        self._lost = math.inf


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
