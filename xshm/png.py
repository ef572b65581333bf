"""PNG files from pixels: lossless, and nearly as fast as the pixels can be read.

libisal compresses (zlib where there is no wheel of it). Pictures of at most 256 colours become palette files, which
are about half as large.
"""

from __future__ import annotations

import functools
import importlib
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm import opencv, palette
from xshm.channels import Part, alpha, colours, luma, values
from xshm.convert import check_colormap, paint, size
from xshm.errors import InvalidArgument

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import DTypeLike, NDArray

    from xshm.pixels import PixelFormat

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _PALETTE, _RGBA = 0, 2, 3, 6
_FASTEST, _SMALLEST = 1, 9
_EIGHT = np.dtype(np.uint8)

# libisal's own level: 1 takes a tenth more time than 0 for a fifth less; 2 takes 5 % more for 1 % less; 3 takes three
# times as long for nothing.
_ISAL_LEVEL = 1

# Bands of rows are filtered (Up) where more than this share of bytes is a small step, up or down, from the pixel
# before: photographs and gradients. Text and flat surfaces stay as they are, since filters hide their repeats. KiB of
# 1080p pages unfiltered, all filtered, and so: photograph 4419, 2363, 2363; news with pictures 1286, 1148, 1120;
# manual 406, 465, 411; editor 228, 280, 228. Shares of 0.04 to 0.2 and bands of 16 rows differ by less than 3 %.
_BAND, _EVERY = 32, 8
_STEP, _STEPS = 8, 0.08
_UP = 2


def png(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    level: int = _FASTEST,
    colormap: NDArray[Any] | None = None,
    dtype: DTypeLike = np.uint8,
    width: int | None = None,
) -> bytes:
    """Return a PNG file: gray, palette or RGB, whichever holds the picture, and RGBA at depth 32.

    `level` 1 is libisal's, by far the fastest; 2 to 9 are zlib's, smaller and ten to a hundred times slower; 0 does
    not compress. With dtype=numpy.uint16 channels have 16 bits, which keeps all of depth 30. Alpha and the colours
    beside it are stored as they are, premultiplied by X's convention, where PNG means them straight
    (`xshm.convert.straight_alpha`). `colormap` and `width` are as `xshm.convert` has them.
    """
    kind = np.dtype(dtype)
    if kind not in (np.uint8, np.uint16):
        raise InvalidArgument(f"dtype is uint8 or uint16, not {kind}")
    if not 0 <= level <= _SMALLEST:
        raise InvalidArgument(f"a PNG's level is 0 (not compressed) to {_SMALLEST} (smallest), not {level}")
    height, width = size(pixels, fmt, width)
    if fmt.is_gray:
        return _picture(pixels, fmt, (luma(fmt, kind, colormap),), _GRAY, kind, width, level)
    channels: tuple[Part, ...] = colours(fmt, kind, colormap)
    if fmt.alpha_mask:
        return _picture(pixels, fmt, (*channels, alpha(fmt, kind)), _RGBA, kind, width, level)
    if kind == _EIGHT:
        rows = np.empty((height, 1 + width), np.uint8)
        rows[:, 0] = 0
        shown = _indices(pixels, fmt, channels, rows[:, 1:])
        if shown is not None:
            table = np.stack([part.of(shown) for part in channels], axis=1).astype(np.uint8)
            return _file(width, height, _EIGHT, _PALETTE, _deflate(rows, level), table.tobytes())
    return _picture(pixels, fmt, channels, _RGB, kind, width, level)


def encoder() -> str:
    """Tell what compresses PNG files at the default level, and why."""
    if _isal() is None:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, since isal is not installed"
    return "libisal, since isal is installed"


def _picture(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    parts: tuple[Part, ...],
    colour_type: int,
    kind: np.dtype[Any],
    width: int,
    level: int,
) -> bytes:
    """Return a file without a palette."""
    check_colormap(pixels, fmt, parts, width)
    height, pixel = len(pixels), len(parts) * kind.itemsize
    rows = np.empty((height, 1 + width * pixel), np.uint8)
    rows[:, 0] = 0
    shape, strides = (height, width, len(parts)), (rows.strides[0], pixel, kind.itemsize)
    samples: NDArray[Any] = np.ndarray(shape, kind.newbyteorder(">"), rows, 1, strides)
    paint(pixels, fmt, parts, samples, opencv.loaded())
    if level:
        _filter(rows, pixel)
    return _file(width, height, kind, colour_type, _deflate(rows, level))


def _indices(
    pixels: NDArray[Any], fmt: PixelFormat, channels: tuple[Part, ...], out: NDArray[np.uint8]
) -> NDArray[Any] | None:
    """Write the picture as indices, and return the pixel values they stand for; None where 256 don't do."""
    if fmt.has_masks:
        return palette.find(pixels, fmt, out)
    if fmt.depth > 8 * out.itemsize:
        return None
    width = out.shape[1]
    check_colormap(pixels, fmt, channels, width)
    np.bitwise_and(values(pixels, fmt, width), fmt.colour_mask, out=out)
    return np.arange(int(out.max()) + 1)


def _filter(rows: NDArray[np.uint8], pixel: int) -> None:
    """Filter in place the bands that gain from it, from the last: each needs the row before it as it was."""
    sample = rows[::_EVERY]
    change = sample[:, 1 + pixel :] - sample[:, 1:-pixel]
    steps = change != 0
    change += _STEP
    steps &= change <= 2 * _STEP
    for top in reversed(range(0, len(rows), _BAND)):
        found = steps[top // _EVERY : (top + _BAND) // _EVERY]
        if np.count_nonzero(found) > _STEPS * found.size:
            first = max(top, 1)  # the first row has none above
            band = rows[first : top + _BAND]
            band[:, 1:] -= rows[first - 1 : first - 1 + len(band), 1:]
            band[:, 0] = _UP


def _deflate(rows: NDArray[np.uint8], level: int) -> bytes:
    isal = _isal()
    if level == _FASTEST and isal is not None:
        packed: bytes = isal.compress(rows, _ISAL_LEVEL)
        return packed
    return zlib.compress(rows.data, level)


def _file(width: int, height: int, kind: np.dtype[Any], colour_type: int, packed: bytes, table: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8 * kind.itemsize, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", table), (b"IDAT", packed), (b"IEND", b"")]
    parts = [_SIGNATURE]
    for name, data in chunks:
        if data or name == b"IEND":
            parts += (struct.pack(">I", len(data)), name, data, struct.pack(">I", _crc(data, _crc(name, 0))))
    return b"".join(parts)


def _crc(data: bytes, start: int) -> int:
    # libisal's is ten times as fast as zlib's: 0.02 ms and 0.3 for a page.
    value: int = (_isal() or zlib).crc32(data, start)
    return value


@functools.cache
def _isal() -> ModuleType | None:
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:  # it has no wheels but for x86-64 and aarch64
        return None
