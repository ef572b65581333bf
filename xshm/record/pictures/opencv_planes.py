"""Write pixels into a picture's planes by OpenCV, in bands of rows that stay in the cache.

OpenCV starts threads of its own for more than 65,536 pixels, as many as the process has it set to; each band has fewer,
so that a conversion stays in the thread that calls it, and the process's setting is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.record.pictures import numpy_planes, yuv

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from xshm.record.pictures.numpy_planes import Planes
    from xshm.record.pictures.picture import Layout
else:
    from xshm._numpy import np

BAND = 61440  # pixels: 32 rows of 1920

_BGR = 3


class Writer:
    """Memory for one band, and the conversions of bands; for one thread."""

    def __init__(self, cv2: ModuleType, band: int = BAND) -> None:
        self._cv2 = cv2
        self._matrix = np.array(yuv.MATRIX)
        # Each is used in parts of the band's shape.
        self._bgr = np.empty(_BGR * band, np.uint8)
        self._yuv = np.empty(_BGR * band, np.uint8)
        self._half = np.empty(4 * (band // 4), np.uint8)
        self._luma = np.empty(band // 4, np.uint8)
        self._i420 = np.empty(band * 3 // 2, np.uint8)

    def write(self, pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
        """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p takes even sizes only."""
        if layout == "bgr0":
            numpy_planes.write_bgr0(pixels, planes[0])
        elif layout == "gbrp":
            blue, green, red = planes[1], planes[0], planes[2]
            self._cv2.split(self._three(pixels), (blue, green, red))
        elif layout == "yuv444p":
            self._transform(pixels, planes)
        else:
            self._subsampled(pixels, planes)

    def _three(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the pixels with three bytes each, which all of OpenCV's fast ways want."""
        if pixels.shape[2] == _BGR:
            return pixels
        bgr = _part(self._bgr, (*pixels.shape[:2], _BGR))
        self._cv2.cvtColor(pixels, self._cv2.COLOR_BGRA2BGR, dst=bgr)
        return bgr

    def _transform(self, pixels: NDArray[np.uint8], planes: Planes) -> None:
        mixed = _part(self._yuv, (*pixels.shape[:2], _BGR))
        self._cv2.transform(self._three(pixels), self._matrix, mixed)
        self._cv2.split(mixed, tuple(planes))

    def _subsampled(self, pixels: NDArray[np.uint8], planes: Planes) -> None:
        cv2 = self._cv2
        height, width, count = pixels.shape
        four = count != _BGR
        # The chroma that this makes too is that of one pixel in four: it is not used.
        i420 = _part(self._i420, (height * 3 // 2, width))
        cv2.cvtColor(pixels, cv2.COLOR_BGRA2YUV_I420 if four else cv2.COLOR_BGR2YUV_I420, dst=i420)
        planes[0][...] = i420[:height]
        half = _part(self._half, (height // 2, width // 2, count))
        cv2.resize(pixels, (width // 2, height // 2), half, interpolation=cv2.INTER_AREA)
        self._transform(half, (_part(self._luma, half.shape[:2]), *planes[1:]))


def _part(memory: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    size = 1
    for length in shape:
        size *= length
    return memory[:size].reshape(shape)
