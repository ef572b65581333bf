"""Composite 0.4: redirecting windows off-screen, into a pixmap of their own, and naming that pixmap.

Always true:

1. The server counts redirections for each client. Ours is "automatic": the server still shows the window, and windows
   that other clients have redirected, such as a compositing manager, stay redirected before, during and after.
2. A window gets another pixmap each time it is mapped or resized; the former pixmap's name keeps the old pixels.
3. The redirection ends once: with `close`, with the last reference to the object, or with the window. After the window
   no UnredirectWindow is sent, since the id may be another window's.

What does not work: reading the obscured parts right after the redirection. The new pixmap begins as a copy of what is
on the screen; the client paints the rest when it gets the server's Expose. `query_obscured` returns the parts to wait
for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import ServerError, WindowNotViewable
from xshm.x11.connection import pack_request
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core, xfixes
from xshm.x11.protocol.xlib import composite

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.io.resources import ServerResource
    from xshm.x11.windows.structure_events import Subscription

NAME: Final = "Composite"
_TRIES: Final = 50  # until a window counts as resized all the time
_WIDEST_BORDER: Final = 0x3FFF  # a pixmap is at most 0x7FFF wide, with the border on both sides


@dataclass(frozen=True, slots=True)
class NamedPixmap:
    """The pixmap that holds a window's pixels: width and height inside the border, and the width of the border."""

    pixmap: int
    width: int
    height: int
    border: int


class Redirection:
    """The redirection of a window, until `close` or until this is dropped; `changes` reports that it was destroyed."""

    def __init__(self, connection: Connection, extension: Extension, window: int, changes: Subscription) -> None:
        self._connection = connection
        self._opcode = extension.major
        self.window = window
        self._pixmap: ServerResource | None = None
        # NameWindowPixmap succeeds only for a redirected window. Before our own redirection is sent, that means by
        # another client, and then the window's pixmap is complete already (`check`).
        name = connection.resources.new_id(core.FreePixmap, "pixmap")
        self._named = connection.send(composite.NameWindowPixmap, opcode=self._opcode, window=window, pixmap=name)
        connection.resources.free(name)
        fields: dict[str, Any] = {"opcode": self._opcode, "window": window, "update": composite.RedirectAutomatic}
        self._redirected = pack_request(composite.RedirectWindow, **fields)
        # Made before the request is sent: interrupted in between, nothing is left redirected.
        self._held = connection.resources.undone_by(composite.UnredirectWindow, **fields)
        self.follow(changes)
        connection.wire.send(self._redirected)

    def follow(self, changes: Subscription) -> None:
        """From now on, use this subscription to know whether the window was destroyed."""
        redirected = self._redirected
        self._held.release.lapsed = lambda: changes.gone or not redirected.serial or redirected.error is not None

    def check(self) -> bool:
        """Raise the server's error; return whether the window was redirected before, by any client. One round trip."""
        self._connection.check(self._redirected, doing="CompositeRedirectWindow")
        return self._named.error is None

    def name_pixmap(self) -> NamedPixmap:
        """Name the pixmap that the window has now, and free the name of the last one.

        Raises BadWindow or BadDrawable where the window was destroyed, BadMatch where it is not viewable,
        WindowNotViewable where it is resized at each of 50 tries.
        """
        connection = self._connection
        for _ in range(_TRIES):
            pixmap = connection.resources.new_id(core.FreePixmap, "pixmap")
            named = connection.send(composite.NameWindowPixmap, opcode=self._opcode, window=self.window, pixmap=pixmap)
            # Both sizes: the pixmap's is that of the pixels, and only the window's reply has the border's width.
            outer = Cookie(connection, core.GetGeometry, drawable=pixmap)
            inner = Cookie(connection, core.GetGeometry, drawable=self.window)
            try:
                size = inner.reply()
                if named.error is not None:
                    raise connection.error(named.error, "CompositeNameWindowPixmap")
                whole = outer.reply()
            except ServerError:
                self._free(pixmap)
                raise
            # Between the two requests the server may serve another client, which resizes the window: then try again.
            if (whole.width, whole.height) == (size.width + 2 * size.border_width, size.height + 2 * size.border_width):
                if size.border_width > _WIDEST_BORDER:
                    raise connection.nonsense("GetGeometry", f"a border of {size.border_width} pixels")
                former, self._pixmap = self._pixmap, pixmap
                self._free(former)
                return NamedPixmap(pixmap, size.width, size.height, size.border_width)
            self._free(pixmap)
        raise WindowNotViewable(f"the window {self.window:#x} is being resized all the time, in {_TRIES} looks")

    def close(self) -> None:
        """End our redirection, if the window still exists, and free the pixmap's name."""
        self._free(self._pixmap)
        self._connection.resources.free(self._held)

    def _free(self, pixmap: ServerResource | None) -> None:
        if pixmap is not None:
            self._connection.resources.free(pixmap)


def query_obscured(connection: Connection, extension: Extension, window: int) -> Cookie | None:
    """Query the part of a window that other windows or the screen's edges obscure; return None without XFIXES.

    The reply's `rectangles` are that part, in the window's coordinates, as the server computes it, shapes and all. The
    regions are freed by requests that follow in the same batch.
    """
    fixes = connection.negotiate(xfixes.NAME)
    if fixes is None:
        return None
    whole, visible = (connection.resources.new_id(xfixes.DestroyRegion, "region", opcode=fixes.major) for _ in range(2))
    kind = xfixes.BOUNDING
    connection.send(xfixes.CreateRegionFromWindow, opcode=fixes.major, region=whole, window=window, kind=kind)
    connection.send(composite.CreateRegionFromBorderClip, opcode=extension.major, region=visible, window=window)
    connection.send(xfixes.SubtractRegion, opcode=fixes.major, source1=whole, source2=visible, destination=whole)
    obscured = Cookie(connection, xfixes.FetchRegion, opcode=fixes.major, region=whole)
    connection.resources.free(whole, visible)
    return obscured
