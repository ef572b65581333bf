"""Whether two connections are to the same server, proved by a window that one makes and the other reads.

Names and addresses prove nothing: a socket may be forwarded, and two namespaces may each have a display :0. So one
connection makes a window whose WM_NAME is a random nonce, and the other reads that property of the same window id.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from Xlib import X, Xatom
from Xlib.protocol import request

from xshm.errors import BadWindow
from xshm.x11.protocol import core

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_BYTE = 8  # the property's format: bits of an item
_NONCE_LENGTH = 16  # bytes: too many for another window of the same id to have them by chance


def is_same_server(one: Connection, other: Connection) -> bool:
    """Return whether both connections are to one server. Four round trips; the window is destroyed again."""
    nonce = os.urandom(_NONCE_LENGTH)
    window = one.resources.new_id(core.DestroyWindow, "window")
    one.send(
        core.CreateWindow,
        depth=0,
        wid=window,
        parent=one.setup.root.id,
        x=0,
        y=0,
        width=1,
        height=1,
        border_width=0,
        window_class=X.InputOnly,  # it has no pixels, and is never mapped
        visual=X.CopyFromParent,
        attrs={"override_redirect": True},
    )
    one.send(
        request.ChangeProperty,
        mode=X.PropModeReplace,
        window=window,
        property=Xatom.WM_NAME,
        type=Xatom.STRING,
        data=(_BYTE, nonce),
    )
    one.sync()  # before the request on the other connection: a server processes its clients in no fixed order
    try:
        return _first_bytes(other, window) == nonce
    finally:
        one.resources.free(window)


def _first_bytes(connection: Connection, window: int) -> bytes:
    """Return the beginning of a window's WM_NAME; b"" where there is no such window, or no such name."""
    try:
        found = connection.request(
            core.GetProperty,
            delete=False,
            window=window,
            property=Xatom.WM_NAME,
            type=Xatom.STRING,
            long_offset=0,
            long_length=_NONCE_LENGTH // 4,
        )
    except BadWindow:
        return b""
    return bytes(found.value[1]) if found.value is not None and found.value[0] == _BYTE else b""
