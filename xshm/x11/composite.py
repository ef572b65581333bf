"""Composite 0.4: a window that is drawn off-screen, whole, whatever covers it; and a name for the pixmap that holds it.

Redirection is counted by the server for each client. Ours is "automatic": the server goes on showing the window, and
what other clients redirected, a compositor for one, stays as it was, before, meanwhile and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from Xlib.ext import composite

from xshm.errors import ServerError, WindowNotViewable
from xshm.x11 import core
from xshm.x11.replies import Asked

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension

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
    """A window that is redirected for us until `close`."""

    def __init__(self, connection: Connection, extension: Extension, window: int) -> None:
        self._connection = connection
        self._opcode = extension.major
        self.window = window
        self._pixmap = 0
        self._ask(composite.QueryVersion, major_version=0, minor_version=4)
        # A name can be had before the window is redirected for us only where it is redirected for somebody else.
        name = connection.allocate_resource_id()
        self._named = connection.send(composite.NameWindowPixmap, opcode=self._opcode, window=window, pixmap=name)
        connection.send(core.FreePixmap, pixmap=name)
        connection.free_resource_id(name)
        self._redirected = connection.send(
            composite.RedirectWindow, opcode=self._opcode, window=window, update=composite.RedirectAutomatic
        )

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
            pixmap = connection.allocate_resource_id()
            named = connection.send(composite.NameWindowPixmap, opcode=self._opcode, window=self.window, pixmap=pixmap)
            whole = Asked(connection, core.GetGeometry, drawable=pixmap)
            inside = Asked(connection, core.GetGeometry, drawable=self.window)
            try:
                size = inside.answer()
                if named.error is not None:
                    raise connection.error(named.error, "CompositeNameWindowPixmap")
                held = whole.answer()
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

    def give_back_name(self) -> None:
        """Give the name back, where the redirection went with its window; another one may have the id. Not twice."""
        self._free(self._pixmap)

    def close(self) -> None:
        """End our redirection and give the name back. Not to be called twice."""
        self._free(self._pixmap)
        if self._redirected.error is None:
            self._connection.send(
                composite.UnredirectWindow, opcode=self._opcode, window=self.window, update=composite.RedirectAutomatic
            )

    def _free(self, pixmap: int) -> None:
        if pixmap:
            self._connection.send(core.FreePixmap, pixmap=pixmap)
            self._connection.free_resource_id(pixmap)

    def _ask(self, request: Any, **fields: Any) -> Asked:
        return Asked(self._connection, request, opcode=self._opcode, **fields)
