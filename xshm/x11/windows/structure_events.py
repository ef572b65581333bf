"""Word of windows that are mapped, unmapped, resized, reparented or destroyed (StructureNotify, core protocol).

Any number of subscribers share one selection for each window. What others on this connection have selected on it,
through python-xlib's objects, stays selected, and the events that they asked for still reach them.
"""

from __future__ import annotations

import struct
import weakref
from typing import TYPE_CHECKING, Final

from Xlib import X

from xshm.errors import ServerError
from xshm.x11.cookie import Cookie, packed
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import EventRoute, precedes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request

_CODES: Final = (X.DestroyNotify, X.UnmapNotify, X.MapNotify, X.ReparentNotify, X.ConfigureNotify)
_SENT: Final = 0x80  # SendEvent: a window manager's word on where the window is, which is no change of it
_WHERE = struct.Struct("=4xII")  # the window it was selected on, the window it is about
_SIZE = struct.Struct("=20xHHH")  # ConfigureNotify: width, height, border width


def select(window: int, mask: int) -> Request:
    """Make the request that says which events of a window this connection is told."""
    return packed(core.ChangeWindowAttributes, window=window, attrs={"event_mask": mask})


class Subscription:
    """What one subscriber has to know: `due` after a change, `gone` once the window was destroyed.

    `reparented` where the ancestors are other ones since, `reshaped` where the bounding shape is (`x11.shape`). Once it
    is gone it stays so, whatever has its id since then.
    """

    __slots__ = ("__weakref__", "due", "gone", "reparented", "reshaped", "windows")

    def __init__(self, windows: Sequence[int]) -> None:
        self.windows = tuple(windows)  # the window itself, then its ancestors
        self.due = True
        self.gone = False
        self.reparented = False
        self.reshaped = True


class Subscribers:
    """Who wants to hear of one window, as long as they live: one that is dropped, by whatever exception, has left."""

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: tuple[weakref.ref[Subscription], ...] = ()

    def __iter__(self) -> Iterator[Subscription]:
        return (found for found in [reference() for reference in self._references] if found is not None)

    def __contains__(self, subscription: object) -> bool:
        return any(other is subscription for other in self)

    def __bool__(self) -> bool:
        return any(reference() is not None for reference in self._references)

    def add(self, subscription: Subscription) -> None:
        """Tell one more."""
        self._references = (*map(weakref.ref, self), weakref.ref(subscription))

    def remove(self, subscription: Subscription) -> None:
        """Tell one less."""
        self._references = tuple(weakref.ref(other) for other in self if other is not subscription)


class _Watched:
    """A window on which StructureNotify is selected. `shared`: others on this connection want the events too.

    `gone`: it was destroyed, and the selection with it; another window may have its id.
    """

    __slots__ = ("gone", "shared", "size", "subscribers")

    def __init__(self, *, shared: bool) -> None:
        self.gone = False
        self.shared = shared
        self.size: tuple[int, ...] | None = None
        self.subscribers = Subscribers()


class StructureEvents:
    """All subscriptions of one connection.

    One that is interrupted in the middle is dropped; what was selected for it is known, and deselected with the next
    `subscribe` or `unsubscribe`. These two are called by one thread at a time, `_hear` by the reader.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watched: dict[int, _Watched] = {}
        # Windows that nobody watches any more, and the request before which the server may still tell of them.
        self._leaving: dict[int, Request] = {}
        self._routes: tuple[EventRoute, ...] = ()

    def subscribe(self, windows: Sequence[int]) -> Subscription:
        """Watch a window (the first) and its ancestors; `due` is set to begin with, and on every change from now on."""
        if not self._routes:
            self._routes = tuple(EventRoute(code, self._hear, most=1) for code in _CODES)
            for route in self._routes:
                self._connection.wire.add_route(route)
        self._deselect_unwanted()
        subscription = Subscription(windows)
        new = [window for window in windows if window not in self._watched or self._watched[window].gone]
        asked = [Cookie(self._connection, core.GetWindowAttributes, window=window) for window in new]
        for window, question in zip(new, asked, strict=True):
            attributes = question.reply_or_none()
            mask = attributes.your_event_mask if attributes is not None else 0
            # First: cut short from here on, it is deselected the next time, since nobody has subscribed.
            self._watched[window] = _Watched(shared=bool(mask & X.StructureNotifyMask))
            self._select(window, mask | X.StructureNotifyMask)
        for window in windows:
            self._watched[window].subscribers.add(subscription)
        if self._watched[windows[0]].gone:  # which was heard of before there was somebody to tell
            subscription.gone = True
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop watching for this subscriber, and deselect where it was the last."""
        for window in subscription.windows:
            watched = self._watched.get(window)
            if watched is not None:  # or it was of a window that had the id before
                watched.subscribers.remove(subscription)
        self._deselect_unwanted()

    def tidy(self) -> None:
        """Deselect what was selected for those who are gone."""
        self._deselect_unwanted()

    def _deselect_unwanted(self) -> None:
        """Deselect where nobody is left; what is cut short is done the next time."""
        unwanted = [(window, watched) for window, watched in self._watched.items() if not watched.subscribers]
        questions = [
            None
            if watched.shared or watched.gone
            else Cookie(self._connection, core.GetWindowAttributes, window=window)
            for window, watched in unwanted
        ]
        for (window, _), question in zip(unwanted, questions, strict=True):
            try:
                mask = question.reply().your_event_mask if question is not None else None
            except ServerError:  # it is not there any more
                mask = None
            if mask is not None:
                self._leaving[window] = last = select(window, mask & ~X.StructureNotifyMask)
                self._connection.wire.send(last)
            # Last: what is cut short, or not answered, is known still to be ours.
            self._watched.pop(window, None)
        for window in [window for window, last in self._leaving.items() if last.done]:
            del self._leaving[window]

    def _select(self, window: int, mask: int) -> None:
        self._connection.wire.send(select(window, mask))

    def _hear(self, message: bytes) -> bool:
        """Tell subscribers; called by the reader. Return whether the event is for them alone."""
        on, about = _WHERE.unpack_from(message)
        watched = self._watched.get(on)
        if on != about:
            return False
        if watched is None:
            return on in self._leaving and precedes(message, self._leaving[on])
        code = message[0]
        if code == X.DestroyNotify:
            watched.gone = True
        if code == X.ConfigureNotify:
            size = _SIZE.unpack_from(message)
            changed = size != watched.size
            watched.size = size
        else:
            changed = not code & _SENT
        if changed:
            for subscription in watched.subscribers:
                if code == X.ReparentNotify:
                    subscription.reparented = True
                if code == X.DestroyNotify and subscription.windows[0] == on:
                    subscription.gone = True
                if code != X.ConfigureNotify or subscription.windows[0] == on:
                    subscription.due = True
        return not watched.shared
