"""A relay between a client and a server that counts round trips: the client sends after the server has replied.

    with relayed(server) as relay, xshm.Screen(relay.name) as screen:
        before = relay.round_trips
        screen.grab()
        assert relay.round_trips == before + 1

It passes bytes only, no descriptors.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server


class Relay:
    """Passes one connection on. `name` is the display to connect to, `round_trips` their number so far."""

    def __init__(self, server: Server, home: Path) -> None:
        path = home / "X7"
        self.name = str(path)
        self.round_trips = 0
        self.nbytes = 0  # from the client
        self._server = f"/tmp/.X11-unix/X{server.name.removeprefix(':')}"  # noqa: S108 - where X servers listen
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._listener, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stop, selectors.EVENT_READ)
            if any(key.fileobj == self._stop for key, _ in selector.select()):
                return
            client, _ = self._listener.accept()
            selector.unregister(self._listener)
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(self._server)
                selector.register(client, selectors.EVENT_READ)
                selector.register(server, selectors.EVENT_READ)
                self._pass_on(selector, client, server)

    def _pass_on(self, selector: selectors.BaseSelector, client: socket.socket, server: socket.socket) -> None:
        answered = True
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if self._stop in ready:
                return
            # The server first: what it has sent was sent before the client's next bytes are passed on.
            for source, target in ((server, client), (client, server)):
                if source not in ready:
                    continue
                data = source.recv(1 << 20)
                if not data:
                    return
                self.round_trips += source is client and answered
                self.nbytes += len(data) if source is client else 0
                answered = source is server
                target.sendall(data)

    def close(self) -> None:
        """End the connection."""
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)


@contextlib.contextmanager
def relayed(server: Server) -> Iterator[Relay]:
    """Put a relay in front of a server."""
    with tempfile.TemporaryDirectory() as home, contextlib.closing(Relay(server, Path(home))) as relay:
        yield relay
