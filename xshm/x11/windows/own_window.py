"""Windows of our own: create, name, map and resize them by the protocols of window managers (ICCCM 2.0, EWMH 1.5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from xshm.geometry import Rect
from xshm.x11.protocol import core
from xshm.x11.protocol.xlib import X, Xatom, request
from xshm.x11.windows.properties import intern_atom

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_EVENTS: Final = (
    X.ExposureMask
    | X.StructureNotifyMask
    | X.KeyPressMask
    | X.KeyReleaseMask
    | X.ButtonPressMask
    | X.ButtonReleaseMask
    | X.PointerMotionMask
)
_FOREIGN_EVENTS: Final = X.ExposureMask | X.StructureNotifyMask
_US_POSITION, _MIN_SIZE, _MAX_SIZE = 1, 16, 32  # flags; US: the user has chosen the position


def create_window(connection: Connection, place: Rect, title: str, *, resizable: bool, positioned: bool) -> int:
    """Create a window of the screen's own visual, not mapped yet; return its id. One round trip.

    Its background is all bits zero. Its pixels stay at the upper left when it is resized.
    """
    window = connection.allocate_resource_id()
    attributes = {
        "background_pixel": 0,  # the server paints what is exposed before the first frame
        "border_pixel": 0,
        "bit_gravity": X.NorthWestGravity,
        "event_mask": _EVENTS,
    }
    created = connection.send(
        core.CreateWindow,
        depth=X.CopyFromParent,
        wid=window,
        parent=connection.setup.root.id,
        x=place.x,
        y=place.y,
        width=place.width,
        height=place.height,
        border_width=0,
        window_class=X.InputOutput,
        visual=X.CopyFromParent,
        attrs=attributes,
    )
    delete = intern_atom(connection, "WM_DELETE_WINDOW")
    set_title(connection, window, title)
    _set(connection, window, Xatom.WM_CLASS, Xatom.STRING, b"xshm\0xshm\0")
    _set_size_hints(connection, window, place, _US_POSITION if positioned else 0, resizable=resizable)
    _set(connection, window, intern_atom(connection, "WM_PROTOCOLS"), Xatom.ATOM, [delete])
    _set(connection, window, intern_atom(connection, "_NET_WM_PID"), Xatom.CARDINAL, [os.getpid()])
    connection.check(created, doing="CreateWindow")
    return window


def map_window(connection: Connection, window: int) -> None:
    """Map a window; a window manager, where there is one, decides when."""
    connection.check(connection.send(core.MapWindow, window=window), doing="MapWindow")


def resize_window(connection: Connection, window: int, width: int, height: int, *, resizable: bool) -> None:
    """Request another size; ConfigureNotify reports the one that the window got, maybe from a window manager."""
    # The hints first: a window manager refuses a size that they forbid.
    _set_size_hints(connection, window, Rect(0, 0, width, height), 0, resizable=resizable)
    connection.send(request.ConfigureWindow, window=window, attrs={"width": width, "height": height})


def set_title(connection: Connection, window: int, title: str) -> None:
    """Set a window's title: WM_NAME in Latin-1, with "?" for other characters, and _NET_WM_NAME in UTF-8."""
    _set(connection, window, Xatom.WM_NAME, Xatom.STRING, title.encode("latin-1", "replace"))
    name, utf8 = intern_atom(connection, "_NET_WM_NAME"), intern_atom(connection, "UTF8_STRING")
    _set(connection, window, name, utf8, title.encode())


def watch_window(connection: Connection, window: int) -> None:
    """Select events of another program's window: when it is exposed, resized or destroyed. Raises BadWindow."""
    attributes = {"event_mask": _FOREIGN_EVENTS}
    connection.check(connection.send(core.ChangeWindowAttributes, window=window, attrs=attributes))


def _set_size_hints(connection: Connection, window: int, place: Rect, flags: int, *, resizable: bool) -> None:
    # A window of one size has it as its least and its greatest.
    limits = () if resizable else (place.width, place.height) * 2
    flags |= _MIN_SIZE | _MAX_SIZE if limits else 0
    # Position and size (obsolete, but read by old managers); least and greatest size; increments, aspects, base size
    # and gravity, all unset.
    hints = [flags, place.x, place.y, place.width, place.height, *(limits or (0,) * 4), *(0,) * 9]
    _set(connection, window, Xatom.WM_NORMAL_HINTS, Xatom.WM_SIZE_HINTS, hints)


def _set(connection: Connection, window: int, name: int, kind: int, value: bytes | list[int]) -> None:
    """Set a property to bytes, or to numbers of 32 bits."""
    data = (8 if isinstance(value, bytes) else 32, value)  # the format: bits of an item
    connection.send(request.ChangeProperty, mode=X.PropModeReplace, window=window, property=name, type=kind, data=data)
