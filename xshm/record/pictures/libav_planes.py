"""Write blue, green, red into a picture's planes by libswscale, which PyAV brings (`xshm[video]`).

Its samples differ by at most 1 from those of the other converters. Chroma of yuv420p is the mean of 2x2 pixels as
theirs by AREA and FULL_CHR_H_INP, which is also the fastest of its ways: 2.6 ms of a 1080p picture, and 3.6 by default
(tests/bench/record_conversions.py).
"""

from __future__ import annotations

import importlib
import math
import sys
from typing import TYPE_CHECKING, Any, Final

from xshm.record.pictures.numpy_planes import NumpyWriter, bands
from xshm.system import limits

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from xshm.record.pictures.numpy_planes import Planes
    from xshm.record.pictures.picture import Layout
else:
    from xshm._numpy import np

_FORMATS = {3: "bgr24", 4: "bgra"}  # by bytes a pixel
_BAND = 1 << 19  # pixels at a time: more than in small bands takes less; the frame that is copied is 1.5 MiB at most
_FEW = 1024  # pixels that numpy converts sooner, and any width of them


class LibavWriter:
    """The conversions of bands; for one thread."""

    loss: Final = 1.2e-9  # seconds that a pixel takes longer than by OpenCV (tests/bench/record_conversions.py)

    def __init__(self, av: ModuleType) -> None:
        self.name = f"libswscale of PyAV {av.__version__}"
        self._frame_over = av.VideoFrame.from_numpy_buffer
        reformatter = importlib.import_module("av.video.reformatter")
        ways = reformatter.Interpolation
        # Older versions of PyAV have neither the flags nor the number of threads, and use one.
        self._options: dict[str, Any] = {"interpolation": ways.AREA}
        if hasattr(ways, "FULL_CHR_H_INP"):
            self._options = {"interpolation": ways.AREA | ways.FULL_CHR_H_INP, "threads": 1}
        self._reformat = reformatter.VideoReformatter().reformat
        self._plain = NumpyWriter()

    def write(self, pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
        """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p's is even."""
        count = pixels.shape[2]
        if layout == "bgr0" or math.prod(pixels.shape[:2]) < _FEW or pixels.strides[1:] != (count, 1):
            self._plain.write(pixels, planes, layout)
            return
        for rows, halves in bands(pixels.shape[0], pixels.shape[1], _BAND):
            frame = self._reformat(self._frame_over(pixels[rows], _FORMATS[count]), format=layout, **self._options)
            for at, (plane, made) in enumerate(zip(planes, frame.planes, strict=True)):
                part = plane[halves if at and layout == "yuv420p" else rows]
                part[...] = np.ndarray(part.shape, np.uint8, memoryview(made), 0, (made.line_size, 1))


def installed() -> LibavWriter | None:
    """Return the writer where PyAV can be imported; None where not."""
    try:
        with limits.loading():
            return LibavWriter(importlib.import_module("av"))
    except ImportError:
        return None


def loaded() -> LibavWriter | None:
    """Return the writer if this process has imported PyAV."""
    return installed() if "av" in sys.modules else None
