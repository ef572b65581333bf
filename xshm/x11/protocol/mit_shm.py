"""MIT-SHM 1.2 as bytes: its requests, its Completion event and its BadSeg error, as python-xlib structures.

No input and no output here. Field names are the protocol's ("The MIT Shared Memory Extension", appendix "Protocol
Encoding"); every request takes the extension's major opcode as `opcode`. AttachFd carries one descriptor beside its
bytes, and CreateSegment's reply brings one: the connection sends and receives those.
"""

from __future__ import annotations

import struct
from typing import Final, NewType

from Xlib import error
from Xlib.protocol import rq

NAME: Final = "MIT-SHM"
ShmSeg = NewType("ShmSeg", int)

COMPLETION: Final = 0  # the event's offset from first_event
BAD_SEG: Final = 0  # the error's offset from first_error

_SHMSEG = rq.Card32  # python-xlib knows no SHMSEG resource; an id is 32 bits


class QueryVersion(rq.ReplyRequest):
    """Ask for the version, who the server runs as, and whether it has shared pixmaps."""

    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(0), rq.RequestLength())
    _reply = rq.Struct(
        rq.ReplyCode(),
        rq.Bool("shared_pixmaps"),
        rq.Card16("sequence_number"),
        rq.ReplyLength(),
        rq.Card16("major_version"),
        rq.Card16("minor_version"),
        rq.Card16("uid"),
        rq.Card16("gid"),
        rq.Card8("pixmap_format"),
        rq.Pad(15),
    )


class Attach(rq.Request):
    """Make the server attach the System V segment `shmid`, known as `shmseg` from then on."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(1),
        rq.RequestLength(),
        _SHMSEG("shmseg"),
        rq.Card32("shmid"),
        rq.Bool("read_only"),
        rq.Pad(3),
    )


class Detach(rq.Request):
    """Make the server let go of a segment."""

    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(2), rq.RequestLength(), _SHMSEG("shmseg"))


class PutImage(rq.Request):
    """Draw a part of an image in the segment into a drawable; with send_event, Completion follows."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(3),
        rq.RequestLength(),
        rq.Drawable("drawable"),
        rq.GC("gc"),
        rq.Card16("total_width"),
        rq.Card16("total_height"),
        rq.Card16("src_x"),
        rq.Card16("src_y"),
        rq.Card16("src_width"),
        rq.Card16("src_height"),
        rq.Int16("dst_x"),
        rq.Int16("dst_y"),
        rq.Card8("depth"),
        rq.Card8("format"),
        rq.Bool("send_event"),
        rq.Pad(1),
        _SHMSEG("shmseg"),
        rq.Card32("offset"),
    )


class GetImage(rq.ReplyRequest):
    """Write a part of a drawable into the segment; the reply says that it is done."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(4),
        rq.RequestLength(),
        rq.Drawable("drawable"),
        rq.Int16("x"),
        rq.Int16("y"),
        rq.Card16("width"),
        rq.Card16("height"),
        rq.Card32("plane_mask"),
        rq.Card8("format"),
        rq.Pad(3),
        _SHMSEG("shmseg"),
        rq.Card32("offset"),
    )
    _reply = rq.Struct(
        rq.ReplyCode(),
        rq.Card8("depth"),
        rq.Card16("sequence_number"),
        rq.ReplyLength(),
        rq.Card32("visual"),
        rq.Card32("size"),
        rq.Pad(16),
    )


class CreatePixmap(rq.Request):
    """Make a pixmap whose pixels are the segment's memory."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(5),
        rq.RequestLength(),
        rq.Card32("pid"),
        rq.Drawable("drawable"),
        rq.Card16("width"),
        rq.Card16("height"),
        rq.Card8("depth"),
        rq.Pad(3),
        _SHMSEG("shmseg"),
        rq.Card32("offset"),
    )


class AttachFd(rq.Request):
    """Make the server map the descriptor that travels with the request (1.2)."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(6),
        rq.RequestLength(),
        _SHMSEG("shmseg"),
        rq.Bool("read_only"),
        rq.Pad(3),
    )


class CreateSegment(rq.ReplyRequest):
    """Make the server allocate memory and answer with a descriptor of it (1.2)."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(7),
        rq.RequestLength(),
        _SHMSEG("shmseg"),
        rq.Card32("size"),
        rq.Bool("read_only"),
        rq.Pad(3),
    )
    _reply = rq.Struct(
        rq.ReplyCode(),
        rq.Card8("nfd"),
        rq.Card16("sequence_number"),
        rq.ReplyLength(),
        rq.Pad(24),
    )


class Completion(rq.Event):
    """The server has read the image of a PutImage; its memory may be written again."""

    _code = None
    _fields = rq.Struct(
        rq.Card8("type"),
        rq.Pad(1),
        rq.Card16("sequence_number"),
        rq.Drawable("drawable"),
        rq.Card16("minor_event"),
        rq.Card8("major_event"),
        rq.Pad(1),
        _SHMSEG("shmseg"),
        rq.Card32("offset"),
        rq.Pad(12),
    )


class BadSegError(error.XError):
    """`resource_id` names no shared segment that is attached."""


# The request of the hot path, packed at once: the same bytes as GetImage's, at a tenth of the cost.
_GET_IMAGE = struct.Struct("=BBHIhhHHIB3xII")
_GET_IMAGE_MINOR, _GET_IMAGE_WORDS = 4, 8
ALL_PLANES: Final = 0xFFFFFFFF
Z_PIXMAP: Final = 2


PLACE_BYTES: Final = 8  # at the end of GetImage: shmseg and offset


def pack_get_image(
    opcode: int, drawable: int, x: int, y: int, width: int, height: int, shmseg: int, offset: int = 0
) -> bytes:
    """Encode GetImage for all planes in ZPixmap format."""
    head = (opcode, _GET_IMAGE_MINOR, _GET_IMAGE_WORDS)
    return _GET_IMAGE.pack(*head, drawable, x, y, width, height, ALL_PLANES, Z_PIXMAP, shmseg, offset)


_GOT_IMAGE = struct.Struct("=xB6x4xI")


def unpack_get_image(reply: bytes) -> tuple[int, int]:
    """Return the depth of the image and the bytes that were written."""
    depth, size = _GOT_IMAGE.unpack_from(reply)
    return depth, size
