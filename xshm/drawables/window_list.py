"""List the top-level windows, and find one by its title: WindowInfo, list_windows, find_window.

The requests for all windows are sent before the first reply is waited for, so the number of round trips does not depend
on the number of windows. A window that is destroyed before the server processes its requests is left out.
"""

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
from xshm.geometry import Sized
from xshm.system.printable import printable, quoted
from xshm.x11.windows.client_pid import ClientPids
from xshm.x11.windows.properties import active_window
from xshm.x11.windows.snapshot import Compositor, WindowQuery, is_translucent
from xshm.x11.windows.tree import client_of, top_levels

if TYPE_CHECKING:
    import re

    import numpy as np

    from xshm.drawables.window_context import WindowContext
    from xshm.geometry import Rect
else:
    from xshm._numpy import np

IDS: Final = range(1, 1 << 29)  # of resources: the three highest bits are always 0 (X11 protocol, "Common Types")


@dataclass(frozen=True, slots=True)
class WindowInfo(Sized):
    """A top-level window as it was when it was listed.

    `id` is the program's own window, inside the frame that a window manager may have put around it. `title` is "" where
    it has none; `class_name` and `instance` are the two parts of WM_CLASS, as in "XTerm" and "xterm". `pid` is its
    process on this machine, None where neither the server nor a plausible property names it. `rect` is in the screen's
    coordinates, without border and frame: `screen.grab(info)` returns what is on the screen there. `visible` is whether
    a pixel of it is on the screen and not covered by other windows.
    """

    _is_on_screen = True  # its `rect` is in the screen's coordinates: `Source._as_rect` of other drawables refuses it

    id: int
    title: str
    class_name: str
    instance: str
    pid: int | None
    rect: Rect
    visible: bool

    def __str__(self) -> str:
        return f"{self.id:#x} {self.title!r} ({printable(self.class_name) or 'no class'}) {self.rect}"


def resource_id(number: SupportsIndex, what: str, rule: str) -> int:
    """Return a caller's id of a window or a pixmap as an int; raise InvalidType, by the `rule`, or InvalidArgument."""
    found = _arguments.integer(number, rule)
    if found not in IDS:
        raise InvalidArgument(f"{what}'s id is a number from 1 to {IDS[-1]:#x}, not {quoted(found)}")
    return found


def list_windows(context: WindowContext, screen: Rect, *, mapped: bool = True) -> list[WindowInfo]:
    """Return the mapped top-level windows, or the others, from the bottom of the stack to the top.

    `screen` is the screen's extent.
    """
    connection, atoms = context.connection, context.atoms
    tops = top_levels(connection, atoms, context.root, mapped=mapped)
    queries = [WindowQuery(connection, atoms, context.root, top) for top in tops]
    compositor, pids = Compositor(connection, atoms), ClientPids(connection)
    composited = compositor.is_running()
    covered = np.zeros((screen.height, screen.width), bool)  # the pixels obscured by the windows processed so far
    windows = []
    for query in reversed(queries):  # from the top of the stack down
        snapshot = query.reply()
        if snapshot is None:
            continue
        # Cut to the screen, since `covered` has no more pixels than that.
        parts = [part for part in (each.intersect(screen) for each in snapshot.outline) if part]
        inner = [part for part in (each.intersect(snapshot.inner) for each in parts) if part]
        # Of its inside alone: a window of which only the border is on the screen shows nothing of its own.
        visible = snapshot.viewable and not all(covered[part.slices].all() for part in inner)
        if not is_translucent(query.top, composited=composited):
            for part in parts:  # with border and frame, which obscure the windows below, too
                covered[part.slices] = True
        instance, class_name = snapshot.properties.class_names()
        pid = pids.pid_of(query.top.client, snapshot.properties)
        title = snapshot.properties.title()
        windows.append(WindowInfo(query.top.client, title, class_name, instance, pid, snapshot.inner, visible))
    windows.reverse()
    return windows


def find_window(context: WindowContext, description: str | re.Pattern[str], screen: Rect) -> int:
    """Return the id of the only window with that title, or whose title the expression matches, or of the "active" one.

    Raises WindowNotFound with a list of all windows, WindowNotViewable where a window that matches is not mapped.
    """
    if description == "active":
        return _active(context)
    listed = list_windows(context, screen)
    matching = [info for info in listed if matches(info.title, description)]
    if len(matching) == 1:
        return matching[0].id
    if matching:
        raise not_found(matching, listed, wanted(description))
    # Queried only now, since most searches end above: distinguishes a wrong title from an iconified window.
    unmapped = [info for info in list_windows(context, screen, mapped=False) if matches(info.title, description)]
    if unmapped:
        raise WindowNotViewable(f"it has no picture now, being iconified or otherwise unmapped:{lines(unmapped)}")
    raise not_found([], listed, wanted(description))


def not_found(found: list[WindowInfo], listed: list[WindowInfo], what: str) -> WindowNotFound:
    """Return the error for a search among `listed` windows that has found none or several."""
    if found:
        return WindowNotFound(f"{len(found)} windows answer to {what}; name one by its id:{lines(found)}")
    return WindowNotFound(f"no window answers to {what}; there {'are:' if listed else 'is none'}{lines(listed)}")


def _active(context: WindowContext) -> int:
    window = active_window(context.atoms, context.root)
    if window is None or window == context.root:  # the root window has the focus where no other has
        raise WindowNotFound("no window is active: the window manager names none, and the keys go to none")
    try:
        return client_of(context.connection, context.atoms, window)
    except BadWindow:
        raise WindowGone(f"the window {window:#x} was active, and was destroyed") from None


def matches(title: str, description: str | re.Pattern[str]) -> bool:
    """Return whether a title is this one, or the expression is found in it."""
    if isinstance(description, str):
        return title == description
    return description.search(title) is not None


def wanted(description: str | re.Pattern[str]) -> str:
    """Return what is searched for, for an error's message."""
    if isinstance(description, str):
        return f"the title {quoted(description)} (all of it; re.compile({quoted(description)}) finds a part)"
    return f"the expression {quoted(description.pattern)}"


def lines(windows: list[WindowInfo]) -> str:
    """Return a line for each window, for an error's message."""
    return "".join(f"\n  {info}" for info in windows)
