"""What windows there are, and finding one: all are asked at once, so that their number adds no round trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, SupportsIndex

from xshm import _arguments
from xshm.errors import (
    BadWindow,
    InvalidArgument,
    WindowGone,
    WindowNotFound,
    WindowNotViewable,
)
from xshm.system.printable import printable, quoted
from xshm.x11.windows.client_pid import ClientPids
from xshm.x11.windows.properties import active
from xshm.x11.windows.snapshot import Compositor, WindowQuery, is_translucent
from xshm.x11.windows.tree import client_of, top_levels

if TYPE_CHECKING:
    import re

    import numpy as np

    from xshm.drawables.window_pixels import WindowContext
    from xshm.geometry import Rect
else:
    from xshm._numpy import np

IDS: Final = range(1, 1 << 29)  # the three highest bits of a resource's number are always 0


@dataclass(frozen=True, slots=True)
class WindowInfo:
    """A top-level window as it was when it was listed.

    `id` is the program's own window, also where a window manager has put a frame around it. `title` is "" where it has
    none; `class_name` and `instance` are the two parts of WM_CLASS, as in "XTerm" and "xterm". `pid` is its process on
    this machine, None where nothing credible says so. `rect` is in the screen's coordinates, without border and frame,
    so that `screen.grab(info)` takes what is on the screen there. `visible` is whether any of it can be seen: on the
    screen, and not under other windows.
    """

    _is_on_screen = True  # see `Drawable._as_rect`

    id: int
    title: str
    class_name: str
    instance: str
    pid: int | None
    rect: Rect
    visible: bool

    @property
    def width(self) -> int:
        """Pixels in a row of `rect`."""
        return self.rect.width

    @property
    def height(self) -> int:
        """Rows of `rect`."""
        return self.rect.height

    def __str__(self) -> str:
        return f"{self.id:#x} {self.title!r} ({printable(self.class_name) or 'no class'}) {self.rect}"


def resource_id(what: str, number: SupportsIndex) -> int:
    """Check the number that a caller gives for a window or a pixmap."""
    names = "its id, its title, a compiled regular expression or 'active'" if what == "a window" else "its id"
    found = _arguments.whole(number, f"{what} is named by {names}")
    if found not in IDS:
        raise InvalidArgument(f"{what}'s id is a number from 1 to {IDS[-1]:#x}, not {quoted(found)}")
    return found


def list_windows(around: WindowContext, screen: Rect) -> list[WindowInfo]:
    """List mapped top-level windows, from the bottom of the stack to the top; `screen` is all there is to be seen."""
    return _look(around, screen, mapped=True)


def find_window(around: WindowContext, description: str | re.Pattern[str], screen: Rect) -> int:
    """Return the id of the one window of that title, or whose title the expression is found in, or that is "active".

    Raises WindowNotFound with a list of what there is, WindowNotViewable where the one there is has no picture.
    """
    if description == "active":
        return _active(around)
    listed = _look(around, screen, mapped=True)
    fitting = [info for info in listed if _fits(info.title, description)]
    if len(fitting) == 1:
        return fitting[0].id
    if fitting:
        raise not_found(fitting, listed, _wanted(description))
    unmapped = [info for info in _look(around, screen, mapped=False) if _fits(info.title, description)]
    if unmapped:
        raise WindowNotViewable(f"it has no picture now, being iconified or otherwise unmapped:{_lines(unmapped)}")
    raise not_found([], listed, _wanted(description))


def not_found(fitting: list[WindowInfo], listed: list[WindowInfo], wanted: str) -> WindowNotFound:
    """Return the error that says that of the windows `listed` those `fitting`, not just one, answer to `wanted`."""
    if fitting:
        return WindowNotFound(f"{len(fitting)} windows answer to {wanted}; name one by its id:{_lines(fitting)}")
    return WindowNotFound(f"no window answers to {wanted}; there {'are:' if listed else 'is none'}{_lines(listed)}")


def _active(around: WindowContext) -> int:
    window = active(around.atoms, around.root)
    if window is None or window == around.root:
        raise WindowNotFound("no window is active: the window manager names none, and the keys go to none")
    try:
        return client_of(around.connection, around.atoms, window)
    except BadWindow:
        raise WindowGone(f"the window {window:#x} was active, and was destroyed") from None


def _look(around: WindowContext, screen: Rect, *, mapped: bool) -> list[WindowInfo]:
    connection, atoms = around.connection, around.atoms
    tops = top_levels(connection, atoms, around.root, mapped=mapped)
    looks = [WindowQuery(connection, atoms, around.root, top) for top in tops]
    compositor, processes = Compositor(connection, atoms), ClientPids(connection)
    composited = compositor.answer()
    covered = np.zeros((screen.height, screen.width), bool)
    listed = []
    for look in reversed(looks):
        seen = look.answer()
        if seen is None:
            continue
        parts = [part for part in (each.intersect(screen) for each in seen.outline) if part]
        inner = [part for part in (each.intersect(seen.inner) for each in parts) if part]
        visible = seen.viewable and not all(covered[part.slices].all() for part in inner)
        if not is_translucent(look.top, composited=composited):
            for part in parts:
                covered[part.slices] = True
        instance, class_name = seen.claims.class_names()
        pid = processes.of(look.top.client, seen.claims)
        title = seen.claims.title()
        listed.append(WindowInfo(look.top.client, title, class_name, instance, pid, seen.inner, visible))
    listed.reverse()
    return listed


def _fits(title: str, description: str | re.Pattern[str]) -> bool:
    if isinstance(description, str):
        return title == description
    return description.search(title) is not None


def _wanted(description: str | re.Pattern[str]) -> str:
    if isinstance(description, str):
        return f"the title {quoted(description)} (all of it; re.compile({quoted(description)}) finds a part)"
    return f"the expression {quoted(description.pattern)}"


def _lines(windows: list[WindowInfo]) -> str:
    return "".join(f"\n  {info}" for info in windows)
