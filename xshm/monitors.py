"""Monitors: the rectangles that the screen is shown on, as RandR, Xinerama or the one screen tell of them, now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xshm.geometry import Rect
from xshm.x11 import core
from xshm.x11.outputs import Output, by_randr, by_xinerama

if TYPE_CHECKING:
    from xshm.x11.connection import Connection


@dataclass(frozen=True, slots=True)
class Monitor:
    """A part of the screen with a display of its own; `screen.grab(monitor)` takes it.

    `rect` is in the screen's coordinates, `width_mm` and `height_mm` its physical size in millimetres, `refresh` how
    often it is drawn in a second (Hz); each None where the server does not know. Virtual servers make them up.
    Source: RandR 1.5 (monitors) or 1.2 (outputs), Xinerama 1.1, or the core protocol's one screen.
    """

    name: str
    rect: Rect
    primary: bool
    width_mm: int | None = None
    height_mm: int | None = None
    refresh: float | None = None


def monitors(connection: Connection) -> tuple[Monitor, ...]:
    """Ask which there are now, the primary one first."""
    root = connection.setup.root.id
    found = by_randr(connection, root) or by_xinerama(connection) or [_one_screen(connection, root)]
    known = [
        Monitor(
            output.name,
            Rect(*output.box),
            output.primary,
            output.width_mm or None,
            output.height_mm or None,
            output.refresh or None,
        )
        for output in found
    ]
    return tuple(sorted(known, key=lambda monitor: not monitor.primary))


def _one_screen(connection: Connection, root: int) -> Output:
    setup = connection.setup
    size = connection.ask(core.GetGeometry, drawable=root)
    box = (0, 0, size.width, size.height)
    resized = (size.width, size.height) != (setup.width_in_pixels, setup.height_in_pixels)
    width_mm, height_mm = (0, 0) if resized else (setup.width_in_mms, setup.height_in_mms)
    return Output("screen", box, True, width_mm, height_mm, 0.0)
