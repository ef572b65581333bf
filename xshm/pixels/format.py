"""How a server lays out pixels: depth, bits per pixel, masks, byte order, scanline pad.

A `PixelFormat` is valid from birth and never guesses: what is not understood is `UnsupportedFormat`. It describes
memory as it is; getting colours out of it is `xshm.pixels.to_rgb`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

from xshm import _arguments
from xshm.errors import InvalidArgument, UnsupportedFormat
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np

    Layout = tuple[tuple[int, ...], np.dtype[Any], tuple[int, ...]]
else:
    from xshm._numpy import np

ByteOrder = Literal["little", "big"]

# The depths that are understood for each number of bits per pixel.
_DEPTHS = {1: range(1, 2), 4: range(4, 5), 8: range(2, 9), 16: range(9, 17), 24: range(17, 25), 32: range(17, 33)}
_SCANLINE_PADS = (8, 16, 32, 64)
_WIDEST_CHANNEL = 16
_WIDEST_INDEX = 16
_ALPHA_DEPTH = 32
_LAYOUTS_KEPT = 64


class VisualClass(IntEnum):
    """What a pixel's value stands for; the numbers are the core protocol's (VISUALTYPE, class)."""

    StaticGray = 0
    GrayScale = 1
    StaticColor = 2
    PseudoColor = 3
    TrueColor = 4
    DirectColor = 5


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """The layout of a drawable's pixels in ZPixmap format, as the set-up and the visual tell it.

    What `layout` makes of memory, by bits per pixel:

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

    `scanline_pad` is in bits. Masks are looked at for TrueColor and DirectColor only; other classes hold indices or
    shades. `bit_order` matters at depth 1 only, where it has to be the byte order too: else pixels would depend on
    the server's scanline unit. `opaque` matters at depth 32 only: the format has no alpha, since nothing lies under its
    drawable, and the bits beside the channels are undefined, as in a root window. Source: X11 protocol, section 8,
    FORMAT and VISUALTYPE.
    """

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
            if type(value) is not int and not isinstance(value, VisualClass):
                object.__setattr__(self, name, _arguments.whole(value, f"a format's {name} is a whole number"))
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

        def shown() -> str:
            return f"{self._size()}: masks {', '.join(f'{mask:#x}' for mask in masks)}"

        if any(mask >> self.depth for mask in masks):
            raise UnsupportedFormat(f"{shown()} leave the depth")
        if not all(map(_is_run, masks)) or any(mask.bit_count() > _WIDEST_CHANNEL for mask in masks):
            raise UnsupportedFormat(f"{shown()} are not each a run of 1 to {_WIDEST_CHANNEL} bits")
        if sum(masks) != self.colour_mask:
            raise UnsupportedFormat(f"{shown()} overlap")
        if self.alpha_mask and not (_is_run(self.alpha_mask) and self.alpha_mask.bit_count() <= _WIDEST_CHANNEL):
            raise UnsupportedFormat(f"{shown()} leave {self.alpha_mask:#x} for alpha, which is no run of bits")

    def __reduce__(self) -> tuple[Any, ...]:
        return PixelFormat, (
            self.depth,
            self.bits_per_pixel,
            self.scanline_pad,
            self.byte_order,
            self.red_mask,
            self.green_mask,
            self.blue_mask,
            self.visual_class,
            self.bit_order,
            self.opaque,
        )

    def stride(self, width: int) -> int:
        """Return the bytes from one row to the next: width × bits_per_pixel, rounded up to the scanline pad."""
        if type(width) is not int:
            width = _arguments.whole(width, "a width is a whole number")
        return -(-width * self.bits_per_pixel // self.scanline_pad) * self.scanline_pad // 8

    def nbytes(self, width: int, height: int) -> int:
        """Return the bytes that a picture of this size takes, padding included."""
        return self.stride(width) * _arguments.whole(height, "a height is a whole number")

    def layout(self, width: int, height: int) -> Layout:
        """Return shape, dtype and strides, as `np.ndarray(shape, dtype, buffer, 0, strides)` takes them.

        Kept for the sizes asked for last, so that asking again costs a look-up. `InvalidArgument` for a size below 1.
        """
        try:
            known = self._layouts.get((width, height))
        except TypeError:  # what can be no key is no number
            known = None
        if known is None:
            width = _arguments.whole(width, "a width is a whole number")
            height = _arguments.whole(height, "a height is a whole number")
            if width < 1 or height < 1:
                raise InvalidArgument(
                    f"a picture needs a width and height of at least 1, not {quoted(width)}x{quoted(height)}"
                )
            if len(self._layouts) >= _LAYOUTS_KEPT:
                self._layouts.clear()
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
        """Whether all that can be shown is shades of gray."""
        return self.visual_class <= VisualClass.GrayScale

    @property
    def needs_colormap(self) -> bool:
        """Whether colours can be told only with the colormap.

        Not so for TrueColor, and for StaticGray, whose shades are taken to rise evenly from black to white.
        """
        return self.visual_class not in (VisualClass.TrueColor, VisualClass.StaticGray)

    @property
    def colormap_pixels(self) -> list[int]:
        """The pixels to ask the server about (QueryColors): answer n is row n of the colormap `to_rgb` takes.

        With DirectColor pixel n has n in each channel, as far as the channel goes.
        """
        if not self.has_masks:
            return list(range(1 << self.depth))
        masks = (self.red_mask, self.green_mask, self.blue_mask)
        cells = 1 << max(mask.bit_count() for mask in masks)
        return [sum(min(cell * (mask & -mask), mask) for mask in masks) for cell in range(cells)]

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

    def _byte(self, mask: int) -> int | None:
        position, rest = divmod((mask & -mask).bit_length() - 1, 8)
        if rest or mask.bit_count() != 8:  # noqa: PLR2004  bits of a byte
            return None
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
        high_first = sorted((name for name in masks if masks[name]), key=masks.__getitem__, reverse=True)
        return f"{self._size()}, {' '.join(f'{n}{masks[n].bit_count()}' for n in high_first)}, {self.byte_order}-endian"


def _is_run(mask: int) -> bool:
    """Tell whether the bits of `mask` stand together: adding the lowest then carries past the highest."""
    return mask > 0 and (mask + (mask & -mask)) & mask == 0
