"""Unpack pixel values from memory and pack them again; extract and scale channels, exact to the last bit.

A channel is scaled so that its greatest value becomes the dtype's greatest, rounded to the nearest: 5 bits, 31 → 255.
Integer arithmetic only; each multiplier is checked for all values that a channel can have before it is used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from xshm.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
else:
    from xshm._numpy import np

_COLOURS = 3  # columns of a colormap: red, green, blue


def values(pixels: NDArray[Any], fmt: PixelFormat, width: int) -> NDArray[Any]:
    """Return (height, width) pixel values as unsigned integers in this machine's order; a view where memory allows."""
    little = fmt.byte_order == "little"
    if fmt.bits_per_pixel == 1:
        # Bytes of 0 and 1, a pixel each; `count` leaves out the bits that pad a row.
        return np.unpackbits(pixels, axis=1, count=width, bitorder=fmt.bit_order)
    if fmt.bits_per_pixel == 4:  # noqa: PLR2004  two pixels a byte
        halves = (pixels & 15, pixels >> 4)
        return np.stack(halves if little else halves[::-1], axis=2).reshape(len(pixels), -1)[:, :width]
    if fmt.bits_per_pixel == 24:  # noqa: PLR2004  three bytes a pixel
        # numpy has no integers of three bytes: the value is put together from its bytes.
        low, middle, high = (pixels[..., at].astype(np.uint32) for at in ((0, 1, 2) if little else (2, 1, 0)))
        return low | middle << 8 | high << 16
    if pixels.dtype == np.uint8 and fmt.bits_per_pixel == 32:  # noqa: PLR2004  four bytes a pixel
        if pixels.strides[2] != 1:  # planes: a pixel's bytes are no number in memory
            pixels = np.ascontiguousarray(pixels)
        pixels = pixels.view("<u4" if little else ">u4")[..., 0]
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def store(pixel_values: NDArray[Any], pixels: NDArray[Any], fmt: PixelFormat) -> None:
    """Write (height, width) pixel values into `pixels`: the reverse of `values`, for 8 bits per pixel and more."""
    if pixels.ndim == 2:  # noqa: PLR2004  one number a pixel, which numpy puts into the server's byte order
        pixels[...] = pixel_values
        return
    size = pixels.shape[2]
    for at in range(size):
        shift = 8 * (at if fmt.byte_order == "little" else size - 1 - at)
        pixels[..., at] = pixel_values >> shift & 0xFF


class Constant(NamedTuple):
    """A channel that is the same for all pixels and not in memory: opaque alpha."""

    value: int

    def of(self, _: NDArray[Any]) -> NDArray[Any]:
        """Return one value that stands for every pixel (numpy broadcasts it)."""
        return np.array(self.value, np.uint16)


class Channel(NamedTuple):
    """A run of bits, scaled or looked up in a table; `byte` is its offset in the pixel where it is one whole byte."""

    shift: int
    top: int
    scaling: Scaling | None = None
    table: NDArray[Any] | None = None
    byte: int | None = None

    def raw(self, pixel_values: NDArray[Any]) -> NDArray[Any]:
        """Return the channel's bits as a number from 0 to `top`, in memory of its own."""
        part: NDArray[Any] = (pixel_values >> self.shift if self.shift else pixel_values) & self.top
        return part

    def of(self, pixel_values: NDArray[Any]) -> NDArray[Any]:
        """Return the channel of each pixel, scaled."""
        part = self.raw(pixel_values)
        if self.table is not None:
            return self.table.take(part)
        return part if self.scaling is None else self.scaling.of(part)


class Luma(NamedTuple):
    """Brightness by ITU-R BT.601 in 16-bit fixed point: 0.299 red, 0.587 green, 0.114 blue, rounded."""

    red: Channel
    green: Channel
    blue: Channel

    def of(self, pixel_values: NDArray[Any]) -> NDArray[Any]:
        """Return the brightness of each pixel."""
        return _luma(self.red.of(pixel_values), self.green.of(pixel_values), self.blue.of(pixel_values))


Part = Constant | Channel | Luma


class Scaling(NamedTuple):
    """(value × factor + offset) >> down, in integers wide enough for it."""

    work: np.dtype[Any]
    factor: int
    offset: int
    down: int

    def of(self, part: NDArray[Any]) -> NDArray[Any]:
        """Return the scaled values; `part` may be overwritten."""
        scaled = part.astype(self.work, copy=False)  # wide enough: `scaling` has checked the greatest product
        scaled *= self.factor
        scaled += self.offset
        scaled >>= self.down
        return scaled


