"""X resources: the settings that programs read from the property RESOURCE_MANAGER of a display's root window, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.x11.protocol import core
from xshm.x11.protocol.xlib import X, Xatom, request

if TYPE_CHECKING:
    from xshm.x11.connection import Connection


def set_resources(connection: Connection, resources: str) -> None:
    """Replace all resources of a display, of Latin-1, a line each ("*cursorBlink: false"). One round trip."""
    root = connection.setup.root.id
    data = (8, resources.encode("latin-1"))  # the format: bits of an item
    connection.send(
        request.ChangeProperty,
        mode=X.PropModeReplace,
        window=root,
        property=Xatom.RESOURCE_MANAGER,
        type=Xatom.STRING,
        data=data,
    )
    connection.request(core.GetGeometry, drawable=root)  # programs that start from now on find them
