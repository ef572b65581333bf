"""The cell of a palette that is nearest to a colour, exactly: the least sum of squares, the lowest cell of several.

Each colour is looked for once, and kept in a table of all 2²⁴; a picture costs a look-up a pixel from then on. Memory
is touched only where colours were met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_COLOURS: Final = 1 << 24
_AT_ONCE: Final = 8192  # colours looked for at a time: the distances to 256 cells are then 8 MB


class Nearest:
    """A palette of (n, 3) cells of 0 to 255, of which those that are `usable` are found; n is at most 65535."""

    def __init__(self, cells: NDArray[Any], usable: NDArray[np.bool_]) -> None:
        self._cells = cells.astype(np.float32)
        self._lengths = (self._cells**2).sum(axis=1)
        self._lengths[~usable] = np.inf
        self._known = np.zeros(_COLOURS, np.uint16)  # the cell, plus 1

    def of(self, red: NDArray[np.uint8], green: NDArray[np.uint8], blue: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Return the nearest cell for each pixel."""
        colours = red.astype(np.uint32)
        colours <<= 8
        colours |= green
        colours <<= 8
        colours |= blue
        found = self._known.take(colours)
        if not found.all():
            self._learn(np.unique(colours[found == 0]))
            found = self._known.take(colours)
        found -= 1
        return found

    def _learn(self, colours: NDArray[np.uint32]) -> None:
        for start in range(0, len(colours), _AT_ONCE):
            some = colours[start : start + _AT_ONCE]
            # All numbers are whole and below 2²⁴, so that float32 holds them exactly. The colour's own length is the
            # same for all cells, and left out.
            channels = np.stack((some >> 16, some >> 8 & 255, some & 255), axis=1).astype(np.float32)
            distances = self._lengths - 2 * (channels @ self._cells.T)
            self._known[some] = distances.argmin(axis=1) + 1
