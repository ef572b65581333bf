"""Whether two connections lead to one server, whatever the names that they were opened by."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from Xlib import X, Xatom
from Xlib.protocol import request

from xshm.errors import BadWindow
from xshm.x11.protocol import core

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_BYTE = 8
_NONCE_LENGTH = 16


def is_same_server(one: Connection, other: Connection) -> bool:
    """Tell whether what one connection writes can be read over the other. Four round trips; nothing stays behind."""
    nonce = os.urandom(_NONCE_LENGTH)
    window = one.holdings.id(core.DestroyWindow, "window")
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
        window_class=X.InputOnly,
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
    one.sync()
    try:
        return _first_bytes(other, window) == nonce
    finally:
        one.holdings.free(window)


def _first_bytes(connection: Connection, window: int) -> bytes:
    """Return the beginning of a window's WM_NAME; a window of that number may be there on any server."""
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
