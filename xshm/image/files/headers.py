"""Parse the headers of picture files: kind, size, orientation, and faults that Pillow ignores or only warns of.

Nothing is decoded here, so a file of a few bytes that claims a huge picture costs no more than these bytes. Errors are
ValueErrors (struct.error where the bytes end too early) that say what is wrong with the file; `reader` adds its name.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

LONGEST_MAGIC: Final = 12  # bytes that the kind is read from, at most: RIFF, a length, WEBP
_MAGIC: Final = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
} | {b"P%d" % each + space: "PPM" for each in range(1, 7) for space in (b"\n", b" ", b"\t", b"\r")}
KINDS: Final = ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF", "PPM")

# TIFF 6.0, section 2: the bytes of a value of each type.
_TIFF_UNITS: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_TIFF_TEXTS: Final = (1, 2, 7)  # BYTE, ASCII, UNDEFINED: however many bytes, one value
_TIFF_ENTRY: Final = 12  # bytes: tag, type, number of values, and the values or their offset
_TIFF_INLINE: Final = 4  # bytes of values that lie in the entry itself
# Tags, and their values that matter here.
_COMPRESSION, _UNCOMPRESSED, _ORIENTATION, _SHORT = 0x0103, 1, 0x0112, 3
_SAMPLES, _MOST_SAMPLES = 0x0115, 6  # of more Pillow writes to the standard error stream
_GIF_HAS_COLOURS: Final = 0x80


def kind(data: bytes) -> str | None:
    """Return which of KINDS begins with these bytes; None for none. A file's suffix does not matter."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)


def size(name: str, data: bytes) -> tuple[int, int] | None:
    """Return width and height for kinds where Pillow allocates memory, or warns, as soon as it opens a file.

    None for the other kinds, which Pillow can open first.
    """
    if name == "GIF":
        return _gif_size(data)
    if name == "WebP":
        return _webp_size(data)
    return None


def check(name: str, data: bytes) -> None:
    """Raise ValueError where a file is broken in a way that Pillow ignores or only warns of."""
    if name == "PNG":
        _check_png(data)
    elif name == "TIFF":
        _check_tiff(data)


def orientation(exif: bytes) -> int:
    """Return the orientation in an EXIF block, 1 to 8 (EXIF 2.3, tag 0x0112); 1, not turned, where it has none.

    A broken block counts as none: it is no part of the picture, and viewers show such a picture unturned.
    """
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, first)
        for at in range(first + 2, first + 2 + count * _TIFF_ENTRY, _TIFF_ENTRY):
            tag, unit, values, turned = struct.unpack_from(order + "HHIH", block, at)
            if (tag, unit, values) == (_ORIENTATION, _SHORT, 1):
                return int(turned) if 1 <= turned <= 8 else 1  # noqa: PLR2004 - the eight orientations
    except struct.error:
        pass
    return 1


def _gif_size(data: bytes) -> tuple[int, int]:
    """Return the size of the logical screen (GIF89a, section 18), enlarged for the first picture as Pillow does it."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    # Behind the header of 13 bytes comes the global colour table, where there is one.
    at = 13 + (3 << (flags & 7) + 1 if flags & _GIF_HAS_COLOURS else 0)
    while data[at : at + 1] == b"!":  # extensions: a label, then blocks up to an empty one
        at += 2
        while data[at : at + 1] not in (b"\0", b""):
            at += data[at] + 1
        at += 1
    if data[at : at + 1] != b",":
        raise ValueError("there is no picture in it")
    left, top, columns, rows = struct.unpack_from("<HHHH", data, at + 1)
    return max(width, left + columns), max(height, top + rows)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the size of the canvas (RFC 9649, sections 2.5 to 2.7)."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        width, high, height, top = struct.unpack_from("<HBHB", data, 24)
        return (width | high << 16) + 1, (height | top << 16) + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError(f"its first chunk is {chunk!r}")


def _check_png(data: bytes) -> None:
    """Check that all chunks are there and whole; Pillow checks neither the last ones nor their checksums."""
    at, name, animations = 8, b"", 0
    while name != b"IEND":
        if at + 12 > len(data):
            raise ValueError(f"the file is cut off behind {at} bytes, before its end chunk")
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError(f"the file is cut off in its chunk {name!r}, which would end at byte {end}")
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != checksum:
            raise ValueError(f"the checksum of its chunk {name!r} at byte {at} is wrong")
        if name == b"acTL":
            animations += 1
            (pictures, _) = struct.unpack_from(">II", data, at + 8)
            if animations > 1 or length != 8 or not 0 < pictures < 1 << 31:  # noqa: PLR2004 - as APNG has it
                raise ValueError("its animation is broken")
        at = end


def _check_tiff(data: bytes) -> None:
    """Check that the values of the first directory lie in the file; Pillow skips those that do not, with a warning.

    Compressed files are refused: Pillow reads them by libtiff, which writes to the standard error stream itself.
    """
    from PIL import TiffTags  # noqa: PLC0415 - not needed for other kinds

    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, first)
    total = 0
    for at in range(first + 2, first + 2 + count * _TIFF_ENTRY, _TIFF_ENTRY):
        tag, unit, values, offset = struct.unpack_from(order + "HHII", data, at)
        (short,) = struct.unpack_from(order + "H", data, at + 8)
        length = values * _TIFF_UNITS.get(unit, 0)
        if length > _TIFF_INLINE:
            # The sum of all, so that a small file whose values overlap can't make Pillow read it over and over.
            total += length
            if offset + length > len(data) or total > len(data):
                raise ValueError(f"the file is cut off: its tag {tag} would lie at byte {offset}")
        if TiffTags.lookup(tag).length == 1 and values > 1 and unit in _TIFF_UNITS and unit not in _TIFF_TEXTS:
            raise ValueError(f"its tag {tag} has {values} values, not 1")
        if tag == _COMPRESSION and (unit, short) != (_SHORT, _UNCOMPRESSED):
            raise ValueError("it is compressed, and only plain ones are read; save it as PNG")
        if tag == _SAMPLES and (unit != _SHORT or short > _MOST_SAMPLES):
            raise ValueError(f"it has {short if unit == _SHORT else offset} samples a pixel")
    (following,) = struct.unpack_from(order + "I", data, first + 2 + count * _TIFF_ENTRY)
    if following:
        raise ValueError("it holds more than one picture; which one is meant can't be told")
