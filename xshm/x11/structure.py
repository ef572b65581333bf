"""Word of windows that are mapped, unmapped, resized, reparented or destroyed (StructureNotify, core protocol).

Any number of subscribers share one selection for each window. What others on this connection have selected on it,
through python-xlib's objects, stays selected, and the events that they asked for still reach them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from Xlib import X

from xshm.errors import ServerError
from xshm.x11 import core
from xshm.x11.messages import precedes
from xshm.x11.replies import Asked, packed
from xshm.x11.wire import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.x11.connection import Connection
    from xshm.x11.messages import Pending

_CODES: Final = (X.DestroyNotify, X.UnmapNotify, X.MapNotify, X.ReparentNotify, X.ConfigureNotify)
_SENT: Final = 0x80  # SendEvent: a window manager's word on where the window is, which is no change of it
_WHERE = struct.Struct("=4xII")  # the window it was selected on, the window it is about
_SIZE = struct.Struct("=20xHHH")  # ConfigureNotify: width, height, border width


def select(window: int, mask: int) -> Pending:
    """Make the request that says which events of a window this connection is told."""
    return packed(core.ChangeWindowAttributes, window=window, attrs={"event_mask": mask})


class Subscription:
    """What one subscriber has to know: `due` after a change, `gone` once the window was destroyed.

    `reparented` where the ancestors are other ones since, `reshaped` where the bounding shape is (`x11.shape`). Once it
    is gone it stays so, whatever has its id since then.
    """

    __slots__ = ("due", "gone", "reparented", "reshaped", "windows")

    def __init__(self, windows: Sequence[int]) -> None:
        self.windows = tuple(windows)  # the window itself, then its ancestors
        self.due = True
        self.gone = False
        self.reparented = False
        self.reshaped = True


class _Watched:
    """A window on which StructureNotify is selected. `shared`: others on this connection want the events too.

    `gone`: it was destroyed, and the selection with it; another window may have its id.
    """

    __slots__ = ("gone", "shared", "size", "subscribers")

    def __init__(self, *, shared: bool) -> None:
        self.gone = False
        self.shared = shared
        self.size: tuple[int, ...] | None = None
        self.subscribers: tuple[Subscription, ...] = ()


class StructureEvents:
    """All subscriptions of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watched: dict[int, _Watched] = {}
        # Windows that nobody watches any more, and the request before which the server may still tell of them.
        self._leaving: dict[int, Pending] = {}
        self._routes: tuple[Route, ...] = ()

    def subscribe(self, windows: Sequence[int]) -> Subscription:
        """Watch a window (the first) and its ancestors; `due` is set to begin with, and on every change from now on."""
        if not self._routes:
            self._routes = tuple(Route(code, self._hear, most=1) for code in _CODES)
            for route in self._routes:
                self._connection.wire.add_route(route)
        subscription = Subscription(windows)
        new = [window for window in windows if window not in self._watched or self._watched[window].gone]
        asked = [Asked(self._connection, core.GetWindowAttributes, window=window) for window in new]
        for window, question in zip(new, asked, strict=True):
            attributes = question.answer_if_there()
            mask = attributes.your_event_mask if attributes is not None else 0
            self._watched[window] = _Watched(shared=bool(mask & X.StructureNotifyMask))
            self._select(window, mask | X.StructureNotifyMask)
        for window in windows:
            self._watched[window].subscribers += (subscription,)
        if self._watched[windows[0]].gone:  # which was heard of before there was somebody to tell
            subscription.gone = True
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop watching for this subscriber, and deselect where it was the last."""
        left = []
        for window in subscription.windows:
            watched = self._watched.get(window)
            if watched is None or subscription not in watched.subscribers:
                continue  # it was of a window that had the id before
            watched.subscribers = tuple(other for other in watched.subscribers if other is not subscription)
            if not watched.subscribers:
                if watched.shared or watched.gone:
                    del self._watched[window]
                    continue
                left.append((window, Asked(self._connection, core.GetWindowAttributes, window=window)))
        for window, question in left:
            try:
                mask = question.answer().your_event_mask & ~X.StructureNotifyMask
            except ServerError:  # it is not there any more
                del self._watched[window]
                continue
            self._leaving[window] = last = select(window, mask)
            # Last: where the server does not answer it is known still that the window's events are ours.
            del self._watched[window]
            self._connection.wire.send(last)
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
