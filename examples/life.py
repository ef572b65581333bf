"""Conway's game of life, a cell a pixel, as fast as it goes, with its frame rate on screen.

python examples/life.py [--display :0] [--size 1920x1080] [--generations N]      q or closing the window ends.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from xshm import Rect
from xshm.events import Close, Key
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FADE = 4  # what is left of a cell that has died gets darker by so much
_LABEL = (520, 56)


class Life:
    """A world without edges. `glow` is 255 where a cell lives, and falls where one has lived."""

    def __init__(self, width: int, height: int, seed: int = 1) -> None:
        # A border of one cell all around repeats the opposite edge: so all neighbours are slices.
        self._padded = np.zeros((height + 2, width + 2), np.uint8)
        self.cells = self._padded[1:-1, 1:-1]
        self.cells[...] = np.random.default_rng(seed).random((height, width)) < 0.12  # noqa: PLR2004 - sparse lives long
        self.glow = self.cells * np.uint8(255)
        self.generation = 0

    def step(self) -> None:
        """Go on by one generation."""
        padded, cells = self._padded, self.cells
        padded[0], padded[-1] = padded[-2], padded[1]
        padded[:, 0], padded[:, -1] = padded[:, -2], padded[:, 1]
        rows = padded[:-2] + padded[1:-1]
        rows += padded[2:]
        block = rows[:, :-2] + rows[:, 1:-1]
        block += rows[:, 2:]  # the cell and its eight neighbours
        # 3 with it: born, or alive with two; 4 with it: alive with three, or dead with four.
        alive = block == 3  # noqa: PLR2004
        alive |= (block == 4) & cells.view(bool)  # noqa: PLR2004
        cells[...] = alive
        np.subtract(self.glow, _FADE, out=self.glow, where=self.glow > _FADE)
        np.maximum(self.glow, cells * np.uint8(255), out=self.glow)
        self.generation += 1


def palette() -> NDArray[np.uint32]:
    """Return 256 pixels, B G R X: from night by way of embers to white."""
    levels = np.linspace(0, 1, 256)
    red, green, blue = 255 * levels**1.4, 255 * levels**2.6, 30 + 225 * levels**5
    pixels = np.stack((blue, green, red, np.zeros(256)), axis=1).astype(np.uint8)
    return pixels.view("<u4")[:, 0]


class Label:
    """A line of text as a picture, drawn anew only when it has changed."""

    def __init__(self) -> None:
        self._font = ImageFont.load_default(size=36)
        self._text = ""
        self.picture = np.zeros((_LABEL[1], _LABEL[0]), np.uint8)

    def write(self, text: str) -> None:
        """Make `picture` show a text."""
        if text != self._text:
            image = Image.new("L", _LABEL, 0)
            ImageDraw.Draw(image).text((14, 4), text, fill=255, font=self._font)
            self.picture = np.asarray(image)
            self._text = text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--display", help="where to show it (default: $DISPLAY)")
    parser.add_argument("--size", default="1920x1080", help="of the world, and the window (%(default)s)")
    parser.add_argument("--generations", type=int, default=0, help="how many (default: until it is closed)")
    chosen = parser.parse_args()
    size = Rect.parse(chosen.size)

    life, label, colours = Life(size.width, size.height), Label(), palette()
    with Surface(size.width, size.height, title="life", display=chosen.display) as surface:
        print(f"{size.width}x{size.height}, shown by {surface.transport.kind}, {surface.way}")
        if surface.format.byte_offsets != (2, 1, 0):
            raise SystemExit(f"this example writes B G R X, and the screen has {surface.format}")
        times: deque[float] = deque([time.perf_counter()], maxlen=61)
        while not chosen.generations or life.generation < chosen.generations:
            life.step()
            with surface.draw() as pixels:  # straight into the memory that is shown
                np.take(colours, life.glow, out=pixels.view("<u4")[..., 0], mode="clip")
                corner = pixels[: _LABEL[1], : _LABEL[0]]
                corner[...] = label.picture[: len(corner), : corner.shape[1], None]
            times.append(time.perf_counter())
            rate = (len(times) - 1) / (times[-1] - times[0])
            if life.generation % 10 == 0:
                label.write(f"generation {life.generation}    {rate:.0f} fps")
            for event in surface.events(timeout=0):
                if isinstance(event, Close) or (isinstance(event, Key) and event.pressed and event.name == "q"):
                    return
        surface.wait()
        print(f"{life.generation} generations, {rate:.1f} a second")


if __name__ == "__main__":
    main()
