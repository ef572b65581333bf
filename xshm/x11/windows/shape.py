"""SHAPE 1.1: the bounding shapes of windows, and events when they change.

Subscriptions are those of `structure_events`, rules those of `event_masks`: a window is selected once, its entry is
stored before that and removed after the deselection, a destroyed window is never deselected, and late events are
dropped. The locking rules are those of `event_masks` too. Without the extension no window has a shape, and the methods
do nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from xshm.geometry import Rect
from xshm.x11.connection import pack_request
from xshm.x11.cookie import Cookie
from xshm.x11.protocol.requests import EventRoute, precedes
from xshm.x11.protocol.xlib import shape
from xshm.x11.windows.event_masks import Holders

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.protocol.requests import Request
    from xshm.x11.windows.structure_events import Subscription

NAME: Final = "SHAPE"
_NOTIFY: Final = 0  # the event's offset from first_event
_BOUNDING: Final = shape.SK.Bounding
_ABOUT = struct.Struct("=xB2xI")  # ShapeNotify: kind, window


class SelectedWindow:
    """A window whose events are selected; `shared`: by other users of this connection too; `gone`: it was destroyed."""

    __slots__ = ("gone", "shared", "subscribers")

    def __init__(self, *, shared: bool) -> None:
        self.gone = False
        self.shared = shared
        self.subscribers: Holders[Subscription] = Holders()


class ShapeEvents:
    """The bounding shapes of one connection's windows, and their changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._selected: dict[int, SelectedWindow] = {}
        self._deselected: dict[int, Request] = {}  # by window, the requests, until the server has processed them
        self._route: EventRoute | None = None

    def subscribe(self, subscription: Subscription) -> None:
        """Set `stale` and `reshaped` of a subscription whenever its window, the first, gets another bounding shape."""
        extension = self._extension()
        if extension is None:
            return
        if self._route is None:
            self._route = EventRoute(extension.first_event + _NOTIFY, self._notify, most=1)
            self._connection.wire.add_route(self._route)
        self._deselect_unwanted(extension)
        window = subscription.windows[0]
        selected = self._selected.get(window)
        if selected is None or any(other.gone for other in selected.subscribers):  # gone: the id is a new window's
            before = Cookie(
                self._connection, shape.InputSelected, opcode=extension.major, destination_window=window
            ).reply_or_none()
            # The entry first, then the request: an interrupt leaves an entry without subscribers, not a selection.
            selected = self._selected[window] = SelectedWindow(shared=before is not None and bool(before.enabled))
            self._connection.wire.send(_select_events(extension, window, enable=True))
        selected.subscribers.add(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; deselect the events of its window if it was the last."""
        window = subscription.windows[0]
        selected = self._selected.get(window)
        extension = self._extension()
        if selected is None or extension is None:
            return
        if subscription in selected.subscribers:  # else the entry is of a later window of the same id
            selected.gone = selected.gone or subscription.gone
            selected.subscribers.remove(subscription)
        self._deselect_unwanted(extension)

    def collect_dropped(self) -> None:
        """Deselect the events of windows whose subscriptions were dropped or interrupted."""
        extension = self._extension() if self._selected else None
        if extension is not None:
            self._deselect_unwanted(extension)

    def _deselect_unwanted(self, extension: Extension) -> None:
        """Deselect the events of windows without subscribers; the next call does what was interrupted."""
        for window, selected in [each for each in self._selected.items() if not each[1].subscribers]:
            if not (selected.shared or selected.gone):
                self._deselected = {each: last for each, last in self._deselected.items() if not last.done}
                self._deselected[window] = last = _select_events(extension, window, enable=False)
                self._connection.wire.send(last)
            self._selected.pop(window, None)  # last, as in EventMasks

    def query(self, window: int) -> tuple[Rect, ...] | None:
        """Return a window's bounding shape, in its coordinates; None where it has none. One round trip.

        Raises BadWindow.
        """
        extension = self._extension()
        if extension is None:
            return None
        # GetRectangles alone can't distinguish a window without a shape from one whose shape is its rectangle.
        extents = Cookie(self._connection, shape.QueryExtents, opcode=extension.major, destination_window=window)
        rectangles = Cookie(
            self._connection, shape.GetRectangles, opcode=extension.major, window=window, source_kind=_BOUNDING
        )
        shaped, found = bool(extents.reply().bounding_shaped), rectangles.reply()
        return tuple(_rect(each) for each in found.rectangles if each.width and each.height) if shaped else None

    def _extension(self) -> Extension | None:
        return self._connection.extension(NAME)

    def _notify(self, message: bytes) -> bool:
        """Set the flags of subscriptions; return whether to hide the event from other users of the connection."""
        kind, window = _ABOUT.unpack_from(message)
        selected = self._selected.get(window)
        if selected is None:
            last = self._deselected.get(window)
            return last is not None and precedes(message, last)
        if kind == _BOUNDING:
            for subscription in selected.subscribers:
                subscription.reshaped = subscription.stale = True
        return not selected.shared


def _select_events(extension: Extension, window: int, *, enable: bool) -> Request:
    return pack_request(shape.SelectInput, opcode=extension.major, destination_window=window, enable=enable)


def _rect(found: Any) -> Rect:
    return Rect(found.x, found.y, found.width, found.height)
