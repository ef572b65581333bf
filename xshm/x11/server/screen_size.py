"""How large a screen is, in one round trip that is packed once: RandR may change it, and no file of the server says so.

Where the server joins several screens in one (+xinerama), each goes by its number and keeps a size of its own, which
the protocol's one root window does not tell. Source: Xinerama 1.1 (PanoramiXGetScreenSize), X11 (GetGeometry).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_GET_SCREEN_SIZE: Final = struct.Struct("=BBHII")  # opcode, 3, words, window, screen
_SCREEN_SIZE: Final = struct.Struct("=8xII")
_GET_GEOMETRY: Final = struct.Struct("=BxHI")
_GEOMETRY: Final = struct.Struct("=16xHH")
_GREATEST: Final = 0xFFFF


class Extent:
    """The size of the screen `number` of the server that a connection is to."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        root = connection.setup.root.id
        extension = connection.extension("XINERAMA")
        # Where RandR answers in Xinerama's place there is one screen, and its size is the root window's, as it should.
        if extension is not None:
            self._request = _GET_SCREEN_SIZE.pack(extension.major, 3, 3, root, number)
            self._reply = _SCREEN_SIZE
        else:
            self._request = _GET_GEOMETRY.pack(14, 2, root)
            self._reply = _GEOMETRY

    def ask(self) -> tuple[int, int]:
        """Return width and height as they are when the server has done all that was sent before."""
        pending = self._connection.wire.call(self._request)
        if pending.reply is None:
            raise self._connection.refusal(pending, "the screen's size")
        width, height = self._reply.unpack_from(pending.reply)
        if not (0 < width <= _GREATEST and 0 < height <= _GREATEST):
            raise self._connection.nonsense("the screen's size", f"{width}x{height}")
        return width, height
