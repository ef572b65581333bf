"""Write blue, green, red into a picture's planes by OpenCV, in bands of rows that stay in the cache.

OpenCV starts threads of its own for more than 65,536 pixels, as many as the process has it set to. Each band has fewer,
so that a conversion stays in the thread that calls it, and the process's setting is left alone.

`cv2.split` stores past the cache where all planes lie alike in their cache lines, which takes five times as long in
rows of 200 pixels, a microsecond a row. So one of its planes is always memory of ours that lies otherwise, and is
copied.

A 1080p picture takes 1.5 ms as yuv420p, 1.6 as yuv444p, 0.3 as gbrp; 16x16 pixels take 20 µs.

What does not work, of a 1080p picture (tests/bench/record_conversions.py): cv2.transform of four bytes a pixel, which
has no fast loop (15 ms, and 0.8 of three); cv2.cvtColor to YUV, whose range is another; to I420 alone, whose chroma is
that of one pixel in four (see `yuv`); means of the chroma of all pixels, 0.3 ms more than the chroma of the means; luma
by cvtColor to gray, scaled, and chroma by its differences to blue and red, which is as slow and less exact.
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
_BGRX = 4
_BAND = 61440  # pixels: 32 rows of 1920; half as many take 1.2 times as long, since each band costs 10 µs by itself
_BANDS = 4  # whose means are as many pixels as a band has: their chroma is computed at once


class OpenCVWriter:
    """Memory for one band, and the conversions of pixels; for one thread."""

    loss: Final = 0.0

    def __init__(self, cv2: ModuleType) -> None:
        self._cv2 = cv2
        self.name = f"OpenCV {cv2.__version__}"
        self._matrix = np.array(MATRIX)
        self._allot(_BAND)

    def _allot(self, pixels: int) -> None:
        """Make memory for a band as blue, green, red; the same as Y, U, V; means of some bands; and one plane."""
        self._bgr = np.empty(_BGR * pixels, np.uint8)
        self._yuv = np.empty_like(self._bgr)
        self._means = np.empty(_BGRX * pixels * _BANDS // 4, np.uint8)
        self._plane = np.empty(pixels + _LINE, np.uint8)
        self._pixels = pixels

    def write(self, pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
        """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p's is even."""
        if layout == "bgr0":
            write_bgr0(pixels, planes[0])
            return
        height, width = pixels.shape[:2]
        if 2 * width > self._pixels:  # two rows are more than a band
            self._allot(2 * width)
        rows = min(height, max(_BAND // width // 2 * 2, 2))
        write = {"gbrp": self._write_gbrp, "yuv444p": self._write_yuv444, "yuv420p": self._write_yuv420}[layout]
        write(pixels, planes, rows)

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

    def _write_yuv444(self, pixels: NDArray[np.uint8], planes: Planes, rows: int) -> None:
        cv2 = self._cv2
        luma, blueish, reddish = planes
        width, count = pixels.shape[1:]
        bgr, mixed = self._three(self._bgr, rows, width), self._three(self._yuv, rows, width)
        apart = self._apart(luma, rows)
        for top in range(0, len(pixels), rows):
            at = slice(top, top + rows)
            band = pixels[at]
            if len(band) < rows:  # the last one
                bgr, mixed, apart = (memory[: len(band)] for memory in (bgr, mixed, apart))
            if count != _BGR:
                band = cv2.cvtColor(band, cv2.COLOR_BGRA2BGR, dst=bgr)
            cv2.transform(band, self._matrix, mixed)
            cv2.split(mixed, (luma[at], blueish[at], apart))
            reddish[at] = apart

    def _write_yuv420(self, pixels: NDArray[np.uint8], planes: Planes, rows: int) -> None:
        """Write luma band by band, by a conversion whose chroma is lost, and that of the means of some bands at once.

        What is lost lies below the band's luma, where the next band's is written later; below the last ones it has
        memory of its own.
        """
        cv2 = self._cv2
        luma = planes[0]
        height, width, count = pixels.shape
        code = cv2.COLOR_BGR2YUV_I420 if count == _BGR else cv2.COLOR_BGRA2YUV_I420
        below = self._yuv[: width * rows * 3 // 2].reshape(rows * 3 // 2, width)
        apart = self._apart(planes[1], rows // 2 * _BANDS)
        some = self._means[: width // 2 * rows // 2 * _BANDS * count].reshape(rows // 2 * _BANDS, width // 2, count)
        for first in range(0, height, rows * _BANDS):
            last = min(first + rows * _BANDS, height)
            for top in range(first, last, rows):
                band = pixels[top : min(top + rows, last)]
                needed = len(band) * 3 // 2
                if top + needed <= height:
                    cv2.cvtColor(band, code, dst=luma[top : top + needed])
                else:
                    cv2.cvtColor(band, code, dst=below[:needed])
                    luma[top : top + len(band)] = below[: len(band)]
            half = slice(first // 2, last // 2)
            means = some[: half.stop - half.start]
            cv2.resize(pixels[first:last], (width // 2, len(means)), means, interpolation=cv2.INTER_AREA)
            self._write_chroma(means, apart, [plane[half] for plane in planes[1:]])

    def _write_chroma(self, means: NDArray[np.uint8], apart: NDArray[np.uint8], planes: Planes) -> None:
        cv2 = self._cv2
        rows, width, count = means.shape
        if count != _BGR:
            means = cv2.cvtColor(means, cv2.COLOR_BGRA2BGR, dst=self._three(self._bgr, rows, width))
        mixed = cv2.transform(means, self._matrix, self._three(self._yuv, rows, width))
        cv2.split(mixed, (apart[:rows], *planes))

    @staticmethod
    def _three(memory: NDArray[np.uint8], rows: int, width: int) -> NDArray[np.uint8]:
        return memory[: rows * width * _BGR].reshape(rows, width, _BGR)

    def _apart(self, plane: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
        """Return memory for rows of a plane that lie otherwise in their cache lines than the plane's, by a byte."""
        start = (plane.__array_interface__["data"][0] + 1 - self._plane.__array_interface__["data"][0]) % _LINE
        return self._plane[start : start + rows * plane.shape[1]].reshape(rows, plane.shape[1])
