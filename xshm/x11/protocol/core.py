"""Core protocol requests as bytes: python-xlib's classes of the requests that xshm sends, and packers for hot paths.

No I/O. `pack_*` return the bytes that python-xlib's class would, at a tenth of the cost. Source: "X Window System
Protocol", appendix B, "Protocol Encoding".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import UnsupportedFormat
from xshm.x11.protocol.decoding import image_reply_limit
from xshm.x11.protocol.requests import HEADER, bounded_request
from xshm.x11.protocol.xlib import request

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.x11.protocol.requests import Request
else:
    from xshm._numpy import np

# Encoded by python-xlib, since each is sent a few times at most when an object is opened, queried or closed.
ChangeWindowAttributes = request.ChangeWindowAttributes
CopyArea = request.CopyArea
CreateGC = request.CreateGC
CreatePixmap = request.CreatePixmap
CreateWindow = request.CreateWindow
DestroyWindow = request.DestroyWindow
FreeGC = request.FreeGC
FreePixmap = request.FreePixmap
GetGeometry = request.GetGeometry
GetImage = request.GetImage
GetInputFocus = request.GetInputFocus
GetProperty = request.GetProperty
GetWindowAttributes = request.GetWindowAttributes
GrabServer = request.GrabServer
InternAtom = request.InternAtom
MapWindow = request.MapWindow
QueryColors = request.QueryColors
QueryPointer = request.QueryPointer
QueryTree = request.QueryTree
TranslateCoords = request.TranslateCoords
UngrabServer = request.UngrabServer

QUERY_KEYMAP: Final = struct.pack("=BxH", 44, 1)
KEYS_REPLY: Final = 8  # bytes of its reply after the header
SYNC: Final = struct.pack("=BBH", 43, 0, 1)  # GetInputFocus, the shortest request that has a reply
Z_PIXMAP: Final = 2
INPUT_ONLY: Final = 2  # the class of a window without pixels
CARDINAL: Final = 6  # the atom, of a property that is numbers
ALL_PLANES: Final = 0xFFFFFFFF
# Event codes. A CopyArea causes one of the two, unless its graphics context has graphics-exposures off.
GRAPHICS_EXPOSE: Final = 13
NO_EXPOSE: Final = 14

# A request begins with its major opcode (18, 19, 62, 72, 73, 100 here), a byte of data, and its length in words.
_COPY_AREA = struct.Struct("=BxHIIIhhhhHH")
_GET_IMAGE = struct.Struct("=BBHIhhHHI")
_CHANGE_KEYBOARD_MAPPING = struct.Struct("=BBHBBxx")
_CHANGE_PROPERTY = struct.Struct("=BBHIIIBxxxI")
_DELETE_PROPERTY = struct.Struct("=BxHII")
_PUT_IMAGE = struct.Struct("=BBHIIHHhhBBxx")
_BIG_PUT_IMAGE = struct.Struct("=BBHIIIHHhhBBxx")  # BIG-REQUESTS: length 0, and the true one in a word after it
_SHORT_WORDS: Final = 0xFFFF  # the longest request without BIG-REQUESTS


def pack_copy_area(
    source: int, target: int, gc: int, src_x: int, src_y: int, dst_x: int, dst_y: int, width: int, height: int
) -> bytes:
    """Encode CopyArea."""
    return _COPY_AREA.pack(62, 7, source, target, gc, src_x, src_y, dst_x, dst_y, width, height)


def pack_change_property(window: int, name: int, kind: int, *words: int) -> bytes:
    """Encode ChangeProperty: replace a property by these words of 32 bits; DeleteProperty where there are none."""
    if not words:
        return _DELETE_PROPERTY.pack(19, 3, window, name)
    head = _CHANGE_PROPERTY.pack(18, 0, 6 + len(words), window, name, kind, 32, len(words))
    return head + struct.pack(f"={len(words)}I", *words)


def pack_change_key(keycode: int, *keysyms: int) -> bytes:
    """Encode ChangeKeyboardMapping of one key."""
    head = _CHANGE_KEYBOARD_MAPPING.pack(100, 1, 2 + len(keysyms), keycode, len(keysyms))
    return head + struct.pack(f"={len(keysyms)}I", *keysyms)


def pack_get_image(drawable: int, x: int, y: int, width: int, height: int) -> bytes:
    """Encode GetImage for all planes in ZPixmap format."""
    return _GET_IMAGE.pack(73, Z_PIXMAP, 5, drawable, x, y, width, height, ALL_PLANES)


def image_request(drawable: int, x: int, y: int, width: int, height: int) -> Request:
    """Return a request for an image (GetImage), whose reply is limited to the length that such an image can have."""
    return bounded_request(image_reply_limit(width, height), pack_get_image(drawable, x, y, width, height))


def unpack_image(reply: bytes | None, nbytes: int) -> memoryview:
    """Return the pixels in GetImage's reply; raises UnsupportedFormat where there are fewer than `nbytes` bytes."""
    pixels = memoryview(reply or b"")[HEADER:][:nbytes]  # without a copy
    if len(pixels) != nbytes:
        raise UnsupportedFormat(f"the server sent {len(pixels)} bytes for a picture that takes {nbytes}")
    return pixels


def pack_put_images(
    drawable: int, gc: int, depth: int, part: Rect, rows: NDArray[Any], stride: int, limit: int
) -> Iterator[bytes]:
    """Encode PutImages that draw `part` in bands, each of as many rows as a request of `limit` bytes can have.

    `rows` is (height, bytes of a row) uint8 with any strides; each row is padded to `stride` bytes.
    """
    # Sized for the longer header of the two, so that a band fits with either.
    band = max(1, (limit - _BIG_PUT_IMAGE.size) // stride)
    for top in range(0, part.height, band):
        data = _padded(rows[top : top + band], stride)
        count = len(rows[top : top + band])
        where = (drawable, gc, part.width, count, part.x, part.y + top, 0, depth)
        words = (_PUT_IMAGE.size + len(data)) // 4
        if words <= _SHORT_WORDS:
            head = _PUT_IMAGE.pack(72, Z_PIXMAP, words, *where)
        else:
            head = _BIG_PUT_IMAGE.pack(72, Z_PIXMAP, 0, words + 1, *where)
        yield head + data


def _padded(rows: NDArray[Any], stride: int) -> bytes:
    """Return the rows one after the other, each padded to `stride`, and all of them to whole words."""
    if rows.shape[1] < stride:
        rows = np.pad(rows, ((0, 0), (0, stride - rows.shape[1])))
    data = rows.tobytes()
    return data + bytes(-len(data) % 4)
