"""Questions that travel together: each is sent when it is made, and waited for when its answer is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.errors import BadDrawable, BadMatch, BadWindow

if TYPE_CHECKING:
    from xshm.x11.connection import Connection


class Asked:
    """A request with a reply (an rq.ReplyRequest class), on its way; any number of them share one round trip."""

    __slots__ = ("_connection", "_pending", "_request")

    def __init__(self, connection: Connection, request: Any, **fields: Any) -> None:
        self._connection = connection
        self._request = request
        self._pending = connection.send(request, **fields)

    def answer(self) -> Any:
        """Return the reply's fields, or raise the request's error. To be asked for once."""
        data = self._connection.answer(self._pending, self._request.__name__)
        reply, _ = self._request._reply.parse_binary(data, self._connection)  # noqa: SLF001 - decodes without I/O
        return reply

    def answer_if_there(self) -> Any:
        """Return the reply's fields, or None where the window that was asked about is not there any more."""
        try:
            return self.answer()
        except (BadWindow, BadDrawable, BadMatch):
            return None
