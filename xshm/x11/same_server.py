"""Whether two connections are to the same server, proved by a window that one makes and the other finds.

Names and addresses prove nothing: a socket may be forwarded, and two namespaces may each have a display :0. So one
connection makes a window of a random place and size, and the other queries the geometry of the same window id.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from xshm.errors import BadDrawable
from xshm.x11.bare_window import create_bare_window
from xshm.x11.protocol import core

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_PLACE = struct.Struct("=4H")


def is_same_server(one: Connection, other: Connection) -> bool:
    """Return whether both connections are to one server. Two round trips; the window is destroyed again."""
    # 56 bits: too many for another window of the same id to have them by chance. No edge is beyond 0x7FFF.
    x, y, width, height = (number >> 2 for number in _PLACE.unpack(os.urandom(_PLACE.size)))
    place = {"x": x, "y": y, "width": width or 1, "height": height or 1}
    window = create_bare_window(one, **place)
    one.sync()  # before the request on the other connection: a server processes its clients in no fixed order
    try:
        found = other.request(core.GetGeometry, drawable=window)
    except BadDrawable:
        return False
    finally:
        one.resources.free(window)
    return all(getattr(found, name) == number for name, number in place.items())
