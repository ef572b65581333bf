"""Make EDIDs by the standard's layout, and set them on an output of a real server as a driver would."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from Xlib.ext import randr
from Xlib.Xatom import INTEGER

if TYPE_CHECKING:
    from xshm.drawables.screen import Screen

SERIAL, NAME = 0xFF, 0xFC


def make(
    maker: str = "DEL", product: int = 0x40A3, serial: int = 0, texts: tuple[tuple[int, bytes], ...] = ()
) -> bytes:
    """Return a first block with a right checksum; each text gets a descriptor of its tag, from the second on."""
    code = 0
    for letter in maker:
        code = code << 5 | (ord(letter) - ord("@") & 0x1F)
    block = bytearray(
        b"\x00\xff\xff\xff\xff\xff\xff\x00" + struct.pack(">H", code) + struct.pack("<HI", product, serial)
    )
    block += bytes([30, 31, 1, 4]) + bytes(34)
    block += b"\x02\x3a\x80\x18\x71\x38\x2d\x40\x58\x2c\x45\x00\x56\x50\x21\x00\x00\x1e"  # 1920x1080, a detailed timing
    for tag, text in texts:
        block += struct.pack(
            "3xBx13s", tag, text[:13].ljust(13, b" ") if b"\n" in text else (text + b"\n").ljust(13, b" ")
        )
    return summed(bytes(block).ljust(126, b"\0") + b"\0\0")


def summed(block: bytes) -> bytes:
    """Return a block with its last byte changed so that all add up to 0."""
    return block[:127] + bytes([-sum(block[:127]) % 256])


def give(screen: Screen, raw: bytes, output: int = 0, bits: int = 8) -> None:
    """Set the property of an output, by its number, from which an X server's clients read the EDID; b"" takes it away.

    `bits` are those of the property's format: with 32, each byte becomes a number of its own.
    """
    connection = screen.connection
    found = connection.extension("RANDR")
    assert found is not None
    root = connection.setup.root.id
    outputs = connection.request(randr.GetScreenResourcesCurrent, opcode=found.major, window=root).outputs
    names = {"opcode": found.major, "output": outputs[output], "property": screen.xlib.intern_atom("EDID")}
    if raw:
        sent = connection.send(
            randr.ChangeOutputProperty, **names, type=INTEGER, mode=0, value=(bits, raw if bits == 8 else list(raw))
        )
    else:
        sent = connection.send(randr.DeleteOutputProperty, **names)
    connection.check(sent, doing="the EDID")
