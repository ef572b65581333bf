"""The current size of a screen, in one round trip, and an event when RandR changes it.

A screen's size is that of its root window (GetGeometry). Only with the server's own Xinerama (`+xinerama`), several
screens have one root window, of the size of all: there each screen has a number, by which its size is queried
(PanoramiXGetScreenSize). Source: X11, Xinerama 1.1, RandR 1.2 (ScreenChangeNotify).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from xshm.x11.protocol.requests import EventRoute
from xshm.x11.protocol.xlib import randr

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_GET_SCREEN_SIZE: Final = struct.Struct("=BBHII")  # opcode, 3, words, window, screen
_SCREEN_SIZE: Final = struct.Struct("=8xII")
_GET_GEOMETRY: Final = struct.Struct("=BxHI")
_GEOMETRY: Final = struct.Struct("=16xHH")
_SCREEN_CHANGE_NOTIFY: Final = 0  # the event's offset from first_event
_NO_EVENT: Final = 127  # the last event code: no server has so many extensions that one has this code
_GREATEST: Final = 0xFFFF  # GetGeometry's sizes have 16 bits; those of Xinerama 32


class ScreenSize:
    """Queries the size of the screen `number` of the connection's server. The request is packed once: a hot path."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self._call = connection.wire.call
        root = connection.setup.root.id
        extension = connection.extension("XINERAMA")
        # Where RandR serves Xinerama's requests, there is one screen, and the reply is the root window's size, too.
        if extension is not None:
            self._request = _GET_SCREEN_SIZE.pack(extension.major, 3, 3, root, number)
            self._reply = _SCREEN_SIZE
        else:
            self._request = _GET_GEOMETRY.pack(14, 2, root)
            self._reply = _GEOMETRY

    def query(self) -> tuple[int, int]:
        """Return width and height, after the server has processed all requests sent before."""
        request = self._call(self._request)
        if request.reply is None:
            raise self._connection.refusal(request, "the screen's size")
        width, height = self._reply.unpack_from(request.reply)
        if not (0 < width <= _GREATEST and 0 < height <= _GREATEST):
            raise self._connection.nonsense("the screen's size", f"{width}x{height}")
        return width, height


def watch_screen_size(connection: Connection, root: int) -> EventRoute:
    """Select RandR's event; return a route whose queue holds one event once the screen was resized.

    Without RandR a screen keeps its size, and the queue stays empty. The route lasts as long as the connection.
    """
    extension = connection.negotiate("RANDR")
    if extension is None:
        return EventRoute(_NO_EVENT, lambda _message: False, most=1)
    route = EventRoute(extension.first_event + _SCREEN_CHANGE_NOTIFY, lambda _message: True, most=1, take=False)
    connection.wire.add_route(route)
    connection.send(randr.SelectInput, opcode=extension.major, window=root, mask=randr.RRScreenChangeNotifyMask)
    return route
