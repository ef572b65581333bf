"""What is to be shown, as the command line names it: a display's screen, a monitor, a region, or a window.

A place is opened at the start, and again when what it names was gone. A window's id names one that was there at the
start; the server may give that number to another window later, which nobody has asked to see.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xshm.cli.options import in_time, open_screen, open_window, window_number
from xshm.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm.drawables.drawable import Drawable
    from xshm.drawables.screen import Screen
    from xshm.drawables.window import Window
    from xshm.geometry import Rect


@dataclass(frozen=True, slots=True)
class Place:
    """What is named by the flags; `window` and `monitor` are of the display, and `geometry` of either."""

    display: str | None
    window: str | None
    monitor: str | None
    geometry: str | None
    chosen: argparse.Namespace  # --xauthority, --transport, --timeout

    def connect(self) -> Screen:
        """Connect to the display, within --timeout. Raises what `Screen` raises."""
        chosen = argparse.Namespace(**vars(self.chosen) | {"display": self.display})
        return in_time(chosen, lambda: open_screen(chosen, chosen.timeout))

    def open(self, screen: Screen) -> Opened:
        """Return what is to be shown on that screen, within --timeout. Raises WindowNotFound, InvalidArgument, …."""
        return in_time(self.chosen, lambda: self._open(screen))

    def _open(self, screen: Screen) -> Opened:
        name = printable(screen.display)
        if self.window is not None:
            window = open_window(screen, self.window)
            title = next((info.title for info in screen.windows() if info.id == window.id), "")
            by_id = window_number(self.window) == window.id
            title = f"{printable(title) or hex(window.id)} on {name}"
            return Opened(screen, window, self._region(window), title, by_id)
        if self.monitor is not None:
            monitor = screen.monitor(self.monitor)
            return Opened(screen, screen, monitor.rect, f"{printable(monitor.name)} of {name}")
        return Opened(screen, screen, self._region(screen), name)

    def _region(self, source: Drawable) -> Rect | None:
        """Return the region that -g names; it is checked here, where its errors can be told."""
        if self.geometry is None:
            return None
        from xshm.geometry import as_rect, fit  # noqa: PLC0415 - not needed for --help

        whole, name = source.rect, "the window" if self.window else "the screen"
        return fit(as_rect(self.geometry, lambda: whole), whole, name, clip=None)


@dataclass(slots=True)
class Opened:
    """What a place was when it was opened."""

    screen: Screen
    source: Screen | Window
    region: Rect | None
    title: str
    is_by_id: bool = False  # a window that can't come back

    def close(self, *, but_the_screen: bool = False) -> None:
        """Let it go. Twice is fine."""
        if self.source is not self.screen:
            self.source.close()
        if not but_the_screen:
            self.screen.close()


def places(displays: list[str], chosen: argparse.Namespace) -> Iterator[Place]:
    """Yield what is to be shown: of each display each window that is named, or the monitor, region or whole screen."""
    for display in displays or [chosen.display]:
        for window in chosen.window or [None]:
            yield Place(display, window, chosen.monitor, chosen.geometry, chosen)
