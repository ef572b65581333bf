"""Monitors: the rectangles that the screen is shown on, as RandR, Xinerama or the one screen tell of them, now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xshm import _arguments
from xshm.errors import MonitorNotFound
from xshm.geometry import Rect
from xshm.system.printable import printable, quoted
from xshm.x11.protocol import core, edid
from xshm.x11.server.outputs import Output, Xinerama, by_randr

if TYPE_CHECKING:
    from xshm.x11.connection import Connection


@dataclass(frozen=True, slots=True)
class Monitor:
    """A part of the screen with a display of its own; `screen.grab(monitor)` takes it.

    `rect` is in the screen's coordinates, `width_mm` and `height_mm` its physical size in millimetres, `refresh` how
    often it is drawn in a second (Hz); each None where the server does not know. Virtual servers make them up. `model`
    and `serial` are what the device says of itself ("DELL U2720Q"; "DEL-40A3" where it has no name), printable ASCII,
    None where it says nothing, as on virtual servers. `outputs` are the connectors that it is made of ("HDMI-1"): none
    or several in a monitor that a user has defined.
    Source: RandR 1.5 (monitors) or 1.2 (outputs), Xinerama 1.1, or the core protocol's one screen; VESA E-EDID 1.4.
    """

    _is_on_screen = True  # see `Drawable._as_rect`

    name: str
    rect: Rect
    primary: bool
    width_mm: int | None = None
    height_mm: int | None = None
    refresh: float | None = None
    model: str | None = None
    serial: str | None = None
    outputs: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self.rect.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.rect.height


def monitors(connection: Connection) -> tuple[Monitor, ...]:
    """Ask which there are now, the primary one first."""
    root = connection.setup.root.id
    xinerama = Xinerama(connection)
    found = by_randr(connection, root)
    heads = xinerama.heads()
    # RandR tells of one screen of the server. Where the server joins several (+xinerama), only Xinerama tells of all;
    # everywhere else Xinerama is answered by RandR, with the same boxes.
    if len(heads) > len(found):
        found = heads
    known = [_monitor(output) for output in found or [_one_screen(connection, root)]]
    return tuple(sorted(known, key=lambda monitor: not monitor.primary))


def find_monitor(known: tuple[Monitor, ...], which: int | str) -> Monitor:
    """Return the monitor of a name, a number from 0, or "primary". Raises MonitorNotFound, InvalidType."""
    if isinstance(which, str):
        found = [monitor for monitor in known if monitor.name == which]
        if not found and which == "primary":
            found = [monitor for monitor in known if monitor.primary or len(known) == 1]
        if found:
            return found[0]
        number = int(which) if re.fullmatch("[0-9]{1,9}", which) else -1
    else:
        number = _arguments.whole(which, "a monitor is named by its name, its number or 'primary'")
    if 0 <= number < len(known):
        return known[number]
    there = ", ".join(
        f"{at}: {printable(monitor.name)}{' (primary)' if monitor.primary else ''}" for at, monitor in enumerate(known)
    )
    raise MonitorNotFound(f"there is no monitor {quoted(which)}; by number and name there are {there}")


def _monitor(output: Output) -> Monitor:
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


def _one_screen(connection: Connection, root: int) -> Output:
    setup = connection.setup
    size = connection.request(core.GetGeometry, drawable=root)
    box = (0, 0, size.width, size.height)
    resized = (size.width, size.height) != (setup.width_in_pixels, setup.height_in_pixels)
    width_mm, height_mm = (0, 0) if resized else (setup.width_in_mms, setup.height_in_mms)
    return Output("screen", box, True, width_mm, height_mm, 0.0)
