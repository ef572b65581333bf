"""One top-level window looked at: who it is, where it is, what it covers. All is asked before the first answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from Xlib import X
from Xlib.ext import shape
from Xlib.protocol.request import GetSelectionOwner

from xshm.geometry import Rect
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.windows.properties import WindowProperties

if TYPE_CHECKING:
    from xshm.x11.connection import Connection
    from xshm.x11.windows.properties import Atoms
    from xshm.x11.windows.tree import TopLevel

_ALPHA_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class WindowSnapshot:
    """The answers. `inner` is the client inside its border, `outline` what the top-level covers; root coordinates."""

    claims: WindowProperties
    inner: Rect
    viewable: bool
    outline: tuple[Rect, ...]


class WindowQuery:
    """The questions about one top-level window and its client."""

    def __init__(self, connection: Connection, atoms: Atoms, root: int, top: TopLevel) -> None:
        self.top = top
        self._claims = WindowProperties(atoms, top.client)
        self._geometry = Cookie(connection, core.GetGeometry, drawable=top.client)
        self._attributes = Cookie(connection, core.GetWindowAttributes, window=top.client)
        self._place = Cookie(connection, core.TranslateCoords, src_wid=top.client, dst_wid=root, src_x=0, src_y=0)
        shapes = connection.extension("SHAPE")
        self._shape = (
            Cookie(
                connection, shape.GetRectangles, opcode=shapes.major, window=top.window, source_kind=shape.SK.Bounding
            )
            if shapes
            else None
        )

    def answer(self) -> WindowSnapshot | None:
        """Wait for the answers; None where the window was destroyed meanwhile, or never shows anything (InputOnly)."""
        geometry, attributes = self._geometry.reply_or_none(), self._attributes.reply_or_none()
        place, outline = self._place.reply_or_none(), self._outline()
        if geometry is None or attributes is None or place is None or attributes.win_class == X.InputOnly:
            return None
        inner = Rect(place.x, place.y, geometry.width, geometry.height)
        return WindowSnapshot(self._claims, inner, attributes.map_state == X.IsViewable, outline)

    def _outline(self) -> tuple[Rect, ...]:
        top = self.top
        if self._shape is None:
            return (Rect(*top.outer),)
        found = self._shape.reply_or_none()
        boxes = [(each.x, each.y, each.width, each.height) for each in (found.rectangles if found else ())]
        x, y, width, height = top.outer
        # Of a window without a shape X.Org's server 21.1 tells one rectangle, without the border on the far side.
        if boxes == [(-top.border, -top.border, width - top.border, height - top.border)]:
            return (Rect(*top.outer),)
        left, upper = x + top.border, y + top.border
        return tuple(Rect(box[0] + left, box[1] + upper, box[2], box[3]) for box in boxes if box[2] and box[3])


class Compositor:
    """Whether a compositing manager runs, under which a window with alpha may let through what lies below."""

    def __init__(self, connection: Connection, atoms: Atoms) -> None:
        self._owner = Cookie(connection, GetSelectionOwner, selection=atoms.compositor)

    def answer(self) -> bool:
        """Wait for the answer."""
        return bool(self._owner.reply().owner != X.NONE)


def is_translucent(top: TopLevel, *, composited: bool) -> bool:
    """Tell whether what lies below may be seen through this window."""
    return composited and top.depth == _ALPHA_DEPTH
