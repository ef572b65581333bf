"""MIT-SHM 1.2 as bytes: its requests, its Completion event and its BadSeg error, as python-xlib structures.

No I/O. Field names are the protocol's ("The MIT Shared Memory Extension", appendix "Protocol Encoding"); every request
takes the extension's major opcode as `opcode`. The connection sends one descriptor with AttachFd, and receives one with
CreateSegment's reply.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from xshm.x11.protocol.core import ALL_PLANES, Z_PIXMAP
from xshm.x11.protocol.structures import reply_struct, request_struct
from xshm.x11.protocol.xlib import error, rq

if TYPE_CHECKING:
    from xshm.geometry import Rect

NAME: Final = "MIT-SHM"

COMPLETION: Final = 0  # the event's offset from first_event
BAD_SEG: Final = 0  # the error's offset from first_error

# -- structures: python-xlib has no module for this extension ----------------------------------------------------------

_SHMSEG = rq.Card32  # python-xlib knows no SHMSEG resource; an id is 32 bits
_READ_ONLY = (rq.Bool("read_only"), rq.Pad(3))
_PLACE = (_SHMSEG("shmseg"), rq.Card32("offset"))  # where the pixels are


class QueryVersion(rq.ReplyRequest):
    """Ask for the version, the server's uid and gid, and whether it has shared pixmaps."""

    _request = request_struct(0)
    _reply = reply_struct(
        rq.Bool("shared_pixmaps"),
        rq.Card16("major_version"),
        rq.Card16("minor_version"),
        rq.Card16("uid"),  # of the server's process, cut to 16 bits
        rq.Card16("gid"),
        rq.Card8("pixmap_format"),
        rq.Pad(15),
    )


class Attach(rq.Request):
    """Make the server attach the System V segment `shmid` under the resource id `shmseg`."""

    _request = request_struct(1, _SHMSEG("shmseg"), rq.Card32("shmid"), *_READ_ONLY)


class Detach(rq.Request):
    """Make the server detach a segment, and free its id."""

    _request = request_struct(2, _SHMSEG("shmseg"))


class PutImage(rq.Request):
    """Draw a part of an image in the segment into a drawable; with send_event, Completion follows."""

    _request = request_struct(
        3,
        *(rq.Drawable("drawable"), rq.GC("gc")),
        *map(rq.Card16, ("total_width", "total_height", "src_x", "src_y", "src_width", "src_height")),
        *map(rq.Int16, ("dst_x", "dst_y")),
        *(rq.Card8("depth"), rq.Card8("format"), rq.Bool("send_event"), rq.Pad(1)),
        *_PLACE,
    )


class GetImage(rq.ReplyRequest):
    """Write a part of a drawable into the segment; the reply comes when it is written."""

    _request = request_struct(
        4,
        rq.Drawable("drawable"),
        *(rq.Int16("x"), rq.Int16("y"), rq.Card16("width"), rq.Card16("height")),
        *(rq.Card32("plane_mask"), rq.Card8("format"), rq.Pad(3)),
        *_PLACE,
    )
    _reply = reply_struct(rq.Card8("depth"), rq.Card32("visual"), rq.Card32("size"), rq.Pad(16))


class CreatePixmap(rq.Request):
    """Make a pixmap whose pixels are the segment's memory."""

    _request = request_struct(
        5,
        *(rq.Card32("pid"), rq.Drawable("drawable")),
        *(rq.Card16("width"), rq.Card16("height"), rq.Card8("depth"), rq.Pad(3)),
        *_PLACE,
    )


class AttachFd(rq.Request):
    """Make the server map the descriptor that is sent with the request (1.2)."""

    _request = request_struct(6, _SHMSEG("shmseg"), *_READ_ONLY)


class CreateSegment(rq.ReplyRequest):
    """Make the server allocate memory and answer with a descriptor of it (1.2)."""

    _request = request_struct(7, _SHMSEG("shmseg"), rq.Card32("size"), *_READ_ONLY)
    _reply = reply_struct(rq.Card8("nfd"), rq.Pad(24))  # nfd: descriptors that came with the reply, 1


class Completion(rq.Event):
    """The server has read the image of a PutImage: the client may write to its memory again."""

    _code = None  # first_event + COMPLETION, which each server numbers in its own way
    _fields = rq.Struct(
        rq.Card8("type"),
        rq.Pad(1),
        rq.Card16("sequence_number"),
        rq.Drawable("drawable"),
        rq.Card16("minor_event"),
        rq.Card8("major_event"),
        rq.Pad(1),
        *_PLACE,
        rq.Pad(12),
    )


class BadSegError(error.XError):
    """`resource_id` names no shared segment that is attached."""


# -- packed, for the hot paths: the same bytes as those of the structures above, at a tenth of the cost ----------------

# A request begins with the extension's major opcode, its minor one (3, 4 below), and its length in words of four bytes.
_GET_IMAGE = struct.Struct("=BBHIhhHHIB3xII")
_PUT_IMAGE = struct.Struct("=BBHIIHHHHHHhhBBBxII")
_GOT_IMAGE = struct.Struct("=xB6x4xI")
# shmseg and offset, at the end of GetImage: `capture.grab` packs the rest once, and appends each frame's.
PLACE_BYTES: Final = 8


def pack_get_image(
    opcode: int, drawable: int, x: int, y: int, width: int, height: int, shmseg: int, offset: int = 0
) -> bytes:
    """Encode GetImage for all planes in ZPixmap format."""
    return _GET_IMAGE.pack(opcode, 4, 8, drawable, x, y, width, height, ALL_PLANES, Z_PIXMAP, shmseg, offset)


def unpack_get_image(reply: bytes) -> tuple[int, int]:
    """Return the depth of the image and the number of bytes that the server wrote."""
    return _GOT_IMAGE.unpack_from(reply)  # without the visual between them: the drawable's format is known


def pack_put_image(
    opcode: int, drawable: int, gc: int, depth: int, shmseg: int, place: Rect, part: Rect, *, send_event: bool = True
) -> bytes:
    """Encode PutImage of `part` of an image that lies at `place` in the drawable, and at the segment's beginning.

    With `send_event`, Completion follows.
    """
    # total_width and total_height are the image's; src_x and src_y are the part's corner in it.
    return _PUT_IMAGE.pack(
        *(opcode, 3, 10, drawable, gc, place.width, place.height),
        *(part.x - place.x, part.y - place.y, part.width, part.height, part.x, part.y),
        *(depth, Z_PIXMAP, send_event, shmseg, 0),
    )
