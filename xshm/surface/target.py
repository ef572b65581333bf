"""What a surface draws into: a window that is opened for it, or a window or pixmap that is there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from xshm import _arguments
from xshm.drawables.drawable import Drawable
from xshm.drawables.window_list import IDS
from xshm.errors import BadDrawable, BadWindow, InvalidArgument, RequestTimeout, WindowGone
from xshm.events import Inbox
from xshm.geometry import Rect
from xshm.pixels.format import VisualClass
from xshm.pixels.from_rgb import Palette
from xshm.system.printable import quoted
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server import colour_cube
from xshm.x11.server.colormap import Colormap
from xshm.x11.server.visuals import format_of, of_root
from xshm.x11.windows.own_window import create_window, map_window, visit_window

if TYPE_CHECKING:
    from xshm.pixels.format import PixelFormat
    from xshm.x11.connection import Connection
    from xshm.x11.display_name import Name

_INPUT_ONLY: Final = 2
_SHARED: Final = (VisualClass.PseudoColor, VisualClass.GrayScale)  # whose cells can be allocated one by one
_GREATEST: Final = 0x7FFF  # X names coordinates up to here
# A window manager may keep a window to itself, on another desktop for one; it is drawn when it appears.
_MOST_WAIT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for: a window at `place`, or the drawable `on`."""

    display: Name | None
    on: int | None
    place: Rect | None
    title: str
    positioned: bool
    resizable: bool

    @classmethod
    def wanted(
        cls,
        width: int | None,
        height: int | None,
        on: Any,
        display: Name | None,
        position: tuple[int, int] | None,
        title: str,
        *,
        resizable: bool,
    ) -> Self:
        """Check what a caller has said."""
        _arguments.text(title, "a title")
        _arguments.flag(resizable, "resizable")
        if (on is None) != (width is not None and height is not None):
            raise InvalidArgument("a surface takes a width and a height, or on=, a window or pixmap; one of the two")
        if on is None:
            corner = (0, 0) if position is None else _arguments.point(position, "a position is")
            if not all(-_GREATEST <= each <= _GREATEST for each in corner):
                raise InvalidArgument(f"X names positions from -{_GREATEST} to {_GREATEST}, not {quoted(position)}")
            place = Rect(*corner, *cls.window_size(width, height))
            return cls(display, None, place, title, position is not None, resizable)
        if position is not None or resizable:
            raise InvalidArgument("position= and resizable= are for a surface's own window, not for one it is put on")
        if isinstance(on, Drawable) and display is None:
            display = on._connection.display_name  # noqa: SLF001 - rooms of one house
        what = "a surface is put on a window's or pixmap's id, or on a Window or Pixmap"
        number = _arguments.whole(getattr(on, "id", on), what)
        if number not in IDS:
            raise InvalidArgument(f"a window's or pixmap's id is a number from 1 to {IDS[-1]:#x}, not {quoted(number)}")
        return cls(display, number, None, title, positioned=False, resizable=False)

    @staticmethod
    def window_size(width: int | None, height: int | None) -> tuple[int, int]:
        """Check what a window's size shall be."""
        size = Rect(0, 0, width, height)  # type: ignore[arg-type]  # it says what is wrong with None
        if size.width > _GREATEST or size.height > _GREATEST:
            raise InvalidArgument(f"a window is at most {_GREATEST} wide and high, not {size}")
        return size.width, size.height


@dataclass(frozen=True, slots=True)
class Opened:
    """What is there to be drawn into. `cells` is its colormap where the format needs one, `inbox` None for a pixmap."""

    drawable: int
    root: int
    own: bool
    fmt: PixelFormat
    size: tuple[int, int]
    cells: Palette | None
    inbox: Inbox | None


def open_target(connection: Connection, target: Target) -> Opened:
    """Open the window, or look at the drawable; raises WindowGone where there is none."""
    if target.place is None:
        assert target.on is not None  # noqa: S101 - `wanted` makes targets with one of the two
        return _visit(connection, target.on)
    setup, place = connection.setup, target.place
    fmt = format_of(connection, setup.root_depth, setup.root_visual)
    colormap = setup.default_colormap.id
    ours = colour_cube.allocate(connection, colormap, gray=fmt.is_gray) if fmt.visual_class in _SHARED else []
    cells = _cells(connection, colormap, fmt, ours)
    window = create_window(connection, place, target.title, resizable=target.resizable, positioned=target.positioned)
    inbox = Inbox(connection, window)
    map_window(connection, window)
    _wait_until_mapped(connection, inbox)
    size = (place.width, place.height)
    return Opened(window, setup.root.id, own=True, fmt=fmt, size=size, cells=cells, inbox=inbox)


def _visit(connection: Connection, drawable: int) -> Opened:
    geometry = Cookie(connection, core.GetGeometry, drawable=drawable)
    attributes = Cookie(connection, core.GetWindowAttributes, window=drawable).reply_or_none()
    try:
        found = geometry.reply()
    except (BadDrawable, BadWindow):
        raise WindowGone(f"neither a window nor a pixmap has the id {drawable:#x}") from None
    if attributes is None:
        fmt = format_of(connection, found.depth, None)
        colormap = connection.setup.default_colormap.id
        inbox = None
    else:
        if attributes.win_class == _INPUT_ONLY:
            raise InvalidArgument(f"the window {drawable:#x} is for input only, and can't be drawn into")
        fmt = format_of(connection, found.depth, attributes.visual)
        if drawable == found.root.id:
            fmt = of_root(fmt)
        colormap = attributes.colormap.id if attributes.colormap else 0
        inbox = Inbox(connection, drawable)
        visit_window(connection, drawable)
    cells = _cells(connection, colormap, fmt, [])
    size = (found.width, found.height)
    return Opened(drawable, found.root.id, own=False, fmt=fmt, size=size, cells=cells, inbox=inbox)


def _cells(connection: Connection, colormap: int, fmt: PixelFormat, ours: list[int]) -> Palette | None:
    """Return the colormap as it is now. Only cells that are ours can be relied on to stay, if there are any."""
    if not fmt.needs_colormap:
        return None
    colours = Colormap(connection, colormap, fmt)
    read = colours.read(colours.ask())
    usable = np.full(len(read), not ours)
    usable[ours] = True
    return Palette(read, usable)


def _wait_until_mapped(connection: Connection, inbox: Inbox) -> None:
    deadline = time.monotonic() + _MOST_WAIT
    while not inbox.mapped and (left := deadline - time.monotonic()) > 0:
        try:
            connection.wire.wait_for(inbox, left)
        except RequestTimeout:
            return
        inbox.sort()
