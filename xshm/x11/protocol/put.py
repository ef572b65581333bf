"""What draws memory into a drawable, as bytes: ShmPutImage, CopyArea from a shared pixmap, core PutImage.

Packed at once, with no input and no output; only `most_bytes` asks the server, once, how long a request may be.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from xshm.x11.protocol.core import Z_PIXMAP
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.x11.connection import Connection

GRAPHICS_EXPOSE: Final = 13
NO_EXPOSE: Final = 14
_SHM_PUT_IMAGE = struct.Struct("=BBHIIHHHHHHhhBBBxII")
_SHM_PUT_IMAGE_MINOR, _SHM_PUT_IMAGE_WORDS = 3, 10
_COPY_AREA = struct.Struct("=BxHIIIhhhhHH")
_COPY_AREA_MAJOR, _COPY_AREA_WORDS = 62, 7
_PUT_IMAGE_MAJOR: Final = 72
_PUT_IMAGE = struct.Struct("=BBHIIHHhhBBxx")
_BIG_PUT_IMAGE = struct.Struct("=BBHIIIHHhhBBxx")  # BIG-REQUESTS: length 0, and the true one in a word of its own
_ENABLE = struct.Struct("=BBH")
_MAXIMUM = struct.Struct("=8xI")
_SHORT_WORDS: Final = 0xFFFF
_LEAST_WORDS: Final = 4096  # that a server has to take, by the core protocol
# Longer requests gain nothing, and the server does nothing else while it gathers one.
_LONG_ENOUGH: Final = 4 << 20


def pack_shm_put_image(opcode: int, drawable: int, gc: int, depth: int, shmseg: int, place: Rect, part: Rect) -> bytes:
    """Encode ShmPutImage of `part` of an image that lies at `place` in the drawable, at the segment's beginning.

    Completion is asked for.
    """
    return _SHM_PUT_IMAGE.pack(
        *(opcode, _SHM_PUT_IMAGE_MINOR, _SHM_PUT_IMAGE_WORDS, drawable, gc, place.width, place.height),
        *(part.x - place.x, part.y - place.y, part.width, part.height, part.x, part.y),
        *(depth, Z_PIXMAP, 1, shmseg, 0),
    )


def pack_copy_area(pixmap: int, drawable: int, gc: int, place: Rect, part: Rect) -> bytes:
    """Encode CopyArea of `part` of a pixmap that lies at `place` in the drawable."""
    return _COPY_AREA.pack(
        *(_COPY_AREA_MAJOR, _COPY_AREA_WORDS, pixmap, drawable, gc),
        *(part.x - place.x, part.y - place.y, part.x, part.y, part.width, part.height),
    )


def put_images(
    drawable: int, gc: int, depth: int, part: Rect, rows: NDArray[Any], stride: int, most: int
) -> Iterator[bytes]:
    """Encode core PutImages of `part`, of as many rows each as `most` bytes allow.

    `rows` is (height, bytes of a row) uint8 with any strides; each is padded to `stride` bytes.
    """
    band = max(1, (most - _BIG_PUT_IMAGE.size) // stride)
    for top in range(0, part.height, band):
        data = _padded(rows[top : top + band], stride)
        count = len(rows[top : top + band])
        where = (drawable, gc, part.width, count, part.x, part.y + top, 0, depth)
        words = (_PUT_IMAGE.size + len(data)) // 4
        if words <= _SHORT_WORDS:
            head = _PUT_IMAGE.pack(_PUT_IMAGE_MAJOR, Z_PIXMAP, words, *where)
        else:
            head = _BIG_PUT_IMAGE.pack(_PUT_IMAGE_MAJOR, Z_PIXMAP, 0, words + 1, *where)
        yield head + data


def most_bytes(connection: Connection) -> int:
    """Return how long a request to this server may be; BIG-REQUESTS is switched on where the server has it."""
    found = connection.extension("BIG-REQUESTS")
    if found is None:
        return int(4 * connection.info.max_request_length)
    enable = Request(_ENABLE.pack(found.major, 0, 1))
    reply = connection.wait_reply(connection.wire.send(enable), "BigReqEnable")
    if _MAXIMUM.unpack_from(reply)[0] < _LEAST_WORDS:
        raise connection.nonsense("BigReqEnable", f"requests of {_MAXIMUM.unpack_from(reply)[0]} words at most")
    return min(4 * int(_MAXIMUM.unpack_from(reply)[0]), _LONG_ENOUGH)


def _padded(rows: NDArray[Any], stride: int) -> bytes:
    """Return the rows one after the other, each padded to `stride`, and all of them to whole words."""
    used = rows.shape[1]
    if used == stride:
        data = rows.tobytes()
    else:
        padding = bytes(stride - used)
        data = b"".join([row.tobytes() + padding for row in rows])
    return data + bytes(-len(data) % 4)
