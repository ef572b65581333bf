"""Colours of one's own in a colormap that all share: read-only cells, as many as there is room for (core protocol)."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Final

from Xlib.protocol import request

from xshm.errors import BadAlloc
from xshm.x11.cookie import Cookie

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.x11.connection import Connection

# Steps of red, green, blue. Xvfb's colormap comes with 65 cells taken, so that 6×6×6 have no room there.
_LEVELS: Final = ((6, 6, 6), (6, 6, 5), (5, 5, 5), (4, 4, 4), (3, 3, 3), (2, 2, 2))
_BRIGHTEST: Final = 0xFFFF


def allocate(connection: Connection, colormap: int, *, gray: bool) -> list[int]:
    """Allocate evenly spread colours, the most that fit of 6×6×6 to 2×2×2, or shades; return their pixels.

    They are freed with the connection. Empty where there is no room for any.
    """
    for levels in _LEVELS:
        if gray:
            colours = [(shade, shade, shade) for shade in _steps(math.prod(levels))]
        else:
            colours = [(red, green, blue) for red, green, blue in product(*map(_steps, levels))]
        pixels = _allocate(connection, colormap, colours)
        if len(pixels) == len(colours):
            return pixels
        if pixels:
            connection.send(request.FreeColors, cmap=colormap, pixels=pixels, plane_mask=0)
    return []


def _steps(count: int) -> list[int]:
    return [_BRIGHTEST * step // (count - 1) for step in range(count)]


def _allocate(connection: Connection, colormap: int, colours: Sequence[tuple[int, int, int]]) -> list[int]:
    asked = [
        Cookie(connection, request.AllocColor, cmap=colormap, red=red, green=green, blue=blue)
        for red, green, blue in colours
    ]
    pixels = []
    for question in asked:
        try:
            pixels.append(question.reply().pixel)
        except BadAlloc:
            continue
    return pixels
