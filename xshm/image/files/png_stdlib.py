"""PNG files without numpy, whose import alone takes longer than a screenshot: for a process that has not loaded it.

They hold the same pixels as those of `png`, and without a palette they are the same byte by byte. Only the layout of
the usual screens is known here: four bytes a pixel, three of them red, green and blue.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from xshm.image.files import plain_palette, png_chunks

if TYPE_CHECKING:
    from xshm._arguments import Colours
    from xshm.pixels.format import PixelFormat

_PIXEL: Final = 4  # bytes in memory
_CHANNELS: Final = 3
# What is left when all that is a small step was taken out: see `png_file.STEPS`.
_NO_STEPS: Final = bytes([0, *range(png_chunks.STEP + 1, 256 - png_chunks.STEP)])


def serves(fmt: PixelFormat) -> bool:
    """Tell whether this process has no numpy yet, and pictures of this format can be written without."""
    places = fmt.byte_offsets
    return (
        "numpy" not in sys.modules
        and places is not None
        and fmt.bits_per_pixel == 8 * _PIXEL
        and not (fmt.alpha_mask or fmt.needs_colormap)
    )


def png(
    memory: Any, stride: int, width: int, height: int, fmt: PixelFormat, level: int, colours: Colours = "auto"
) -> bytes | None:
    """Return a file of `memory`, a buffer of rows `stride` bytes apart; None where numpy is worth its import.

    For formats that `serves`; `level` and `colours` are as in `xshm.image.files.png`.
    """
    png_chunks.check_level(level)
    assert fmt.byte_offsets is not None  # noqa: S101 - `serves` is False for others
    pixels = memoryview(memory).cast("B")[: height * stride]
    if colours == "auto":
        try:
            indices, table = plain_palette.find(pixels, stride, width, height, fmt.byte_offsets)
            return png_chunks.write(width, height, png_chunks.PALETTE, indices, level, table=table)
        except plain_palette.InseparableError:
            return None
        except plain_palette.TooManyColoursError:
            pass
    rows = _coloured(pixels, stride, width, height, fmt.byte_offsets)
    if level:
        _filter(rows, width, height)
    return png_chunks.write(width, height, png_chunks.RGB, rows, level)


def _coloured(pixels: memoryview, stride: int, width: int, height: int, places: tuple[int, int, int]) -> bytearray:
    """Return rows of red, green and blue, each after a byte for its filter: none."""
    red, green, blue = places
    line = 1 + _CHANNELS * width
    rows = bytearray(line * height)
    for at, start in zip(range(0, line * height, line), range(0, stride * height, stride), strict=True):
        # Slices of a bytearray: 7 ms for 1920×1080, where bytes' take 10, and a memoryview's 42.
        row = bytearray(pixels[start : start + _PIXEL * width])
        end = at + line
        rows[at + 1 : end : _CHANNELS] = row[red::_PIXEL]
        rows[at + 2 : end : _CHANNELS] = row[green::_PIXEL]
        rows[at + 3 : end : _CHANNELS] = row[blue::_PIXEL]
    return rows


def _filter(rows: bytearray, width: int, height: int) -> None:
    """Filter in place the bands that gain from it, from the last: each needs the row before it as it was."""
    size = _CHANNELS * width
    line, less = 1 + size, _Less(size)
    for top in reversed(range(0, height, png_chunks.BAND)):
        bottom = min(top + png_chunks.BAND, height)
        steps = looked_at = 0
        for row in range(top, bottom, png_chunks.EVERY):
            here = int.from_bytes(rows[row * line + 1 : (row + 1) * line], "little")
            change = less.of(here, here << 8 * _CHANNELS).to_bytes(size, "little")[_CHANNELS:]
            steps += len(change.translate(None, _NO_STEPS))
            looked_at += len(change)
        if steps > png_chunks.STEPS * looked_at:
            first = max(top, 1)  # the first row has none above
            above = int.from_bytes(rows[(first - 1) * line + 1 : first * line], "little")
            for at in range(first * line, bottom * line, line):
                here = int.from_bytes(rows[at + 1 : at + line], "little")
                rows[at] = png_chunks.UP
                rows[at + 1 : at + line] = less.of(here, above).to_bytes(size, "little")
                above = here


class _Less:
    """Takes bytes from bytes, each for itself, as two long numbers: a hundred times as fast as one by one."""

    def __init__(self, size: int) -> None:
        self._high = int.from_bytes(b"\x80" * size, "little")
        self._low = int.from_bytes(b"\x7f" * size, "little")

    def of(self, these: int, others: int) -> int:
        """Return `these` less `others`; what `others` has beyond the size is of no account."""
        high = self._high
        # The highest bit of each byte is set, so that it borrows from none, and then made what it should be.
        return (these | high) - (others & self._low) ^ (these ^ others ^ high) & high
