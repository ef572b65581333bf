"""Match a pixel with a colour of 8 bits a channel, on visuals whose channels have fewer or more bits.

A program reduces a colour to the visual's bits by truncation (pixman), by rounding (OpenGL), or by AllocColor, where
the server chooses the nearest of its own values. A pixel value that any of the three results in matches. On a screen
with a colormap the colour of the pixel's cell is compared.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from xshm.errors import InvalidArgument
from xshm.pixels.channels import values
from xshm.system import limits
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat

Colour = tuple[int, int, int]
_BITS, _TOP, _WORD_TOP = 8, 0xFF, 0xFFFF  # of a caller's channel; greatest values of 8 bits and of X's colours, 16 bits
_SIGNIFICANT = (8, 6)  # bits of a channel that servers compare in AllocColor, see `_allocated`


def parse_colour(colour: Any) -> Colour:
    """Return a caller's colour, given as (red, green, blue), "#rrggbb" or a CSS name; raise InvalidArgument."""
    if isinstance(colour, str):
        with limits.loading():
            from PIL import ImageColor  # noqa: PLC0415 - for names alone

        try:
            red, green, blue, *alpha = ImageColor.getrgb(colour)
        except ValueError as error:
            raise InvalidArgument(f"{quoted(colour)} is no colour; write '#rrggbb' or a name that CSS has") from error
        if alpha or max(red, green, blue) > _TOP:  # Pillow accepts rgb(300, 0, 0)
            raise InvalidArgument(f"{quoted(colour)} is no colour to wait for: it has alpha, or a channel above 255")
        return red, green, blue
    try:
        red, green, blue = map(operator.index, colour)
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"a colour is (red, green, blue), each 0 to 255, or '#rrggbb'; not {quoted(colour)}"
        ) from None
    if not all(0 <= channel <= _TOP for channel in (red, green, blue)):
        raise InvalidArgument(f"a colour is (red, green, blue), each 0 to 255; not {quoted(colour)}")
    return red, green, blue


def matches_colour(frame: Frame, x: int, y: int, colour: Colour, tolerance: float = 0) -> bool:
    """Return whether the pixel at x, y of a frame has a colour; `tolerance` is how far each channel may be off, of 255.

    Raises InvalidArgument where the pixel is not in the frame.
    """
    read = [frame.pixel(x, y)]  # rounded to 8 bits
    # Of more than 8 bits, such as depth 30: a program may have shifted its 8 bits up, or scaled them.
    if max(_channel_bits(frame.format)) > _BITS:
        read.append(_cut(frame, x, y))
    displayed = zip(colour, *displayed_as(frame.format, colour), strict=True)
    return all(
        any(abs(one - other) <= tolerance for one in channel_read for other in channel_displayed)
        for channel_read, channel_displayed in zip(zip(*read, strict=True), displayed, strict=True)
    )


def displayed_as(fmt: PixelFormat, colour: Colour) -> tuple[Colour, ...]:
    """Return a colour as `Frame.pixel` returns it after truncation, rounding and AllocColor to a format's bits."""
    channels = list(zip(colour, _channel_bits(fmt), strict=True))
    return (
        _three(_to_8_bits(value >> max(_BITS - bits, 0), min(bits, _BITS)) for value, bits in channels),
        _three(_to_8_bits(_scaled(value, _TOP, (1 << bits) - 1), bits) for value, bits in channels),
        *(
            _three(_to_8_bits(_allocated(value, bits, significant), bits) for value, bits in channels)
            for significant in _SIGNIFICANT
        ),
    )


def describe_displayed(colour: Colour, fmt: PixelFormat) -> str:
    """Return which colours a format of few bits has in place of this one, as the end of a sentence; "" if the same."""
    others = [str(each) for each in dict.fromkeys(displayed_as(fmt, colour)) if each != colour]
    return f", and {colour} would be {' or '.join(others)} at depth {fmt.depth}" if others else ""


def _channel_bits(fmt: PixelFormat) -> Colour:
    if fmt.needs_colormap:  # cells have 16 bits a channel, and Frame.pixel rounds them to 8
        return _BITS, _BITS, _BITS
    if not fmt.has_masks:
        return fmt.depth, fmt.depth, fmt.depth
    return fmt.red_mask.bit_count(), fmt.green_mask.bit_count(), fmt.blue_mask.bit_count()


def _cut(frame: Frame, x: int, y: int) -> Colour:
    """Return the upper 8 bits of each channel: the colour itself, where a program has shifted it into place."""
    fmt, column, row = frame.format, x - frame.rect.x, y - frame.rect.y
    value = int(values(frame.pixels[row : row + 1, column : column + 1], fmt, 1)[0, 0])
    masks = (fmt.red_mask, fmt.green_mask, fmt.blue_mask) if fmt.has_masks else (fmt.colour_mask,) * 3
    return _three((value & mask) >> max(mask.bit_length() - _BITS, 0) for mask in masks)


def _allocated(value: int, bits: int, significant: int) -> int:
    """Return AllocColor's choice for a channel's 8 bits: the nearest value of so many `bits`, the darker of two.

    The server compares the `significant` upper bits of both, scaled to 16. Seen with all 256 values at depths 15 and
    16: 8 bits on Xvfb 21.1, Xvnc 1.12 and Xephyr, 6 on Xorg at depth 16 (mi/micmap.c, miResolveColor and
    miInitializeColormap; dix/colormap.c, FindBestPixel).
    """
    top = (1 << bits) - 1
    if bits >= _BITS:  # each of the 256 values has one of its own
        return _scaled(value, _TOP, top)
    wanted = _reduced(value * _WORD_TOP // _TOP, significant)
    return min(range(top + 1), key=lambda each: abs(_reduced(each * _WORD_TOP // top, significant) - wanted))


def _reduced(word: int, significant: int) -> int:
    """Cut 16 bits to the upper `significant` ones, and scale those to 16 again."""
    return (word >> 16 - significant) * _WORD_TOP // ((1 << significant) - 1)


def _to_8_bits(value: int, bits: int) -> int:
    """Scale a channel to 8 bits, as Frame.pixel does."""
    return _scaled(value, (1 << bits) - 1, _TOP)


def _scaled(value: int, top: int, other: int) -> int:
    """Scale a value of 0 to `top` to 0 to `other`, rounded, in whole numbers."""
    return (2 * value * other + top) // (2 * top)


def _three(channels: Iterable[int]) -> Colour:
    red, green, blue = channels
    return red, green, blue
