"""The pointer: where it is, what it looks like, and drawing it into a frame.

Place, hotspot and picture come in one reply that travels with the grab, so that they always belong together.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from xshm.errors import BadAccess, BadCursor
from xshm.geometry import Rect
from xshm.pixels.blend import Sprite
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

CursorMode = bool | Literal["layer"]

_PLACE = struct.Struct("=x?14xhhhh")  # in QueryPointer's reply: same_screen, root_x, root_y, win_x, win_y
_NEWCOMERS: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Cursor:
    """The pointer as a layer of its own, to draw or to leave out.

    `sprite` is (height, width, 4) uint8, R G B A, colours premultiplied by alpha; its memory is its own and may be
    shared by several frames' cursors. `position` is where it points, in the coordinates of `Frame.rect`, also where
    that is outside of the frame; `hotspot` is the same point inside the sprite. `serial` is the server's number for
    the picture, a new one for each phase of an animated cursor; `name` is what the theme calls it ("left_ptr"), ""
    where the server was not told. Source: XFIXES 2, GetCursorImageAndName.
    """

    sprite: NDArray[np.uint8]
    position: tuple[int, int]
    hotspot: tuple[int, int]
    serial: int
    name: str = ""

    def __repr__(self) -> str:
        height, width = self.sprite.shape[:2]
        name = f" {self.name!r}" if self.name else ""
        (x, y), (left, top) = self.position, self.hotspot
        return f"<Cursor{name} {width}x{height} #{self.serial} at {x},{y}, hotspot {left},{top}>"

    @property
    def rect(self) -> Rect:
        """Where the sprite lies, in the same coordinates as `position`."""
        height, width = self.sprite.shape[:2]
        return Rect(self.position[0] - self.hotspot[0], self.position[1] - self.hotspot[1], width, height)


class _Picture(NamedTuple):
    """What the server sent last, the same unpacked, and a copy to hand out, which nothing is drawn from."""

    serial: int
    width: int
    words: bytes
    sprite: Sprite
    shown: NDArray[np.uint8]


class Asked(NamedTuple):
    """The questions about the pointer that are on their way."""

    image: Request
    place: Request | None


class Pointer:
    """The pointer of one connection; `ask` with the grab, `read` after it.

    The picture is transferred with every grab. Measured on Xvfb that is 1 µs more than asking for the position alone
    at 24 pixels, 12 µs at 48; and it is right when a client recolours its cursor, which neither changes the serial
    nor gives an event. It is unpacked once: while serial and bytes stay, all frames share one sprite.

    What the server does not tell: that another client hides the pointer (XFixesHideCursor), and the first phase of an
    animated cursor until its second begins (it answers a transparent pixel with serial 0).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._request = xfixes.pack_get_cursor_image(xfixes.start(connection, "the pointer").major)
        empty = np.empty((0, 0, 4), np.uint8)
        self._picture = _Picture(-1, 0, b"", Sprite(empty), empty)

    def ask(self, window: int) -> Asked:
        """Queue the questions; they travel with the next request. Positions count from the corner of `window`."""
        wire = self._connection.wire
        place = None
        if window != self._connection.setup.root.id or len(self._connection.info.roots) > 1:
            place = self._connection.send(core.QueryPointer, window=window)
        return Asked(wire.send(Request(self._request)), place)

    def read(self, asked: Asked) -> Cursor | None:
        """Return the answer: None where no pointer is shown, or where it is on another screen of the display."""
        try:
            reply = self._connection.wait_reply(asked.image, "GetCursorImage")
        except BadCursor:
            return None
        except BadAccess:
            reply = self._ask_among_newcomers()
        x, y = 0, 0
        if asked.place is not None:
            here, root_x, root_y, x, y = _PLACE.unpack_from(self._connection.wait_reply(asked.place, "QueryPointer"))
            if not here:
                return None
            x, y = root_x - x, root_y - y
        with self._connection.decoding("GetCursorImage"):
            image = xfixes.unpack_cursor_image(reply)
        if not image.picture:
            return None
        return Cursor(
            self._unpacked(image),
            (image.x - x, image.y - y),
            (image.xhot, image.yhot),
            image.serial,
            image.name.decode(errors="backslashreplace"),
        )

    def draw(self, frame: Frame) -> None:
        """Draw into a frame the cursor that it has, cut at the frame's edges; other frames' memory is not touched."""
        cursor = frame.cursor
        if cursor is None:
            return
        known = self._picture  # or another thread has met another picture in the meantime
        sprite = known.sprite if known.shown is cursor.sprite else Sprite(cursor.sprite)
        rect, (x, y), (left, top) = frame.rect, cursor.position, cursor.hotspot
        x, y = x - left - rect.x, y - top - rect.y
        sprite.draw(frame.pixels, frame.format, x, y, colormap=frame.colormap, width=rect.width)

    def _unpacked(self, image: xfixes.CursorImage) -> NDArray[np.uint8]:
        known = self._picture
        if known[:3] != (image.serial, image.width, image.picture):
            words = np.frombuffer(image.picture, np.uint32).astype("<u4")
            rgba = words.view(np.uint8).reshape(image.height, image.width, 4)[..., (2, 1, 0, 3)]
            # Over bytes, it can't be made writable again.
            shown = np.frombuffer(rgba.tobytes(), np.uint8).reshape(rgba.shape)
            known = self._picture = _Picture(image.serial, image.width, image.picture, Sprite(rgba), shown)
        return known.shown

    def _ask_among_newcomers(self) -> bytes:
        """Ask for the picture of a client that has left, as xsetroot does.

        A server with the SECURITY extension refuses it until somebody else has that client's place in its list. Who
        connects gets the lowest free place, before a word is said; so a few newcomers do (seen on Xvfb 21.1). They
        leave at once, since places are few; each grab costs half a millisecond more, until a program that stays
        connects.
        """
        name = DisplayName.parse(self._connection.display_name)
        with contextlib.ExitStack() as newcomers:
            for _ in range(_NEWCOMERS):
                sock, _ = name.connect(self._connection.wire.timeout)
                newcomers.callback(sock.close)
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
