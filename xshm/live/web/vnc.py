"""VNC clients of a audience, over TCP and at /rfb: one service for each channel, behind the view's VNC password."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xshm.live.rfb.service import RfbService
from xshm.live.web.routes import channel_of

if TYPE_CHECKING:
    import socket

    from xshm.live.web.audience import Audience
    from xshm.live.web.visitor import Visitor


class VncClients:
    """For the hub's event loop, but for what is counted."""

    def __init__(self, audience: Audience, password: str, most: int) -> None:
        self._audience, self._password, self._most = audience, password, most
        self._services: dict[int, RfbService] = {}  # by channel
        self._server: asyncio.Server | None = None
        self.writers: set[asyncio.StreamWriter] = set()  # those over TCP

    @property
    def count(self) -> int:
        """How many look."""
        return sum(each.clients for each in list(self._services.values()))

    @property
    def bytes(self) -> int:
        """Bytes that they were sent."""
        return sum(each.bytes for each in list(self._services.values()))

    async def listen(self, listening: socket.socket) -> None:
        """Serve clients over TCP, too: they see the first channel."""
        self._server = await asyncio.start_server(self._handle, sock=listening)

    async def websocket(self, visitor: Visitor) -> None:
        """Serve a client at /rfb until it goes."""
        visitor.visitors.is_known(visitor)  # the service has bounds of its own
        service = self._service(channel_of(visitor.request, self._audience.shown))
        if service is not None:
            await service.websocket(visitor)

    async def close(self) -> None:
        """End all clients; `abort` the rest."""
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*(each.close() for each in self._services.values()))

    def abort(self) -> None:
        """Close all connections over TCP, whatever waits to be sent."""
        for writer in self.writers:
            writer.transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            service = self._service(min(self._audience.shown, default=0))
            if service is not None:
                await service.tcp(reader, writer)
        finally:
            self.writers.discard(writer)
            writer.transport.abort()

    def _service(self, number: int) -> RfbService | None:
        """Return what serves a channel; None where there is none of that number."""
        shown = self._audience.shown.get(number)
        if shown is None:
            return None
        service = self._services.get(number)
        if service is None or service.channel is not shown.channel:
            audience = self._audience
            service = self._services[number] = RfbService(
                shown.channel,
                self._password,
                audience.pool,
                max_clients=self._most,
            )
        return service
