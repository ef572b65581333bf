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

import math
from typing import TYPE_CHECKING, Any, Final

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


class OpenCVWriter:
    """Memory for one band, and the conversions of bands; for one thread."""

    band: Final = 30720  # pixels: 16 rows of 1920, which with what is made of them are 300 KiB
    loss: Final = 0.0

    def __init__(self, cv2: ModuleType) -> None:
        self._cv2 = cv2
        self.name = f"OpenCV {cv2.__version__}"
        self._matrix = np.array(MATRIX)
        # Memory for the band as blue, green, red; the same as Y, U, V; and one plane or two.
        self._bgr = np.empty(_BGR * self.band, np.uint8)
        self._yuv = np.empty_like(self._bgr)
        self._first = np.empty(self.band + _LINE, np.uint8)
        self._second = np.empty(self.band, np.uint8)

    def write(self, pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
        """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p's is even."""
        if layout == "bgr0":
            write_bgr0(pixels, planes[0])
        elif layout == "gbrp":
            self._write_gbrp(pixels, planes)
        else:
            self._write_yuv(pixels, planes)

    def _write_gbrp(self, pixels: NDArray[np.uint8], planes: Planes) -> None:
        green, blue, red = planes
        apart = self._apart(green)
        if pixels.shape[2] == _BGR:
            self._cv2.split(pixels, (blue, green, apart))
            red[...] = apart
        else:
            self._cv2.split(pixels, (blue, green, red, apart))

    def _write_yuv(self, pixels: NDArray[np.uint8], planes: Planes) -> None:
        cv2 = self._cv2
        luma, *chroma = planes
        bgr = pixels
        if pixels.shape[2] != _BGR:
            bgr = _part(self._bgr, (*pixels.shape[:2], _BGR))
            cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR, dst=bgr)
        mixed = _part(self._yuv, bgr.shape)
        cv2.transform(bgr, self._matrix, mixed)
        apart = self._apart(luma)
        if chroma[0].shape == luma.shape:
            cv2.split(mixed, (luma, chroma[0], apart))
            chroma[1][...] = apart
            return
        other = _part(self._second, luma.shape)
        cv2.split(mixed, (luma, apart, other))
        size = chroma[0].shape[::-1]
        for full, half in zip((apart, other), chroma, strict=True):
            cv2.resize(full, size, half, interpolation=cv2.INTER_AREA)

    def _apart(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return memory for a plane that lies otherwise in its cache line than the plane, by a byte."""
        start = (plane.__array_interface__["data"][0] + 1 - self._first.__array_interface__["data"][0]) % _LINE
        return _part(self._first[start:], plane.shape)


def _part(memory: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return memory[: math.prod(shape)].reshape(shape)
