"""Colormaps: read the colours behind pixel values that are indices, and allocate colours in a shared colormap.

Source: core protocol, QueryColors and AllocColor. Any client may change its own cells of a colormap at any time: so the
colours are queried with each grab, and never cached.
"""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import BadAlloc, UnsupportedFormat
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import HEADER
from xshm.x11.protocol.xlib import request

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request
else:
    from xshm._numpy import np

_MOST_PIXELS: Final = 0xFFFF - 2  # words that a request without BIG-REQUESTS has for them
# Numbers of levels of red, green and blue, tried in this order. In Xvfb's colormap 65 of 256 cells are allocated from
# the start, so that the 216 of 6×6×6 do not fit.
_LEVELS: Final = ((6, 6, 6), (6, 6, 5), (5, 5, 5), (4, 4, 4), (3, 3, 3), (2, 2, 2))
_BRIGHTEST: Final = 0xFFFF  # of a channel, in the protocol's units


class Colormap:
    """Queries the colours of the colormap `colormap`, for the pixel values of the format `fmt`."""

    def __init__(self, connection: Connection, colormap: int, fmt: PixelFormat) -> None:
        self._connection = connection
        self._colormap = colormap
        self._pixels = fmt.colormap_pixels
        if len(self._pixels) > _MOST_PIXELS:
            raise UnsupportedFormat(f"{fmt}: {len(self._pixels)} colours are more than the server can be asked for")

    def query(self) -> Request:
        """Queue QueryColors; it is sent with the request of the grab, so that it costs no round trip of its own."""
        return self._connection.send(core.QueryColors, cmap=self._colormap, pixels=self._pixels)

    def read(self, pending: Request) -> NDArray[Any]:
        """Return the reply's colours: (cells, 3) uint16; red, green, blue; 65535 is the brightest."""
        reply = self._connection.wait_reply(pending, "QueryColors")
        with self._connection.decoding("QueryColors"):
            # Four words a cell, the last of which is unused. count: more colours than cells are no error, fewer are.
            cells = np.frombuffer(reply, np.uint16, offset=HEADER, count=4 * len(self._pixels))
        return cells.reshape(-1, 4)[:, :3].copy()


def allocate_colours(connection: Connection, colormap: int, *, gray: bool) -> list[int]:
    """Allocate evenly spread colours, from 6×6×6 down to the 2×2×2 that fit, or as many grays; return their pixels.

    The cells are read-only and shared with other clients, and freed with the connection. [] where none fit.
    """
    for levels in _LEVELS:
        if gray:
            colours = [(shade, shade, shade) for shade in _steps(math.prod(levels))]
        else:
            colours = [(red, green, blue) for red, green, blue in product(*map(_steps, levels))]
        pixels = _allocate(connection, colormap, colours)
        if len(pixels) == len(colours):
            return pixels
        if pixels:  # a part of the cube: free it, since a smaller cube is evenly spread, and a part is not
            connection.send(request.FreeColors, cmap=colormap, pixels=pixels, plane_mask=0)
    return []


def _steps(count: int) -> list[int]:
    """Return so many levels of a channel, evenly spread from black to the brightest."""
    return [_BRIGHTEST * step // (count - 1) for step in range(count)]


def _allocate(connection: Connection, colormap: int, colours: Sequence[tuple[int, int, int]]) -> list[int]:
    """Return the pixels of those colours for which there was room; one round trip."""
    cookies = [
        Cookie(connection, request.AllocColor, cmap=colormap, red=red, green=green, blue=blue)
        for red, green, blue in colours
    ]
    pixels = []
    for cookie in cookies:
        with suppress(BadAlloc):
            pixels.append(cookie.reply().pixel)
    return pixels
