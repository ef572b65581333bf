"""APNG by a writer of our own: the exact pixels, each changed rectangle one frame, played by every browser.

Frames are RGBA, of alpha 255 where a pixel differs from the frame before, else 0: two small changes in opposite corners
are 10 KiB of zeros with them, and the picture between them, some 300 KiB, without. A frame of pixels that all differ is
15 % larger for it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final

from xshm.image.files import png_chunks
from xshm.image.files.png import filter_rows
from xshm.pixels import opencv
from xshm.pixels.channels import alpha, colours
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster
from xshm.pixels.to_rgb import write_channels
from xshm.record.formats.animation import Animation, Patch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
else:
    from xshm._numpy import np

_BGRA: Final = PixelFormat(32, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
_PARTS: Final = (*colours(_BGRA, np.dtype(np.uint8), None), alpha(_BGRA, np.dtype(np.uint8)))
_PIXEL: Final = 4  # bytes
_UNKNOWN: Final = 0x7FFFFFFF  # frames, to a pipe: readers take what there is
_FOREVER: Final = 0  # plays
_KEEP, _OVER = 0, 1  # the frame before stays, and this one is drawn over it
_COUNT_AT: Final = 33  # where the chunk with the number of frames begins: behind the signature and IHDR


class ApngSink(Animation):
    """A recording as an APNG."""

    kind: ClassVar = "APNG"
    ticks: ClassVar = 1000
    shortest: ClassVar = 11  # browsers show what is to last 10 ms or less for 100 ms
    longest: ClassVar = 0xFFFF
    most_edge: ClassVar = 0x7FFFFFFF
    trailer: ClassVar = b"".join(png_chunks.chunk(b"IEND", b""))

    _sequence = 0  # the number of the next fcTL or fdAT

    def _how(self) -> str:
        return f"APNG: the exact pixels in every quality, compressed by {png_chunks.encoder()}"

    def _header(self) -> bytes:
        described = struct.pack(">IIBBBBB", *self.size, 8, png_chunks.RGBA, 0, 0, 0)
        return b"".join((png_chunks.SIGNATURE, *png_chunks.chunk(b"IHDR", described), *_count(_UNKNOWN)))

    def _corrections(self, frames: int, nbytes: int) -> Mapping[int, bytes]:  # noqa: ARG002
        return {_COUNT_AT: b"".join(_count(frames))}

    def _frame(self, whole: Rect, patches: list[Patch], ticks: int) -> bytes:
        packed = _compressed(whole, patches)
        place = (whole.width, whole.height, whole.x, whole.y)
        control = struct.pack(">5I2H2B", self._sequence, *place, ticks, self.ticks, _KEEP, _OVER)
        if not self._sequence:
            self._sequence = 1
            return b"".join((*png_chunks.chunk(b"fcTL", control), *png_chunks.chunk(b"IDAT", packed)))
        data = struct.pack(">I", self._sequence + 1) + packed
        self._sequence += 2
        return b"".join((*png_chunks.chunk(b"fcTL", control), *png_chunks.chunk(b"fdAT", data)))


def _count(frames: int) -> tuple[bytes, ...]:
    return png_chunks.chunk(b"acTL", struct.pack(">II", frames, _FOREVER))


def _compressed(whole: Rect, patches: list[Patch]) -> bytes:
    """Return a rectangle of patches, and of transparent pixels around them, as a PNG's compressed rows of R G B A."""
    rows = np.zeros((whole.height, 1 + _PIXEL * whole.width), np.uint8)  # `png_chunks.NONE` begins each row
    shape, strides = (whole.height, whole.width, _PIXEL), (rows.strides[0], _PIXEL, 1)
    samples: NDArray[np.uint8] = np.ndarray(shape, np.uint8, rows, 1, strides)
    for rect, pixels, differs in patches:
        opaque = pixels if differs is None else pixels * differs
        memory = opaque.view(np.uint8).reshape(*pixels.shape, _PIXEL)
        place = rect.moved(-whole.x, -whole.y).slices
        write_channels(Raster(memory, _BGRA), _PARTS, samples[place], opencv.loaded())
    if 2 * sum(each.pixels.size for each in patches) >= whole.width * whole.height:  # else it is mostly zeros
        filter_rows(rows, _PIXEL)
    return png_chunks.deflate(rows, png_chunks.FASTEST)
