"""Pointer: get the cursor's image and position together with a grab (XFIXES), and draw the image into the frame.

One for each connection, in its `Session`. Grabs, streams and ChangeTracker call `request` before they send the grab,
`wait_cursor` after its reply, and `draw` for cursor=True.

Always true:

1. Image, hotspot and position are from one reply (XFIXES 2, GetCursorImageAndName), so they belong together. Only on a
   window, or with several screens, QueryPointer adds in which coordinates the position counts.
2. `_last` is replaced, never changed: other threads draw with the sprite that they have read from it.

What does not work: detecting that another client hides the pointer (XFixesHideCursor), and the first phase of an
animated cursor before its second begins (until then the server replies with one transparent pixel and serial 0).
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.errors import BadAccess, BadCursor
from xshm.image.cursor import Cursor
from xshm.pixels.blend import Sprite
from xshm.pixels.raster import Raster
from xshm.x11.display_name import DisplayName
from xshm.x11.protocol import core, xfixes
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.image.frame import Frame
    from xshm.x11.connection import Connection
else:
    from xshm._numpy import np

_POSITION: Final = struct.Struct("=x?14xhhhh")  # in QueryPointer's reply: same_screen, root_x, root_y, win_x, win_y
# Connections opened in turn, see `_image_by_another_connection`: one is enough if the cursor's client had the lowest
# free client index, and one more for each lower index that is free too.
_MOST_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class CursorRequest:
    """The requests for one cursor, sent; `position` is None where the image's reply has the position needed."""

    image: Request
    position: Request | None


class _LastImage(NamedTuple):
    """The last reply, decoded: what identifies it, the image to draw, and a read-only copy for `Cursor.sprite`."""

    serial: int
    width: int
    words: bytes
    sprite: Sprite
    rgba: NDArray[np.uint8]


class Pointer:
    """The pointer of one connection: `request` with a grab, `wait_cursor` after it, `draw` into the frame.

    The image is transferred with every grab. That costs 1 µs more than the position alone at 24x24 pixels, 12 µs at
    48x48 (Xvfb 21.1), and is right when a client recolours its cursor, which neither changes the serial nor sends an
    event. The image is converted once: while serial and bytes stay the same, all frames share one sprite.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._request = xfixes.pack_get_cursor_image(
            connection.require(xfixes.NAME, xfixes.VERSION, "the pointer").major
        )
        empty = np.empty((0, 0, 4), np.uint8)
        self._last = _LastImage(-1, 0, b"", Sprite(empty), empty)

    def request(self, window: int) -> CursorRequest:
        """Queue the requests, to be sent with the next one. Positions count from the corner of `window`."""
        position = None
        # The image's reply has a position in root coordinates; with several screens it may be on another one.
        if window != self._connection.setup.root.id or len(self._connection.info.roots) > 1:
            position = self._connection.send(core.QueryPointer, window=window)
        return CursorRequest(self._connection.wire.send(Request(self._request)), position)

    def wait_cursor(self, request: CursorRequest) -> Cursor | None:
        """Wait for the replies. None where no cursor is shown, or the pointer is on another screen of the display."""
        try:
            reply = self._connection.wait_reply(request.image, "GetCursorImage")
        except BadCursor:  # the server shows none
            return None
        except BadAccess:
            reply = self._image_by_another_connection()
        x, y = 0, 0
        if request.position is not None:
            position = self._connection.wait_reply(request.position, "QueryPointer")
            same_screen, root_x, root_y, x, y = _POSITION.unpack_from(position)
            if not same_screen:
                return None
            x, y = root_x - x, root_y - y  # the window's corner in root coordinates
        with self._connection.decoding("GetCursorImage"):
            image = xfixes.unpack_cursor_image(reply)
        if not image.picture:  # an image of 0x0 pixels shows nothing
            return None
        return Cursor(
            self._rgba(image),
            (image.x - x, image.y - y),
            (image.xhot, image.yhot),
            image.serial,
            image.name.decode(errors="backslashreplace"),
        )

    def draw(self, frame: Frame) -> None:
        """Draw a frame's cursor into its pixels, cut at the frame's edges; other frames' memory is not touched."""
        cursor = frame.cursor
        if cursor is None:
            return
        last = self._last  # another thread may have read another image since the frame got its cursor
        sprite = last.sprite if last.rgba is cursor.sprite else Sprite(cursor.sprite)
        rect, (x, y), (left, top) = frame.rect, cursor.position, cursor.hotspot
        x, y = x - left - rect.x, y - top - rect.y
        sprite.draw(Raster(frame.pixels, frame.format, frame.colormap, rect.width), x, y)

    def _rgba(self, image: xfixes.CursorImage) -> NDArray[np.uint8]:
        last = self._last
        if last[:3] != (image.serial, image.width, image.picture):
            argb = np.frombuffer(image.picture, np.uint32).astype("<u4")
            rgba = argb.view(np.uint8).reshape(image.height, image.width, 4)[..., (2, 1, 0, 3)]
            # The public copy is over `bytes`, so a caller can't make it writable again.
            copy = np.frombuffer(rgba.tobytes(), np.uint8).reshape(rgba.shape)
            last = self._last = _LastImage(image.serial, image.width, image.picture, Sprite(rgba), copy)
        return last.rgba

    def _image_by_another_connection(self) -> bytes:
        """Return GetCursorImage's reply after a BadAccess: the cursor's client has disconnected, as xsetroot does.

        A server with the SECURITY extension refuses that image while no client has the client index of the one that
        disconnected. A new connection gets the lowest free index before any byte is exchanged, so a few are opened in
        turn until the server grants the image (seen on Xvfb 21.1). They are closed at once, since servers have few
        indices. Each grab costs 0.5 ms more until a program that stays connected has got that index.
        """
        name = DisplayName.parse(self._connection.display_name)
        with contextlib.ExitStack() as connections:
            # All stay open until the end: a closed one would give its index to the next.
            for _ in range(_MOST_CONNECTIONS):
                sock, _ = name.connect(self._connection.wire.timeout)
                connections.callback(sock.close)
                pending = self._connection.wire.send(Request(self._request))
                try:
                    return self._connection.wait_reply(pending, "GetCursorImage")
                except BadAccess:
                    continue
        raise self._connection.error(
            pending.error or b"",
            "the server keeps the pointer's picture back, since the client that made it has left; "
            "let a program that stays set the pointer, or start the server with '-extension SECURITY'",
        )
