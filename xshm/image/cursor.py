"""Cursor, the pointer as a value: image, position and hotspot. `capture.pointer` gets it from the server (XFIXES)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from xshm.geometry import Rect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# How a grab treats the pointer: False, not at all; True, drawn into the pixels; "layer", only as `Frame.cursor`.
CursorMode = bool | Literal["layer"]


@dataclass(frozen=True, slots=True, eq=False)
class Cursor:
    """The pointer as a layer of its own, to draw or to leave out.

    `sprite` is (height, width, 4) uint8, R G B A, colours premultiplied by alpha; read-only memory, which several
    frames' cursors may share. `position` is where it points, in the coordinates of `Frame.rect`, also where
    that is outside of the frame; `hotspot` is the same point inside the sprite. `serial` is the server's number for
    the image, a new one for each phase of an animated cursor; `name` is what the theme calls it ("left_ptr"), ""
    where the server does not know. Source: XFIXES 2, GetCursorImageAndName.
    """

    sprite: NDArray[np.uint8]
    position: tuple[int, int]
    hotspot: tuple[int, int]
    serial: int
    name: str = ""

    def __repr__(self) -> str:
        height, width = self.sprite.shape[:2]
        name = f" {self.name!r}" if self.name else ""
        (x, y), (left, top) = self.position, self.hotspot
        return f"<Cursor{name} {width}x{height} #{self.serial} at {x},{y}, hotspot {left},{top}>"

    @property
    def rect(self) -> Rect:
        """Where the sprite lies, in the same coordinates as `position`."""
        height, width = self.sprite.shape[:2]
        return Rect(self.position[0] - self.hotspot[0], self.position[1] - self.hotspot[1], width, height)
