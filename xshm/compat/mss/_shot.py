"""What the screenshots of both interfaces share: where they are from, their size, single pixels, and RGB of BGRX.

Always true: the pixels are rows of `width` pixels without gaps, four bytes each: B G R X.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from xshm.compat.mss.exception import ScreenShotError
from xshm.compat.mss.models import Pixel, Pixels, Pos, Size
from xshm.pixels import to_rgb
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
else:
    from xshm._numpy import np

_BGRX: Final = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
PIXEL: Final = 4  # bytes
_FEW: Final = 1000  # pixels


class PixelsOfBytes:
    """A screenshot over a buffer of B G R X, which `_memory` returns; `pos` and `size` say where it is from."""

    __slots__ = ("_tuples", "pos", "size")

    pos: Pos
    size: Size
    _tuples: Pixels | None  # `pixels`, once it was read

    @property
    def left(self) -> int:
        """The first column, in the screen's coordinates."""
        return self.pos.left

    @property
    def top(self) -> int:
        """The first row, in the screen's coordinates."""
        return self.pos.top

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self.size.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.size.height

    @property
    def pixels(self) -> Pixels:
        """A list of rows, each a tuple of (red, green, blue). Slow: a Python object for each pixel."""
        if self._tuples is None:
            rgb = rgb_of(self._memory(), self.width, self.height)
            flat = zip(rgb[0::3], rgb[1::3], rgb[2::3], strict=True)
            self._tuples = [tuple(islice(flat, self.width)) for _ in range(self.height)]
        return self._tuples

    def pixel(self, coord_x: int, coord_y: int) -> Pixel:
        """Return (red, green, blue) at a column and row that count from the screenshot's corner, not the screen's.

        Negative ones count from the far edges, as in a list. Raises ScreenShotError outside of the picture.
        """
        try:
            at = PIXEL * (range(self.height)[coord_y] * self.width + range(self.width)[coord_x])
        except IndexError as error:
            raise ScreenShotError(
                f"there is no pixel {coord_x}, {coord_y} in a screenshot of {self.width}x{self.height}; they count "
                f"from its own corner"
            ) from error
        blue, green, red = self._memory()[at : at + 3]
        return red, green, blue

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The array that numpy makes of it: (height, width, 4) uint8, B G R X, over the same memory."""
        return {
            "version": 3,
            "shape": (self.height, self.width, PIXEL),
            "typestr": "|u1",
            "data": self._memory(),
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} pos={self.left},{self.top} size={self.width}x{self.height}>"

    def _memory(self) -> Any:
        raise NotImplementedError

    def _place(self, rect: Rect) -> None:
        """Fill what a screenshot has besides its pixels."""
        self._tuples = None
        self.pos = Pos(rect.x, rect.y)
        self.size = Size(rect.width, rect.height)


def rgb_of(memory: Any, width: int, height: int) -> bytearray | memoryview:
    """Return R G B of a buffer of B G R X, in new memory."""
    if "numpy" in sys.modules and width * height > _FEW:
        array: NDArray[np.uint8] = np.frombuffer(memory, np.uint8).reshape(height, width, PIXEL)
        return to_rgb.rgb(Raster(array, _BGRX)).reshape(-1).data
    # numpy's import takes longer than 16 ms, which are what this takes for a whole page, and a call of it longer than
    # this for a few pixels. Slices of a bytearray: those of a memoryview take six times as long.
    raw = memory if isinstance(memory, (bytes, bytearray)) else bytearray(memory)
    rgb = bytearray(3 * width * height)
    for to, at in enumerate((2, 1, 0)):
        rgb[to::3] = raw[at::PIXEL]
    return rgb
