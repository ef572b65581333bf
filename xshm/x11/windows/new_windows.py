"""Events when windows appear or get another title, with a window manager and without (core protocol).

With a window manager, a program's window is two or three levels below the root, inside of frames. Its mapping and title
are reported only to clients that have selected events on the window itself or its parent. So events are selected on the
root window, its children and their children, and again on each window that is new there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from Xlib import X

from xshm.errors import ServerError
from xshm.system.polling import readable
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import EventRoute

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_EVENTS: Final = X.StructureNotifyMask | X.SubstructureNotifyMask | X.PropertyChangeMask
_CODES: Final = (X.CreateNotify, X.MapNotify, X.PropertyNotify)


class NewWindowWatch:
    """The events of every window that can be a program's own: children of the root, and theirs inside of frames.

    For a connection that is used for nothing else: the events that it had selected on these windows are replaced.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._selected: set[int] = set()  # windows whose events were selected
        self._routes = [EventRoute(code, lambda _message: True, most=1) for code in _CODES]
        for route in self._routes:
            connection.wire.add_route(route)
        self._select_new()

    def wait(self, other: int, deadline: float) -> bool:
        """Wait until a window was created, mapped or renamed since the last call; a query after it sees that window.

        Return False after the deadline (time.monotonic), or when the descriptor `other` is readable.
        """
        watched = (self._connection.fileno(), other)
        while not any(route.queue for route in self._routes):
            fired = readable(watched, deadline - time.monotonic())
            if not fired or other in fired:
                return False
            self._connection.wire.pump()
            if time.monotonic() >= deadline and not any(route.queue for route in self._routes):
                return False  # other events may arrive without end
        self._select_new()
        return True

    def _select_new(self) -> None:
        """Clear the queues, then select the events of new windows: an event from now on is in a queue."""
        # Cleared first: an event that arrives while windows are queried makes the next `wait` return.
        for route in self._routes:
            route.queue.clear()
        for top in self._children(self._connection.setup.root.id):
            for window in self._children(top):
                self._children(window)

    def _children(self, window: int) -> list[int]:
        """Select the events of a window and return its children, in this order: a child made later causes an event."""
        if window not in self._selected:
            self._selected.add(window)
            self._connection.send(core.ChangeWindowAttributes, window=window, attrs={"event_mask": _EVENTS})
        try:
            return [child.id for child in self._connection.request(core.QueryTree, window=window).children]
        except ServerError:
            return []  # the window was destroyed after its parent was queried
