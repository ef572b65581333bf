"""A live view under attack: raw ways to speak to its port, a page that looks on meanwhile, and what must not leak."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

import numpy as np
import servers
from live_client import SUBPROTOCOL, LiveClient
from painter import Painter

import xshm

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH, HEIGHT = 1237, 1019
TITLE = "s3cret <b>title</b>"
TOKEN = "a-token-of-the-tests-0123456789"  # noqa: S105 - the tests' own
WRONG = TOKEN[:-1] + "x"
PASSWORD = "pa55word"  # noqa: S105 - the tests' own
_SECRETS = (b"s3cret", TOKEN.encode(), b"1237", b"1019", PASSWORD.encode(), b"\x89PNG", b"\xff\xd8\xff", b"image/")


@contextlib.contextmanager
def attacked() -> Iterator[Target]:
    """Give a live view of a screen of its own, which has secrets and up to eight viewers."""
    with servers.start("Xvfb", WIDTH, HEIGHT) as server, xshm.Screen(server.name) as screen, Painter(server) as painter:
        painter.rectangles()
        with screen.live(token=TOKEN, title=TITLE, vnc_password=PASSWORD, max_viewers=8) as live:
            target = Target(live, painter, server.name)
            try:
                yield target
            finally:
                target.close()


def check_that_nothing_is_in(answer: bytes) -> None:
    """Fail where bytes are of the screen, or say more than a refusal should."""
    assert not [each for each in _SECRETS if each in answer]
    if answer.startswith(b"HTTP/"):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"\nServer:" not in head
        assert b"\nSet-Cookie" not in head
        if b" 101 " not in head and b" 421 " not in head:
            assert not body.partition(b"HTTP/1.1")[0], "a refusal says nothing but its number"


def hello(token: object = TOKEN) -> str:
    """Return a page's first message."""
    return json.dumps({"type": "hello", "token": token})


class Target:
    """The view that is attacked, and a page that looks at it all the while."""

    def __init__(self, live: xshm.LiveView, painter: Painter, display: str) -> None:
        self.live = live
        self.display = display
        self.port = int(live.url.partition("/#")[0].rpartition(":")[2])
        self._painter = painter
        self._page = LiveClient(live.url)
        self._page.watch()
        self._page.until_quiet(0.3)
        self._shade = 0

    def check_that_it_goes_on(self) -> None:
        self._shade = (self._shade + 1) % 250
        self._painter.fill((0, 0, 20, 20), (self._shade, 0, 99))
        end = time.monotonic() + 3
        while not np.array_equal(self._page.canvases[1][5, 5], (self._shade, 0, 99)):
            self._page.receive(max(end - time.monotonic(), 0))

    def forget_guesses(self) -> None:
        """Have the next wrong token answered at once."""
        assert self.live._hub is not None
        self.live._hub._audience.access._failures.clear()

    def close(self) -> None:
        self._page.close()

    # -- ways to speak to it -------------------------------------------------------------------------------------------

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def talk(self, request: str | bytes, seconds: float = 3) -> bytes:
        """Send bytes, and return all that comes until the other end closes, or nothing more does."""
        with self.connect() as sock:
            sock.settimeout(seconds)
            with contextlib.suppress(ConnectionError):
                sock.sendall(request.encode() if isinstance(request, str) else request)
            return all_of(sock)

    def get(
        self,
        path: str,
        *headers: str,
        method: str = "GET",
        host: str | None = None,
        version: str = "1.1",
        seconds: float = 3,
    ) -> bytes:
        host = f"127.0.0.1:{self.port}" if host is None else host
        lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *headers]
        return self.talk("\r\n".join(lines) + "\r\n\r\n", seconds)

    def upgrade(
        self,
        path: str = "/live",
        *headers: str,
        host: str | None = None,
        subprotocol: str = SUBPROTOCOL,
        seconds: float = 3,
    ) -> bytes:
        return self.get(path, *upgrade_headers(*headers, subprotocol=subprotocol), host=host, seconds=seconds)

    def websocket(self, *messages: str | bytes, then: float = 3, frames: bytes | None = None) -> bytes:
        """Open a WebSocket, send messages, or raw frames; return all that comes until it is closed."""
        with self.connect() as sock:
            sock.settimeout(then)
            head = [f"GET /live HTTP/1.1\r\nHost: localhost:{self.port}", *upgrade_headers()]
            sock.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += sock.recv(1 << 16)
            raw = b"".join(frame(each) for each in messages) if frames is None else frames
            with contextlib.suppress(ConnectionError):
                sock.sendall(raw)
            return all_of(sock, answer)


def all_of(sock: socket.socket, found: bytes = b"") -> bytes:
    """Return all that comes until the other end closes; of a WebSocket with the frame that says so."""
    is_websocket = bool(found)
    with contextlib.suppress(TimeoutError, ConnectionError):
        while not (is_websocket and close_code(found)) and (piece := sock.recv(1 << 16)):
            found += piece
    return found


def upgrade_headers(*headers: str, subprotocol: str = SUBPROTOCOL) -> list[str]:
    key = base64.b64encode(os.urandom(16)).decode()
    more = [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
    head = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    return [*head, *more, *headers]


def frame(
    payload: str | bytes, *, opcode: int | None = None, is_last: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    opcode = (1 if isinstance(payload, str) else 2) if opcode is None else opcode
    head = struct.pack("!B", (0x80 if is_last else 0) | rsv | opcode)
    mask = 0x80 if masked else 0
    if len(data) < 126:
        head += struct.pack("!B", mask | len(data))
    elif len(data) < 1 << 16:
        head += struct.pack("!BH", mask | 126, len(data))
    else:
        head += struct.pack("!BQ", mask | 127, len(data))
    return head + (b"\0\0\0\0" if masked else b"") + data


def close_code(answer: bytes) -> int:
    """Return the code of the close frame that an answer ends with; 0: there is none."""
    _, _, frames = answer.partition(b"\r\n\r\n")
    at = 0
    while at + 2 <= len(frames):
        opcode, size = frames[at] & 15, frames[at + 1] & 127
        at += 2
        if size == 126:
            size, at = int.from_bytes(frames[at : at + 2], "big"), at + 2
        elif size == 127:
            size, at = int.from_bytes(frames[at : at + 8], "big"), at + 8
        if opcode == 8:
            return int.from_bytes(frames[at : at + 2], "big")
        at += size
    return 0


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
