"""Encode pixels as PNG without numpy, whose import takes longer than a screenshot; for a process without numpy.

A picture takes twice as long so: after some, which together have cost as much as the import, numpy is loaded.

RGB files are the same byte by byte as those of `png`. Palettes are for pictures whose channels have few values each. A
1080p page of text in 72 colours, 16 shades a channel, takes 20 ms and 214 kB as RGB; its palette file is 113 kB, but
takes 55 ms or more in pure Python, and 400 ms with the import of numpy. A terminal of black on white takes 10 ms.

What does not work: formats other than the usual screens' (four bytes a pixel, three of them red, green and blue).
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final

from xshm.image.files import png_chunks

if TYPE_CHECKING:
    from xshm._arguments import Colours
    from xshm.pixels.format import PixelFormat

_PIXEL: Final = 4  # bytes in memory
_CHANNELS: Final = 3
# Pixels to be written without numpy. A page of 1080p takes 11 ms more so, and the import 80 to 100.
_SPARED: Final = 8 * 1920 * 1080
_COLOURS: Final = 256  # of a palette
# What `bytes.translate` deletes to leave the bytes that are small steps: see `png_chunks.STEPS`.
_NO_STEPS: Final = bytes([0, *range(png_chunks.STEP + 1, 256 - png_chunks.STEP)])


_written = [0]  # pixels, by this process


def serves(fmt: PixelFormat) -> bool:
    """Return whether this process does well without numpy still, and pictures of this format can be written so."""
    if "numpy" in sys.modules or _written[0] >= _SPARED:
        return False
    return fmt.fourth_byte is not None and not (fmt.alpha_mask or fmt.needs_colormap)


def png(
    memory: Any, stride: int, width: int, height: int, fmt: PixelFormat, level: int, colours: Colours = "auto"
) -> bytes:
    """Return a file of `memory`, a buffer of rows `stride` bytes apart, of a format that `serves`."""
    png_chunks.check_level(level)
    _written[0] += width * height
    assert fmt.byte_offsets is not None  # noqa: S101 - `serves` is False for others
    pixels = memoryview(memory).cast("B")[: height * stride]
    if colours == "auto" and (found := _indices(pixels, stride, width, fmt.byte_offsets)) is not None:
        indices, table = found
        return png_chunks.write(width, height, png_chunks.PALETTE, indices, level, table=table)
    rows = _rgb_rows(pixels, stride, width, height, fmt.byte_offsets)
    if level:
        _filter(rows, width, height)
    return png_chunks.write(width, height, png_chunks.RGB, rows, level)


def _indices(pixels: memoryview, stride: int, width: int, offsets: tuple[int, int, int]) -> tuple[bytes, bytes] | None:
    """Return rows of indices, each after a byte for its filter type, and the palette; None where there is no room.

    The palette has every combination of the values that red, green and blue have. So an index is a sum of three
    numbers, one for each channel: red's are 0, 1, 2, …, green's multiples of the number of reds, and so on.
    """
    # One string for each channel of each row, or a single one where all are the same: black, white and greys, as most
    # of a page of text is. A row that is the same as the one above, as in an empty screen, is the same object.
    rows: list[list[bytearray]] = []
    reds, greens, blues = known = [bytearray(), bytearray(), bytearray()]
    above = bytearray()
    for start in range(0, len(pixels), stride):
        row = bytearray(pixels[start : start + _PIXEL * width])
        if row == above:
            rows.append(rows[-1])
            continue
        above = row
        channels = red, green, blue = [row[offset::_PIXEL] for offset in offsets]
        rows.append([red] if red == green == blue else channels)
        for channel, levels in zip(channels, known, strict=True):
            levels.extend(set(channel.translate(None, bytes(levels))))  # what remains of a row are its new values
        if math.prod(map(len, known)) > _COLOURS:
            return None
    tables, step = [], 1
    for levels in known:
        tables.append(bytes.maketrans(levels, bytes(range(0, len(levels) * step, step))))
        step *= len(levels)
    greys = bytes(sum(entries) & 0xFF for entries in zip(*tables, strict=True))  # below 256 for the values that occur
    indices: list[bytes | bytearray] = []
    for at, channels in enumerate(rows):
        if at and channels is rows[at - 1]:
            indices.append(indices[-1])
        elif len(channels) == 1:
            indices.append(channels[0].translate(greys))
        else:  # as long integers the rows are added at once; no byte carries, since sums are below 256
            numbers = (channel.translate(table) for channel, table in zip(channels, tables, strict=True))
            indices.append(sum(int.from_bytes(each, "little") for each in numbers).to_bytes(width, "little"))
    lines = b"\0".join((b"", *indices))
    return lines, bytes(sample for b in blues for g in greens for r in reds for sample in (r, g, b))


def _rgb_rows(pixels: memoryview, stride: int, width: int, height: int, places: tuple[int, int, int]) -> bytearray:
    """Return rows of red, green and blue, each after a byte for its filter type, 0 (None)."""
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
    """Filter in place the bands that gain from it (`png_chunks.STEPS`), from the last: each needs the raw row above."""
    size = _CHANNELS * width
    line, subtract = 1 + size, _Subtraction(size)
    for top in reversed(range(0, height, png_chunks.BAND)):
        bottom = min(top + png_chunks.BAND, height)
        steps = samples = 0
        for row in range(top, bottom, png_chunks.EVERY):
            here = int.from_bytes(rows[row * line + 1 : (row + 1) * line], "little")
            change = subtract.of(here, here << 8 * _CHANNELS).to_bytes(size, "little")[_CHANNELS:]
            steps += len(change.translate(None, _NO_STEPS))
            samples += len(change)
        if steps > png_chunks.STEPS * samples:
            first = max(top, 1)  # the first row has none above
            above = int.from_bytes(rows[(first - 1) * line + 1 : first * line], "little")
            for at in range(first * line, bottom * line, line):
                here = int.from_bytes(rows[at + 1 : at + line], "little")
                rows[at] = png_chunks.UP
                rows[at + 1 : at + line] = subtract.of(here, above).to_bytes(size, "little")
                above = here


class _Subtraction:
    """Subtracts byte by byte, modulo 256, in two long integers: a hundred times as fast as a loop over the bytes."""

    def __init__(self, size: int) -> None:
        self._high = int.from_bytes(b"\x80" * size, "little")
        self._low = int.from_bytes(b"\x7f" * size, "little")

    def of(self, these: int, others: int) -> int:
        """Return `these` - `others`; bytes that `others` has beyond the size are ignored."""
        high = self._high
        # Each byte's highest bit is set first, so that no byte borrows from the next; xor then corrects these bits.
        return (these | high) - (others & self._low) ^ (these ^ others ^ high) & high
