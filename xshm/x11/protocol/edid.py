"""EDID, the data by which a monitor describes itself: its model and serial number. No bytes raise an exception.

The bytes come from the monitor, or from any client that has set the output's property: only printable ASCII is kept.
Source: VESA E-EDID 1.4, sections 3.3, 3.4 and 3.10.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

BLOCK: Final = 128  # bytes of the first block, which has all that is read here
_HEADER: Final = b"\x00\xff\xff\xff\xff\xff\xff\x00"
_MAKER: Final = struct.Struct(">8xH")  # three letters of five bits each, "A" is 1
_PRODUCT: Final = struct.Struct("<10xHI")  # product code, serial number
_DESCRIPTORS: Final = (54, 72, 90, 108)
_DESCRIPTOR: Final = struct.Struct("3sBx13s")  # 0, 0, 0 for a text; its tag; the text, ended by a line feed
_SERIAL, _NAME = 0xFF, 0xFC  # tags


class Identity(NamedTuple):
    """A monitor's model and serial number, each None where its EDID has none."""

    model: str | None
    serial: str | None


def parse(raw: bytes) -> Identity | None:
    """Decode an EDID; None where the bytes are not one: too few, another header, a wrong checksum.

    The model is the monitor's name, or maker and product code as in "DEL-40A3". The serial number is the text, or the
    number where there is no text and the number is not 0.
    """
    block = raw[:BLOCK]
    if len(block) < BLOCK or not block.startswith(_HEADER) or sum(block) % 256:
        return None
    texts = _texts(block)
    (maker,) = _MAKER.unpack_from(block)
    product, serial = _PRODUCT.unpack_from(block)
    letters = "".join(chr(ord("@") + (maker >> shift & 0x1F)) for shift in (10, 5, 0))
    named = f"{letters}-{product:04X}" if letters.isalpha() else None
    return Identity(texts.get(_NAME) or named, texts.get(_SERIAL) or (str(serial) if serial else None))


def _texts(block: bytes) -> dict[int, str]:
    """Return the first text of each tag that is not empty."""
    found: dict[int, str] = {}
    for at in _DESCRIPTORS:
        begin, tag, raw = _DESCRIPTOR.unpack_from(block, at)
        text = "".join(chr(byte) for byte in raw.partition(b"\n")[0] if " " <= chr(byte) <= "~").strip()
        if begin == b"\0\0\0" and text:
            found.setdefault(tag, text)
    return found
