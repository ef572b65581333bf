"""The link of a live view, opened by a few lines instead of a browser; and the command `xshm live`, started for it.

with LiveCommand(":99") as command, Opened(command.link) as page:
    page.until(lambda: page.states == ["live"])
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import ssl
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from PIL import Image
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD: Final = struct.Struct("<BBHIHHQ")
_PART: Final = struct.Struct("<BBHHHHHI")
XSHM: Final = (sys.executable, "-m", "xshm")


class Opened:
    """All screens of a link, exactly; `certificate` is the file of the one who is to be at its other end."""

    def __init__(self, link: str, certificate: str | None = None) -> None:
        base, _, token = link.partition("#")
        trust = None if certificate is None else ssl.create_default_context(cafile=certificate)
        address = base.rstrip("/").replace("http", "ws", 1) + "/live"
        spoken: Any = ["xshm.live.1"]
        self._connecting = connect(address, subprotocols=spoken, compression=None, max_size=None, ssl=trust)
        self._socket = self._connecting.__enter__()
        self.canvases: dict[int, Any] = {}
        self.channels: list[dict[str, Any]] = []
        self.title = ""
        self._say(type="hello", token=token)
        self.until(lambda: bool(self.channels))
        wanted = {str(each["id"]): {"width": 4096, "mode": "exact"} for each in self.channels}
        self._say(type="watch", channels=wanted)

    @property
    def states(self) -> list[str]:
        """The state of each screen."""
        return [each["state"] for each in self.channels]

    @property
    def titles(self) -> list[str]:
        """The title of each screen."""
        return [each["title"] for each in self.channels]

    @property
    def words(self) -> str:
        """What is said about the first screen."""
        return str(self.channels[0]["words"])

    def colour(self, channel: int = 1) -> tuple[int, ...] | None:
        """Return the colour of a screen's last pixel, once there was a picture."""
        return tuple(self.canvases[channel][-1, -1].tolist()) if channel in self.canvases else None

    def until(self, condition: Callable[[], bool], patience: float = 15.0) -> None:
        """Take what comes until a condition holds."""
        end = time.monotonic() + patience
        while not condition():
            left = end - time.monotonic()
            assert left > 0, f"it did not come: {self.channels}"
            with suppress(TimeoutError):
                self._take(self._socket.recv(left))

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            _, channel, parts, number, width, height, _ = _HEAD.unpack_from(message)
            canvas = self.canvases.get(channel)
            if canvas is None or canvas.shape[:2] != (height, width):
                canvas = self.canvases[channel] = np.zeros((height, width, 3), np.uint8)
            at = _HEAD.size
            for _ in range(parts):
                _, _, x, y, wide, high, _, nbytes = _PART.unpack_from(message, at)
                at += _PART.size + nbytes
                picture = Image.open(io.BytesIO(message[at - nbytes : at]))
                canvas[y : y + high, x : x + wide] = np.asarray(picture.convert("RGB"))
            self._say(type="ack", channel=channel, number=number)
            return
        told = json.loads(message)
        if told["type"] in ("welcome", "channels"):
            self.channels = told["channels"]
            self.title = told.get("title", self.title)
        elif told["type"] == "channel":
            self.channels = [told["channel"] if each["id"] == told["channel"]["id"] else each for each in self.channels]

    def _say(self, **message: Any) -> None:
        self._socket.send(json.dumps(message))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connecting.__exit__(None, None, None)


class LiveCommand:
    """`xshm` with these words, from the first line that it prints, which is its `link`; killed on leaving.

    The link of `run` is on standard error, behind a few words.
    """

    def __init__(self, *words: str, env: dict[str, str] | None = None, stdin: int | None = None) -> None:
        pipes: Any = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        is_run = words[:1] == ("run",)
        words = words if is_run else ("live", *words)
        self.process = subprocess.Popen([*XSHM, *words], env=env, **pipes)
        first = self.process.stderr if is_run else self.process.stdout
        assert first is not None
        ready, _, _ = select.select([first], [], [], 20)
        assert ready, "no link came"
        self.link = first.readline().strip().rpartition(" ")[2]

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return exit code, and what else was printed."""
        os.kill(self.process.pid, number)
        return self.rest()

    def rest(self, typed: str | None = None) -> tuple[int, str, str]:
        """Wait for the end; return exit code, and what else was printed. `typed` goes to its standard input."""
        out, error = self.process.communicate(typed, timeout=20)
        return self.process.returncode, out, error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
