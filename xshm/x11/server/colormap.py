"""The live colours behind pixel values, for formats whose pixels are indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.errors import UnsupportedFormat
from xshm.x11.protocol import core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request
else:
    from xshm._numpy import np

_HEADER: Final = 32
_MOST_PIXELS: Final = 0xFFFF - 2  # words that a request has for them


class Colormap:
    """The colormap `colormap`, as pixels of the format `fmt` index it."""

    def __init__(self, connection: Connection, colormap: int, fmt: PixelFormat) -> None:
        self._connection = connection
        self._colormap = colormap
        self._pixels = fmt.colormap_pixels
        if len(self._pixels) > _MOST_PIXELS:
            raise UnsupportedFormat(f"{fmt}: {len(self._pixels)} colours are more than the server can be asked for")

    def ask(self) -> Request:
        """Queue the question; it travels with the grab, and costs no round trip of its own."""
        return self._connection.send(core.QueryColors, cmap=self._colormap, pixels=self._pixels)

    def read(self, pending: Request) -> NDArray[Any]:
        """Return the answer: (cells, 3) uint16, red, green, blue, 65535 the brightest."""
        reply = self._connection.wait_reply(pending, "QueryColors")
        with self._connection.decoding("QueryColors"):
            cells = np.frombuffer(reply, np.uint16, offset=_HEADER, count=4 * len(self._pixels))
        return cells.reshape(-1, 4)[:, :3].copy()
