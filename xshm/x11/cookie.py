"""Cookies: requests in flight, each of which returns its reply when asked (the word is xcb's and x11rb's).

The request is queued when its cookie is made, and waited for by `reply`. So any number of requests share one round
trip: make all cookies first, then call `reply` on each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.errors import BadDrawable, BadMatch, BadWindow

if TYPE_CHECKING:
    from xshm.x11.connection import Connection


class Cookie:
    """One request with a reply (an rq.ReplyRequest class of python-xlib's kind), queued on `connection`."""

    __slots__ = ("_connection", "_pending", "_request")

    def __init__(self, connection: Connection, request: Any, **fields: Any) -> None:
        self._connection = connection
        self._request = request
        self._pending = connection.send(request, **fields)  # queued: no round trip yet

    def reply(self) -> Any:
        """Wait for the reply and return its fields, or raise the request's error. To be called once."""
        name = self._request.__name__  # begins the messages of errors
        data = self._connection.wait_reply(self._pending, name)
        return self._connection.decode(self._request, name, data)

    def reply_or_none(self) -> Any:
        """Return the reply's fields, or None where the window or drawable in the request does not exist any more."""
        try:
            return self.reply()
        except (BadWindow, BadDrawable, BadMatch):
            return None
