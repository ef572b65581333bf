"""What is under the pointer, many times as large: grabbed, enlarged into shared memory, shown, 60 times a second.

python examples/magnifier.py [--display :0] [--factor 8]      The wheel changes the factor, q or closing ends.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from xshm import Rect, Screen
from xshm.events import Button, Close, Key
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from xshm import Frame

_SIZE = 480
_RATE = 60
_FACTORS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
_WHEEL_UP, _WHEEL_DOWN = 4, 5


def around(x: int, y: int, count: int, screen: Rect) -> Rect:
    """Return `count` times `count` pixels around a point, moved to where they all are on the screen."""
    left = min(max(screen.x, x - count // 2), screen.right - count)
    top = min(max(screen.y, y - count // 2), screen.bottom - count)
    return Rect(left, top, count, count)


def enlarge(frame: Frame, factor: int, x: int, y: int, surface: Surface) -> None:
    """Write each pixel as a square, with a border around the one at x, y of the screen."""
    side = frame.width * factor
    picture = frame.rgb().repeat(factor, axis=0).repeat(factor, axis=1)
    left, top = (x - frame.rect.x) * factor, (y - frame.rect.y) * factor
    square = picture[top : top + factor, left : left + factor]
    border = 255 if square[factor // 2, factor // 2].mean() < 128 else 0  # noqa: PLR2004 - half as bright as can be
    square[[0, -1]] = border
    square[:, [0, -1]] = border
    canvas = np.zeros((_SIZE, _SIZE, 3), np.uint8)
    canvas[:side, :side] = picture
    surface.show(canvas)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--display", help="the display (default: $DISPLAY)")
    parser.add_argument("--factor", type=int, choices=_FACTORS, default=8, help="how many times as large (%(default)s)")
    chosen = parser.parse_args()
    index = _FACTORS.index(chosen.factor)

    with (
        Screen(chosen.display) as screen,
        Surface(_SIZE, _SIZE, title="magnifier", display=screen.display) as surface,
    ):
        root = screen.xlib.screen().root
        while surface.is_open:
            pointer = root.query_pointer()
            factor = _FACTORS[index]
            count = min(_SIZE // factor, screen.rect.width, screen.rect.height)
            frame = screen.grab(around(pointer.root_x, pointer.root_y, count, screen.rect))
            enlarge(frame, factor, pointer.root_x, pointer.root_y, surface)
            for event in surface.events(timeout=1 / _RATE):
                if isinstance(event, Close) or (isinstance(event, Key) and event.pressed and event.name == "q"):
                    return
                if isinstance(event, Button) and event.pressed and event.number in {_WHEEL_UP, _WHEEL_DOWN}:
                    step = 1 if event.number == _WHEEL_UP else -1
                    index = min(max(0, index + step), len(_FACTORS) - 1)
                break


if __name__ == "__main__":
    main()
