"""XFIXES regions: sets of pixels that the server keeps and calculates with, packed for a path that is run often.

Encodings are those of "XFIXES Extension", fixesproto.txt; `opcode` is the extension's major opcode.
"""

from __future__ import annotations

import struct
from typing import Final

from xshm.geometry import Rect

_SET, _UNION, _INTERSECT, _FETCH, _CLIP = 11, 13, 14, 19, 20
_ONE: Final = struct.Struct("=BBHI")
_THREE: Final = struct.Struct("=BBHIII")
_GC: Final = struct.Struct("=BBHIIhh")
_RECTANGLE: Final = struct.Struct("=hhHH")
_HEADER: Final = 32


def pack_clear(opcode: int, region: int) -> bytes:
    """SetRegion to no rectangles."""
    return _ONE.pack(opcode, _SET, 2, region)


def pack_set(opcode: int, region: int, rect: Rect) -> bytes:
    """SetRegion to one rectangle."""
    return _ONE.pack(opcode, _SET, 4, region) + _RECTANGLE.pack(rect.x, rect.y, rect.width, rect.height)


def pack_union(opcode: int, source1: int, source2: int, destination: int) -> bytes:
    """UnionRegion: `destination` becomes all that is in either."""
    return _THREE.pack(opcode, _UNION, 4, source1, source2, destination)


def pack_intersect(opcode: int, source1: int, source2: int, destination: int) -> bytes:
    """IntersectRegion: `destination` becomes what is in both."""
    return _THREE.pack(opcode, _INTERSECT, 4, source1, source2, destination)


def pack_fetch(opcode: int, region: int) -> bytes:
    """FetchRegion, whose reply `unpack` reads."""
    return _ONE.pack(opcode, _FETCH, 2, region)


def pack_clip(opcode: int, gc: int, region: int, x_origin: int, y_origin: int) -> bytes:
    """SetGCClipRegion: the graphics context draws inside the region only, moved by the origin."""
    return _GC.pack(opcode, _CLIP, 4, gc, region, x_origin, y_origin)


def most_bytes(rect: Rect) -> int:
    """Return how many bytes follow the header of FetchRegion's reply at most: every other pixel of each row."""
    return _RECTANGLE.size * rect.height * -(-rect.width // 2)


def unpack(reply: bytes) -> list[Rect]:
    """Return the rectangles of FetchRegion's reply; they do not overlap."""
    return [Rect(*each) for each in _RECTANGLE.iter_unpack(reply[_HEADER:])]
