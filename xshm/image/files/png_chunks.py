"""Write a PNG's chunks, compressed, of rows that `png` or `png_stdlib` has filtered; without numpy. APNG has the same.

libisal compresses at the default level; zlib at the other levels, and where libisal is not installed.
"""

from __future__ import annotations

import functools
import importlib
import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.image.files.two_threads import together
from xshm.system import logs
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from types import ModuleType

GRAY, RGB, PALETTE, RGBA = 0, 2, 3, 6  # colour types
FASTEST, SMALLEST = 1, 9
NONE, UP = 0, 2  # filter types, the first byte of each row
SIGNATURE = b"\x89PNG\r\n\x1a\n"

# libisal's own level: 1 takes a tenth more time than 0 for a fifth less; 2 takes 5 % more for 1 % less; 3 takes three
# times as long for nothing.
_ISAL_LEVEL = 1
_RAW: Final = -15  # window bits: a deflate stream without zlib's header and checksum
_ZLIB_HEADER: Final = b"\x78\x01"
_LARGE: Final = 1 << 19  # pixels; a second thread does not pay for fewer

# Bands of rows are filtered (Up) where more than this share of bytes is a small step, up or down, from the pixel
# before: photographs and gradients. Text and flat surfaces stay as they are, since filters hide their repeats. KiB of
# 1080p pages unfiltered, all filtered, and so: photograph 4419, 2363, 2363; news with pictures 1286, 1148, 1120;
# manual 406, 465, 411; editor 228, 280, 228. Shares of 0.04 to 0.2 and bands of 16 rows differ by less than 3 %.
BAND, EVERY = 32, 8  # rows of a band, and which of them are looked at
STEP, STEPS = 8, 0.08


def check_level(level: int) -> None:
    """Raise InvalidType or InvalidArgument for anything but a whole number from 0 to 9."""
    _arguments.integer(level, f"a PNG's level is a whole number from 0 to {SMALLEST}")
    if not 0 <= level <= SMALLEST:
        raise InvalidArgument(f"a PNG's level is 0 (not compressed) to {SMALLEST} (smallest), not {quoted(level)}")


def write(
    width: int, height: int, colour_type: int, rows: Any, level: int, *, bits: int = 8, table: bytes = b""
) -> bytes:
    """Return the file; `rows` is a buffer of filtered rows, `table` the palette, 3 bytes a colour."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    parts = [SIGNATURE, *chunk(b"IHDR", header)]
    if table:
        parts += chunk(b"PLTE", table)
    isal = _isal()
    if level == FASTEST and isal is not None and height * width >= _LARGE:
        packed = _deflate_halves(isal, memoryview(rows).cast("B"))
    else:
        packed = deflate(rows, level)
    return b"".join((*parts, *chunk(b"IDAT", packed), *chunk(b"IEND", b"")))


def chunk(name: bytes, data: bytes) -> tuple[bytes, ...]:
    """Return the parts of a chunk: length, name, data, CRC; not joined, so that much data is copied once."""
    return struct.pack(">I", len(data)), name, data, struct.pack(">I", _crc(data, _crc(name, 0)))


def encoder() -> str:
    """Return what compresses PNG files at the default level, and why."""
    if _isal() is None:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, since isal is not installed"
    return "libisal, since isal is installed"


def deflate(rows: Any, level: int) -> bytes:
    """Return the rows compressed, as a zlib stream."""
    isal = _isal()
    if level == FASTEST and isal is not None:
        packed: bytes = isal.compress(rows, _ISAL_LEVEL)
        return packed
    return zlib.compress(rows, level)


def _deflate_halves(isal: ModuleType, rows: memoryview) -> bytes:
    """Return the rows compressed as a zlib stream of two parts, made at the same time.

    It is 0.3 % larger, since the second part can't refer to the first; 5.6 instead of 8.0 ms for a 1080p page.
    """
    parts: list[bytes] = [b"", b""]
    half = len(rows) // 2

    def compress(at: int, data: memoryview, flush: int) -> None:
        packer = isal.compressobj(_ISAL_LEVEL, isal.DEFLATED, _RAW)
        parts[at] = packer.compress(data) + packer.flush(flush)

    # A full flush ends the first part at a whole byte, without the mark of the last block.
    together(partial(compress, 0, rows[:half], isal.Z_FULL_FLUSH), partial(compress, 1, rows[half:], isal.Z_FINISH))
    return b"".join((_ZLIB_HEADER, *parts, struct.pack(">I", isal.adler32(rows))))


def inflate(data: bytes) -> bytes:
    """Return what a zlib stream holds. Raises zlib.error for a broken one."""
    isal = _isal()
    if isal is None:
        return zlib.decompress(data)
    try:
        plain: bytes = isal.decompress(data)  # in 60 % of zlib's time
    except isal.error as error:  # an Exception of its own
        raise zlib.error(str(error)) from error
    return plain


def _crc(data: bytes, start: int) -> int:
    # libisal's is ten times as fast as zlib's: 0.02 ms and 0.3 for a page.
    value: int = (_isal() or zlib).crc32(data, start)
    return value


@functools.cache
def _isal() -> ModuleType | None:
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError as error:  # it has no wheels but for x86-64 and aarch64
        logs.info("converter", "zlib, which takes ten times as long for a PNG: isal can't be imported (%s)", str(error))
        return None
