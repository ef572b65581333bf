"""PixelFormat: how a server lays out pixels in memory: depth, bits per pixel, masks, byte order, scanline pad.

A `PixelFormat` is validated when it is made: a layout that the converters do not support raises `UnsupportedFormat`,
and none is guessed. It is immutable and hashable, so that other files cache by it. It describes memory; colours are
computed by `xshm.pixels.to_rgb`. `x11.server.visuals` makes it from the connection setup, frames and files carry it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from xshm import _arguments
from xshm.errors import InvalidArgument, UnsupportedFormat
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np

    Layout = tuple[tuple[int, ...], np.dtype[Any], tuple[int, ...]]
else:
    from xshm._numpy import np

ByteOrder = Literal["little", "big"]

# The depths that are supported for each number of bits per pixel.
_DEPTHS = {1: range(1, 2), 4: range(4, 5), 8: range(2, 9), 16: range(9, 17), 24: range(17, 25), 32: range(17, 33)}
_SCANLINE_PADS = (8, 16, 32, 64)  # bits
_WIDEST_CHANNEL = 16  # bits, what a uint16 sample holds
_WIDEST_INDEX = 16  # bits; a colormap of more would be larger than a picture
_ALPHA_DEPTH = 32
_LAYOUTS_KEPT = 64  # sizes of one format; programs grab few sizes


class VisualClass(IntEnum):
    """How a pixel's value becomes a colour; the numbers are the core protocol's (VISUALTYPE, class)."""

    StaticGray = 0
    GrayScale = 1
    StaticColor = 2
    PseudoColor = 3
    TrueColor = 4
    DirectColor = 5


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """The layout of a drawable's pixels in ZPixmap format, from the connection setup and the visual.

    Arrays have these shapes and dtypes (see `layout`), by bits per pixel:

    - 32, each channel one byte (depths 24 and 32 as nearly all servers have them): (height, width, 4) uint8 in memory
      order, B G R X on little-endian servers. The fourth byte is undefined at depth 24, alpha at depth 32 (undefined
      there too with `opaque`).
    - 32 otherwise (depth 30): (height, width) uint32 in the server's byte order.
    - 24: (height, width, 3) uint8 in memory order.
    - 16 (depths 15 and 16): (height, width) uint16 in the server's byte order.
    - 8 (depths 8 and 4): (height, width) uint8.
    - 4 (depth 4): (height, ceil(width / 2)) uint8, two pixels a byte; little-endian servers have the left one in the
      low half.
    - 1 (depth 1): (height, ceil(width / 8)) uint8, eight pixels a byte; with bit order "little" the left one is in the
      lowest bit.

    `scanline_pad` is in bits. Masks matter for TrueColor and DirectColor only; other classes hold indices or
    shades. `bit_order` matters at depth 1 only, where it has to be the byte order too: otherwise the place of a pixel
    would depend on the server's scanline unit. `opaque` matters at depth 32 only: the format has no alpha, since
    nothing lies under its drawable, and the bits beside the channels are undefined, as in a root window. Source: X11
    protocol, section 8, FORMAT and VISUALTYPE.

    `RGBA` (premultiplied), `RGBX`, `RGB`, `BGR` and `GRAY` are how arrays and picture files have their samples.
    """

    RGBA: ClassVar[PixelFormat]
    RGBX: ClassVar[PixelFormat]
    RGB: ClassVar[PixelFormat]
    BGR: ClassVar[PixelFormat]
    GRAY: ClassVar[PixelFormat]

    depth: int
    bits_per_pixel: int
    scanline_pad: int
    byte_order: ByteOrder
    red_mask: int
    green_mask: int
    blue_mask: int
    visual_class: VisualClass
    bit_order: ByteOrder = "little"
    opaque: bool = False
    _layouts: dict[tuple[int, int], Layout] = field(
        init=False, repr=False, compare=False, hash=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for name in ("depth", "bits_per_pixel", "scanline_pad", "red_mask", "green_mask", "blue_mask", "visual_class"):
            value = getattr(self, name)
            # numpy's integers become ints: as masks they would overflow, and raise or wrap, in shifts and sums.
            if type(value) is not int and not isinstance(value, VisualClass):
                object.__setattr__(self, name, _arguments.integer(value, f"a format's {name} is a whole number"))
        _arguments.flag(self.opaque, "opaque")
        if self.depth not in _DEPTHS.get(self.bits_per_pixel, ()):
            raise UnsupportedFormat(f"{self._size()}: this pair is not understood")
        if self.scanline_pad not in _SCANLINE_PADS:
            raise UnsupportedFormat(
                f"{self._size()}: scanline pad {quoted(self.scanline_pad)} is none of {_SCANLINE_PADS}"
            )
        for name in ("byte_order", "bit_order"):
            _arguments.choice(getattr(self, name), ("little", "big"), f"{name} is one of")
        if self.visual_class not in iter(VisualClass):
            raise UnsupportedFormat(f"{self._size()}: visual class {quoted(self.visual_class)} is not known")
        # Past `frozen`, as above: a plain number of a class becomes the enum's member, for errors and `__str__`.
        object.__setattr__(self, "visual_class", VisualClass(self.visual_class))
        if self.bits_per_pixel == 1 and self.bit_order != self.byte_order:
            raise UnsupportedFormat(
                f"{self._size()}: bit order {self.bit_order} with byte order {self.byte_order} is not understood"
            )
        if self.has_masks:
            self._check_masks()
        elif self.depth > _WIDEST_INDEX:
            raise UnsupportedFormat(f"{self._size()}: {self.visual_class.name} of this depth is not understood")

    def _check_masks(self) -> None:
        masks = (self.red_mask, self.green_mask, self.blue_mask)
        shown = f"{self._size()}: masks {', '.join(f'{mask:#x}' for mask in masks)}"
        if any(mask >> self.depth for mask in masks):
            raise UnsupportedFormat(f"{shown} leave the depth")
        if not all(map(_is_run, masks)) or any(mask.bit_count() > _WIDEST_CHANNEL for mask in masks):
            raise UnsupportedFormat(f"{shown} are not each a run of 1 to {_WIDEST_CHANNEL} bits")
        if sum(masks) != self.colour_mask:  # their sum is their union only where no bit is in two of them
            raise UnsupportedFormat(f"{shown} overlap")
        if self.alpha_mask and not (_is_run(self.alpha_mask) and self.alpha_mask.bit_count() <= _WIDEST_CHANNEL):
            raise UnsupportedFormat(f"{shown} leave {self.alpha_mask:#x} for alpha, which is no run of bits")

    # Pickled by its arguments, without the cache of layouts.
    def __reduce__(self) -> tuple[Any, ...]:
        return PixelFormat, tuple(getattr(self, each.name) for each in fields(self) if each.init)

    def stride(self, width: int) -> int:
        """Return the bytes from one row to the next: width × bits_per_pixel, rounded up to the scanline pad."""
        if type(width) is not int:  # the cheap test first, since every grab computes a stride
            width = _arguments.integer(width, "a width is a whole number")
        return -(-width * self.bits_per_pixel // self.scanline_pad) * self.scanline_pad // 8

    def nbytes(self, width: int, height: int) -> int:
        """Return the bytes that a picture of this size takes, padding included."""
        return self.stride(width) * _arguments.integer(height, "a height is a whole number")

    def layout(self, width: int, height: int) -> Layout:
        """Return shape, dtype and strides, as `np.ndarray(shape, dtype, buffer, 0, strides)` takes them.

        They are cached for the last sizes, since every grab needs them. `InvalidArgument` for a size below 1.
        """
        try:
            known = self._layouts.get((width, height))
        except TypeError:  # unhashable, so not a number: the checks below raise InvalidType
            known = None
        if known is None:
            width = _arguments.integer(width, "a width is a whole number")
            height = _arguments.integer(height, "a height is a whole number")
            if width < 1 or height < 1:
                raise InvalidArgument(
                    f"a picture needs a width and height of at least 1, not {quoted(width)}x{quoted(height)}"
                )
            if len(self._layouts) >= _LAYOUTS_KEPT:
                self._layouts.clear()  # cheaper than to keep an order of use, and rare
            known = self._layouts[width, height] = self._layout(width, height)
        return known

    def _layout(self, width: int, height: int) -> Layout:
        stride, bits = self.stride(width), self.bits_per_pixel
        if self.byte_offsets is not None or bits == 24:  # noqa: PLR2004  packed pixels, whatever their masks
            size = bits // 8
            return (height, width, size), np.dtype(np.uint8), (stride, size, 1)
        if bits < 8:  # noqa: PLR2004  several pixels a byte
            return (height, -(-width * bits // 8)), np.dtype(np.uint8), (stride, 1)
        dtype = np.dtype(f"{'<' if self.byte_order == 'little' else '>'}u{bits // 8}")
        return (height, width), dtype, (stride, bits // 8)

    @property
    def has_masks(self) -> bool:
        """Whether a pixel's value is three channels (TrueColor, DirectColor), not one index or shade."""
        return self.visual_class >= VisualClass.TrueColor

    @property
    def is_gray(self) -> bool:
        """Whether the visual shows shades of gray only."""
        return self.visual_class <= VisualClass.GrayScale

    @property
    def needs_colormap(self) -> bool:
        """Whether pixel values are indices, whose colours only the colormap has.

        Not TrueColor, nor StaticGray, whose shades are assumed to rise evenly from black to white.
        """
        return self.visual_class not in (VisualClass.TrueColor, VisualClass.StaticGray)

    @property
    def colormap_pixels(self) -> list[int]:
        """The pixels to send with QueryColors: reply n is row n of a `Raster`'s colormap.

        With DirectColor pixel n has n in each channel, or the channel's greatest value where n is above it.
        """
        if not self.has_masks:
            return list(range(1 << self.depth))
        masks = (self.red_mask, self.green_mask, self.blue_mask)
        entries = 1 << max(mask.bit_count() for mask in masks)
        return [sum(min(entry * (mask & -mask), mask) for mask in masks) for entry in range(entries)]

    @property
    def colour_mask(self) -> int:
        """The bits of a pixel that hold colour: all three masks together, or the whole depth."""
        return self.red_mask | self.green_mask | self.blue_mask if self.has_masks else (1 << self.depth) - 1

    @property
    def alpha_mask(self) -> int:
        """The bits that hold alpha: at depth 32 those that no channel has, unless `opaque`; else 0."""
        if self.depth != _ALPHA_DEPTH or self.opaque:
            return 0
        return (1 << self.depth) - 1 & ~self.colour_mask

    @property
    def byte_offsets(self) -> tuple[int, int, int] | None:
        """Which of a pixel's bytes are red, green, blue: (2, 1, 0) for B G R X. None where they are no whole bytes."""
        if not self.has_masks or self.bits_per_pixel not in (24, 32):
            return None
        red, green, blue = (self._byte(mask) for mask in (self.red_mask, self.green_mask, self.blue_mask))
        return None if red is None or green is None or blue is None else (red, green, blue)

    @property
    def fourth_byte(self) -> int | None:
        """Which of a pixel's four bytes is not red, green or blue: alpha or undefined. None where there is none."""
        offsets = self.byte_offsets
        # Of the offsets 0, 1, 2 and 3, whose sum is 6, it is the one that the colours leave.
        return None if offsets is None or self.bits_per_pixel != 32 else 6 - sum(offsets)  # noqa: PLR2004

    def _byte(self, mask: int) -> int | None:
        position, rest = divmod((mask & -mask).bit_length() - 1, 8)
        if rest or mask.bit_count() != 8:  # noqa: PLR2004  bits of a byte
            return None
        # The mask's lowest byte is the first in memory on little-endian servers, the last on others.
        return position if self.byte_order == "little" else self.bits_per_pixel // 8 - 1 - position

    def _size(self) -> str:
        return (
            f"depth {quoted(self.depth)}, {quoted(self.bits_per_pixel)} bit{'s' * (self.bits_per_pixel != 1)} per pixel"
        )

    def __str__(self) -> str:
        if not self.has_masks:
            return f"{self._size()}, {self.visual_class.name}"
        if self.byte_offsets is not None:
            names = dict(zip(self.byte_offsets, "RGB", strict=True))
            rest = "A" if self.alpha_mask else "X"
            return f"{self._size()}, {' '.join(names.get(at, rest) for at in range(self.bits_per_pixel // 8))}"
        masks = {"R": self.red_mask, "G": self.green_mask, "B": self.blue_mask, "A": self.alpha_mask}
        # Channels that are no bytes are named as in a hexadecimal number, the highest first: R5 G6 B5.
        high_first = sorted((name for name in masks if masks[name]), key=masks.__getitem__, reverse=True)
        return f"{self._size()}, {' '.join(f'{n}{masks[n].bit_count()}' for n in high_first)}, {self.byte_order}-endian"


def _is_run(mask: int) -> bool:
    """Return whether the one bits of `mask` are neighbours: then adding the lowest carries past the highest."""
    return mask > 0 and (mask + (mask & -mask)) & mask == 0


PixelFormat.RGBA = PixelFormat(32, 32, 32, "little", 0xFF, 0xFF00, 0xFF0000, VisualClass.TrueColor)
PixelFormat.RGBX = PixelFormat(24, 32, 32, "little", 0xFF, 0xFF00, 0xFF0000, VisualClass.TrueColor)
PixelFormat.RGB = PixelFormat(24, 24, 8, "little", 0xFF, 0xFF00, 0xFF0000, VisualClass.TrueColor)
PixelFormat.BGR = PixelFormat(24, 24, 8, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
PixelFormat.GRAY = PixelFormat(8, 8, 8, "little", 0, 0, 0, VisualClass.StaticGray)
