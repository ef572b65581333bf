"""Raster: an array of pixels with what is needed to decode it (format, colormap, width); and bands of its rows.

Always true, checked once when a Raster is made: `pixels` has the dimensions, dtype and bytes a pixel of `format`, is
not empty, and its rows hold `width` pixels. So `to_rgb`, `blend` and the encoders, which all take a Raster, check none
of it again. Not checked: the colormap, whose length matters only to what looks colours up (`to_rgb.check_colormap`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.errors import InvalidArgument, InvalidType

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
else:
    from xshm._numpy import np

# Pixels converted at a time where there are intermediate arrays, which then stay in the cache: gray takes 3.0 ms of a
# 1080p picture, 3.7 ms in bands of half the size, 8.9 ms all at once (tests/bench/pixels.py).
_BAND_PIXELS = 32768


class Raster:
    """Pixels in the shape that `PixelFormat.layout` gives them, with any strides: a crop is a Raster too.

    `colormap` is (n, 3) uint8 or uint16, needed where `PixelFormat.needs_colormap`; row n is the colour of the pixel
    value `PixelFormat.colormap_pixels[n]`. `width` is the number of pixels in a row; it matters at 1 and 4 bits per
    pixel, where a row's last byte may be padded. 0: as many as the bytes hold. Raises InvalidType for what is no array,
    InvalidArgument for an array that is not of this format.
    """

    # Not a dataclass, which takes 0.7 ms to make: each screenshot as a process would pay for it.
    __slots__ = ("colormap", "format", "pixels", "width")

    def __init__(
        self, pixels: NDArray[Any], fmt: PixelFormat, colormap: NDArray[Any] | None = None, width: int = 0
    ) -> None:
        if not isinstance(pixels, np.ndarray):
            raise InvalidType(f"pixels are a numpy array, not {type(pixels).__name__}")
        # The layout of a single pixel has the same dimensions, dtype and bytes a pixel; the format caches it.
        shape, dtype, _ = fmt.layout(1, 1)
        if pixels.ndim != len(shape) or pixels.dtype != dtype or pixels.shape[2:] != shape[2:] or 0 in pixels.shape:
            inner = "".join(f", {count}" for count in shape[2:])
            raise InvalidArgument(f"{fmt}: expected (height, width{inner}) {dtype}, got {pixels.shape} {pixels.dtype}")
        each_byte = max(8 // fmt.bits_per_pixel, 1)
        fits = pixels.shape[1] * each_byte
        if width and not fits - each_byte < width <= fits:
            raise InvalidArgument(f"{fmt}: rows of {pixels.shape[1]} hold {fits} pixels, not {width}")
        self.pixels = pixels
        self.format = fmt
        self.colormap = colormap
        self.width = width or fits

    @property
    def height(self) -> int:
        """Rows."""
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, len(self.pixels)


def why_unfit(array: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Return all the reasons why pixels of this shape and dtype can't be written to an array; "" where they can."""
    wrong = []
    if array.shape != shape:
        wrong.append(f"its shape is {array.shape}, not {shape}")
    if array.dtype != dtype:
        wrong.append(f"its dtype is {array.dtype!r}, not {dtype!r}")
    if not array.flags.writeable:
        wrong.append("it is read-only")
    # As numpy.broadcast_to makes them: rows that are one row, of which the last that is written would stay.
    if any(stride == 0 and count > 1 for stride, count in zip(array.strides, array.shape, strict=True)):
        wrong.append(f"its elements share memory (strides {array.strides})")
    return "; ".join(wrong)


def row_bands(height: int, width: int) -> Iterator[slice]:
    """Return slices of rows, from the top, each so few that intermediate arrays of one stay in the cache."""
    rows = max(_BAND_PIXELS // width, 1)
    return (slice(top, top + rows) for top in range(0, height, rows))
