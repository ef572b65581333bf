"""A window without pixels (InputOnly) that is never mapped: by it others tell a client, or a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.x11.protocol import core
from xshm.x11.protocol.xlib import X

if TYPE_CHECKING:
    from xshm.x11.connection import Connection
    from xshm.x11.io.resources import ServerResource


def create_bare_window(
    connection: Connection, x: int = 0, y: int = 0, width: int = 1, height: int = 1
) -> ServerResource:
    """Queue the creation of such a window; it exists as long as the id that is returned."""
    window = connection.resources.new_id(core.DestroyWindow, "window")
    connection.send(
        core.CreateWindow,
        depth=0,
        wid=window,
        parent=connection.setup.root.id,
        x=x,
        y=y,
        width=width,
        height=height,
        border_width=0,
        window_class=core.INPUT_ONLY,
        visual=X.CopyFromParent,
        attrs={"override_redirect": True},
    )
    return window
