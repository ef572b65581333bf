"""A slow line: what goes to the client through it takes its time, and no more of it is under way than on a real one.

    with SlowLine(port, 400_000) as line:      # bytes a second, for all connections together
        open_a_page(f"http://127.0.0.1:{line.port}/")
        line.nbytes                            # that went to the clients

Segments are an Ethernet's, and the buffers a few of them: those of the loopback would hide a second of such a line.
What the client says is not slowed down.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Final, Self

_SEGMENT: Final = 1448  # bytes
_BUFFER: Final = 8 << 10  # bytes; the kernel takes twice that
_PIECE: Final = 2 << 10  # bytes that are let through at once
_PATIENCE: Final = 10.0  # seconds


class SlowLine:
    """A port of this machine that leads to another one of it. Close it, or use `with`."""

    def __init__(self, to: int, rate: float) -> None:
        self.nbytes = 0
        self._to, self._rate = to, rate
        self._free = 0.0  # when all that was let through is over
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._is_open = True
        self._listener = self._small(socket.socket())
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    def close(self) -> None:
        """Cut all connections."""
        with self._lock:
            self._is_open = False
            for each in (self._listener, *self._sockets):
                with contextlib.suppress(OSError):  # it is cut already
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)
            assert not thread.is_alive()
        for each in (self._listener, *self._sockets):
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _small(one: socket.socket) -> socket.socket:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        return one

    def _run(self, what: object, *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, name="slow line", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._small(socket.socket())
            with self._lock:
                if not self._is_open:
                    client.close()
                    server.close()
                    return
                self._sockets += [client, server]
            try:
                server.connect(("127.0.0.1", self._to))
            except OSError:  # the server has gone: so does the client
                client.shutdown(socket.SHUT_RDWR)
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._run(self._carry, server, client, True)
            self._run(self._carry, client, server, False)

    def _carry(self, source: socket.socket, target: socket.socket, is_slow: bool) -> None:
        with contextlib.suppress(OSError):  # either end may go at any time
            while piece := source.recv(_PIECE):
                if is_slow:
                    with self._lock:
                        self._free = max(self._free, time.monotonic()) + len(piece) / self._rate
                        over = self._free
                        self.nbytes += len(piece)
                    time.sleep(max(0.0, over - time.monotonic()))
                target.sendall(piece)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
