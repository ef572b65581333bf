"""Write blue, green, red into a picture's planes by OpenCV, in bands of rows that stay in the cache.

OpenCV starts threads of its own for more than 65,536 pixels, as many as the process has it set to. Each band has fewer,
so that a conversion stays in the thread that calls it, and the process's setting is left alone.

`cv2.split` stores past the cache where all planes lie alike in their cache lines, which takes five times as long in
rows of 200 pixels, a microsecond a row. So one of its planes is always memory of ours that lies otherwise, and is
copied.

What does not work, of a 1080p picture (tests/bench/record_conversions.py): cv2.transform of four bytes a pixel, which
has no fast loop (15 ms, and 0.8 of three); cv2.cvtColor to YUV, whose range is another; to I420, whose chroma is that
of one pixel in four (see `yuv`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm.record.pictures.numpy_planes import write_bgr0
from xshm.record.pictures.yuv import MATRIX

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from xshm.record.pictures.numpy_planes import Planes
    from xshm.record.pictures.picture import Layout
else:
    from xshm._numpy import np

_BGR = 3
_LINE = 64  # bytes of a cache line, and of the widest vectors


_BAND = 30720  # pixels: 16 rows of 1920, which with what is made of them are 300 KiB


class OpenCVWriter:
    """Memory for one band, and the conversions of pixels; for one thread."""

    loss: Final = 0.0

    def __init__(self, cv2: ModuleType) -> None:
        self._cv2 = cv2
        self.name = f"OpenCV {cv2.__version__}"
        self._matrix = np.array(MATRIX)
        self._allot(_BAND)

    def _allot(self, pixels: int) -> None:
        """Make memory for a band as blue, green, red; the same as Y, U, V; and as two planes."""
        self._bgr = np.empty(_BGR * pixels, np.uint8)
        self._yuv = np.empty_like(self._bgr)
        self._first = np.empty(pixels + _LINE, np.uint8)
        self._second = np.empty(pixels, np.uint8)

    def write(self, pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
        """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p's is even."""
        if layout == "bgr0":
            write_bgr0(pixels, planes[0])
            return
        height, width = pixels.shape[:2]
        if 2 * width > self._second.size:  # two rows are more than a band
            self._allot(2 * width)
        rows = min(height, max(_BAND // width // 2 * 2, 2))
        if layout == "gbrp":
            self._write_gbrp(pixels, planes, rows)
        else:
            self._write_yuv(pixels, planes, rows, halve=layout == "yuv420p")

    def _write_gbrp(self, pixels: NDArray[np.uint8], planes: Planes, rows: int) -> None:
        green, blue, red = planes
        apart = self._apart(green, rows)
        three = pixels.shape[2] == _BGR
        for top in range(0, len(pixels), rows):
            at = slice(top, top + rows)
            band = pixels[at]
            spare = apart[: len(band)]
            if three:
                self._cv2.split(band, (blue[at], green[at], spare))
                red[at] = spare
            else:
                self._cv2.split(band, (blue[at], green[at], red[at], spare))

    def _write_yuv(self, pixels: NDArray[np.uint8], planes: Planes, rows: int, *, halve: bool) -> None:
        cv2 = self._cv2
        luma, blueish, reddish = planes
        height, width, count = pixels.shape
        memory = self._bgr[: rows * width * _BGR].reshape(rows, width, _BGR)
        mixed = self._yuv[: rows * width * _BGR].reshape(rows, width, _BGR)
        apart = self._apart(luma, rows)
        other = self._second[: rows * width].reshape(rows, width)
        for top in range(0, height, rows):
            at = slice(top, top + rows)
            band = pixels[at]
            if len(band) < rows:  # the last one
                rows = len(band)
                memory, mixed, apart, other = memory[:rows], mixed[:rows], apart[:rows], other[:rows]
            if count != _BGR:
                cv2.cvtColor(band, cv2.COLOR_BGRA2BGR, dst=memory)
                band = memory
            cv2.transform(band, self._matrix, mixed)
            if not halve:
                cv2.split(mixed, (luma[at], blueish[at], apart))
                reddish[at] = apart
                continue
            cv2.split(mixed, (luma[at], apart, other))
            size = width // 2, rows // 2
            half = slice(top // 2, top // 2 + rows // 2)
            cv2.resize(apart, size, blueish[half], interpolation=cv2.INTER_AREA)
            cv2.resize(other, size, reddish[half], interpolation=cv2.INTER_AREA)

    def _apart(self, plane: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
        """Return memory for rows of a plane that lie otherwise in their cache lines than the plane's, by a byte."""
        start = (plane.__array_interface__["data"][0] + 1 - self._first.__array_interface__["data"][0]) % _LINE
        return self._first[start : start + rows * plane.shape[1]].reshape(rows, plane.shape[1])
