"""Read boxes of a source's pixels as blue, green, red: of any depth, scaled, with a repeated edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.pixels import to_rgb
from xshm.pixels.raster import Raster
from xshm.record.pictures import opencv_scale
from xshm.record.pictures.scale import Axis, scaled

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat

    Box = tuple[int, int, int, int]  # left, top, right, bottom
else:
    from xshm._numpy import np

_BGR_FIRST = (2, 1, 0)  # places of red, green and blue in a pixel of four bytes
_BYTE = 8


class Reader:
    """The pixels of a source of one format and size, scaled to `scaled_size`."""

    def __init__(self, fmt: PixelFormat, size: tuple[int, int], scaled_size: tuple[int, int]) -> None:
        self._format = fmt
        self._size = scaled_size
        four = fmt.bits_per_pixel == 4 * _BYTE and not fmt.needs_colormap
        self._as_is = four and fmt.byte_offsets == _BGR_FIRST
        self._axes = None if size == scaled_size else tuple(map(Axis, size, scaled_size))
        self._cv2: ModuleType | None = None
        self.rows = 1  # so many at a time, or a multiple, are read without reading any twice
        # Seconds that a pixel takes longer than by OpenCV.
        self.loss = 50e-9 if self._axes is not None and opencv_scale.fits(*self._axes) else 0.0

    def use(self, cv2: ModuleType) -> None:
        """Scale by OpenCV from now on, where it can."""
        if self.loss and self._axes is not None:
            self._cv2, self.loss = cv2, 0.0
            self.rows = self._axes[1].period

    def touched(self, box: Box) -> Box:
        """Return the scaled pixels that a box of the source's is in."""
        if self._axes is None:
            return box
        (left, right), (top, bottom) = self._axes[0].touched(box[0], box[2]), self._axes[1].touched(box[1], box[3])
        return left, top, right, bottom

    def is_plain(self, box: Box) -> bool:
        """Return whether the pixels of a box are read as they are: no band of it needs memory of its own."""
        return self._as_is and self._axes is None and box[2] <= self._size[0] and box[3] <= self._size[1]

    def read(self, pixels: NDArray[Any], colormap: NDArray[Any] | None, box: Box) -> NDArray[np.uint8]:
        """Return a box as (height, width, 3 or 4) uint8, blue, green, red and a byte without meaning.

        It may be a view of the pixels. What lies right of the source, or below it, is its last column or row again.
        """
        right, bottom = min(box[2], self._size[0]), min(box[3], self._size[1])
        # A box of nothing but the padding reads the last column or row.
        left, top = min(box[0], right - 1), min(box[1], bottom - 1)
        found = self._inside(pixels, colormap, (left, top, right, bottom))
        missing = box[3] - bottom, box[2] - right
        if any(missing):
            found = np.pad(found, (*((0, count) for count in missing), (0, 0)), mode="edge")
            found = found[box[1] - top :, box[0] - left :]
        return found

    def _inside(self, pixels: NDArray[Any], colormap: NDArray[Any] | None, box: Box) -> NDArray[np.uint8]:
        left, top, right, bottom = box
        if self._axes is None:
            return self._colours(pixels, colormap, box)
        across, down = self._axes
        columns, rows = (left, right), (top, bottom)
        if self._cv2 is not None:
            columns, rows = across.aligned(left, right), down.aligned(top, bottom)
        (x, end), (y, last) = across.covered(*columns), down.covered(*rows)
        window = self._colours(pixels, colormap, (x, y, end, last))
        if self._cv2 is None:
            return scaled(window[..., :3], down, across, rows, columns)
        found = opencv_scale.scaled(self._cv2, window, down, across, rows, columns)
        return found[top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]]

    def _colours(self, pixels: NDArray[Any], colormap: NDArray[Any] | None, box: Box) -> NDArray[np.uint8]:
        left, top, right, bottom = box
        if self._as_is:
            return pixels[top:bottom, left:right]
        each_byte = max(_BYTE // self._format.bits_per_pixel, 1)  # several pixels in one at depths 1 and 4
        first = left // each_byte
        part = pixels[top:bottom, first : -(-right // each_byte)]
        raster = Raster(part, self._format, colormap, right - first * each_byte)
        return to_rgb.bgr(raster, converter="numpy")[:, left - first * each_byte :]
