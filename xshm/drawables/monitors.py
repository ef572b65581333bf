"""Monitors of a screen: by RandR, by Xinerama, or the whole screen as a single one.

`Screen.monitors` and `Screen.monitor` call it. Always true: each list is queried anew, in a few round trips however
many outputs there are; nothing is cached, so nothing is stale. There is at least one monitor, and the primary one,
where a server marks one, is the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xshm import _arguments
from xshm.errors import MonitorNotFound
from xshm.geometry import Rect, Sized
from xshm.system.printable import printable, quoted
from xshm.x11.protocol import core, edid
from xshm.x11.server.randr import MonitorInfo, Xinerama, query_monitors

if TYPE_CHECKING:
    from xshm.x11.connection import Connection


@dataclass(frozen=True, slots=True)
class Monitor(Sized):
    """A part of the screen that one display device shows; `screen.grab(monitor)` returns a frame of it.

    `rect` is in the screen's coordinates, `width_mm` and `height_mm` its physical size in millimetres, `refresh` its
    refresh rate in Hz; each None where the server does not know. Virtual servers make them up. `model` and `serial` are
    from the device's EDID ("DELL U2720Q"; "DEL-40A3" where it has no name), printable ASCII, None without an EDID, as
    on virtual servers. `outputs` are its connectors ("HDMI-1"): none or several in a monitor that a user has defined.
    Source: RandR 1.5, Xinerama 1.1, or the core protocol's one screen; VESA E-EDID 1.4.
    """

    _is_on_screen = True  # its `rect` is in the screen's coordinates: `Source._as_rect` of other drawables refuses it

    name: str
    rect: Rect
    primary: bool
    width_mm: int | None = None
    height_mm: int | None = None
    refresh: float | None = None
    model: str | None = None
    serial: str | None = None
    outputs: tuple[str, ...] = ()


def monitors(connection: Connection) -> tuple[Monitor, ...]:
    """Query the present monitors; return them with the primary one first, the others in the server's order."""
    root = connection.setup.root.id
    xinerama = Xinerama(connection)  # its requests travel with RandR's
    found = query_monitors(connection, root)
    heads = xinerama.heads()
    # RandR describes one X screen. Where the server joins several into one (+xinerama), only Xinerama lists them all.
    # On all other servers Xinerama's list is derived from RandR's, with the same rectangles and no names.
    if len(heads) > len(found):
        found = heads
    known = [_monitor(output) for output in found or [_one_screen(connection, root)]]
    return tuple(sorted(known, key=lambda monitor: not monitor.primary))


def find_monitor(known: tuple[Monitor, ...], which: int | str) -> Monitor:
    """Return the monitor with a name, at a number from 0, or "primary". Raises MonitorNotFound, InvalidType."""
    if isinstance(which, str):
        found = [monitor for monitor in known if monitor.name == which]
        if not found and which == "primary":  # a monitor of that name has precedence; a single one needs no mark
            found = [monitor for monitor in known if monitor.primary or len(known) == 1]
        if found:
            return found[0]
        number = int(which) if re.fullmatch("[0-9]{1,9}", which) else -1  # -1 is no monitor's number
    else:
        number = _arguments.integer(which, "a monitor is named by its name, its number or 'primary'")
    if 0 <= number < len(known):
        return known[number]
    there = ", ".join(
        f"{at}: {printable(monitor.name)}{' (primary)' if monitor.primary else ''}" for at, monitor in enumerate(known)
    )
    raise MonitorNotFound(f"there is no monitor {quoted(which)}; by number and name there are {there}")


def _monitor(output: MonitorInfo) -> Monitor:
    # 0 mm and 0 Hz are the protocol's ways to have no value.
    identity = edid.parse(output.edid) or edid.Identity(None, None)
    return Monitor(
        output.name,
        Rect(*output.box),
        output.primary,
        output.width_mm or None,
        output.height_mm or None,
        output.refresh or None,
        identity.model,
        identity.serial,
        output.outputs,
    )


def _one_screen(connection: Connection, root: int) -> MonitorInfo:
    """Return the whole screen as one monitor. Its size is queried: the connection setup has that of the beginning."""
    setup = connection.setup
    size = connection.request(core.GetGeometry, drawable=root)
    box = (0, 0, size.width, size.height)
    # The setup's millimetres are those of its own pixels.
    resized = (size.width, size.height) != (setup.width_in_pixels, setup.height_in_pixels)
    width_mm, height_mm = (0, 0) if resized else (setup.width_in_mms, setup.height_in_mms)
    return MonitorInfo("screen", box, True, width_mm, height_mm, 0.0)
