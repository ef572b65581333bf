"""The palette entry nearest to a colour: exactly the one with the least sum of squared differences of the channels.

Of entries equally near the lowest index is chosen. Each colour is searched for once, and its index kept in a table of
all 2²⁴ colours; after that a picture costs one look-up a pixel. The table is 32 MB of address space, of which the
system backs only the pages that were written to. `blend` and `from_rgb` use it for screens with a colormap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_COLOURS: Final = 1 << 24
_AT_ONCE: Final = 8192  # colours searched for at a time: their distances to a palette of 256 are then 8 MB


class Nearest:
    """A search in one palette: (n, 3) colours of 0 to 255, n at most 65535; entries not `usable` are never returned."""

    def __init__(self, palette: NDArray[Any], usable: NDArray[np.bool_]) -> None:
        self._palette = palette.astype(np.float32)
        self._lengths = (self._palette**2).sum(axis=1)
        self._lengths[~usable] = np.inf  # farther than any colour
        self._known = np.zeros(_COLOURS, np.uint16)  # the index plus 1; 0 where a colour was not searched for yet

    def of(self, red: NDArray[np.uint8], green: NDArray[np.uint8], blue: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Return the palette index for each pixel; the three planes have one shape, which the result has too."""
        colours = red.astype(np.uint32)
        colours <<= 8
        colours |= green
        colours <<= 8
        colours |= blue
        found = self._known.take(colours)
        if not found.all():
            self._search(np.unique(colours[found == 0]))  # those that no earlier call has met
            found = self._known.take(colours)
        found -= 1
        return found

    def _search(self, colours: NDArray[np.uint32]) -> None:
        for start in range(0, len(colours), _AT_ONCE):
            some = colours[start : start + _AT_ONCE]
            # |c - p|² is |p|² - 2 c·p + |c|², whose last term is the same for all p and left out. All numbers are
            # whole and below 2²⁴, which float32 holds exactly.
            channels = np.stack((some >> 16, some >> 8 & 255, some & 255), axis=1).astype(np.float32)
            distances = self._lengths - 2 * (channels @ self._palette.T)
            self._known[some] = distances.argmin(axis=1) + 1
