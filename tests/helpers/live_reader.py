"""A viewer of a live view without a browser: takes the hub's messages by their documented layout, and Pillow.

with LiveReader(live.url) as reader:
    reader.read_until(lambda: reader.number == 5)
    reader.canvas                              # (height, width, 3) uint8

python live_reader.py LINK                     # prints each number that it comes to see, until it is ended
"""

from __future__ import annotations

import contextlib
import io
import json
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from counter_screen import counter_in
from PIL import Image
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD: Final = struct.Struct("<BBHIHHQ")
_PART: Final = struct.Struct("<BBHHHHHI")
_PICTURES: Final = {0: "PNG", 1: "JPEG"}


class LiveReader:
    """One viewer of a view's first screen. Close it, or use `with`."""

    def __init__(self, link: str, mode: str = "auto") -> None:
        base, _, token = link.partition("#")
        self.canvas = np.zeros((0, 0, 3), np.uint8)
        self.seen: list[tuple[int, float]] = []  # the counter's numbers, and when (ms of CLOCK_MONOTONIC)
        self.is_lossy = np.zeros((0, 0), bool)  # where what is shown is near what the screen has, not it
        self.updates = self.nbytes = 0
        self.told: list[dict[str, Any]] = []  # what else the hub has said
        url = base.rstrip("/").replace("http", "ws", 1) + "/live"
        self._open = contextlib.ExitStack()
        self._socket = self._open.enter_context(
            connect(url, subprotocols=["xshm.live.1"], compression=None, max_size=None)  # type: ignore[list-item]
        )
        self._say(type="hello", token=token)
        self._say(type="watch", channels={"1": {"width": 10_000, "mode": mode}})

    @property
    def number(self) -> int | None:
        """The counter's number on the canvas, if there was one."""
        return self.seen[-1][0] if self.seen else None

    def read(self, timeout: float) -> bool:
        """Take one message; return False where none came in that time."""
        try:
            message = self._socket.recv(timeout)
        except TimeoutError:
            return False
        if isinstance(message, str):
            self.told.append(json.loads(message))
            return True
        self.nbytes += len(message)
        self.updates += 1
        _, channel, parts, number, width, height, _ = _HEAD.unpack_from(message)
        if self.canvas.shape[:2] != (height, width):
            self.canvas = np.zeros((height, width, 3), np.uint8)
            self.is_lossy = np.zeros((height, width), bool)
        at = _HEAD.size
        for _ in range(parts):
            codec, lossy, x, y, wide, high, _, nbytes = _PART.unpack_from(message, at)
            at += _PART.size
            with Image.open(io.BytesIO(message[at : at + nbytes]), formats=[_PICTURES[codec]]) as picture:
                pixels = np.asarray(picture.convert("RGB").resize((wide, high)))
            self.canvas[y : y + high, x : x + wide] = pixels
            self.is_lossy[y : y + high, x : x + wide] = bool(lossy)
            at += nbytes
        assert at == len(message)
        self._note()
        self._say(type="ack", channel=channel, number=number)
        return True

    def read_for(self, seconds: float) -> None:
        """Take what comes in a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def read_until(self, condition: Callable[[], bool], patience: float = 20.0) -> None:
        """Take what comes until a condition holds. Raises TimeoutError."""
        end = time.monotonic() + patience
        while not condition():
            left = end - time.monotonic()
            if left < 0:
                raise TimeoutError(f"the last number is {self.number}, after {self.updates} updates")
            self.read(left)

    def close(self) -> None:
        """Go away."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _say(self, **message: Any) -> None:
        self._socket.send(json.dumps(message))

    def _note(self) -> None:
        try:
            number = counter_in(self.canvas)
        except (AssertionError, IndexError):  # none is there
            return
        if number != self.number:
            self.seen.append((number, time.monotonic_ns() / 1e6))


if __name__ == "__main__":
    with LiveReader(sys.argv[1]) as viewer:
        while True:
            before = viewer.number
            viewer.read(60)
            if viewer.number != before:
                print(viewer.number, flush=True)
