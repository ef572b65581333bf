"""The drawable of a surface: a window that is created for it, or an existing window or pixmap.

TargetArguments are what the caller asked for, checked before anything is sent. A TargetDrawable is the drawable as the
server has it: its format, size and colormap, and the inbox of its events. A window of the surface's own is mapped by
then, if the window manager mapped it within two seconds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm import _arguments
from xshm.drawables.drawable import Drawable
from xshm.drawables.window_list import resource_id
from xshm.errors import BadDrawable, BadWindow, InvalidArgument, RequestTimeout, WindowGone
from xshm.geometry import Rect
from xshm.pixels.format import VisualClass
from xshm.pixels.from_rgb import Palette
from xshm.surface.inbox import Inbox
from xshm.system.printable import quoted
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server.colormap import Colormap, allocate_colours
from xshm.x11.server.visuals import format_of, of_root
from xshm.x11.windows.own_window import create_window, map_window, watch_window

if TYPE_CHECKING:
    from xshm.pixels.format import PixelFormat
    from xshm.x11.connection import Connection
    from xshm.x11.display_name import Name

_SHARED: Final = (VisualClass.PseudoColor, VisualClass.GrayScale)  # whose cells can be allocated one by one
_GREATEST: Final = 0x7FFF  # coordinates are INT16 in the core protocol
# Seconds. A window manager may leave a window unmapped, on another desktop for example; what was presented by then is
# redrawn when it is mapped and exposed.
_MOST_WAIT: Final = 2.0


@dataclass(slots=True)
class TargetArguments:
    """The arguments of Surface, checked: a new window at `place`, or the drawable `on`. One of the two is None.

    `on` is an id from then on, and `display` that of the drawable, where the caller has named none.
    """

    width: int | None
    height: int | None
    on: Any
    display: Name | None
    position: tuple[int, int] | None
    title: str
    resizable: bool
    place: Rect | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        _arguments.text(self.title, "a title")
        _arguments.flag(self.resizable, "resizable")
        on, position = self.on, self.position
        if (on is None) != (self.width is not None and self.height is not None):
            raise InvalidArgument("a surface takes a width and a height, or on=, a window or pixmap; one of the two")
        if on is None:
            corner = (0, 0) if position is None else _arguments.point(position, "a position is")
            if not all(-_GREATEST <= each <= _GREATEST for each in corner):
                raise InvalidArgument(f"X names positions from -{_GREATEST} to {_GREATEST}, not {quoted(position)}")
            self.place = Rect(*corner, *window_size(self.width, self.height))
            return
        if position is not None or self.resizable:
            raise InvalidArgument("position= and resizable= are for a surface's own window, not for one it is put on")
        if isinstance(on, Drawable) and self.display is None:
            self.display = on._connection.display_name  # noqa: SLF001 - within the package
        what = "a surface is put on a window's or pixmap's id, or on a Window or Pixmap"
        self.on = resource_id(getattr(on, "id", on), "a window's or pixmap", what)


def window_size(width: int | None, height: int | None) -> tuple[int, int]:
    """Check a window's size, and return it."""
    size = Rect(0, 0, width, height)  # type: ignore[arg-type]  # Rect refuses None, with the reason
    if size.width > _GREATEST or size.height > _GREATEST:
        raise InvalidArgument(f"a window is at most {_GREATEST} wide and high, not {size}")
    return size.width, size.height


@dataclass(frozen=True, slots=True)
class TargetDrawable:
    """A drawable as the server has it; `own` if the surface created it, and destroys it with its connection.

    `palette` has the colours of its colormap, where the format needs one. `inbox` is None for a pixmap: no events.
    """

    drawable: int
    root: int
    own: bool
    fmt: PixelFormat
    size: tuple[int, int]
    palette: Palette | None
    inbox: Inbox | None


def open_target(connection: Connection, target: TargetArguments) -> TargetDrawable:
    """Create the window, or query the existing drawable; raises WindowGone if there is none with that id."""
    if target.place is None:
        return _open_existing(connection, target.on)
    setup, place = connection.setup, target.place
    # A window of the root's depth and visual, so that its format and colormap are the screen's.
    fmt = format_of(connection, setup.root_depth, setup.root_visual)
    colormap = setup.default_colormap.id
    ours = allocate_colours(connection, colormap, gray=fmt.is_gray) if fmt.visual_class in _SHARED else []
    palette = _read_palette(connection, colormap, fmt, ours)
    positioned = target.position is not None
    window = create_window(connection, place, target.title, resizable=target.resizable, positioned=positioned)
    inbox = Inbox(connection, window)  # before it is mapped, so that no event is missed
    map_window(connection, window)
    _wait_until_mapped(connection, inbox)
    size = (place.width, place.height)
    return TargetDrawable(window, setup.root.id, own=True, fmt=fmt, size=size, palette=palette, inbox=inbox)


def _open_existing(connection: Connection, drawable: int) -> TargetDrawable:
    """Query an existing drawable by two requests in one round trip; the second one fails for a pixmap."""
    geometry = Cookie(connection, core.GetGeometry, drawable=drawable)
    attributes = Cookie(connection, core.GetWindowAttributes, window=drawable).reply_or_none()
    try:
        found = geometry.reply()
    except (BadDrawable, BadWindow):
        raise WindowGone(f"neither a window nor a pixmap has the id {drawable:#x}") from None
    if attributes is None:  # a pixmap: it has no visual, and its format is that of its depth
        fmt = format_of(connection, found.depth, None)
        colormap = connection.setup.default_colormap.id
        inbox = None
    else:
        if attributes.win_class == core.INPUT_ONLY:  # CopyArea to it is BadMatch
            raise InvalidArgument(f"the window {drawable:#x} is for input only, and can't be drawn into")
        fmt = format_of(connection, found.depth, attributes.visual)
        if drawable == found.root.id:
            fmt = of_root(fmt)
        colormap = attributes.colormap.id if attributes.colormap else 0
        inbox = Inbox(connection, drawable)
        watch_window(connection, drawable)
    palette = _read_palette(connection, colormap, fmt, [])
    size = (found.width, found.height)
    return TargetDrawable(drawable, found.root.id, own=False, fmt=fmt, size=size, palette=palette, inbox=inbox)


def _read_palette(connection: Connection, colormap: int, fmt: PixelFormat, ours: list[int]) -> Palette | None:
    """Return the colours of a colormap as they are now; None where the format needs none.

    If the surface has allocated cells (`ours`), only those are used: other clients may change the others.
    """
    if not fmt.needs_colormap:
        return None
    colours = Colormap(connection, colormap, fmt)
    read = colours.read(colours.query())
    usable = np.full(len(read), not ours)  # all of them, if the surface has allocated none
    usable[ours] = True
    return Palette(read, usable)


def _wait_until_mapped(connection: Connection, inbox: Inbox) -> None:
    """Wait for MapNotify, at most `_MOST_WAIT` seconds: copies into an unmapped window would show nothing."""
    deadline = time.monotonic() + _MOST_WAIT
    while not inbox.mapped and (left := deadline - time.monotonic()) > 0:
        try:
            connection.wire.wait_for(inbox, left)
        except RequestTimeout:
            return
        inbox.sort()
