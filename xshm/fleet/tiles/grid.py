"""Grid: where tiles of one size are in a larger picture, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.system.printable import quoted

_GREATEST: Final = 32767  # pixels; coordinates are signed 16-bit numbers in the protocol
_LEAST: Final = 16  # pixels along an edge of a tile
_GAP: Final = 8  # pixels around tiles
_CAPTION: Final = 20  # pixels above each, for what it is
_SHAPE: Final = 16 / 9  # of what a wall is mostly looked at on


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles of one size, row by row; `gap` pixels around each, and `caption` pixels above it."""

    count: int
    columns: int
    tile: tuple[int, int]
    width: int
    gap: int = 0
    caption: int = 0

    @property
    def rows(self) -> int:
        """How many rows there are; the last one may not be full."""
        return -(-self.count // self.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all."""
        return self.width, self.gap + self.rows * (self.caption + self.tile[1] + self.gap)

    def place(self, number: int) -> Rect:
        """Return where a tile is, without its caption."""
        row, column = divmod(number, self.columns)
        width, height = self.tile
        # What a division of the width has left over is at both edges.
        left = (self.width - self.columns * (width + self.gap) + self.gap) // 2
        top = self.gap + row * (self.caption + height + self.gap) + self.caption
        return Rect(left + column * (width + self.gap), top, width, height)


def shrunk(count: int, screen: tuple[int, int], width: int, columns: int | None) -> Grid:
    """Return a grid of a width, in the shape of the screens. None: as many columns as make tiles largest on 16:9."""
    width = _arguments.integer(width, "a wall's width is a whole number of pixels")
    if not _LEAST <= width <= _GREATEST:
        raise InvalidArgument(f"a wall is {_LEAST} to {_GREATEST} pixels wide, not {quoted(width)}")
    if columns is None:
        columns = max(range(1, count + 1), key=lambda each: _scale(each, count, screen, width))
    elif _arguments.integer(columns, "a wall's columns are a whole number") < 1:
        raise InvalidArgument(f"a wall has 1 column or more, not {quoted(columns)}")
    columns = min(columns, count)
    across = (width - _GAP) // columns - _GAP
    if across < _LEAST:
        raise InvalidArgument(
            f"{columns} columns in {width} pixels leave {max(across, 0)} for each of {count} screens, which is less "
            f"than {_LEAST}: pass a greater width, or fewer columns"
        )
    return Grid(count, columns, (across, max(round(across * screen[1] / screen[0]), 1)), width, _GAP, _CAPTION)


def whole(count: int, screen: tuple[int, int]) -> Grid:
    """Return a grid of screens in their own size, without gaps, that is as nearly square as can be."""
    width, height = screen
    columns = min(range(1, count + 1), key=lambda each: max(each * width, -(-count // each) * height))
    grid = Grid(count, columns, screen, columns * width)
    if max(grid.size) > _GREATEST:
        size = "{}x{}".format(*grid.size)
        raise InvalidArgument(
            f"{count} screens of {width}x{height} are {size} pixels side by side, and a display of X has at most "
            f"{_GREATEST} along an edge: make the pool's screens smaller or fewer, or take pictures, by wall()"
        )
    return grid


def _scale(columns: int, count: int, screen: tuple[int, int], width: int) -> float:
    rows, height = -(-count // columns), width / _SHAPE
    return min((width / columns - _GAP) / screen[0], (height / rows - _GAP - _CAPTION) / screen[1])
