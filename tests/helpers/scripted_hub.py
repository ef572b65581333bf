"""A hub whose part a test plays: it serves the live view's page, and says to its viewers what the test has it say.

    with ScriptedHub() as hub:
        page.open(hub.url)
        viewer = hub.viewer()          # has said hello
        viewer.welcome(channel(1))
        viewer.send(pack_update(...))
        assert viewer.read() == {...}

What pages send is kept in order; `read` waits for the next message, `until` for one of a type.
"""

from __future__ import annotations

import io
import json
import queue
import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

from xshm.geometry import Rect
from xshm.live.messages import SUBPROTOCOL, WEBSOCKET_PATH, Codec, Part, Update, pack_update
from xshm.live.pages import page

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from websockets.http11 import Request

TOKEN = "a-token-of-24-characters"  # noqa: S105
_TIMEOUT = 20  # seconds


class Viewer:
    """A page that is connected: what it says, and what is said to it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.hello: dict[str, Any] = {}
        self._number = 0

    def listen(self, arrived: queue.SimpleQueue[Viewer]) -> None:
        """Keep what the page says, until it goes."""
        try:
            self.hello = json.loads(self._connection.recv())
            arrived.put(self)
            for message in self._connection:
                self._said.put(json.loads(message))
        except ConnectionClosed:
            pass
        self._said.put(None)

    def say(self, **message: Any) -> None:
        """Send a message."""
        self._connection.send(json.dumps(message))

    def welcome(self, *channels: dict[str, Any], title: str = ":99", **more: Any) -> None:
        """Say that it is welcome, and what there is to see."""
        self.say(type="welcome", title=title, **{"input": False, "video": False} | more, channels=channels)

    def draw(
        self, size: tuple[int, int], *parts: Part, channel: int = 1, number: int | None = None, changed_ns: int = 1
    ) -> int:
        """Send an Update, and return its number."""
        self._number = self._number + 1 if number is None else number
        self.send(pack_update(channel, self._number, Update(size, changed_ns, parts)))
        return self._number

    def send(self, data: bytes) -> None:
        """Send a binary message."""
        self._connection.send(data)

    def read(self) -> dict[str, Any] | None:
        """Return the next message; None: the page is gone."""
        return self._said.get(timeout=_TIMEOUT)

    def until(self, kind: str) -> dict[str, Any]:
        """Return the next message of a type; those before it are gone."""
        while (message := self.read()) is not None:
            if message["type"] == kind:
                return message
        raise AssertionError(f"the page went without a {kind}")

    def is_quiet(self, seconds: float) -> bool:
        """Return whether the page says nothing for so long."""
        try:
            self._said.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def close(self, code: int = 1000) -> None:
        """Close the connection."""
        self._connection.close(code)


class ScriptedHub:
    """The hub: HTTP and WebSocket on a port of 127.0.0.1."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Viewer] = queue.SimpleQueue()
        self.requests: list[str] = []
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; again, on the same port, after `stop`."""
        self._server = serve(
            self._serve,
            "127.0.0.1",
            self.port,
            process_request=self._answer,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            compression=None,
            open_timeout=1,  # browsers connect before they have something to ask for, and `stop` waits for these, too
            close_timeout=1,
        )
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections, and listen no longer."""
        self._server.shutdown()
        self._thread.join()

    @property
    def url(self) -> str:
        """The link."""
        return f"http://127.0.0.1:{self.port}/#{TOKEN}"

    def viewer(self) -> Viewer:
        """Return the next page that says hello."""
        return self._arrived.get(timeout=_TIMEOUT)

    def _serve(self, connection: ServerConnection) -> None:
        Viewer(connection).listen(self._arrived)

    def _answer(self, _connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request.path)
        if request.path == WEBSOCKET_PATH:
            return None
        found = page(request.path)
        if found is None:
            return Response(404, "Not Found", Headers({"Content-Length": "0"}))
        body, headers = found
        return Response(200, "OK", Headers(headers | {"Connection": "close"}), body)


def channel(number: int = 1, size: tuple[int, int] = (320, 200), **more: Any) -> dict[str, Any]:
    """Return what the hub says of a channel."""
    found = {
        "id": number,
        "title": f":{98 + number}",
        "width": size[0],
        "height": size[1],
        "state": "live",
        "words": "",
    }
    return found | more


def part(rgb: NDArray[np.uint8], x: int = 0, y: int = 0, codec: Codec = Codec.PNG, rect: Rect | None = None) -> Part:
    """Return a Part of a picture at a place."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, codec.name, **({"quality": 90} if codec is Codec.JPEG else {}))
    return Part(codec, codec is Codec.JPEG, rect or Rect(x, y, rgb.shape[1], rgb.shape[0]), file.getvalue())


def noise(size: tuple[int, int], seed: int = 1) -> NDArray[np.uint8]:
    """Return a picture in which no two rectangles are the same."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
