"""Paints what a live view has to show, with a number in each picture: the worker of live.py.

It reads commands from its standard input, and answers each with a line of JSON:

    prepare WORKLOAD         all of its pictures are on the server          {"x": …, "y": …, "bits": …} of the number
    paint WORKLOAD RATE      the first picture is painted, and so on        {}
    rest                     nothing is painted any more                    {number: CLOCK_MONOTONIC in ns}

A picture and its number are put together aside and come on the screen by one CopyArea, so that no view has one without
the other. A number's time is before that request is sent: the server's copying counts as the view's.
"""

from __future__ import annotations

import json
import select
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from recorders import Canvas, film, page

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE: Final = (1920, 1080)
BITS: Final = 12
_EDGE: Final = 16  # pixels of one of the number's squares
_LINES: Final = 7  # pixels by which a page scrolls


class Painter:
    """One screen, and the pictures of all workloads that were asked for."""

    def __init__(self) -> None:
        self._canvas = Canvas()
        self._aside = self._canvas.root.create_pixmap(*SIZE, 24)
        self._still = self._canvas.upload(page(SIZE[1]))
        self._prepared: dict[str, tuple[Callable[[int], None], tuple[int, int], tuple[int, int]]] = {}
        self._painted: dict[int, int] = {}
        self._number = 0
        self.rest()

    def prepare(self, workload: str) -> dict[str, Any]:
        """Put a workload's pictures on the server."""
        if workload not in self._prepared:
            self._prepared[workload] = _WORKLOADS[workload](self)
        _, _, (x, y) = self._prepared[workload]
        return {"x": x, "y": y, "bits": BITS}

    def begin(self, workload: str) -> None:
        """Paint a still page, and the workload's first picture."""
        self.rest()
        self._painted.clear()
        self.step(workload)

    def rest(self) -> None:
        """Paint a still page of text."""
        self._canvas.copy(self._still, (0, 0), SIZE, (0, 0))

    def step(self, workload: str) -> None:
        """Paint the next picture, and note its number's time."""
        draw, size, at = self._prepared[workload]
        self._number = (self._number + 1) % (1 << BITS)
        draw(self._number)
        squares = _squares(self._number)
        height, width = squares.shape[:2]
        gc = self._canvas.gc
        self._aside.put_image(gc, 0, 0, width, height, 2, 24, 0, squares.tobytes())  # 2: ZPixmap
        self._canvas.screen.connection.sync()
        self._painted[self._number] = time.monotonic_ns()
        self._canvas.copy(self._aside, (0, 0), size, at)

    def painted(self) -> dict[int, int]:
        """Return when which number was painted."""
        return self._painted

    def film_of(self, width: int, height: int) -> tuple[Callable[[int], None], tuple[int, int], tuple[int, int]]:
        """Prepare a film in the middle of the screen."""
        pixmaps = [self._canvas.upload(picture) for picture in film(width, height)]
        at = ((SIZE[0] - width) // 2, (SIZE[1] - height) // 2)

        def draw(number: int) -> None:
            self._aside.copy_area(self._canvas.gc, pixmaps[number % len(pixmaps)], 0, 0, width, height, 0, 0)

        return draw, (width, height), at

    def scroll(self) -> tuple[Callable[[int], None], tuple[int, int], tuple[int, int]]:
        """Prepare a page of text that scrolls."""
        height = 3 * SIZE[1]
        pixmap, most = self._canvas.upload(page(height)), height - SIZE[1]

        def draw(number: int) -> None:
            self._aside.copy_area(self._canvas.gc, pixmap, 0, _LINES * number % most, *SIZE, 0, 0)

        return draw, SIZE, (0, 0)


# Each: what draws the picture of a number aside, its size, and where on the screen it goes.
_WORKLOADS: Final[dict[str, Callable[[Painter], tuple[Callable[[int], None], tuple[int, int], tuple[int, int]]]]] = {
    "small": lambda painter: painter.film_of(200, 100),
    "quarter": lambda painter: painter.film_of(640, 360),
    "scroll": Painter.scroll,
    "video": lambda painter: painter.film_of(*SIZE),
}


def _squares(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a number as it is painted, B G R X: its bits, and below them their inverse."""
    bits = np.array([number >> place & 1 for place in range(BITS - 1, -1, -1)], np.uint8)
    gray = np.kron(np.stack([bits, 1 - bits]) * np.uint8(255), np.ones((_EDGE, _EDGE), np.uint8))
    return np.repeat(gray[..., None], 4, axis=2)


def main() -> None:
    """Do what standard input says, until its end."""
    painter = Painter()
    painted: str | None = None
    rate, begun, count = 1.0, 0.0, 0
    while True:
        left = None if painted is None else max(0.0, begun + count / rate - time.monotonic())
        if not select.select([sys.stdin], [], [], left)[0]:
            assert painted is not None
            painter.step(painted)
            count += 1
            continue
        words = sys.stdin.readline().split()
        if not words:
            return
        answer: dict[Any, Any] = {}
        if words[0] == "prepare":
            answer = painter.prepare(words[1])
        elif words[0] == "paint":
            painted, rate = words[1], float(words[2])
            painter.begin(painted)
            begun, count = time.monotonic(), 1
        else:
            painted, answer = None, painter.painted()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
