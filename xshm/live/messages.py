"""What the hub and a viewer's page say to each other over their WebSocket.

Text messages are JSON objects with a "type"; binary ones are Updates, from the hub alone, little-endian:

    u8 1, u8 channel, u16 parts, u32 number, u16 width, u16 height, u64 changed_ns, then for each part:
    u8 codec, u8 lossy, u16 x, u16 y, u16 width, u16 height, u16 zero, u32 nbytes, the bytes

A part's rectangle is where on the screen's canvas its picture goes, which is stretched to that where it is smaller.
All parts of an Update are shown at once, in their order, and then its number is acknowledged. `width` and `height` are
the screen's at that moment: where the canvas has another size, it gets this one, and is black. `changed_ns` is when the
newest of its pixels were captured, by the hub's clock (CLOCK_MONOTONIC, nanoseconds).

From the page:

    {"type": "hello", "token": "…"}                                  the first one, within seconds
    {"type": "watch", "channels": {"1": {"width": 320, "mode": "auto"}}}     all that it shows now, and how wide (device
                                                                     pixels; null: as it is); mode: "auto", "exact"
                                                                     or "video"
    {"type": "ack", "channel": 1, "number": 7}                       an Update is on the canvas, or was broken
    {"type": "broken", "channel": 1, "why": "…"}                     an Update could not be decoded: send all anew
    {"type": "ping", "id": 3}
    {"type": "pointer" | "button" | "key" | "scroll", …}             with allow_input alone, see `live.input`

From the hub:

    {"type": "welcome", "title": "…", "input": false, "video": true, "channels": [CHANNEL…]}
    {"type": "channels", "channels": [CHANNEL…]}                     one has come or gone: all that there are
    {"type": "channel", "channel": CHANNEL}                          one has changed
    {"type": "pointer", "channel": 1, "x": 10, "y": 20, "visible": true}     the pointer's hot spot, on the canvas
    {"type": "cursor", "channel": 1, "hot_x": 1, "hot_y": 2, "png": "…"}     its image from now on, in base64
    {"type": "pong", "id": 3, "now_ns": 1}                           by the clock of `changed_ns`

    CHANNEL = {"id": 1, "title": ":99", "width": 1280, "height": 800, "state": "live", "words": ""}

A channel's state is "live", "hidden" (a window that is not shown), "stopped" (the server does not answer), "gone" (it
has ended, or was closed) or "waiting" (it is to come back); `words` say it to a person.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect

WEBSOCKET_PATH: Final = "/live"
SUBPROTOCOL: Final = "xshm.live.1"
_UPDATE: Final = 1
_HEAD: Final = struct.Struct("<BBHIHHQ")
_PART: Final = struct.Struct("<BBHHHHHI")


class Codec(IntEnum):
    """How a part's bytes are to be decoded."""

    PNG = 0
    JPEG = 1
    H264_KEY = 2  # Annex B, with its parameter sets: decoding can begin here
    H264_DELTA = 3  # Annex B, upon the frame before


class Part(NamedTuple):
    """A picture of one rectangle of the screen."""

    codec: Codec
    is_lossy: bool  # it is not what the screen shows, but near it
    rect: Rect
    data: bytes


class Update(NamedTuple):
    """What brings a canvas from one state of the screen to a later one."""

    size: tuple[int, int]
    changed_ns: int
    parts: tuple[Part, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the message."""
        return _HEAD.size + sum(_PART.size + len(part.data) for part in self.parts)


def pack_update(channel: int, number: int, update: Update) -> bytes:
    """Return the binary message of an Update."""
    head = _HEAD.pack(_UPDATE, channel, len(update.parts), number, *update.size, update.changed_ns)
    return b"".join((head, *_packed(update.parts)))


def _packed(parts: Sequence[Part]) -> list[bytes]:
    pieces = []
    for codec, is_lossy, rect, data in parts:
        pieces += [_PART.pack(codec, is_lossy, rect.x, rect.y, rect.width, rect.height, 0, len(data)), data]
    return pieces
