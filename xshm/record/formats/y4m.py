"""y4m: uncompressed YUV as a stream, which ffmpeg reads from a pipe (`ffmpeg -i -`), as others do.

Source: yuv4mpeg(5) of mjpegtools; `XCOLORRANGE` is ffmpeg's. The matrix has no field of its own: readers take BT.601,
and BT.601 it is.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from xshm.errors import InvalidArgument
from xshm.record.formats.streamed import Streamed
from xshm.record.pictures.picture import Picture, blacken, plane_shapes

if TYPE_CHECKING:
    from xshm.record.pictures.picture import Layout
    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.timed_writer import TimedWriter
    from xshm.system.replacement import Replacement

_FRAME: Final = b"FRAME\n"
_LARGEST_DENOMINATOR: Final = 1001  # of 29.97, which is 30000/1001


class Y4mSink(Streamed):
    """A recording as a y4m stream: 4:4:4, or 4:2:0 with quality "small"."""

    kind: ClassVar = "y4m"

    def __init__(self, output: Replacement | TimedWriter, size: tuple[int, int], settings: Settings) -> None:
        if settings.quality == "lossless":
            raise InvalidArgument("y4m has no RGB, so it can't be lossless; record format='bgr0', or quality='screen'")
        super().__init__(output, size, settings)
        self.layout: Layout = "yuv420p" if settings.quality == "small" else "yuv444p"
        self._padded = self.layout == "yuv420p" and (size[0] % 2 or size[1] % 2)
        if self._padded:
            self.size = size[0] + size[0] % 2, size[1] + size[1] % 2

    @property
    def how(self) -> str:
        """What was chosen and why, in words."""
        colour = "4:2:0" if self.layout == "yuv420p" else "4:4:4"
        padded = "; padded by an edge repeated, since 4:2:0 has even sizes" if self._padded else ""
        return f"y4m: uncompressed {colour}, BT.601, at a constant {self.fps:g} pictures a second; no chapters{padded}"

    def new_picture(self) -> Picture:
        """Return a black picture, with the line that begins a frame before it in memory."""
        width, height = self.size
        shapes = plane_shapes(self.layout, width, height)
        memory = np.empty(len(_FRAME) + sum(map(math.prod, shapes)), np.uint8)
        memory[: len(_FRAME)] = np.frombuffer(_FRAME, np.uint8)
        planes, start = [], len(_FRAME)
        for shape in shapes:
            size = math.prod(shape)
            planes.append(memory[start : start + size].reshape(shape))
            start += size
        blacken(self.layout, planes)
        return Picture(self.layout, width, height, tuple(planes), memory.data)

    def _header(self) -> bytes:
        rate = Fraction(self.fps).limit_denominator(_LARGEST_DENOMINATOR)
        colour = "C420jpeg" if self.layout == "yuv420p" else "C444"
        width, height = self.size
        return (
            f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 {colour} XCOLORRANGE=LIMITED\n"
        ).encode()
