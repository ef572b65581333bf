"""Whether a pixel shows a colour of 8 bits a channel, on screens whose channels have fewer or more bits than that.

Who paints brings a colour to the screen's bits by cutting (pixman), by rounding (OpenGL), or by AllocColor, where the
server looks for the nearest of its own shades; each is the colour that was asked for. A screen with a colormap has the
colours of its cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.pixels.channels import values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat

Colour = tuple[int, int, int]
_BITS, _TOP, _WORD_TOP = 8, 0xFF, 0xFFFF
_SIGNIFICANT = (8, 6)  # bits of a colour that visuals of fewer bits a channel tell apart


def shows(frame: Frame, x: int, y: int, colour: Colour, tolerance: float = 0) -> bool:
    """Tell whether the pixel at x, y of a frame shows a colour; `tolerance` is how far each channel may be off, of 255.

    Raises InvalidArgument where the pixel is not in the frame.
    """
    read = [frame.pixel(x, y)]
    if max(_channel_bits(frame.format)) > _BITS:
        read.append(_cut(frame, x, y))
    wanted = zip(colour, *shown_as(frame.format, colour), strict=True)
    return all(
        any(abs(one - other) <= tolerance for one in readings for other in spellings)
        for readings, spellings in zip(zip(*read, strict=True), wanted, strict=True)
    )


def shown_as(fmt: PixelFormat, colour: Colour) -> tuple[Colour, ...]:
    """Return what a frame tells of a colour that was brought to a format's bits: cut, rounded, and by AllocColor."""
    channels = list(zip(colour, _channel_bits(fmt), strict=True))
    return (
        _three(_from_bits(shade >> max(_BITS - bits, 0), min(bits, _BITS)) for shade, bits in channels),
        _three(_from_bits(_scaled(shade, _TOP, (1 << bits) - 1), bits) for shade, bits in channels),
        *(
            _three(_from_bits(_allocated(shade, bits, significant), bits) for shade, bits in channels)
            for significant in _SIGNIFICANT
        ),
    )


def _channel_bits(fmt: PixelFormat) -> Colour:
    if fmt.needs_colormap:
        return _BITS, _BITS, _BITS
    if not fmt.has_masks:
        return fmt.depth, fmt.depth, fmt.depth
    return fmt.red_mask.bit_count(), fmt.green_mask.bit_count(), fmt.blue_mask.bit_count()


def _cut(frame: Frame, x: int, y: int) -> Colour:
    """Return the highest 8 bits of each channel, of more than 8: what a colour has that was shifted into its place."""
    fmt, column, row = frame.format, x - frame.rect.x, y - frame.rect.y
    value = int(values(frame.pixels[row : row + 1, column : column + 1], fmt, 1)[0, 0])
    masks = (fmt.red_mask, fmt.green_mask, fmt.blue_mask) if fmt.has_masks else (fmt.colour_mask,) * 3
    return _three((value & mask) >> max(mask.bit_length() - _BITS, 0) for mask in masks)


def _allocated(shade: int, bits: int, significant: int) -> int:
    """Return what AllocColor makes of it: the nearest of the server's shades; of two the darker.

    The server compares so many significant bits of both. Seen with all 256 shades at depths 15 and 16: 8 of them on
    Xvfb 21.1, Xvnc 1.12 and Xephyr, 6 on Xorg at depth 16 (mi/micmap.c, miResolveColor and miInitializeColormap;
    dix/colormap.c, FindBestPixel).
    """
    top = (1 << bits) - 1
    if bits >= _BITS:
        return _scaled(shade, _TOP, top)
    wanted = _kept(shade * _WORD_TOP // _TOP, significant)
    return min(range(top + 1), key=lambda each: abs(_kept(each * _WORD_TOP // top, significant) - wanted))


def _kept(word: int, significant: int) -> int:
    """Return 16 bits of which only the significant ones, the upper, are kept, scaled to 16 again."""
    return (word >> 16 - significant) * _WORD_TOP // ((1 << significant) - 1)


def _from_bits(value: int, bits: int) -> int:
    """Scale a channel to 8 bits, as frames do."""
    return _scaled(value, (1 << bits) - 1, _TOP)


def _scaled(value: int, top: int, other: int) -> int:
    return (2 * value * other + top) // (2 * top)


def _three(channels: Iterable[int]) -> Colour:
    red, green, blue = channels
    return red, green, blue
