"""Encode for a client: rectangles of pixels, the pointer's image, and words in place of a screen.

All functions take time and release the interpreter's lock for most of it: they are called in a pool of threads. A
Deflater is used by one call at a time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from xshm.live.rfb import wire
from xshm.live.rfb.client_format import NATIVE, ClientFormat
from xshm.live.rfb.codecs import Deflater, strips, tight_rectangle, zlib_rectangle, zrle_rectangle
from xshm.live.rfb.wire import Accepted, Encoding
from xshm.pixels import to_rgb
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.image.cursor import Cursor
else:
    from xshm._numpy import np

# Pixels that are sent without loss at once: up to here the file is about as fast to make and send as a JPEG.
LOSSLESS: Final = 1 << 16
# RFB's levels 0 to 9 as qualities of JPEG; clients ask for 6 to 8 where nobody has chosen.
_QUALITIES: Final = (20, 30, 40, 50, 60, 70, 75, 80, 88, 95)
_HALF: Final = 128  # of alpha, from where a pointer's pixel is shown by a mask
_DARKENED: Final = 3  # what colours are divided by
_LARGEST: Final = 40  # pixels of the letters
_SMALLEST: Final = 8
_LINES: Final = 6


@dataclass
class Style:
    """How a client wants its pixels; the streams are its own, and go on."""

    format: ClientFormat = NATIVE
    accepted: Accepted = field(default_factory=Accepted)
    zlib: Deflater = field(default_factory=Deflater)
    zrle: Deflater = field(default_factory=Deflater)

    @property
    def shared(self) -> tuple[ClientFormat, int | None] | None:
        """What clients have in common that can be sent the same bytes; None where no other's bytes are right."""
        return (self.format, self.accepted.quality) if self.accepted.pixels == Encoding.TIGHT else None


@dataclass(frozen=True, slots=True)
class Pixels:
    """Rectangles, encoded: as many as `count`, and of these the `lossy` ones."""

    count: int
    data: bytes
    lossy: tuple[Rect, ...]


def encode_pixels(pieces: Iterable[tuple[Rect, Raster]], style: Style, *, lossless: bool) -> Pixels:
    """Return rectangles of the screen for a client; where `lossless` or it wants no JPEG, exactly as they are."""
    parts: list[bytes] = []
    lossy: list[Rect] = []
    level = style.accepted.quality
    quality = None if lossless or level is None else _QUALITIES[level]
    count = 0
    for rect, whole in pieces:
        raster = _of_bytes(whole)
        for strip in strips(rect):
            rows, columns = strip.moved(-rect.x, -rect.y).slices
            piece = Raster(raster.pixels[rows, columns], raster.format)
            data, is_lossy = _encode(piece, strip, style, quality)
            parts += data
            lossy += [strip] * is_lossy
            count += 1
    return Pixels(count, b"".join(parts), tuple(lossy))


def _encode(raster: Raster, rect: Rect, style: Style, quality: int | None) -> tuple[tuple[bytes, bytes], bool]:
    encoding = style.accepted.pixels
    head = wire.rectangle(rect.x, rect.y, rect.width, rect.height, encoding)
    if encoding == Encoding.TIGHT:
        data, is_lossy = tight_rectangle(raster, style.format, quality)
        return (head, data), is_lossy
    values = style.format.values(raster)
    if encoding == Encoding.ZRLE:
        data = zrle_rectangle(values, style.format.packed_bytes, style.zrle)
    elif encoding == Encoding.ZLIB:
        data = zlib_rectangle(values, style.zlib)
    else:
        data = values.tobytes()
    return (head, data), False


def _of_bytes(raster: Raster) -> Raster:
    """Return the same picture in a format of whole bytes for each channel, so that columns can be cut out."""
    if raster.format.byte_offsets is not None and not raster.format.needs_colormap:
        return raster
    return Raster(to_rgb.rgb(raster), PixelFormat.RGB)


def encode_cursor(cursor: Cursor | None, style: Style) -> bytes:
    """Return the pseudo rectangle of the pointer's image; b"" for a client that draws none. None: it is not shown."""
    pseudo = style.accepted.pseudo
    sprite = np.zeros((1, 1, 4), np.uint8) if cursor is None else cursor.sprite
    height, width = sprite.shape[:2]
    hot = (0, 0) if cursor is None else (_inside(cursor.hotspot[0], width), _inside(cursor.hotspot[1], height))
    if Encoding.CURSOR_WITH_ALPHA in pseudo:
        head = wire.rectangle(*hot, width, height, Encoding.CURSOR_WITH_ALPHA)
        return head + struct.pack(">i", Encoding.RAW) + np.ascontiguousarray(sprite).tobytes()
    if Encoding.CURSOR not in pseudo:
        return b""
    head = wire.rectangle(*hot, width, height, Encoding.CURSOR)
    alpha = sprite[..., 3:].astype(np.uint16)
    straight = np.minimum(sprite[..., :3] * np.uint16(255) // np.maximum(alpha, 1), 255).astype(np.uint8)
    return head + _values(straight, style.format) + np.packbits(alpha[..., 0] >= _HALF, axis=1).tobytes()


def _inside(place: int, size: int) -> int:
    return min(max(place, 0), size - 1)


def _values(rgb: NDArray[Any], fmt: ClientFormat) -> bytes:
    return fmt.of_rgb(rgb).tobytes()


def picture_of_words(size: tuple[int, int], last: Raster | None, words: str) -> Raster:
    """Return a picture of `size` with `words` in its middle, over the darkened `last` one; RGB.

    RFB has no message for words, and many clients show no title. They are in the picture, so that it is not taken for a
    live screen that stands still.
    """
    width, height = size
    rgb = np.zeros((height, width, 3), np.uint8)
    if last is not None and last.size == size:
        np.floor_divide(to_rgb.rgb(last), _DARKENED, out=rgb)
    return Raster(_written(rgb, words), PixelFormat.RGB)


def _written(rgb: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    with limits.loading():
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - only where something has happened

    height, width = rgb.shape[:2]
    picture = Image.fromarray(rgb)
    drawing = ImageDraw.Draw(picture)
    for letters in range(min(_LARGEST, max(width // 24, _SMALLEST)), _SMALLEST - 1, -2):
        font = ImageFont.load_default(letters)
        text = _wrapped(words, lambda line: drawing.textlength(line, font), 0.9 * width)  # noqa: B023
        left, top, right, bottom = drawing.multiline_textbbox((0, 0), text, font)
        if right - left <= width and bottom - top <= height and text.count("\n") < _LINES:
            break
    middle = (width - left - right) / 2, (height - top - bottom) / 2
    drawing.multiline_text(middle, text, "white", font, align="center")
    return np.asarray(picture)


def _wrapped(words: str, length: Callable[[str], float], most: float) -> str:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and length(longer) > most:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)
