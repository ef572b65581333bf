"""The requests of the core protocol that xshm uses, as python-xlib has them, and the constants that go with them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from Xlib.protocol.request import (
    ChangeWindowAttributes,
    CopyArea,
    CreateGC,
    CreatePixmap,
    CreateWindow,
    DestroyWindow,
    FreeGC,
    FreePixmap,
    GetGeometry,
    GetImage,
    GetInputFocus,
    GetProperty,
    GetWindowAttributes,
    GrabServer,
    InternAtom,
    MapWindow,
    PutImage,
    QueryColors,
    QueryPointer,
    QueryTree,
    TranslateCoords,
    UngrabServer,
)

from xshm.errors import UnsupportedFormat
from xshm.x11.protocol.decoding import most_of_image
from xshm.x11.protocol.requests import bounded_request

if TYPE_CHECKING:
    from xshm.x11.protocol.requests import Request

__all__ = [
    "ALL_PLANES",
    "Z_PIXMAP",
    "ChangeWindowAttributes",
    "CopyArea",
    "CreateGC",
    "CreatePixmap",
    "CreateWindow",
    "DestroyWindow",
    "FreeGC",
    "FreePixmap",
    "GetGeometry",
    "GetImage",
    "GetInputFocus",
    "GetProperty",
    "GetWindowAttributes",
    "GrabServer",
    "InternAtom",
    "MapWindow",
    "PutImage",
    "QueryColors",
    "QueryPointer",
    "QueryTree",
    "TranslateCoords",
    "UngrabServer",
    "ask_image",
    "pack_copy_area",
    "pack_get_image",
    "unpack_image",
]

Z_PIXMAP: Final = 2
ALL_PLANES: Final = 0xFFFFFFFF
IMAGE_OFFSET: Final = 32  # where the pixels begin in GetImage's reply
_GET_IMAGE = struct.Struct("=BBHIhhHHI")


def pack_get_image(drawable: int, x: int, y: int, width: int, height: int) -> bytes:
    """Encode GetImage for all planes in ZPixmap format."""
    return _GET_IMAGE.pack(73, Z_PIXMAP, 5, drawable, x, y, width, height, ALL_PLANES)


def ask_image(drawable: int, x: int, y: int, width: int, height: int) -> Request:
    """Make a request for a picture (GetImage); its reply is no longer than such a picture can be."""
    return bounded_request(most_of_image(width, height), pack_get_image(drawable, x, y, width, height))


def unpack_image(reply: bytes | None, nbytes: int) -> memoryview:
    """Return the pixels in GetImage's reply; raises UnsupportedFormat where there are fewer than `nbytes` bytes."""
    pixels = memoryview(reply or b"")[IMAGE_OFFSET:][:nbytes]
    if len(pixels) != nbytes:
        raise UnsupportedFormat(f"the server sent {len(pixels)} bytes for a picture that takes {nbytes}")
    return pixels


_COPY_AREA = struct.Struct("=BBHIIIhhhhHH")


def pack_copy_area(
    source: int, target: int, gc: int, src_x: int, src_y: int, dst_x: int, dst_y: int, width: int, height: int
) -> bytes:
    """Encode CopyArea."""
    return _COPY_AREA.pack(62, 0, 7, source, target, gc, src_x, src_y, dst_x, dst_y, width, height)
