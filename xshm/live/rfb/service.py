"""RfbService: all VNC clients of one channel, over TCP and WebSockets, behind one password.

Always true: of clients that have not given the password yet there are at most `_STRANGERS`; those beyond are ended at
once, and so are those beyond `max_clients`. Of one asyncio loop; `close` ends all clients, and returns when they have
ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from xshm.live.rfb.canvas import SharedUpdates
from xshm.live.rfb.password import Attempts, password_key
from xshm.live.rfb.pipes import TcpPipe, WebSocketPipe
from xshm.live.rfb.session import RfbSession
from xshm.system import logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from xshm.live.rfb.pipes import RfbPipe, WebSocketConnection
    from xshm.live.rfb.viewed import RfbInput, Viewed

SUBPROTOCOL: Final = "binary"  # what noVNC asks for where it asks for one
_STRANGERS: Final = 32


class RfbService:
    """A channel for VNC clients. `input_of`, where there is input, makes a client's own."""

    def __init__(
        self,
        channel: Viewed,
        password: str,
        pool: Executor,
        *,
        max_clients: int = 32,
        input_of: Callable[[], RfbInput] | None = None,
    ) -> None:
        self.channel, self._key, self._max = channel, password_key(password), max_clients
        self._attempts, self._shared = Attempts(), SharedUpdates(pool)
        self._input_of = input_of
        self._sessions: dict[RfbSession, asyncio.Task[str]] = {}
        self._ended_bytes = 0
        self._is_closed = False

    @property
    def clients(self) -> int:
        """Clients that look now."""
        return sum(session.has_entered for session in self._sessions)

    @property
    def bytes(self) -> int:
        """Bytes that were sent to all clients, those that have gone too."""
        return self._ended_bytes + sum(session.bytes for session in self._sessions)

    @property
    def encoded(self) -> int:
        """Updates that were encoded; those that several clients were sent count once."""
        return self._shared.encoded

    async def tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a TCP connection until it ends; for asyncio.start_server."""
        await self._serve(TcpPipe(reader, writer))

    async def websocket(self, connection: WebSocketConnection, address: str = "") -> None:
        """Serve a WebSocket until it ends. `address` is the client's where the connection's is a proxy's."""
        await self._serve(WebSocketPipe(connection, address))

    async def close(self) -> None:
        """End all clients."""
        self._is_closed = True
        tasks = list(self._sessions.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, pipe: RfbPipe) -> None:
        strangers = len(self._sessions) - self.clients
        if self._is_closed or strangers >= _STRANGERS or self.clients >= self._max:
            await pipe.close("there are too many clients", is_violation=False)
            return
        session = RfbSession(
            pipe, self.channel, self._key, self._attempts, self._shared, self._input_of() if self._input_of else None
        )
        task = self._sessions[session] = asyncio.ensure_future(session.run())
        try:
            why = await task
            logs.info("live", "a VNC client at %s has ended: %s", pipe.address, why)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not self._is_closed:
                raise
        finally:
            del self._sessions[session]
            self._ended_bytes += session.bytes
            if not self._sessions:
                self._shared.clear()
