"""XFIXES as bytes: the pointer's image and its changes, and regions (sets of pixels on which the server computes).

No I/O. Source: fixesproto.txt, "XFIXES Extension", whose field names these are. Every request takes the extension's
major opcode as `opcode`. Requests that are sent once for an object are python-xlib structures, those that are sent for
every frame are packed.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from xshm.geometry import Rect
from xshm.x11.protocol.requests import HEADER
from xshm.x11.protocol.structures import reply_struct, request_struct
from xshm.x11.protocol.xlib import rq, structs, xfixes

NAME: Final = "XFIXES"
VERSION: Final = (2, 0)  # the least that has regions, and names of pointer images
CURSOR_NOTIFY: Final = 1  # the event's offset from first_event
DISPLAY_CURSOR_NOTIFY_MASK: Final = 1
BOUNDING: Final = 0  # the kind of a window's shape that has its border

_REGION = rq.Card32  # python-xlib knows no REGION resource; an id is 32 bits

# -- regions -----------------------------------------------------------------------------------------------------------


class CreateRegion(rq.Request):
    """Make a region of these rectangles, tuples of x, y, width and height, known as `region`."""

    _request = request_struct(5, _REGION("region"), rq.List("rectangles", structs.Rectangle))


class CreateRegionFromWindow(rq.Request):
    """Make a region of a window's shape, in the window's coordinates."""

    _request = request_struct(7, _REGION("region"), rq.Window("window"), rq.Card8("kind"), rq.Pad(3))


class DestroyRegion(rq.Request):
    """Free a region."""

    _request = request_struct(10, _REGION("region"))


class SubtractRegion(rq.Request):
    """Make `destination` what is in `source1` and not in `source2`."""

    _request = request_struct(15, _REGION("source1"), _REGION("source2"), _REGION("destination"))


class FetchRegion(rq.ReplyRequest):
    """Ask for a region's extents and for its rectangles, which do not overlap."""

    _request = request_struct(19, _REGION("region"))
    _reply = reply_struct(
        rq.Pad(1), rq.Object("extents", structs.Rectangle), rq.Pad(16), rq.List("rectangles", structs.Rectangle)
    )


# -- regions, packed: capture sends these for every frame --------------------------------------------------------------

# Structures of requests begin with the major opcode, the minor one, and the length in words of four bytes.
_SET, _UNION, _INTERSECT, _FETCH, _SET_GC_CLIP = 11, 13, 14, 19, 20  # minor opcodes
_ONE: Final = struct.Struct("=BBHI")
_THREE: Final = struct.Struct("=BBHIII")
_GC_CLIP: Final = struct.Struct("=BBHIIhh")
_RECTANGLE: Final = struct.Struct("=hhHH")


def pack_clear_region(opcode: int, region: int) -> bytes:
    """Encode SetRegion to no rectangles."""
    return _ONE.pack(opcode, _SET, 2, region)


def pack_set_region(opcode: int, region: int, rect: Rect) -> bytes:
    """Encode SetRegion to one rectangle."""
    return _ONE.pack(opcode, _SET, 4, region) + _RECTANGLE.pack(rect.x, rect.y, rect.width, rect.height)


def pack_union_region(opcode: int, source1: int, source2: int, destination: int) -> bytes:
    """Encode UnionRegion: `destination` becomes all that is in either source."""
    return _THREE.pack(opcode, _UNION, 4, source1, source2, destination)


def pack_intersect_region(opcode: int, source1: int, source2: int, destination: int) -> bytes:
    """Encode IntersectRegion: `destination` becomes what is in both sources."""
    return _THREE.pack(opcode, _INTERSECT, 4, source1, source2, destination)


def pack_set_gc_clip_region(opcode: int, gc: int, region: int, x_origin: int, y_origin: int) -> bytes:
    """Encode SetGCClipRegion: the graphics context draws inside the region only, moved by the origin."""
    return _GC_CLIP.pack(opcode, _SET_GC_CLIP, 4, gc, region, x_origin, y_origin)


def pack_fetch_region(opcode: int, region: int) -> bytes:
    """Encode FetchRegion, whose reply `unpack_fetched_region` reads."""
    return _ONE.pack(opcode, _FETCH, 2, region)


def fetched_region_limit(rect: Rect) -> int:
    """Return how many bytes follow the header of FetchRegion's reply, at most, for a region inside a rectangle."""
    # The most rectangles are of one pixel each: every other pixel of each row.
    return _RECTANGLE.size * rect.height * -(-rect.width // 2)


def unpack_fetched_region(reply: bytes) -> list[Rect]:
    """Return the rectangles of FetchRegion's reply, which do not overlap."""
    return [Rect(*each) for each in _RECTANGLE.iter_unpack(reply[HEADER:])]


# -- the pointer's image -----------------------------------------------------------------------------------------------


SelectCursorInput = xfixes.SelectCursorInput
CursorNotify = xfixes.DisplayCursorNotify


class CursorImage(NamedTuple):
    """GetCursorImageAndName's reply: the hotspot's place on the screen and in the image, and the image.

    `picture` is width × height words of 32 bits in this machine's byte order: alpha, red, green, blue from the highest
    byte down, colours premultiplied. `name` is in the encoding of the pointer's theme, and mostly empty.
    """

    x: int
    y: int
    width: int
    height: int
    xhot: int
    yhot: int
    serial: int
    picture: bytes
    name: bytes


_CURSOR_IMAGE = struct.Struct("=8xhhHHHHI4xH2x")


def pack_get_cursor_image(opcode: int) -> bytes:
    """Encode GetCursorImageAndName."""
    return struct.pack("=BBH", opcode, 25, 1)


def unpack_cursor_image(reply: bytes) -> CursorImage:
    """Decode the reply of GetCursorImageAndName; ValueError where it is shorter than its fields say."""
    x, y, width, height, xhot, yhot, serial, name_length = _CURSOR_IMAGE.unpack_from(reply)
    end = _CURSOR_IMAGE.size + 4 * width * height
    if end + name_length > len(reply):
        raise ValueError(f"a picture of {width}x{height} and a name of {name_length} in {len(reply)} bytes")
    return CursorImage(
        *(x, y, width, height, xhot, yhot, serial), reply[_CURSOR_IMAGE.size : end], reply[end : end + name_length]
    )
