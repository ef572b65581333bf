"""SHAPE 1.1: the bounding shapes of windows, and word of their changes.

Any number of subscribers share one selection for each window. Where others on this connection have selected the same
through python-xlib's objects, it stays selected, and the events reach them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from Xlib.ext import shape

from xshm.geometry import Rect
from xshm.x11.cookie import Cookie, packed
from xshm.x11.protocol.requests import EventRoute, precedes
from xshm.x11.windows.structure_events import Subscribers

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.protocol.requests import Request
    from xshm.x11.windows.structure_events import Subscription

NAME: Final = "SHAPE"
_NOTIFY: Final = 0  # the event's offset from first_event
_BOUNDING: Final = shape.SK.Bounding
_ABOUT = struct.Struct("=xB2xI")  # ShapeNotify: kind, window


class _Selected:
    """A window on which ShapeNotify is selected. `shared`: others on this connection want the events too.

    `gone`: the window was destroyed; another may have its id.
    """

    __slots__ = ("gone", "shared", "subscribers")

    def __init__(self, *, shared: bool) -> None:
        self.gone = False
        self.shared = shared
        self.subscribers = Subscribers()


class ShapeEvents:
    """The shapes of one connection's windows. Without the extension no window has one.

    Locking rules: `subscribe` and `unsubscribe` are called by one thread at a time, `_hear` by the reader.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._selected: dict[int, _Selected] = {}
        self._leaving: dict[int, Request] = {}  # as in StructureEvents
        self._route: EventRoute | None = None

    def subscribe(self, subscription: Subscription) -> None:
        """Set `due` and `reshaped` of a subscription whenever its window (the first) gets another bounding shape."""
        extension = self._extension()
        if extension is None:
            return
        if self._route is None:
            self._route = EventRoute(extension.first_event + _NOTIFY, self._hear, most=1)
            self._connection.wire.add_route(self._route)
        self._deselect_unwanted(extension)
        window = subscription.windows[0]
        known = self._selected.get(window)
        if known is None or any(other.gone for other in known.subscribers):  # the id may be another window's
            before = Cookie(
                self._connection, shape.InputSelected, opcode=extension.major, destination_window=window
            ).reply_or_none()
            # First: cut short from here on, it is deselected the next time, since nobody has subscribed.
            known = self._selected[window] = _Selected(shared=before is not None and bool(before.enabled))
            self._connection.wire.send(_select(extension, window, enable=True))
        known.subscribers.add(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Take that back, and deselect where it was the last."""
        window = subscription.windows[0]
        selected = self._selected.get(window)
        extension = self._extension()
        if selected is None or extension is None:
            return
        if subscription in selected.subscribers:  # else it was of a window that had the id before
            selected.gone = selected.gone or subscription.gone
            selected.subscribers.remove(subscription)
        self._deselect_unwanted(extension)

    def tidy(self) -> None:
        """Deselect what was selected for those who are gone."""
        extension = self._extension() if self._selected else None
        if extension is not None:
            self._deselect_unwanted(extension)

    def _deselect_unwanted(self, extension: Extension) -> None:
        """Deselect where nobody is left; what is cut short is done the next time."""
        for window in [window for window, selected in self._selected.items() if not selected.subscribers]:
            if not (self._selected[window].shared or self._selected[window].gone):
                self._leaving = {each: last for each, last in self._leaving.items() if not last.done}
                self._leaving[window] = last = _select(extension, window, enable=False)
                self._connection.wire.send(last)
            self._selected.pop(window, None)

    def ask(self, window: int) -> tuple[Rect, ...] | None:
        """Return the bounding shape, in the window's coordinates; None where it has none. One round trip.

        Raises BadWindow.
        """
        extension = self._extension()
        if extension is None:
            return None
        extents = Cookie(self._connection, shape.QueryExtents, opcode=extension.major, destination_window=window)
        rectangles = Cookie(
            self._connection, shape.GetRectangles, opcode=extension.major, window=window, source_kind=_BOUNDING
        )
        shaped, found = bool(extents.reply().bounding_shaped), rectangles.reply()
        return tuple(_rect(each) for each in found.rectangles if each.width and each.height) if shaped else None

    def _extension(self) -> Extension | None:
        return self._connection.extension(NAME)

    def _hear(self, message: bytes) -> bool:
        """Tell subscribers; called by the reader. Return whether the event is for them alone."""
        kind, window = _ABOUT.unpack_from(message)
        selected = self._selected.get(window)
        if selected is None:
            last = self._leaving.get(window)
            return last is not None and precedes(message, last)
        if kind == _BOUNDING:
            for subscription in selected.subscribers:
                subscription.reshaped = subscription.due = True
        return not selected.shared


def _select(extension: Extension, window: int, *, enable: bool) -> Request:
    return packed(shape.SelectInput, opcode=extension.major, destination_window=window, enable=enable)


def _rect(found: Any) -> Rect:
    return Rect(found.x, found.y, found.width, found.height)
