"""Values out of memory, and channels out of values, exact to the last bit.

A channel is scaled so that its greatest value becomes the dtype's greatest, rounded to the nearest: 5 bits, 31 → 255.
Integer arithmetic only; every multiplier is proved over all the values that a channel can have before it is used.
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

_COLOURS = 3


def values(pixels: NDArray[Any], fmt: PixelFormat, width: int) -> NDArray[Any]:
    """Return (height, width) pixel values as unsigned integers in this machine's order; a view where memory allows."""
    little = fmt.byte_order == "little"
    if fmt.bits_per_pixel == 1:
        return np.unpackbits(pixels, axis=1, count=width, bitorder=fmt.bit_order)
    if fmt.bits_per_pixel == 4:  # noqa: PLR2004  two pixels a byte
        halves = (pixels & 15, pixels >> 4)
        return np.stack(halves if little else halves[::-1], axis=2).reshape(len(pixels), -1)[:, :width]
    if fmt.bits_per_pixel == 24:  # noqa: PLR2004  three bytes a pixel
        low, middle, high = (pixels[..., at].astype(np.uint32) for at in ((0, 1, 2) if little else (2, 1, 0)))
        return low | middle << 8 | high << 16
    if pixels.dtype == np.uint8 and fmt.bits_per_pixel == 32:  # noqa: PLR2004  four bytes a pixel
        if pixels.strides[2] != 1:
            pixels = np.ascontiguousarray(pixels)
        pixels = pixels.view("<u4" if little else ">u4")[..., 0]
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


class Constant(NamedTuple):
    """A channel that memory does not hold: opaque alpha."""

    value: int

    def of(self, _: NDArray[Any]) -> NDArray[Any]:
        """Return one value that stands for every pixel (numpy broadcasts it)."""
        return np.array(self.value, np.uint16)


class Channel(NamedTuple):
    """A run of bits, scaled or looked up in a table; `byte` is its place in memory where it is one whole byte."""

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
        scaled = part.astype(self.work, copy=False)
        scaled *= self.factor
        scaled += self.offset
        scaled >>= self.down
        return scaled


@lru_cache
def scaling(bits: int, dtype: np.dtype[Any]) -> Scaling | None:
    """Find the narrowest arithmetic that takes `bits` bits to dtype's whole range; None where they are that already."""
    source, target = (1 << bits) - 1, (1 << 8 * dtype.itemsize) - 1
    if source == target:
        return None
    every = np.arange(source + 1)
    exact = (every * (2 * target) + source) // (2 * source)
    for work in map(np.dtype, (np.uint16, np.uint32, np.uint64)):
        for down in range(32):
            factor = (target << down) // source
            # Each value allows the offsets that bring it to its exact result and not to the next.
            offset = max(int(((exact << down) - every * factor).max()), 0)
            most = int((((exact + 1) << down) - every * factor).min()) - 1
            if offset <= most and source * factor + offset < 1 << 8 * work.itemsize:
                return Scaling(work, factor, offset, down)
    # PixelFormat has channels of 1 to 16 bits, and `sample_type` lets uint8 and uint16 pass: the tests try all of them.
    raise AssertionError(f"no scaling from {bits} bits to {dtype}")


def colours(fmt: PixelFormat, dtype: np.dtype[Any], colormap: NDArray[Any] | None) -> tuple[Channel, Channel, Channel]:
    """Return how red, green and blue are made from a pixel's value."""
    masks = (fmt.red_mask, fmt.green_mask, fmt.blue_mask)
    if not fmt.needs_colormap:
        if not fmt.has_masks:
            return (_channel((1 << fmt.depth) - 1, dtype),) * 3
        places = fmt.byte_offsets or (None, None, None)
        red, green, blue = (_channel(mask, dtype, at) for mask, at in zip(masks, places, strict=True))
        return red, green, blue
    table = _colormap(fmt, dtype, colormap)
    if not fmt.has_masks:
        masks = ((1 << fmt.depth) - 1,) * 3
    red, green, blue = (
        Channel(_low(mask), mask >> _low(mask), table=table[:, column]) for column, mask in enumerate(masks)
    )
    return red, green, blue


def alpha(fmt: PixelFormat, dtype: np.dtype[Any]) -> Part:
    """Return how alpha is made: opaque, except where the format has it."""
    if not fmt.alpha_mask:
        return Constant((1 << 8 * dtype.itemsize) - 1)
    place = None if fmt.byte_offsets is None else 6 - sum(fmt.byte_offsets)  # the bytes are 0, 1, 2 and 3
    return _channel(fmt.alpha_mask, dtype, place)


def luma(fmt: PixelFormat, dtype: np.dtype[Any], colormap: NDArray[Any] | None) -> Part:
    """Return how gray is made; shades and colormaps need one look-up, not three."""
    red, green, blue = colours(fmt, dtype, colormap)
    if fmt.has_masks:
        return Luma(red, green, blue)
    if red.table is None or green.table is None or blue.table is None:
        return red
    return Channel(
        red.shift,
        red.top,
        table=_luma(*(each.astype(np.uint32) for each in (red.table, green.table, blue.table))).astype(dtype),
    )


def short_tables(parts: tuple[Part, ...]) -> list[Channel]:
    """Return the channels that pixels could index past the end of."""
    flat: list[Part] = []
    for part in parts:
        flat += (part.red, part.green, part.blue) if isinstance(part, Luma) else (part,)
    return [
        each for each in flat if isinstance(each, Channel) and each.table is not None and len(each.table) <= each.top
    ]


def _channel(mask: int, dtype: np.dtype[Any], byte: int | None = None) -> Channel:
    as_it_is = scaling(mask.bit_count(), dtype)
    return Channel(_low(mask), mask >> _low(mask), as_it_is, byte=byte if as_it_is is None else None)


def _low(mask: int) -> int:
    """Return the number of zeros below the lowest one."""
    return (mask & -mask).bit_length() - 1


def _luma(red: NDArray[Any], green: NDArray[Any], blue: NDArray[Any]) -> NDArray[Any]:
    """Weigh three arrays, which may be overwritten."""
    # The weights add up to 65536, so that gray stays what it is; 65535 × 65536 + 32768 fits in 32 bits.
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
