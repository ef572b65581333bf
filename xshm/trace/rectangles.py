"""Shadow: the last picture in memory of its own, and of each capture what differs from it, as PNG files.

Always true:

1. A key picture, and over it the patches that later calls have returned, one after the other, is the last picture, in
   each bit that is colour or alpha.
2. What is redacted is never in memory of the Shadow: it is black from before the first look on.
3. `_is_whole` is True from the first step of taking a capture to its last one: where an error comes in between, the
   next capture is taken whole.

PNG files are of three kinds: of a palette where a picture has at most 255 colours of 8 bits, as most text has; else of
R G B with 8 bits; with 16 bits where a channel has more than 8 (depth 30). At depth 32 colours are those over black, as
they are in memory; alpha is in a chunk `alPH` of its own, which browsers skip: rows of bytes, compressed as IDAT's are,
without filters, raw values of the channel. Where it is missing all is opaque. (PNG's own alpha is not multiplied into
the colours, from which colours above their alpha, as programs draw them that know nothing of it, can't be got back.)

CPU ms and KiB a capture of 1080p at depth 24, libisal, without OpenCV (tests/bench/trace_rectangles.py):

    nothing differs         1.2      0      text scrolls            7.3     309
    a letter                0.05     0.25   a film of 640×360       3.5     375
    a letter anywhere       1.1      0.25   a film, all of it      24.2    3363
    two carets              1.5      0.14
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from xshm.geometry import Rect, merged
from xshm.image.difference import bounds, rectangles
from xshm.image.files import png, png_chunks
from xshm.pixels import to_rgb
from xshm.pixels.channels import colours, values
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster, row_bands
from xshm.trace.records import Patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_ALPHA: Final = b"alPH"
_BYTE: Final = 8
_PACKED: Final = 24  # bits per pixel, three bytes that are no number of numpy's
_COLOURS: Final = 255  # of a palette; index 0 stands for none of them
_COLOUR_BITS: Final = 24  # of pixels whose palette is looked for
_FILM, _EVERY = 1 << 18, 32  # pixels of a rectangle of which some rows are looked at first, and which
_SAMPLES: Final = ((32, 32), (8, 16))  # rows and columns apart
_LARGE: Final = 1 << 14  # pixels, from which on they are sampled first
# Pixels of a rectangle that has no palette yet: a letter of 9×18 is 173 bytes without and 195 with one, two are 255 and
# 278, six 514 and 511, a line of 700×18 3.1 KiB and 2.3, a screen full of text 125 KiB and 60.
_FEW: Final = 1024

# A rectangle is split where its parts are less than this share of it. Parts are about `_GAP` pixels apart, and few,
# since each costs 90 bytes and 0.05 ms. Thirty letters anywhere in a full 1080p terminal: whole 8.7 ms and 41 KiB; so
# 2.8 and 2.6; with a gap of 16 pixels 4.6 and 2.5, of 64 3.2 and 6.0. Ten lines: 5.1 ms and 27 KiB; 2.7 and 13.
_SPLIT: Final = 0.5
_GAP: Final = 32
_PARTS: Final = 16
_SMALL: Final = 4096  # pixels that are not worth it


class Shadow:
    """The last picture of a feed's region. For one thread.

    `format` is the layout of its pixels, which is what a trace's head says: the feed's own where that is three channels
    in whole numbers of memory (TrueColor of 8, 15, 16, 24, 30 and 32 bits), else, where colours are a colormap's or
    shades, PixelFormat.RGBX. `redacted` are rectangles, from the region's corner, that stay black; they may leave it.
    """

    def __init__(self, size: tuple[int, int], fmt: PixelFormat, redacted: Iterable[Rect] = ()) -> None:
        self.size = size
        self._feed_format = fmt
        self._is_converted = fmt.needs_colormap or not fmt.has_masks or fmt.bits_per_pixel in (1, 4, _PACKED)
        self.format = PixelFormat.RGBX if self._is_converted else fmt
        self._whole = Rect(0, 0, *size)
        self._redacted = [part for rect in redacted if (part := rect.intersect(self._whole)) is not None]
        self._encoder = _Encoder(self.format)
        shape, number = (size[1], size[0]), self._encoder.number
        black = self._encoder.number_of(self.format.alpha_mask)
        self._black = black
        self._mask = self._encoder.number_of(self.format.colour_mask | self.format.alpha_mask)
        self._last: NDArray[Any] = np.full(shape, black, number)
        self._read: NDArray[Any] = np.full(shape, black, number)  # like the last one but in `_pending`
        self._pending: list[Rect] = []
        self._is_whole = True

    @property
    def pixels(self) -> NDArray[Any]:
        """The picture, in the layout of `format`; no copy. Bits that are neither colour nor alpha are 0."""
        return self._encoder.pixels(self._last)

    def read(self, pixels: NDArray[Any], rects: Sequence[Rect], colormap: NDArray[np.uint16] | None = None) -> None:
        """Copy rectangles of a capture, to be looked at by `take`; before that also again, over the former ones.

        The pixels may change meanwhile: a capture that was torn is read again, and then the next one's rectangles.
        """
        self._pending = list(merged([*self._pending, *rects], _PARTS)) if self._pending else list(rects)
        for rect in rects:
            self._copy(pixels, rect, colormap)
            for redacted in self._redacted:
                hidden = redacted.intersect(rect)
                if hidden is not None:
                    self._read[hidden.slices] = self._black

    def compared(self) -> list[Rect]:
        """Return where what was read differs from the last picture, all of it the first time; then call `accept`.

        For those who share `pixels` with others: that changes in `accept` alone.
        """
        is_whole, self._is_whole = self._is_whole, True
        pending, self._pending = self._pending, []
        return [self._whole] if is_whole else [part for rect in pending for part in self._differing(rect)]

    def accept(self, rects: Iterable[Rect]) -> None:
        """Make the last picture what was read, in the rectangles that `compared` has returned."""
        for part in rects:
            np.copyto(self._last[part.slices], self._read[part.slices])
        self._is_whole = False

    def take(self, *, key: bool = False) -> list[Patch]:
        """Return what differs of all that was read since the last time, and make it the last picture.

        With `key` all of the picture is returned, as one patch, if anything differs. The first time all does.
        """
        return self._taken(key=key, always=False)

    def key(self) -> Patch:
        """Return the whole picture, with what was read, whether it differs or not: what a K record holds."""
        return self._taken(key=True, always=True)[0]

    def update(
        self, pixels: NDArray[Any], changed: Sequence[Rect], colormap: NDArray[np.uint16] | None = None
    ) -> list[Patch]:
        """Read and take at once, of pixels that don't change meanwhile."""
        self.read(pixels, changed, colormap)
        return self.take()

    def _copy(self, pixels: NDArray[Any], rect: Rect, colormap: NDArray[np.uint16] | None) -> None:
        target, fmt = self._read[rect.slices], self._feed_format
        if not self._is_converted:
            np.bitwise_and(self._encoder.numbers(pixels[rect.slices]), self._mask, out=target)
            return
        each_byte = max(_BYTE // fmt.bits_per_pixel, 1)
        first = rect.x // each_byte
        part = pixels[rect.y : rect.bottom, first : -(-rect.right // each_byte)]
        raster = Raster(part, fmt, colormap, rect.right - first * each_byte)
        found = to_rgb.rgb(raster)[:, rect.x - first * each_byte :]
        self._encoder.pixels(target)[..., :3] = found

    def _taken(self, *, key: bool, always: bool) -> list[Patch]:
        is_whole, self._is_whole = self._is_whole, True
        pending, self._pending = self._pending, []
        patches = []
        is_changed = is_whole or always
        for rect in [self._whole] if is_whole else pending:
            for part in [rect] if is_whole else self._differing(rect):
                is_changed = True
                if not key:
                    patches.append(self._encoder.patch(self._read, part))
                # At once, so that of rectangles that overlap no pixel is returned twice.
                np.copyto(self._last[part.slices], self._read[part.slices])
        if key and is_changed:
            patches.append(self._encoder.patch(self._last, self._whole))
        self._is_whole = False
        return patches

    def _differing(self, rect: Rect) -> list[Rect]:
        """Return few rectangles around all pixels of `rect` that differ from the last picture's."""
        now, before = self._read[rect.slices], self._last[rect.slices]
        if rect.width * rect.height >= _FILM:
            some = now[::_EVERY] != before[::_EVERY]
            if np.count_nonzero(some) > _SPLIT * some.size:  # a film: all of it is compared for nothing
                return [rect]
        mask = now != before
        inside = bounds(mask)
        if inside is None:
            return []
        tight = inside.moved(rect.x, rect.y)
        if tight.width * tight.height < _SMALL:
            return [tight]
        parts = merged(rectangles(mask[inside.slices], _GAP), _PARTS)
        if sum(part.width * part.height for part in parts) > _SPLIT * tight.width * tight.height:
            return [tight]
        return [part.moved(tight.x, tight.y) for part in parts]


class _Encoder:
    """Writes rectangles of pixels, held as one number each, as PNG files."""

    def __init__(self, fmt: PixelFormat) -> None:
        self._format = fmt
        self._opaque = dataclasses.replace(fmt, opaque=True) if fmt.alpha_mask else fmt
        shape, dtype, _ = fmt.layout(1, 1)
        self._is_bytes = len(shape) == 3  # noqa: PLR2004 - rows, columns, bytes
        self.number: np.dtype[Any] = np.dtype(np.uint32) if self._is_bytes else dtype
        deep = max(mask.bit_count() for mask in (fmt.red_mask, fmt.green_mask, fmt.blue_mask)) > _BYTE
        self._dtype = np.dtype(np.uint16 if deep else np.uint8)
        self._bytes = fmt.byte_offsets if self._is_bytes else None  # of red, green, blue in a pixel
        self._colour_mask = self.number_of(fmt.colour_mask)
        self._table: NDArray[np.uint8] | None = None  # of indices by colour; all 0 between two pictures
        if not deep and int(self._colour_mask) >> _COLOUR_BITS == 0:
            # 16 MiB of address space, of which the system backs no more than the pages that are touched. Kept, since
            # to make it takes 0.4 ms, ten times as long as a letter.
            self._table = np.zeros(int(self._colour_mask) + 1, np.uint8)

    def numbers(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return (height, width) numbers of pixels in the format's layout; a view where memory allows."""
        if not self._is_bytes:
            return pixels
        if pixels.strides[2] != 1:
            pixels = np.ascontiguousarray(pixels)
        return pixels.view(np.uint32)[..., 0]

    def pixels(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the pixels of numbers, in the format's layout; a view."""
        return numbers[..., None].view(np.uint8) if self._is_bytes else numbers

    def number_of(self, value: int) -> Any:
        """Return a pixel value as a number in memory."""
        if not self._is_bytes:
            return self.number.type(value)
        return np.frombuffer(value.to_bytes(4, self._format.byte_order), np.uint32)[0]

    def patch(self, picture: NDArray[Any], rect: Rect) -> Patch:
        """Return a rectangle of a picture of numbers."""
        numbers = picture[rect.slices]
        found = self._unfiltered(numbers) if numbers.size < _FEW else self._by_palette(numbers)
        if found is None:
            found = png.png(Raster(self.pixels(numbers), self._opaque), dtype=self._dtype, colours="rgb")
        return Patch(rect, found if self._opaque is self._format else self._with_alpha(found, numbers))

    def _unfiltered(self, numbers: NDArray[Any]) -> bytes | None:
        """Return the PNG file of a few pixels, in half of the time that `png` takes; None for channels of other bits.

        Most are letters, which no filter makes smaller.
        """
        if self._bytes is None:
            return None
        height, width = numbers.shape
        rows = np.empty((height, 1 + 3 * width), np.uint8)
        rows[:, 0] = png_chunks.NONE
        pixels = self.pixels(numbers)
        for at, byte in enumerate(self._bytes):
            rows[:, 1 + at :: 3] = pixels[..., byte]
        return png_chunks.write(width, height, png_chunks.RGB, rows, png_chunks.FASTEST)

    def _by_palette(self, numbers: NDArray[Any]) -> bytes | None:
        """Return a palette's PNG file; None where there are more colours."""
        table = self._table
        if table is None:
            return None
        if self._opaque is not self._format:
            numbers = numbers & self._colour_mask
        known = _sampled(numbers)
        if known is None:
            return None
        height, width = numbers.shape
        rows = np.empty((height, 1 + width), np.uint8)
        rows[:, 0] = png_chunks.NONE
        try:
            found = _look_up(numbers, known, table, rows[:, 1:])
        except BaseException:
            table[:] = 0
            raise
        if found is None:
            return None
        pixels = values(self.pixels(found[None]), self._format, len(found))[0]
        parts = colours(self._format, self._dtype, None)
        entries = np.zeros((1 + len(found), len(parts)), np.uint8)
        entries[1:] = np.stack([part.of(pixels) for part in parts], axis=1)
        return png_chunks.write(width, height, png_chunks.PALETTE, rows, png_chunks.FASTEST, table=entries.tobytes())

    def _with_alpha(self, file: bytes, numbers: NDArray[Any]) -> bytes:
        """Return the file with the pixels' alpha behind its header, unless they are opaque."""
        mask = self._format.alpha_mask
        shades = (values(self.pixels(numbers), self._format, numbers.shape[1]) & mask) // (mask & -mask)
        if (shades == mask // (mask & -mask)).all():
            return file
        packed = png_chunks.deflate(shades.astype(">u2" if mask.bit_count() > _BYTE else np.uint8), png_chunks.FASTEST)
        header = len(png_chunks.SIGNATURE) + 25
        return b"".join((file[:header], *png_chunks.chunk(_ALPHA, packed), file[header:]))


def _sampled(numbers: NDArray[Any]) -> NDArray[Any] | None:
    """Return colours that are in a picture; None where they are too many for a palette."""
    known: NDArray[Any] = np.unique(numbers[:1])
    if numbers.size >= _LARGE:
        for down, across in _SAMPLES:
            known = np.unique(numbers[::down, ::across])
            if len(known) > _COLOURS:
                return None
    return known if len(known) <= _COLOURS else None


def _look_up(
    numbers: NDArray[Any], known: NDArray[Any], table: NDArray[np.uint8], out: NDArray[np.uint8]
) -> NDArray[Any] | None:
    """Write the index of each pixel, from 1 on, to `out`, and return the colours; None where they are too many.

    `known` are colours to begin with; `table` is all 0 before and afterwards.
    """
    table[known] = np.arange(1, 1 + len(known))
    for rows in row_bands(*numbers.shape):
        band = numbers[rows]
        found = table.take(band)
        if not found.all():
            new = np.unique(band[found == 0])
            if len(known) + len(new) > _COLOURS:
                table[known] = 0
                return None
            table[new] = np.arange(1 + len(known), 1 + len(known) + len(new))
            known = np.concatenate((known, new))
            found = table.take(band)
        out[rows] = found
    table[known] = 0
    return known