@lru_cache
def scaling(bits: int, dtype: np.dtype[Any]) -> Scaling | None:
    """Return the narrowest arithmetic that takes `bits` bits to dtype's whole range; None where they have that range.

    A division by 2^bits - 1 becomes a multiplication and a shift, with the first factor, offset and shift that are
    exact for every value there is.
    """
    source, target = (1 << bits) - 1, (1 << 8 * dtype.itemsize) - 1
    if source == target:
        return None
    every = np.arange(source + 1)
    # value × target / source, rounded: twice the numerator plus half the divisor, all in whole numbers.
    exact = (every * (2 * target) + source) // (2 * source)
    for work in map(np.dtype, (np.uint16, np.uint32, np.uint64)):
        for down in range(32):
            factor = (target << down) // source
            # For each value, offsets from `offset` to `most` give its exact result and not the next number.
            offset = max(int(((exact << down) - every * factor).max()), 0)
            most = int((((exact + 1) << down) - every * factor).min()) - 1
            if offset <= most and source * factor + offset < 1 << 8 * work.itemsize:
                return Scaling(work, factor, offset, down)
    # PixelFormat has channels of 1 to 16 bits, and `sample_type` takes uint8 and uint16: the tests try all of them.
    raise AssertionError(f"no scaling from {bits} bits to {dtype}")


def colours(fmt: PixelFormat, dtype: np.dtype[Any], colormap: NDArray[Any] | None) -> tuple[Channel, Channel, Channel]:
    """Return how red, green and blue are computed from a pixel's value."""
    # Without masks all of the pixel's value is a shade, or indexes three columns of one table; with DirectColor each
    # channel's bits index its own column.
    masks = (fmt.red_mask, fmt.green_mask, fmt.blue_mask) if fmt.has_masks else (fmt.colour_mask,) * 3
    if fmt.needs_colormap:
        columns = _colormap(fmt, dtype, colormap).T
        found = [Channel(_low(mask), mask >> _low(mask), table=each) for mask, each in zip(masks, columns, strict=True)]
    else:
        places = fmt.byte_offsets or (None, None, None)
        found = [_channel(mask, dtype, at) for mask, at in zip(masks, places, strict=True)]
    red, green, blue = found
    return red, green, blue


def alpha(fmt: PixelFormat, dtype: np.dtype[Any]) -> Part:
    """Return how alpha is computed: opaque, except where the format has it."""
    if not fmt.alpha_mask:
        return Constant((1 << 8 * dtype.itemsize) - 1)
    return _channel(fmt.alpha_mask, dtype, fmt.fourth_byte)


def luma(fmt: PixelFormat, dtype: np.dtype[Any], colormap: NDArray[Any] | None) -> Part:
    """Return how gray is computed; shades and colormaps need one look-up, not three."""
    red, green, blue = colours(fmt, dtype, colormap)
    if fmt.has_masks:
        return Luma(red, green, blue)
    if red.table is None or green.table is None or blue.table is None:
        return red
    # The brightness of each entry of the colormap is computed once, not that of each pixel.
    return Channel(
        red.shift,
        red.top,
        table=_luma(*(each.astype(np.uint32) for each in (red.table, green.table, blue.table))).astype(dtype),
    )


def _channel(mask: int, dtype: np.dtype[Any], byte: int | None = None) -> Channel:
    # A byte of memory is the sample itself where nothing is to be scaled: then it can be copied without arithmetic.
    change = scaling(mask.bit_count(), dtype)
    return Channel(_low(mask), mask >> _low(mask), change, byte=byte if change is None else None)


def _low(mask: int) -> int:
    """Return the number of zero bits below the lowest one bit."""
    return (mask & -mask).bit_length() - 1


def _luma(red: NDArray[Any], green: NDArray[Any], blue: NDArray[Any]) -> NDArray[Any]:
    """Return the weighted sum of three arrays, which may be overwritten."""
    # The weights add up to 65536, so equal channels keep their value; 65535 × 65536 + 32768 fits in 32 bits.
    red, green, blue = (each.astype(np.uint32, copy=False) for each in (red, green, blue))
    red *= 19595
    green *= 38470
    blue *= 7471
    red += green
    red += blue
    red += 32768
    red >>= 16
    return red


def _colormap(fmt: PixelFormat, dtype: np.dtype[Any], colormap: NDArray[Any] | None) -> NDArray[Any]:
    if colormap is None:
        raise InvalidArgument(f"{fmt}: pixels are indices; pass the colormap, (n, 3) uint8 or uint16")
    if colormap.ndim != 2 or colormap.shape[1] != _COLOURS or colormap.dtype not in (np.uint8, np.uint16):  # noqa: PLR2004
        raise InvalidArgument(f"a colormap is (n, 3) uint8 or uint16, not {colormap.shape} {colormap.dtype}")
    change = scaling(8 * colormap.itemsize, dtype)
    return (colormap if change is None else change.of(colormap.astype(change.work))).astype(dtype)
