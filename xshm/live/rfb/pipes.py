"""What a session reads from and writes to: a TCP connection, or a WebSocket with binary messages.

Always true: `write` returns when nearly all has been handed to the kernel, so what waits here is one update at most;
and it raises PipeClosed where nothing was taken for `_STALLED` seconds. `read` returns b"" at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from xshm.live.rfb.wire import RfbViolation

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

_PIECE: Final = 1 << 16  # bytes read at once
_STALLED: Final = 60.0  # seconds
_HIGH_WATER: Final = 1 << 16  # bytes that wait in this process before `write` waits
_CLOSING: Final = 1.0  # seconds
_UNSENT: Final = 1 << 17  # bytes that wait in the kernel: what is sent is to be new when it arrives
_MESSAGE: Final = 1 << 18  # bytes
_POLICY_VIOLATION: Final = 1008
_GOING_AWAY: Final = 1001
_LONGEST_REASON: Final = 120  # bytes, of a WebSocket's close frame


class PipeClosed(Exception):
    """The client has gone, or takes nothing."""


class RfbPipe(Protocol):
    """Bytes to and from a client."""

    address: str

    async def read(self) -> bytes:
        """Return what has come, b"" at the end."""

    async def write(self, data: bytes) -> None:
        """Send, and wait until nearly all was taken."""

    async def close(self, words: str, *, is_violation: bool) -> None:
        """End it, and say why where there is a place for that."""


class TcpPipe:
    """A TCP connection, by asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        peer = writer.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else "local"
        writer.transport.set_write_buffer_limits(high=_HIGH_WATER)
        found: socket.socket | None = writer.get_extra_info("socket")
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            with contextlib.suppress(OSError):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)

    async def read(self) -> bytes:
        """Return what has come, b"" at the end."""
        try:
            return await self._reader.read(_PIECE)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send."""
        transport = self._writer.transport
        try:
            self._writer.write(data)
            while True:
                waiting = transport.get_write_buffer_size()
                try:
                    async with asyncio.timeout(_STALLED):  # not wait_for, which in Python 3.11 loses a cancellation
                        await self._writer.drain()
                except TimeoutError:
                    if transport.get_write_buffer_size() >= waiting:
                        transport.abort()
                        raise PipeClosed(f"nothing was taken for {_STALLED:.0f} seconds") from None
                    continue
                return
        except OSError as error:
            raise PipeClosed(str(error)) from None

    async def close(self, words: str, *, is_violation: bool) -> None:  # noqa: ARG002 - TCP has no place for words
        """End the connection; what was written before still arrives where the client reads."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSING):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()


class WebSocketConnection(Protocol):
    """`websockets.asyncio.server.ServerConnection`."""

    @property
    def remote_address(self) -> Any:
        """The address, and more."""

    async def recv(self, decode: bool | None = None) -> Any:
        """Return the next message."""

    async def send(self, message: bytes | AsyncIterable[bytes]) -> None:
        """Send a message."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End it, and say why where there is a place for that."""


class WebSocketPipe:
    """A WebSocket; the bytes of its binary messages, however they are cut, are RFB's."""

    def __init__(self, connection: WebSocketConnection, address: str = "") -> None:
        self._connection = connection
        peer = connection.remote_address
        self.address = address or (str(peer[0]) if isinstance(peer, tuple) else "local")

    async def read(self) -> bytes:
        """Return the next message that is not empty, b"" at the end."""
        while True:
            try:
                data = await self._connection.recv()
            except Exception as error:
                if isinstance(error, OSError) or _is_closed(error):
                    return b""
                raise
            if isinstance(data, str):
                raise RfbViolation("a text message, where RFB is binary")
            if data:
                return bytes(data)

    async def write(self, data: bytes) -> None:
        """Send, in messages of which each is taken in time on a line that is merely slow."""
        try:
            for start in range(0, len(data), _MESSAGE):
                async with asyncio.timeout(_STALLED):
                    await self._connection.send(data[start : start + _MESSAGE])
        except TimeoutError:
            raise PipeClosed(f"nothing was taken for {_STALLED:.0f} seconds") from None
        except Exception as error:
            if isinstance(error, OSError) or _is_closed(error):
                raise PipeClosed(str(error)) from None
            raise

    async def close(self, words: str, *, is_violation: bool) -> None:
        """End the connection, and say why."""
        reason = words.encode()[:_LONGEST_REASON].decode(errors="ignore")
        await self._connection.close(_POLICY_VIOLATION if is_violation else _GOING_AWAY, reason)


def _is_closed(error: Exception) -> bool:
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - an extra's, loaded where one is served

    return isinstance(error, ConnectionClosed)
