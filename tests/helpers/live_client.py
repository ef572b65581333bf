"""A page of a live view, in Python: speaks its WebSocket, and keeps a canvas by Pillow, which shares no code with xshm.

with LiveClient(live.url) as page:
    page.watch()
    page.until_equal(pixels)                            # (height, width, 3) uint8
    page.send({"type": "ping", "id": 1})
"""

from __future__ import annotations

import contextlib
import io
import json
import struct
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm import Screen

_HEAD, _PART = struct.Struct("<BBHIHHQ"), struct.Struct("<BBHHHHHI")
_PNG = 0
SUBPROTOCOL = Subprotocol("xshm.live.1")


def fetched(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers and the body of an answer over HTTP, whatever the status."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def pixels_of(screen: Screen) -> NDArray[Any]:
    """Return what a page of a screen is to show."""
    return screen.grab().rgb().copy()


class Piece(NamedTuple):
    """A part of an update."""

    codec: int
    is_lossy: bool
    box: tuple[int, int, int, int]
    data: bytes


class Painted(NamedTuple):
    """An update: of a channel, with a number, parts, and bytes."""

    channel: int
    number: int
    size: tuple[int, int]
    changed_ns: int
    parts: list[Piece]
    nbytes: int


def parse(data: bytes) -> Painted:
    """Return an update's parts; what is left over, or lacking, is an error."""
    kind, channel, count, number, width, height, changed_ns = _HEAD.unpack_from(data)
    assert kind == 1
    parts, at = [], _HEAD.size
    for _ in range(count):
        codec, is_lossy, x, y, w, h, zero, nbytes = _PART.unpack_from(data, at)
        at += _PART.size
        assert zero == 0
        assert w > 0
        assert h > 0
        assert x + w <= width
        assert y + h <= height
        parts.append(Piece(codec, bool(is_lossy), (x, y, w, h), data[at : at + nbytes]))
        at += nbytes
    assert at == len(data)
    return Painted(channel, number, (width, height), changed_ns, parts, len(data))


class LiveClient:
    """One page; `hello` with the link's token is said at the beginning, unless there is to be another one."""

    def __init__(self, url: str, *, token: str | None = None, says_hello: bool = True, **options: Any) -> None:
        base, _, known = url.partition("/#")
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(
            connect(
                base.replace("http", "ws", 1) + "/live",
                subprotocols=[SUBPROTOCOL],
                compression=None,
                max_size=None,
                **options,
            )
        )
        self.messages: list[dict[str, Any]] = []
        self.updates: list[Painted] = []
        self.canvases: dict[int, NDArray[np.uint8]] = {}
        self.acknowledges = True
        self.lossy_pixels = 0
        if says_hello:
            self.send({"type": "hello", "token": known if token is None else token})

    def send(self, message: Any) -> None:
        """Send a message; a text or bytes as they are."""
        self._socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def watch(self, *channels: int, **how: Any) -> None:
        """Watch these, or the first."""
        self.send({"type": "watch", "channels": {str(each): {"mode": "auto", **how} for each in channels or (1,)}})

    def receive(self, seconds: float = 5) -> dict[str, Any] | Painted:
        """Take in the next message: paint and acknowledge an update, keep another one. Raises TimeoutError."""
        data = self._socket.recv(timeout=seconds)
        if isinstance(data, str):
            message: dict[str, Any] = json.loads(data)
            self.messages.append(message)
            return message
        update = parse(data)
        self.updates.append(update)
        self._paint(update)
        if self.acknowledges:
            self.send({"type": "ack", "channel": update.channel, "number": update.number})
        return update

    def until(self, kind: str, seconds: float = 5) -> dict[str, Any]:
        """Return the next message of a type."""
        end = time.monotonic() + seconds
        while True:
            found = self.receive(max(end - time.monotonic(), 0))
            if isinstance(found, dict) and found["type"] == kind:
                return found

    def until_equal(self, pixels: NDArray[Any], channel: int = 1, seconds: float = 5) -> None:
        """Take in messages until the canvas has exactly these pixels."""
        end = time.monotonic() + seconds
        while channel not in self.canvases or not np.array_equal(self.canvases[channel], pixels):
            self.receive(max(end - time.monotonic(), 0))

    def until_quiet(self, seconds: float = 0.5) -> None:
        """Take in messages until none has come for so long."""
        while True:
            try:
                self.receive(seconds)
            except TimeoutError:
                return

    def closed(self, seconds: float = 7) -> int:
        """Take in messages until the other end closes; return its code."""
        end = time.monotonic() + seconds
        try:
            while True:
                self.receive(max(end - time.monotonic(), 0))
        except ConnectionClosed as error:
            return 1006 if error.rcvd is None else int(error.rcvd.code)

    def close(self) -> None:
        """Go."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _paint(self, update: Painted) -> None:
        width, height = update.size
        canvas = self.canvases.get(update.channel)
        if canvas is None or canvas.shape != (height, width, 3):
            canvas = self.canvases[update.channel] = np.zeros((height, width, 3), np.uint8)
        for codec, is_lossy, (x, y, w, h), data in update.parts:
            with Image.open(io.BytesIO(data)) as image:
                assert image.format == ("PNG" if codec == _PNG else "JPEG")
                rgb = image.convert("RGB")
                canvas[y : y + h, x : x + w] = np.asarray(rgb if rgb.size == (w, h) else rgb.resize((w, h)))
            self.lossy_pixels += w * h if is_lossy else 0
