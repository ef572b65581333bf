"""Composite 0.4: a window that is drawn off-screen, whole, whatever covers it; and a name for the pixmap that holds it.

Redirection is counted by the server for each client. Ours is "automatic": the server goes on showing the window, and
what other clients redirected, a compositor for one, stays as it was, before, meanwhile and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from Xlib.ext import composite

from xshm.errors import ServerError, WindowNotViewable
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.io.release_queue import ServerResource
    from xshm.x11.windows.structure_events import Subscription

NAME: Final = "Composite"
_TRIES: Final = 50
_WIDEST_BORDER: Final = 0x3FFF  # a pixmap is at most 0x7FFF wide, with the border on both sides


@dataclass(frozen=True, slots=True)
class Backing:
    """A window's pixmap: width and height inside the border, and how wide the border around them is."""

    pixmap: int
    width: int
    height: int
    border: int


class Redirection:
    """A window that is redirected for us until `close`, or until this goes; `changes` tells when it is gone."""

    def __init__(self, connection: Connection, extension: Extension, window: int, changes: Subscription) -> None:
        self._connection = connection
        self._opcode = extension.major
        self.window = window
        self._pixmap: ServerResource | None = None
        self._ask(composite.QueryVersion, major_version=0, minor_version=4)
        # A name can be had before the window is redirected for us only where it is redirected for somebody else.
        name = connection.holdings.id(core.FreePixmap, "pixmap")
        self._named = connection.send(composite.NameWindowPixmap, opcode=self._opcode, window=window, pixmap=name)
        connection.holdings.free(name)
        how: dict[str, Any] = {"opcode": self._opcode, "window": window, "update": composite.RedirectAutomatic}
        redirect: Any = composite.RedirectWindow
        self._redirected = Request(redirect._request.to_binary(**how))  # noqa: SLF001 - encodes
        self._held = connection.holdings.undo(composite.UnredirectWindow, **how)
        self.follow(changes)
        connection.wire.send(self._redirected)

    def follow(self, changes: Subscription) -> None:
        """From now on, hear of the window's end by this subscription."""
        redirected = self._redirected
        self._held.release.lapsed = lambda: changes.gone or not redirected.serial or redirected.error is not None

    def check(self) -> bool:
        """Raise the server's refusal; tell whether the window was redirected before, by whomever. One round trip."""
        self._connection.check(self._redirected, doing="CompositeRedirectWindow")
        return self._named.error is None

    def name(self) -> Backing:
        """Name the pixmap that the window has now; the last one's name is given back.

        A window gets a new pixmap each time it is mapped or resized. Raises BadWindow or BadDrawable where the window
        is gone, BadMatch where it is not viewable, WindowNotViewable where it is never the same size twice.
        """
        connection = self._connection
        for _ in range(_TRIES):
            pixmap = connection.holdings.id(core.FreePixmap, "pixmap")
            named = connection.send(composite.NameWindowPixmap, opcode=self._opcode, window=self.window, pixmap=pixmap)
            whole = Cookie(connection, core.GetGeometry, drawable=pixmap)
            inside = Cookie(connection, core.GetGeometry, drawable=self.window)
            try:
                size = inside.reply()
                if named.error is not None:
                    raise connection.error(named.error, "CompositeNameWindowPixmap")
                held = whole.reply()
            except ServerError:
                self._free(pixmap)
                raise
            # The server may serve another client, who resizes the window, between the two.
            if (held.width, held.height) == (size.width + 2 * size.border_width, size.height + 2 * size.border_width):
                if size.border_width > _WIDEST_BORDER:
                    raise connection.nonsense("GetGeometry", f"a border of {size.border_width} pixels")
                former, self._pixmap = self._pixmap, pixmap
                self._free(former)
                return Backing(pixmap, size.width, size.height, size.border_width)
            self._free(pixmap)
        raise WindowNotViewable(f"the window {self.window:#x} is being resized all the time, in {_TRIES} looks")

    def close(self) -> None:
        """End our redirection, if the window is still there, and give the name back."""
        self._free(self._pixmap)
        self._connection.holdings.free(self._held)

    def _free(self, pixmap: ServerResource | None) -> None:
        if pixmap is not None:
            self._connection.holdings.free(pixmap)

    def _ask(self, request: Any, **fields: Any) -> Cookie:
        return Cookie(self._connection, request, opcode=self._opcode, **fields)
