"""StructureNotify events (core protocol): windows that are mapped, unmapped, resized, reparented or destroyed.

Any number of subscribers share one selection for each window, on their window and on its ancestors. Always true:

1. A window is selected once. What others on this connection have selected on it, through python-xlib's objects, stays
   selected, and their events still reach them (`shared`).
2. The entry of a window is stored before its events are selected, and removed after they were deselected. An interrupt
   in between leaves an entry without subscribers, whose window the next call deselects.
3. A window that was destroyed stays `gone`: the server has ended the selection with it, and its id may be another
   window's, so nothing is deselected.
4. Events that the server sent before it processed a deselection are dropped (`_deselected`).

Locking rules: one thread at a time subscribes or unsubscribes; it holds the lock of the object that has this
StructureEvents. The thread that reads calls `_notify` at any moment, under the Wire's lock: `_notify` sends nothing,
takes no lock, and finds each dict and tuple as before or as after a change, since each change is one store.
"""

from __future__ import annotations

import struct
import weakref
from typing import TYPE_CHECKING, Final

from Xlib import X

from xshm.errors import ServerError
from xshm.x11.connection import pack_request
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import EventRoute, precedes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request

_CODES: Final = (X.DestroyNotify, X.UnmapNotify, X.MapNotify, X.ReparentNotify, X.ConfigureNotify)
_SENT_EVENT: Final = 0x80  # the bit of events by SendEvent: window managers send positions by it, which are no change
_WINDOWS = struct.Struct("=4xII")  # the window that the event was selected on, the window that it is about
_SIZE = struct.Struct("=20xHHH")  # ConfigureNotify: width, height, border width


def select_events(window: int, mask: int) -> Request:
    """Return the request that selects these events of a window, in place of those that were selected before."""
    return pack_request(core.ChangeWindowAttributes, window=window, attrs={"event_mask": mask})


class Subscription:
    """What has happened to one window, as flags that events set and the subscriber clears.

    `stale`: anything has changed. `reparented`: the window has other ancestors. `reshaped`: it has another bounding
    shape (`shape`). `gone`: it was destroyed; never cleared.
    """

    __slots__ = ("__weakref__", "gone", "reparented", "reshaped", "stale", "windows")

    def __init__(self, windows: Sequence[int]) -> None:
        self.windows = tuple(windows)  # the window itself, then its ancestors
        self.stale = True
        self.gone = False
        self.reparented = False
        self.reshaped = True


class Subscribers:
    """The subscriptions to one window, by weak references: one that is dropped counts as removed."""

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: tuple[weakref.ref[Subscription], ...] = ()  # replaced as a whole, for the thread that reads

    def __iter__(self) -> Iterator[Subscription]:
        return (found for found in [reference() for reference in self._references] if found is not None)

    def __contains__(self, subscription: object) -> bool:
        return any(other is subscription for other in self)

    def __bool__(self) -> bool:
        return any(reference() is not None for reference in self._references)

    def add(self, subscription: Subscription) -> None:
        """Add a subscription."""
        self._references = (*map(weakref.ref, self), weakref.ref(subscription))

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription, if it is there."""
        self._references = tuple(weakref.ref(other) for other in self if other is not subscription)


class SelectedWindow:
    """A window whose events are selected; `shared`: by other users of this connection too; `gone`: it was destroyed."""

    __slots__ = ("gone", "shared", "size", "subscribers")

    def __init__(self, *, shared: bool) -> None:
        self.gone = False
        self.shared = shared
        self.size: tuple[int, ...] | None = None  # of the last ConfigureNotify, with the border's width
        self.subscribers = Subscribers()


class StructureEvents:
    """All subscriptions of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._selected: dict[int, SelectedWindow] = {}
        self._deselected: dict[int, Request] = {}  # by window, the requests, until the server has processed them
        self._routes: tuple[EventRoute, ...] = ()

    def subscribe(self, windows: Sequence[int]) -> Subscription:
        """Subscribe to a window, the first, and its ancestors. `stale` is set at first, and by each later change."""
        if not self._routes:
            self._routes = tuple(EventRoute(code, self._notify, most=1) for code in _CODES)
            for route in self._routes:
                self._connection.wire.add_route(route)
        self.collect_dropped()
        subscription = Subscription(windows)
        new = [window for window in windows if window not in self._selected or self._selected[window].gone]
        cookies = [Cookie(self._connection, core.GetWindowAttributes, window=window) for window in new]
        for window, cookie in zip(new, cookies, strict=True):
            attributes = cookie.reply_or_none()
            mask = attributes.your_event_mask if attributes is not None else 0
            self._selected[window] = SelectedWindow(shared=bool(mask & X.StructureNotifyMask))  # first: rule 2
            self._connection.wire.send(select_events(window, mask | X.StructureNotifyMask))
        for window in windows:
            self._selected[window].subscribers.add(subscription)
        if self._selected[windows[0]].gone:  # destroyed between the selection and `add`
            subscription.gone = True
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; deselect the events of windows that have no other."""
        for window in subscription.windows:
            selected = self._selected.get(window)
            if selected is not None:  # None: the entry is that of a former window of this id, and was removed
                selected.subscribers.remove(subscription)
        self.collect_dropped()

    def collect_dropped(self) -> None:
        """Deselect the events of windows whose subscriptions were ended, dropped, or interrupted while being made."""
        unwanted = [(window, selected) for window, selected in self._selected.items() if not selected.subscribers]
        cookies = [
            None
            if selected.shared or selected.gone
            else Cookie(self._connection, core.GetWindowAttributes, window=window)
            for window, selected in unwanted
        ]
        for (window, _), cookie in zip(unwanted, cookies, strict=True):
            try:
                mask = cookie.reply().your_event_mask if cookie is not None else None
            except ServerError:  # the window was destroyed
                mask = None
            if mask is not None:
                self._deselected[window] = last = select_events(window, mask & ~X.StructureNotifyMask)
                self._connection.wire.send(last)
            self._selected.pop(window, None)  # last: rule 2
        for window in [window for window, last in self._deselected.items() if last.done]:
            del self._deselected[window]

    def _notify(self, message: bytes) -> bool:
        """Set the flags of subscriptions; return whether to hide the event from other users of the connection."""
        on, about = _WINDOWS.unpack_from(message)
        selected = self._selected.get(on)
        if on != about:  # SubstructureNotify, which others have selected on the parent
            return False
        if selected is None:
            return on in self._deselected and precedes(message, self._deselected[on])
        code = message[0]
        if code == X.DestroyNotify:
            selected.gone = True
        if code == X.ConfigureNotify:
            size = _SIZE.unpack_from(message)
            changed = size != selected.size  # else it was moved or restacked, which leaves the pixels where they are
            selected.size = size
        else:
            changed = not code & _SENT_EVENT
        if changed:
            for subscription in selected.subscribers:
                is_own = subscription.windows[0] == on
                if code == X.ReparentNotify:
                    subscription.reparented = True
                if code == X.DestroyNotify and is_own:
                    subscription.gone = True
                if code != X.ConfigureNotify or is_own:  # an ancestor's size does not matter
                    subscription.stale = True
        return not selected.shared
