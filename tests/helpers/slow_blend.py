"""Draw a picture with alpha over pixels of any format, one at a time, in exact fractions; shares no code with xshm.

`check_drawn` compares a frame with what that gives.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pictures import DIRECT, TRUE, Picture, channel

from xshm.pixels.format import VisualClass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.image.frame import Frame

Pixel = tuple[int, int, int, int]


def random_sprite(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return (height, width, 4) uint8, premultiplied: a third transparent, a third opaque, the rest in between."""
    random = np.random.default_rng(seed)
    alpha = random.integers(0, 256, (height, width, 1))
    kind = random.integers(0, 3, (height, width, 1))
    alpha = np.select([kind == 0, kind == 1], [0, 255], alpha)
    colour = random.integers(0, 256, (height, width, 3)) * alpha // 255
    return np.concatenate((colour, alpha), axis=2).astype(np.uint8)


def over(behind: int, colour: int, alpha: int, top: int = 255) -> int:
    """Draw one channel: premultiplied colour and alpha of 0 to 255, over what is behind, of 0 to `top`."""
    exact = Fraction(colour * top, 255) + Fraction(behind * (255 - alpha), 255)
    return min(int(exact + Fraction(1, 2)), top)


def expected(picture: Picture, x: int, y: int, pixel: Pixel) -> int:
    """Return the value that a pixel has after `pixel` (red, green, blue, alpha) was drawn over it."""
    fmt, value = picture.fmt, picture.value(x, y)
    if fmt.visual_class in (TRUE, DIRECT):
        masks = [fmt.red_mask, fmt.green_mask, fmt.blue_mask]
        rest = (1 << fmt.depth) - 1 & ~sum(masks)
        for column, mask in enumerate([*masks, rest] if fmt.depth == 32 and rest else masks):
            raw, top = channel(value, mask)
            if fmt.visual_class is not DIRECT or mask is rest:
                raw = over(raw, pixel[column], pixel[3], top)
            elif any(pixel):
                raw = nearest(picture, [column], [over(cell(picture, raw, [column])[0], pixel[column], pixel[3])], top)
            value = value & ~mask | raw * (mask & -mask)
        return value
    if not any(pixel):
        return value
    top = (1 << fmt.depth) - 1
    shade = (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 32768) // 65536
    if fmt.visual_class is VisualClass.StaticGray:
        return over(value & top, shade, pixel[3], top)
    if fmt.visual_class is VisualClass.GrayScale:
        return nearest(picture, [0], [over(cell(picture, value & top, [0])[0], shade, pixel[3])], top)
    behind = cell(picture, value & top, [0, 1, 2])
    return nearest(picture, [0, 1, 2], [over(b, c, pixel[3]) for b, c in zip(behind, pixel[:3], strict=True)], top)


def cell(picture: Picture, index: int, columns: list[int]) -> list[int]:
    """Return a cell of the colormap in 8 bits, as `rgb` gives it."""
    return [picture._cell(index, column, 255) for column in columns]


def nearest(picture: Picture, columns: list[int], colour: list[int], last: int) -> int:
    """Return the first of the cells up to `last` that are nearest to a colour."""
    distances = [
        sum((a - b) ** 2 for a, b in zip(cell(picture, index, columns), colour, strict=True))
        for index in range(last + 1)
    ]
    return distances.index(min(distances))


def picture_of(frame: Frame) -> Picture:
    """Return the frame's pixels as memory that the slow reference can read."""
    padding = frame.format.stride(frame.width) - frame.pixels[0].nbytes
    memory = b"".join(row.tobytes() + bytes(padding) for row in frame.pixels)
    return Picture(frame.format, frame.width, frame.height, memory, frame.colormap)


def check_drawn(plain: Frame, frame: Frame, rgba: NDArray[np.uint8], corner: tuple[int, int]) -> int:
    """Compare `frame` with `plain`, over which `rgba` is drawn at `corner`; return how many pixels have changed."""
    assert plain.rect == frame.rect
    before, after = picture_of(plain), picture_of(frame)
    for y in range(plain.height):
        for x in range(plain.width):
            row, column = y + plain.rect.y - corner[1], x + plain.rect.x - corner[0]
            value = before.value(x, y)
            if 0 <= row < rgba.shape[0] and 0 <= column < rgba.shape[1]:
                value = expected(before, x, y, tuple(rgba[row, column].tolist()))
            assert after.value(x, y) == value, (x, y)
    return frame.diff(plain).pixels
