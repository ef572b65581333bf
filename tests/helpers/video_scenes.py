"""Pictures of a live view's channel that are numbered, and videos of them.

A number is drawn in black and white at the top, over noise that scrolls: a frame that was lost, held back or decoded
upon another one than it was made for shows another number, or none.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pictures import BGRX

from xshm.geometry import Rect
from xshm.live.encoding import Ask, EncodedUpdate
from xshm.live.picture import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.live.video import VideoViewer

SIZE = (640, 400)
COLOURS = (
    *((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (128, 128, 128), (0, 0, 0)),
    *((255, 255, 0), (0, 255, 255), (255, 0, 255), (200, 100, 50)),
)
FAST, SLOW = 8e6, 4e5  # bytes a second
LARGE = Ask(1, is_large=True)
_BITS, SQUARE = 10, 32


class _Captured(NamedTuple):
    """What a feed would have captured."""

    pixels: NDArray[np.uint8]
    changed: tuple[Rect, ...]
    colormap: None = None


class Scene:
    """A Picture that a test paints."""

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        self.pixels = np.zeros((size[1], size[0], 4), np.uint8)
        self.picture = Picture(size, BGRX)
        self.at = time.monotonic_ns()

    def commit(self, *rects: Rect) -> None:
        """Have what was painted be seen, in these rectangles or all."""
        self.at += 16_000_000
        self.picture.read(_Captured(self.pixels, rects or (Rect(0, 0, *self.picture.size),)))  # type: ignore[arg-type]
        assert self.picture.commit(self.at)

    def bars(self) -> None:
        """Show COLOURS, from the left to the right."""
        edges = np.linspace(0, self.picture.size[0], len(COLOURS) + 1).astype(int)
        for colour, left, right in zip(COLOURS, edges, edges[1:], strict=False):
            self.pixels[:, left:right, :3] = colour[::-1]
        self.commit()

    def number(self, number: int) -> None:
        """Show a number at the top, over noise that moves below it."""
        noise = np.random.default_rng(3).integers(0, 255, (70, 70, 4)).astype(np.uint8)
        noise = np.tile(np.repeat(np.repeat(noise, 4, 0), 4, 1), (4, 5, 1))
        height, width = self.pixels.shape[:2]
        top = number * 13 % 200
        self.pixels[SQUARE:] = noise[top : top + height - SQUARE, :width]
        for bit in range(_BITS):
            self.pixels[:SQUARE, bit * SQUARE : (bit + 1) * SQUARE] = 255 * (number >> bit & 1)
        self.commit()


def number_in(rgb: NDArray[np.uint8]) -> int:
    """Return the number that (height, width, 3) pixels show."""
    half = SQUARE // 2
    return sum(int(rgb[half, bit * SQUARE + half, 0] > 128) << bit for bit in range(_BITS))


def taken(viewer: VideoViewer, scene: Scene, rate: float, ask: Ask = LARGE) -> EncodedUpdate:
    """Return a viewer's next frames."""
    found = viewer.update(scene.picture, ask, rate)
    assert found is not None
    return found
