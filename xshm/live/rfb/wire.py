"""What RFB's messages are made of: the numbers of encodings, the layout of messages, and what a violation of it is.

All numbers on the wire are big-endian, but for pixels. Source: RFC 6143 and the community's rfbproto, for the pseudo
encodings that came later. Only what a server that is looked at needs is here: nothing is ever pasted or rung.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

VERSION: Final = b"RFB 003.008\n"
VNC_AUTHENTICATION: Final = 2  # the one security type that is offered
# A size is 16 bits on the wire, and X has no larger screens either.
_RECTANGLE: Final = struct.Struct(">HHHHi")
_SCREEN: Final = struct.Struct(">BxxxIHHHHI")
_BLACK_TO_WHITE: Final = 0xFFFF


class RfbViolation(Exception):
    """The client sent what the protocol, or a limit of this server, does not allow; the words go to the log."""


class Encoding(IntEnum):
    """How a rectangle's bytes are to be understood; what is negative are pseudo encodings."""

    RAW = 0
    ZLIB = 6
    TIGHT = 7
    ZRLE = 16
    QUALITY_0 = -32  # to -23: a client that lists one of these takes JPEG, of quality 0 to 9
    QUALITY_9 = -23
    DESKTOP_SIZE = -223
    POINTER_POSITION = -232
    CURSOR = -239
    DESKTOP_NAME = -307
    EXTENDED_DESKTOP_SIZE = -308
    CURSOR_WITH_ALPHA = -314


PIXELS: Final = (Encoding.TIGHT, Encoding.ZRLE, Encoding.ZLIB, Encoding.RAW)


class Accepted(NamedTuple):
    """What a client's SetEncodings lists of what there is here."""

    pixels: Encoding = Encoding.RAW
    quality: int | None = None  # of JPEG, 0 to 9; None: the client wants none
    pseudo: frozenset[int] = frozenset()

    @classmethod
    def of(cls, numbers: tuple[int, ...]) -> Accepted:
        """Choose from a client's list, which is in the order of its preference."""
        pixels = next((Encoding(number) for number in numbers if number in PIXELS), Encoding.RAW)
        levels = [number for number in numbers if Encoding.QUALITY_0 <= number <= Encoding.QUALITY_9]
        quality = levels[0] - Encoding.QUALITY_0 if levels else None
        return cls(pixels, quality, frozenset(number for number in numbers if number < Encoding.QUALITY_0))


def rectangle(x: int, y: int, width: int, height: int, encoding: int) -> bytes:
    """Return the head of a rectangle."""
    return _RECTANGLE.pack(x, y, width, height, encoding)


def update(rectangles: int) -> bytes:
    """Return the head of a FramebufferUpdate."""
    return struct.pack(">BxH", 0, rectangles)


def security_types() -> bytes:
    """Return the list of security types, from version 3.7 on."""
    return bytes((1, VNC_AUTHENTICATION))


def reason(words: str) -> bytes:
    """Return a reason for a failure, as all versions have it."""
    data = words.encode("ascii", "replace")
    return struct.pack(">I", len(data)) + data


def server_init(size: tuple[int, int], fmt: bytes, name: str) -> bytes:
    """Return ServerInit; `fmt` is a packed ClientFormat."""
    data = name.encode()
    return struct.pack(">HH", *size) + fmt + struct.pack(">I", len(data)) + data


def desktop_name(name: str) -> bytes:
    """Return the pseudo rectangle that gives the screen another name."""
    data = name.encode()
    return rectangle(0, 0, 0, 0, Encoding.DESKTOP_NAME) + struct.pack(">I", len(data)) + data


def desktop_size(size: tuple[int, int]) -> bytes:
    """Return the pseudo rectangle of a new size, for clients that know no better."""
    return rectangle(0, 0, *size, Encoding.DESKTOP_SIZE)


def extended_desktop_size(size: tuple[int, int], *, refused: bool) -> bytes:
    """Return the pseudo rectangle of a size and its one screen; `refused` is the answer to SetDesktopSize."""
    # Reason 1: this client asked; status 1: that is prohibited.
    head = rectangle(int(refused), int(refused), *size, Encoding.EXTENDED_DESKTOP_SIZE)
    return head + _SCREEN.pack(1, 0, 0, 0, *size, 0)


def colour_map(colours: list[tuple[int, int, int]]) -> bytes:
    """Return SetColourMapEntries, of colours with 8 bits a channel."""
    head = struct.pack(">BxHH", 1, 0, len(colours))
    return head + b"".join(
        struct.pack(">HHH", *(each * _BLACK_TO_WHITE // 255 for each in colour)) for colour in colours
    )
