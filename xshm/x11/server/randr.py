"""RandR: hearing of it when the screen's size changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Xlib.ext import randr

from xshm.x11.protocol.requests import EventRoute

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_SCREEN_CHANGE = 0
_NEVER = 127


def watch(connection: Connection, root: int) -> EventRoute:
    """Return a route whose queue is not empty once the screen was resized; it stays so where there is no RandR."""
    found = connection.extension("RANDR")
    if found is None:
        return EventRoute(_NEVER, lambda _message: False, most=1)
    route = EventRoute(found.first_event + _SCREEN_CHANGE, lambda _message: True, most=1, take=False)
    connection.wire.add_route(route)
    connection.request(randr.QueryVersion, opcode=found.major, major_version=1, minor_version=5)
    connection.send(randr.SelectInput, opcode=found.major, window=root, mask=randr.RRScreenChangeNotifyMask)
    return route
