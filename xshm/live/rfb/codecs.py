"""Tight, ZRLE and Zlib: how a rectangle of pixels is written in few bytes.

Tight is one colour, a palette of up to 256, three bytes a pixel, or JPEG. Each of its strips begins a zlib stream of
its own (RFB's reset bit), so what is encoded for one client is right for all that want the same. A strip has at most
`_STRIP` pixels and 2,048 columns, as the widest that old clients take.

The stream of ZRLE, and that of Zlib, goes on from one rectangle to the next as long as a client stays: a Deflater. Of
ZRLE's tiles three kinds are made: of one colour, of two, and as they are; zlib finds the other repeats.

Source: RFC 6143, 7.7.6, and rfbproto, "Tight Encoding" and "zlib Encoding".
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from xshm.geometry import Rect
from xshm.image.files import encode, png_palette
from xshm.pixels import to_rgb
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from xshm.live.rfb.client_format import ClientFormat
else:
    from xshm._numpy import np

_WIDEST: Final = 2048  # pixels
# Pixels: 384 KiB at three bytes, a tenth of what the length's 22 bits hold.
_STRIP: Final = 1 << 17
_RESET: Final = 0b0001  # of stream 0
_FILTERED: Final = 0b0100_0000
_FILL: Final = 0b1000_0000
_JPEG: Final = 0b1001_0000
_PALETTE: Final = b"\x01"
_LEAST_PACKED: Final = 12  # bytes; fewer are neither compressed nor counted
_TILE: Final = 64  # pixels
_RAW, _SOLID, _TWO = b"\x00", b"\x01", b"\x02"
_LEVEL: Final = 1  # of libisal and of zlib: what is sent is looked at once


class Deflater:
    """A zlib stream that can be decoded as far as it was written, after each `add`."""

    def __init__(self) -> None:
        maker, self._flush = _library()
        self._stream = maker(_LEVEL)

    def add(self, data: Any) -> bytes:
        """Return the next bytes of the stream, which hold all of `data`, a buffer."""
        packed: bytes = self._stream.compress(data)
        packed += self._stream.flush(self._flush)
        return packed


@cache
def _library() -> tuple[Any, int]:
    try:
        isal = import_module("isal.isal_zlib")
    except ImportError:
        return zlib.compressobj, zlib.Z_SYNC_FLUSH
    return isal.compressobj, isal.Z_SYNC_FLUSH


def strips(rect: Rect, most: int = _STRIP) -> Iterator[Rect]:
    """Yield the parts of a rectangle that are encoded one by one, from the top."""
    for left in range(rect.x, rect.right, _WIDEST):
        width = min(_WIDEST, rect.right - left)
        rows = max(most // width, 1)
        for top in range(rect.y, rect.bottom, rows):
            yield Rect(left, top, width, min(rows, rect.bottom - top))


def tight_rectangle(raster: Raster, fmt: ClientFormat, quality: int | None) -> tuple[bytes, bool]:
    """Return what follows the rectangle's head, and whether it is lossy: a JPEG of `quality` (None: never)."""
    width, height = raster.size
    indices = np.empty((height, width), np.uint8)
    known = png_palette.build_palette(raster, indices)
    if known is not None:
        colours = _colours(known, raster, fmt)
        if len(colours) == 1:
            return bytes((_FILL,)) + colours.tobytes(), False
        # A palette of as many bytes as it spares is none; and at 8 bits an index is a pixel.
        if len(colours) == 2 or (colours[0].nbytes > 1 and colours.nbytes < indices.size):  # noqa: PLR2004
            return _indexed(indices, colours), False
    elif quality is not None and fmt.bits > 8:  # noqa: PLR2004
        picture = encode.encode(raster, "JPEG", quality=quality).data
        return bytes((_JPEG,)) + _length(len(picture)) + picture, True
    return bytes((_RESET,)) + _deflated(_pixels(raster, fmt)), False


def _indexed(indices: NDArray[np.uint8], colours: NDArray[Any]) -> bytes:
    rows = np.packbits(indices, axis=1) if len(colours) == 2 else indices  # noqa: PLR2004 - a bit a pixel
    start = bytes((_FILTERED | _RESET,)) + _PALETTE + bytes((len(colours) - 1,)) + colours.tobytes()
    return start + _deflated(rows)


def _colours(known: NDArray[np.uint32], raster: Raster, fmt: ClientFormat) -> NDArray[Any]:
    """Return the palette's entries as the client wants them, for pixel values of the raster's format."""
    row = known.astype("<u4" if raster.format.byte_order == "little" else ">u4").view(np.uint8).reshape(1, -1, 4)
    if raster.format.bits_per_pixel == 24:  # noqa: PLR2004
        row = row[..., :3] if raster.format.byte_order == "little" else row[..., 1:]
    entries: NDArray[Any] = _pixels(Raster(row, raster.format), fmt)[0]
    return entries


def _pixels(raster: Raster, fmt: ClientFormat) -> NDArray[Any]:
    return to_rgb.rgb(raster) if fmt.is_rgb else fmt.values(raster)


def _deflated(rows: NDArray[Any]) -> bytes:
    data = np.ascontiguousarray(rows)
    if data.nbytes < _LEAST_PACKED:
        return data.tobytes()
    packed = Deflater().add(data)
    return _length(len(packed)) + packed


def _length(count: int) -> bytes:
    """Return a length in one to three bytes: seven bits, seven, eight, the lowest first."""
    if count < 1 << 7:
        return bytes((count,))
    if count < 1 << 14:
        return bytes((count & 0x7F | 0x80, count >> 7))
    return bytes((count & 0x7F | 0x80, count >> 7 & 0x7F | 0x80, count >> 14))


def zlib_rectangle(values: NDArray[Any], stream: Deflater) -> bytes:
    """Return what follows a rectangle's head in the encoding Zlib, for (height, width) pixel values."""
    packed = stream.add(np.ascontiguousarray(values))
    return struct.pack(">I", len(packed)) + packed


def zrle_rectangle(values: NDArray[Any], bytes_kept: slice, stream: Deflater) -> bytes:
    """Return what follows a rectangle's head in ZRLE; `bytes_kept` is `ClientFormat.packed_bytes`."""
    height, width = values.shape
    tiles: list[bytes] = []
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            tiles += _tile(values[top : top + _TILE, left : left + _TILE], bytes_kept)
    packed = stream.add(b"".join(tiles))
    return struct.pack(">I", len(packed)) + packed


def _tile(tile: NDArray[Any], kept: slice) -> tuple[bytes, ...]:
    first = tile[0, 0]
    others = tile != first
    place = int(others.argmax())
    if not others.flat[place]:
        return _SOLID, _bytes(tile[:1, :1], kept)
    second = tile.flat[place]
    if np.array_equal(tile == second, others):
        return _TWO, _bytes(np.array([[first, second]], tile.dtype), kept), np.packbits(others, axis=1).tobytes()
    return _RAW, _bytes(tile, kept)


def _bytes(values: NDArray[Any], kept: slice) -> bytes:
    each = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.itemsize)
    return each[:, kept].tobytes()
