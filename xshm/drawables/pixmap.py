"""Pixmap: the verbs of a Screen on a pixmap, an off-screen drawable of the server, which has no place on the screen.

A pixmap never changes its size, and no event reports that it was freed: a refused request does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.drawables.drawable import Drawable
from xshm.errors import BadDrawable, InvalidArgument, WindowGone
from xshm.geometry import Rect
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server.visuals import format_of

if TYPE_CHECKING:
    from xshm.capture.session import Session


class Pixmap(Drawable):
    """A pixmap that any client has created; opened by `Screen.pixmap`. `id` is its resource id.

    It has the frames and waits of a Screen. A pixmap has no visual of its own: its channels are taken to be those of
    the first visual of its depth, and its colours, if they are indices, those of the screen. Raises WindowGone once it
    was freed.
    """

    def __init__(self, session: Session, pixmap: int) -> None:
        connection, setup = session.connection, session.connection.setup
        # One round trip. A window is a drawable too, and GetGeometry is the same for both.
        size = Cookie(connection, core.GetGeometry, drawable=pixmap)
        window = Cookie(connection, core.GetWindowAttributes, window=pixmap)
        if window.reply_or_none() is not None:
            raise InvalidArgument(f"{pixmap:#x} is a window: open it with Screen.window")
        try:
            found = size.reply()
        except BadDrawable:
            raise WindowGone(f"no pixmap has the id {pixmap:#x}: it was freed, or never was") from None
        self.id = pixmap
        fmt = format_of(connection, found.depth, None)
        # Indices of another depth than the screen's mean nothing in its colormap.
        colormap = setup.default_colormap.id if found.depth == setup.root_depth else 0
        super().__init__(session, pixmap, Rect(0, 0, found.width, found.height), fmt, colormap)

    def close(self) -> None:
        """Refuse further grabs; the pixmap itself belongs to its client and stays. Closing twice is fine."""
        self._closed = self._unavailable = True

    def __repr__(self) -> str:
        return f"<Pixmap {self.id:#x} {self._extent.width}x{self._extent.height} {self._format}>"

    # -- as a Source -------------------------------------------------------------------------------------------------

    # `_update_extent` is Source's: there are no events, and the extent is constant.

    def _query_extent(self) -> Rect:
        """Query whether the pixmap still exists; raise WindowGone if it was freed."""
        try:
            found: Any = self._connection.request(core.GetGeometry, drawable=self.id)
        except BadDrawable:
            raise WindowGone(f"the pixmap {self.id:#x} was freed") from None
        if (found.width, found.height) != (self._extent.width, self._extent.height):
            raise WindowGone(f"the pixmap {self.id:#x} was freed, and its id given to another one") from None
        return self._extent

    def _pointed_window(self) -> int:
        raise InvalidArgument("a pixmap is nowhere on the screen, and has no pointer in it; grab it without cursor")

    def _name(self) -> str:
        return f"the pixmap {self.id:#x}"
