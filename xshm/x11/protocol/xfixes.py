"""XFIXES as bytes: the pointer's picture and word of its changes, and regions that the server keeps.

No input and no output but for `start`. Field names are the protocol's (fixesproto.txt, "XFIXES Extension"); every
request takes the extension's major opcode as `opcode`. Regions and named pictures came with version 2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from Xlib.ext.xfixes import DisplayCursorNotify as CursorNotify
from Xlib.ext.xfixes import QueryVersion, SelectCursorInput
from Xlib.protocol import rq, structs

from xshm.errors import ExtensionMissing

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.io.release_queue import ServerResource

__all__ = [
    "CURSOR_NOTIFY",
    "DISPLAY_CURSOR_NOTIFY_MASK",
    "NAME",
    "CreateRegion",
    "CursorImage",
    "CursorNotify",
    "DestroyRegion",
    "FetchRegion",
    "QueryVersion",
    "SelectCursorInput",
    "SetGCClipRegion",
    "create_region",
    "new_region",
    "pack_get_cursor_image",
    "start",
    "unpack_cursor_image",
]

NAME: Final = "XFIXES"
CURSOR_NOTIFY: Final = 1  # the event's offset from first_event
DISPLAY_CURSOR_NOTIFY_MASK: Final = 1
_VERSION: Final = (5, 0)
_NEEDED: Final = 2

_REGION = rq.Card32  # python-xlib knows no REGION resource; an id is 32 bits


class CreateRegion(rq.Request):
    """Make a region of these rectangles (objects or tuples of x, y, width, height), known as `region`."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(5),
        rq.RequestLength(),
        _REGION("region"),
        rq.List("rectangles", structs.Rectangle),
    )


class DestroyRegion(rq.Request):
    """Make the server forget a region."""

    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(10), rq.RequestLength(), _REGION("region"))


class FetchRegion(rq.ReplyRequest):
    """Ask for a region's extents and for its rectangles, which do not overlap."""

    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(19), rq.RequestLength(), _REGION("region"))
    _reply = rq.Struct(
        rq.ReplyCode(),
        rq.Pad(1),
        rq.Card16("sequence_number"),
        rq.ReplyLength(),
        rq.Object("extents", structs.Rectangle),
        rq.Pad(16),
        rq.List("rectangles", structs.Rectangle),
    )


class SetGCClipRegion(rq.Request):
    """Let a graphics context draw inside a region only; `region` 0 lets it draw everywhere."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(20),
        rq.RequestLength(),
        rq.GC("gc"),
        _REGION("region"),
        rq.Int16("x_origin"),
        rq.Int16("y_origin"),
    )


def new_region(connection: Connection, opcode: int) -> ServerResource:
    """Return the id of a region that is to be created, and goes with it."""
    return connection.holdings.id(DestroyRegion, "region", opcode=opcode)


def create_region(connection: Connection, opcode: int, region: int, *rects: Rect) -> None:
    """Create a region of these rectangles."""
    boxes = [(each.x, each.y, each.width, each.height) for each in rects]
    connection.send(CreateRegion, opcode=opcode, region=region, rectangles=boxes)


class CursorImage(NamedTuple):
    """What GetCursorImageAndName answers: where the hotspot is on the screen, where in the picture, and the picture.

    `picture` is width × height words of 32 bits in this machine's byte order: alpha, red, green, blue from the highest
    byte down, colours premultiplied. `name` is in the bytes that its theme has it in, and mostly empty.
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
    """Take the reply of GetCursorImageAndName apart; ValueError where less has come than it says."""
    x, y, width, height, xhot, yhot, serial, name_length = _CURSOR_IMAGE.unpack_from(reply)
    end = _CURSOR_IMAGE.size + 4 * width * height
    if end + name_length > len(reply):
        raise ValueError(f"a picture of {width}x{height} and a name of {name_length} in {len(reply)} bytes")
    return CursorImage(
        *(x, y, width, height, xhot, yhot, serial), reply[_CURSOR_IMAGE.size : end], reply[end : end + name_length]
    )


def start(connection: Connection, purpose: str) -> Extension:
    """Say which version we speak, which all that follows needs; raise where the server has none that will do."""
    found = connection.extension(NAME)
    if found is None:
        raise ExtensionMissing(
            f"{purpose} needs the XFIXES extension, which the server at {connection.address} does not have"
        )
    version = connection.request(QueryVersion, opcode=found.major, major_version=_VERSION[0], minor_version=_VERSION[1])
    if version.major_version < _NEEDED:
        raise ExtensionMissing(
            f"{purpose} needs XFIXES {_NEEDED}.0 or newer; "
            f"the server at {connection.address} has {version.major_version}.{version.minor_version}"
        )
    return found
