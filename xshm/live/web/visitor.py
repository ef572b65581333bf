"""Visitor: one connection to the hub's port, from its first byte on; `Visitors`, how many there may be.

Always true:

1. A connection has OPENING seconds for its request, and as many for its token, or it is closed. Of those that have not
   shown theirs the oldest goes when there are too many, so that nobody keeps others out.
2. What is received is bounded: lines, headers and messages by `websockets`, and by the limits that `serve` is given.
3. What is refused, by `websockets` too, is answered by a number, and no words but ours.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Response

from xshm.live.pages import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from websockets.http11 import Request
    from websockets.server import ServerProtocol

OPENING: Final = 5.0  # seconds
_ANSWERING: Final = 15.0  # seconds in which a page's file, or an error, is to be taken
_STRANGERS: Final = 64  # a browser opens six, for the page's files


def answer(status: HTTPStatus, more: Mapping[str, str] | None = None, words: str = "") -> Response:
    """Return an answer that is no page and no picture."""
    body = words.encode()
    headers = {**SECURITY_HEADERS, **(more or {}), "Content-Length": str(len(body)), "Connection": "close"}
    if body:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    return Response(status.value, status.phrase, Headers(headers), body)


def _reject(status: int, _words: str) -> Response:
    return answer(HTTPStatus(status))


class Visitors:
    """All connections of a hub, for its event loop alone. Those that have shown no token yet are strangers."""

    def __init__(self) -> None:
        self.all: set[Visitor] = set()
        self._strangers: dict[Visitor, None] = {}  # in the order in which they came

    def came(self, visitor: Visitor) -> None:
        """Note one, which may cost the oldest stranger its connection."""
        self.all.add(visitor)
        self._strangers[visitor] = None
        if len(self._strangers) > _STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.transport.abort()

    def is_known(self, visitor: Visitor) -> None:
        """Note that one has shown its token."""
        self._strangers.pop(visitor, None)

    def went(self, visitor: Visitor) -> None:
        """Note that one is gone."""
        self.all.discard(visitor)
        self._strangers.pop(visitor, None)


class Visitor(ServerConnection):
    """One connection: a page's file, a picture, a stream of pictures, or a WebSocket."""

    def __init__(
        self,
        protocol: ServerProtocol,
        *args: Any,
        visitors: Visitors,
        stream: Callable[[Visitor, Request], Awaitable[bool]],
        **options: Any,
    ) -> None:
        protocol.reject = _reject  # type: ignore[assignment, method-assign]  # its own has words of the library's
        super().__init__(protocol, *args, **options)
        self.visitors = visitors
        self._stream = stream

    @property
    def address(self) -> str:
        """Where it comes from."""
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    @property
    def path(self) -> str:
        """Of its request, without the query."""
        return "" if self.request is None else self.request.path.partition("?")[0]

    @property
    def is_gone(self) -> bool:
        """Whether the connection is lost."""
        return self.connection_lost_waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        super().connection_made(transport)
        self.visitors.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self.visitors.went(self)
        super().connection_lost(exc)

    async def handshake(self, *args: Any, **options: Any) -> None:
        """Wait for the request, in time; answer it, or begin a WebSocket."""
        async with asyncio.timeout(OPENING):
            await asyncio.wait([self.request_rcvd, self.connection_lost_waiter], return_when=asyncio.FIRST_COMPLETED)
        if self.request is not None and await self._stream(self, self.request):
            return
        async with asyncio.timeout(_ANSWERING):
            await super().handshake(*args, **options)

    async def write(self, data: bytes) -> None:
        """Send bytes of an answer that is no WebSocket's; return when the kernel has room for more."""
        self.transport.write(data)
        await self.drain()

    async def finish(self) -> None:
        """Close it when all that was written is sent."""
        self.transport.close()
        await asyncio.shield(self.connection_lost_waiter)
