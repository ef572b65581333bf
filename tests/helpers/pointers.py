"""A client that sets the pointer's picture and position by xcffib, and reads from the server what both are.

with Pointers(server) as pointers:
    pointers.show(pointers.picture(rgba, (3, 4)))       # RENDER: (height, width, 4) uint8, premultiplied
    pointers.move(100, 50)
    pointers.shown().rgba
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xcffib
import xcffib.render
import xcffib.xfixes
import xcffib.xproto

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from servers import Server


@dataclass(frozen=True)
class Shown:
    """The pointer as XFIXES has it, read by xcffib: `corner` is where the picture's corner lies on the screen."""

    rgba: NDArray[np.uint8]
    corner: tuple[int, int]
    hotspot: tuple[int, int]
    serial: int


class Pointers:
    """A client of a server; its pointers go with it."""

    def __init__(self, server: Server) -> None:
        connect: Any = xcffib.connect
        self._connection: Any = connect(display=server.name)
        self._core = self._connection.core
        self._root: int = self._connection.get_setup().roots[0].root
        self._render: Any = self._connection(xcffib.render.key)
        self._xfixes: Any = self._connection(xcffib.xfixes.key)
        self._xfixes.QueryVersion(5, 0).reply()
        self._render.QueryVersion(0, 11).reply()
        self._argb = next(
            fmt.id
            for fmt in self._render.QueryPictFormats().reply().formats
            if fmt.depth == 32 and fmt.direct.alpha_mask == 255 and fmt.direct.alpha_shift == 24
            if fmt.direct.red_shift == 16
        )

    def picture(self, rgba: NDArray[np.uint8], hotspot: tuple[int, int] = (0, 0)) -> int:
        """Make a pointer of a picture with alpha."""
        height, width = rgba.shape[:2]
        pixmap, gc, picture, cursor = (self._connection.generate_id() for _ in range(4))
        self._core.CreatePixmap(32, pixmap, self._root, width, height)
        self._core.CreateGC(gc, pixmap, 0, [])
        data = rgba[..., [2, 1, 0, 3]].tobytes()
        self._core.PutImage(xcffib.xproto.ImageFormat.ZPixmap, pixmap, gc, width, height, 0, 0, 0, 32, len(data), data)
        self._render.CreatePicture(picture, pixmap, self._argb, 0, [])
        self._render.CreateCursor(cursor, picture, *hotspot)
        self._render.FreePicture(picture)
        self._core.FreeGC(gc)
        self._core.FreePixmap(pixmap)
        return int(cursor)

    def animated(self, phases: Sequence[int], milliseconds: int) -> int:
        """Make a pointer that shows others one after the other."""
        cursor: int = self._connection.generate_id()
        part: Any = xcffib.render.ANIMCURSORELT.synthetic
        parts = [part(phase, milliseconds) for phase in phases]
        self._render.CreateAnimCursor(cursor, len(parts), parts)
        return cursor

    def glyph(self, number: int, fore: tuple[int, int, int], back: tuple[int, int, int]) -> int:
        """Make a pointer of the cursor font, in two colours of 0 to 65535; its mask is the glyph that follows."""
        font, cursor = (self._connection.generate_id() for _ in range(2))
        self._core.OpenFont(font, len("cursor"), "cursor")
        self._core.CreateGlyphCursor(cursor, font, font, number, number + 1, *fore, *back)
        self._core.CloseFont(font)
        return int(cursor)

    def recolour(self, cursor: int, fore: tuple[int, int, int], back: tuple[int, int, int]) -> None:
        """Change a glyph's colours in place."""
        self._core.RecolorCursor(cursor, *fore, *back)
        self._sync()

    def show(self, cursor: int) -> None:
        """Make it the root window's pointer."""
        self._core.ChangeWindowAttributes(self._root, xcffib.xproto.CW.Cursor, [cursor])
        self._sync()

    def move(self, x: int, y: int) -> None:
        """Let it point at a place of the screen."""
        self._core.WarpPointer(0, self._root, 0, 0, 0, 0, x, y)
        self._sync()

    def shown(self) -> Shown:
        """Return what is shown now."""
        reply = self._xfixes.GetCursorImage().reply()
        words = struct.pack(f"<{len(reply.cursor_image)}I", *reply.cursor_image)
        rgba = np.frombuffer(words, np.uint8).reshape(reply.height, reply.width, 4)[..., [2, 1, 0, 3]]
        corner = reply.x - reply.xhot, reply.y - reply.yhot
        return Shown(rgba, corner, (reply.xhot, reply.yhot), reply.cursor_serial)

    def _sync(self) -> None:
        self._core.GetInputFocus().reply()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.show(0)  # the server's own
        self._connection.disconnect()


def write_theme_file(
    path: Path, pictures: Sequence[NDArray[np.uint8]], hotspot: tuple[int, int], delay: int = 0
) -> None:
    """Write a file as libXcursor reads it, with one picture or the phases of an animation."""
    count, size = len(pictures), pictures[0].shape[0]
    chunks = []
    for rgba in pictures:
        height, width = rgba.shape[:2]
        head = struct.pack("<9I", 36, 0xFFFD0002, size, 1, width, height, *hotspot, delay)
        chunks.append(head + rgba[..., [2, 1, 0, 3]].tobytes())
    position = 16 + 12 * count
    contents = b""
    for chunk in chunks:
        contents += struct.pack("<3I", 0xFFFD0002, size, position)
        position += len(chunk)
    path.write_bytes(b"Xcur" + struct.pack("<3I", 16, 0x10000, count) + contents + b"".join(chunks))
