"""Picture: the planes that an encoder reads, kept from one picture of a recording to the next.

A sink makes Pictures over memory that its encoder reads without a copy; a Painter brings changed rectangles of them up
to date. Width and height are those of the video: even where the layout needs it, scaled where a longest edge was named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
