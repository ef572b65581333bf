"""Picture: the planes that an encoder reads, kept from one picture of a recording to the next.

A sink makes Pictures over memory that its encoder reads without a copy; a Painter brings changed rectangles of them up
to date. Width and height are those of the video: even where the layout needs it, scaled where a longest edge was named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

# yuv420p, yuv444p: planes Y, U, V of uint8, BT.601, limited range; yuv420p has U and V of half width and height.
# gbrp: planes G, B, R of uint8. bgr0: one plane (height, width, 4) of uint8, B G R and a byte without meaning, which is
# written as 255.
Layout = Literal["yuv420p", "yuv444p", "gbrp", "bgr0"]

LAYOUTS: Final[tuple[Layout, ...]] = ("yuv420p", "yuv444p", "gbrp", "bgr0")


@dataclass(slots=True)
class Picture:
    """The writable planes of one picture, top row first; rows may be padded. `handle` is the sink's own object over it.

    yuv420p's width and height are even.
    """

    layout: Layout
    width: int
    height: int
    planes: tuple[NDArray[np.uint8], ...]
    handle: Any = None


def plane_shapes(layout: Layout, width: int, height: int) -> list[tuple[int, ...]]:
    """Return the shape of each plane of a picture."""
    if layout == "bgr0":
        return [(height, width, 4)]
    rest = (height // 2, width // 2) if layout == "yuv420p" else (height, width)
    return [(height, width), rest, rest]


def new_planes(layout: Layout, width: int, height: int) -> tuple[NDArray[np.uint8], ...]:
    """Return the planes of a black picture, one after the other in one piece of memory, rows without padding."""
    shapes = plane_shapes(layout, width, height)
    sizes = [math.prod(shape) for shape in shapes]
    memory = np.empty(sum(sizes), np.uint8)
    planes = []
    for shape, size in zip(shapes, sizes, strict=True):
        planes.append(memory[:size].reshape(shape))
        memory = memory[size:]
    blacken(layout, planes)
    return tuple(planes)


def blacken(layout: Layout, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Make a picture black."""
    if layout == "bgr0":
        planes[0][...] = (0, 0, 0, 255)
        return
    for plane, value in zip(planes, (0, 0, 0) if layout == "gbrp" else (16, 128, 128), strict=True):
        plane[...] = value
