"""Hearing of windows that come, and of what they are called, with a window manager and without (core protocol)."""

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
    """Watches every window that can be a program's own: the root's children, and theirs inside of a manager's frames.

    For a connection that is used for nothing else: what it had selected on these windows is replaced.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heard: set[int] = set()  # windows whose events we have asked for
        self._routes = [EventRoute(code, lambda _message: True, most=1) for code in _CODES]
        for route in self._routes:
            connection.wire.add_route(route)
        self._listen()

    def wait(self, other: int, deadline: float) -> bool:
        """Wait until a window was made, mapped or renamed since the last call; what is looked up then is no older.

        False when the deadline (time.monotonic) has passed, or when the descriptor `other` has something to tell.
        """
        watched = (self._connection.fileno(), other)
        while not any(route.queue for route in self._routes):
            fired = readable(watched, deadline - time.monotonic())
            if not fired or other in fired:
                return False
            self._connection.wire.pump()
            if time.monotonic() >= deadline and not any(route.queue for route in self._routes):
                return False  # there is always something to read, of other kinds
        self._listen()
        return True

    def _listen(self) -> None:
        """Ask for the events of windows that are new; what happens to them from then on is heard of."""
        for route in self._routes:
            route.queue.clear()
        for top in self._children(self._connection.setup.root.id):
            for window in self._children(top):
                self._children(window)

    def _children(self, window: int) -> list[int]:
        if window not in self._heard:
            self._heard.add(window)
            self._connection.send(core.ChangeWindowAttributes, window=window, attrs={"event_mask": _EVENTS})
        try:
            return [child.id for child in self._connection.request(core.QueryTree, window=window).children]
        except ServerError:
            return []  # it was destroyed meanwhile
