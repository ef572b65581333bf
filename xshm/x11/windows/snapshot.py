"""One top-level window at one moment: its properties, its place, and what it covers of the screen.

The requests are queued when a WindowQuery is made: make all of them first, and all windows share one round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm.geometry import Rect
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.protocol.xlib import X, request, shape
from xshm.x11.windows.properties import WindowProperties

if TYPE_CHECKING:
    from xshm.x11.connection import Connection
    from xshm.x11.windows.properties import Atoms
    from xshm.x11.windows.tree import TopLevel

_ALPHA_DEPTH: Final = 32  # of the visuals whose fourth byte compositing managers take for alpha


@dataclass(frozen=True, slots=True)
class WindowSnapshot:
    """In root coordinates: `inner` is the client without its border, `outline` what the top-level window covers."""

    properties: WindowProperties
    inner: Rect
    viewable: bool
    outline: tuple[Rect, ...]


class WindowQuery:
    """The requests about one top-level window and its client."""

    def __init__(self, connection: Connection, atoms: Atoms, root: int, top: TopLevel) -> None:
        self.top = top
        self._properties = WindowProperties(atoms, top.client)
        self._geometry = Cookie(connection, core.GetGeometry, drawable=top.client)
        self._attributes = Cookie(connection, core.GetWindowAttributes, window=top.client)
        self._place = Cookie(connection, core.TranslateCoords, src_wid=top.client, dst_wid=root, src_x=0, src_y=0)
        # The shape of the frame, not of the client inside: the frame covers the windows below.
        shapes = connection.extension("SHAPE")
        self._shape = (
            Cookie(
                connection, shape.GetRectangles, opcode=shapes.major, window=top.window, source_kind=shape.SK.Bounding
            )
            if shapes
            else None
        )

    def reply(self) -> WindowSnapshot | None:
        """Wait for the replies; return None where the window was destroyed, or has no pixels (InputOnly)."""
        geometry, attributes = self._geometry.reply_or_none(), self._attributes.reply_or_none()
        place, outline = self._place.reply_or_none(), self._outline()
        if geometry is None or attributes is None or place is None or attributes.win_class == X.InputOnly:
            return None
        # TranslateCoordinates counts from inside the border, so that `place` is the corner of the client's pixels.
        inner = Rect(place.x, place.y, geometry.width, geometry.height)
        return WindowSnapshot(self._properties, inner, attributes.map_state == X.IsViewable, outline)

    def _outline(self) -> tuple[Rect, ...]:
        """Return the rectangles of the bounding shape, or the window with its border where it has none."""
        top = self.top
        found = self._shape.reply_or_none() if self._shape else None
        if found is None:
            return (Rect(*top.outer),)
        boxes = [(each.x, each.y, each.width, each.height) for each in found.rectangles]
        x, y, width, height = top.outer
        # For a window without a shape X.Org's server 21.1 returns a rectangle that lacks the border on the far sides.
        if boxes == [(-top.border, -top.border, width - top.border, height - top.border)]:
            return (Rect(*top.outer),)
        # SHAPE counts from the window's inner corner, `outer` from its border's.
        left, upper = x + top.border, y + top.border
        return tuple(Rect(box[0] + left, box[1] + upper, box[2], box[3]) for box in boxes if box[2] and box[3])


class Compositor:
    """Whether a compositing manager runs: queried when this is made."""

    def __init__(self, connection: Connection, atoms: Atoms) -> None:
        self._owner = Cookie(connection, request.GetSelectionOwner, selection=atoms.compositor)

    def is_running(self) -> bool:
        """Return whether one has acquired the screen's selection (EWMH, _NET_WM_CM_Sn)."""
        return bool(self._owner.reply().owner != X.NONE)


def is_translucent(top: TopLevel, *, composited: bool) -> bool:
    """Return whether windows below may be visible through this one: it has alpha, and a compositing manager blends."""
    return composited and top.depth == _ALPHA_DEPTH
