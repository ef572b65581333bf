"""Write RGB bytes as a PNG file, byte by byte as mss does; and decode what a monitor says of itself (EDID).

Such a file has unfiltered rows of RGB, compressed by zlib at level 6. `xshm.Screen.grab().png()` writes a smaller one,
in a tenth of the time or less, which has a palette where the picture has few colours.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from xshm.image.files import png_chunks
from xshm.system.atomic_write import replace_file
from xshm.x11.protocol.edid import BLOCK

if TYPE_CHECKING:
    import os

_CHANNELS: Final = 3

_HEADER: Final = b"\x00\xff\xff\xff\xff\xff\xff\x00"
_IDENTITY: Final = struct.Struct("<8x2sHIBB")  # maker, product code, serial number, week, year
_FIRST_YEAR: Final = 1990
_NO_WEEK, _MODEL_YEAR = 0, 0xFF  # in place of the week
_DESCRIPTORS: Final = (72, 90, 108)  # the second to the fourth: the first is always the preferred timing
_DESCRIPTOR: Final = struct.Struct("3sBx13s")  # 0, 0, 0 for a text; its tag; the text
_TEXTS: Final = {0xFF: "serial_number", 0xFC: "display_name"}  # by tag


def to_png(
    data: bytes | bytearray | memoryview,
    size: tuple[int, int],
    /,
    *,
    level: int = 6,
    output: str | os.PathLike[str] | None = None,
) -> bytes | None:
    """Return a PNG file of `data`, rows of R G B, or write it to `output`; `level` is zlib's.

    The file is written whole or not at all. Raises zlib.error for a level that zlib does not have, OSError.
    """
    width, height = size
    line = _CHANNELS * width
    view = memoryview(data).cast("B")  # of an array, too
    # Each row is preceded by its filter type, 0 (None).
    rows = b"".join(part for row in range(height) for part in (b"\0", view[line * row : line * row + line]))
    header = struct.pack(">IIBBBBB", width, height, 8, png_chunks.RGB, 0, 0, 0)
    # By zlib at each level: libisal, which xshm's own files use, compresses to other bytes.
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, level)), (b"IEND", b""))
    file = b"".join((png_chunks.SIGNATURE, *(part for chunk in chunks for part in png_chunks.chunk(*chunk))))
    if not output:
        return file
    replace_file(output, file)
    return None


def parse_edid(edid_data: bytes) -> dict[str, Any]:
    """Decode the first block of an EDID; {} where the bytes are none, and without the keys that it has no value for.

    id_legacy ("DEL40A3": maker and product code), serial_number (the text, else the number), manufacture_week,
    manufacture_year, model_year, display_name. Source: VESA E-EDID 1.4, sections 3.3, 3.4 and 3.10.
    """
    block = edid_data[:BLOCK]
    if len(block) < BLOCK or not block.startswith(_HEADER) or sum(block) % 256:
        return {}
    maker, product, serial, week, year = _IDENTITY.unpack_from(block)
    packed = int.from_bytes(maker, "big")  # three letters of five bits each, "A" is 1
    letters = "".join(chr(ord("@") + (packed >> shift & 0x1F)) for shift in (10, 5, 0))
    found: dict[str, Any] = {"id_legacy": f"{letters}{product:04X}"}
    if serial:
        found["serial_number"] = serial
    if week == _MODEL_YEAR:
        found["model_year"] = _FIRST_YEAR + year
    else:
        if week != _NO_WEEK:
            found["manufacture_week"] = week
        found["manufacture_year"] = _FIRST_YEAR + year
    for at in _DESCRIPTORS:
        begin, tag, raw = _DESCRIPTOR.unpack_from(block, at)
        if begin == b"\0\0\0" and block[at + 4] == 0 and tag in _TEXTS:
            found[_TEXTS[tag]] = raw.partition(b"\n")[0].rstrip(b" ").decode("ascii", errors="replace")
    return found
