"""ClientFormat: how a client wants a pixel's value to be laid out, and conversion to it.

Always true: the three channels are runs of one to sixteen bits that do not overlap, and lie within a pixel's 8, 16 or
32 bits. A client that wants a colour map gets one of 8 bits whose entries are 3 bits of red, 3 of green, 2 of blue.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from xshm.live.rfb.wire import RfbViolation
from xshm.pixels import to_rgb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.raster import Raster
else:
    from xshm._numpy import np

_LAYOUT: Final = struct.Struct(">BBBBHHHBBBxxx")
_TOP: Final = 255
_PACKED_DEPTH: Final = 24  # bits; TPIXEL and CPIXEL have three bytes up to here


@dataclass(frozen=True)
class ClientFormat:
    """RFB's PIXEL_FORMAT."""

    bits: int
    depth: int
    is_big_endian: bool
    is_true_colour: bool
    maxima: tuple[int, int, int]
    shifts: tuple[int, int, int]

    @classmethod
    def unpack(cls, data: bytes) -> ClientFormat:
        """Read a client's 16 bytes; raise RfbViolation for what can't be written."""
        bits, depth, big, true_colour, red, green, blue, *shifts = _LAYOUT.unpack(data)
        if bits not in (8, 16, 32):
            raise RfbViolation(f"a pixel format of {bits} bits")
        if not true_colour:
            if bits != 8:  # noqa: PLR2004
                raise RfbViolation(f"a colour map for pixels of {bits} bits")
            return COLOUR_MAP
        maxima = (red, green, blue)
        masks = [top << shift for top, shift in zip(maxima, shifts, strict=True)]
        is_run = all(top and not top & (top + 1) for top in maxima)
        if not is_run or any(mask >> bits for mask in masks) or sum(masks) != masks[0] | masks[1] | masks[2]:
            raise RfbViolation(f"a pixel format of {bits} bits with maxima {maxima} at {tuple(shifts)}")
        return cls(bits, depth, bool(big), bool(true_colour), maxima, (shifts[0], shifts[1], shifts[2]))

    def pack(self) -> bytes:
        """Return the 16 bytes."""
        return _LAYOUT.pack(
            *(self.bits, self.depth, self.is_big_endian, self.is_true_colour), *self.maxima, *self.shifts
        )

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of a pixel's value in the client's byte order."""
        return np.dtype(f"{'>' if self.is_big_endian else '<'}u{self.bits // 8}")

    @cached_property
    def is_rgb(self) -> bool:
        """Whether Tight's pixels are three bytes, red, green, blue."""
        return self.bits == 32 and self.depth == _PACKED_DEPTH and self.maxima == (_TOP,) * 3  # noqa: PLR2004

    @cached_property
    def packed_bytes(self) -> slice:
        """Which of a pixel's bytes ZRLE's pixels have: three of four where these hold all channels."""
        if self.bits != 32 or self.depth > _PACKED_DEPTH:  # noqa: PLR2004
            return slice(0, self.bits // 8)
        masks = [top << shift for top, shift in zip(self.maxima, self.shifts, strict=True)]
        used = masks[0] | masks[1] | masks[2]
        is_low = not used >> _PACKED_DEPTH
        if not is_low and used & _TOP:
            return slice(0, 4)
        return slice(0, 3) if is_low != self.is_big_endian else slice(1, 4)

    def values(self, raster: Raster) -> NDArray[Any]:
        """Return (height, width) pixel values in the client's byte order, in memory of their own or the raster's."""
        if self.is_rgb and not self.is_big_endian and raster.format.byte_offsets is not None:
            offsets = raster.format.byte_offsets
            pixels = raster.pixels
            # The same bytes in the same order: a view, and the undefined byte is dropped.
            if pixels.shape[2] == 4 and pixels.strides[2] == 1 and self.shifts == tuple(8 * at for at in offsets):  # noqa: PLR2004
                mask = sum(_TOP << shift for shift in self.shifts)
                found: NDArray[Any] = pixels.view("<u4")[..., 0] & np.uint32(mask)
                return found
        return self.of_rgb(to_rgb.rgb(raster))

    def of_rgb(self, rgb: NDArray[np.uint8]) -> NDArray[Any]:
        """Return (…) pixel values of (…, 3) colours."""
        red, green, blue = self._tables
        found = red[rgb[..., 0]]
        found |= green[rgb[..., 1]]
        found |= blue[rgb[..., 2]]
        return found

    @cached_property
    def _tables(self) -> list[NDArray[Any]]:
        """For each channel, the part of a pixel's value that a sample of 8 bits makes; rounded to the nearest."""
        samples = np.arange(_TOP + 1, dtype=np.uint64)
        return [
            ((samples * top + _TOP // 2) // _TOP << shift).astype(self.dtype)
            for top, shift in zip(self.maxima, self.shifts, strict=True)
        ]


# What ServerInit offers, and nearly all clients keep.
NATIVE: Final = ClientFormat(32, 24, is_big_endian=False, is_true_colour=True, maxima=(255,) * 3, shifts=(16, 8, 0))
COLOUR_MAP: Final = ClientFormat(8, 8, is_big_endian=False, is_true_colour=False, maxima=(7, 7, 3), shifts=(0, 3, 6))


def colour_map_entries() -> list[tuple[int, int, int]]:
    """Return the colours of COLOUR_MAP's 256 values."""
    channels = tuple(zip(COLOUR_MAP.maxima, COLOUR_MAP.shifts, strict=True))
    colours = []
    for value in range(256):
        red, green, blue = ((value >> shift & top) * _TOP // top for top, shift in channels)
        colours.append((red, green, blue))
    return colours
