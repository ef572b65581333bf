"""Questions that travel together: each is sent when it is made, and waited for when its answer is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.errors import BadDrawable, BadMatch, BadWindow
from xshm.x11.protocol.decoding import most_of
from xshm.x11.protocol.requests import bounded_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import BoundedRequest


def packed(request: Any, keep: object = None, descriptors: Sequence[int] = (), **fields: Any) -> BoundedRequest:
    """Encode a request (an rq.Request class), to be sent by the wire; without I/O."""
    data = request._request.to_binary(**fields)  # noqa: SLF001 - encodes
    return bounded_request(most_of(request), data, keep, descriptors)


class Cookie:
    """A request with a reply (an rq.ReplyRequest class), on its way; any number of them share one round trip."""

    __slots__ = ("_connection", "_pending", "_request")

    def __init__(self, connection: Connection, request: Any, **fields: Any) -> None:
        self._connection = connection
        self._request = request
        self._pending = connection.send(request, **fields)

    def reply(self) -> Any:
        """Return the reply's fields, or raise the request's error. To be asked for once."""
        name = self._request.__name__
        data = self._connection.wait_reply(self._pending, name)
        return self._connection.decode(self._request, name, data)

    def reply_or_none(self) -> Any:
        """Return the reply's fields, or None where the window that was asked about is not there any more."""
        try:
            return self.reply()
        except (BadWindow, BadDrawable, BadMatch):
            return None
