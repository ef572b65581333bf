"""The place where a picture comes closest to being seen: what the error of a search in vain says.

Found without OpenCV, and in bounded time, by a lower bound. Of two pixels, the square of the difference of their mean
brightnesses is at most the mean of the three channels' squares. So the sum over a place in shades of grey is at most a
third of that in colours. The sums in grey of all places are one correlation, by Fourier transforms; then places are
compared in colour, from the least sum on, until no sum that is left can be below the best.

What does not work: comparing every few pixels, or a picture made smaller. Text and thin lines that are off by one pixel
differ as much as anything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from xshm.errors import WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xshm.image.frame import Frame

_MIDDLE: Final = 127.5  # brightness; numbers around zero round better in the transforms
# Rows of places in one transform: more take more memory (100 MB for 256 rows of a 4K screen), fewer more time, since
# each transform also has the picture's own rows.
_BAND: Final = 256
_MOST_COMPARED: Final = 256  # places in colour: nearly always a few decide, but for noise
_MOST_PIXELS: Final = 1 << 25  # of all places that are compared in colour: 0.8 s
_LEAST_COMPARED: Final = 4


class Unseen(WaitTimeout):
    """A WaitTimeout whose message ends in `closest()`, which is called once, when the message is first read.

    Programs that look whether a picture is there now (`timeout=0`), and drop the error, don't wait for the search.
    """

    def __init__(self, message: str, *, frame: Frame, closest: Callable[[], str]) -> None:
        super().__init__(message, frame=frame)
        self._closest: Callable[[], str] | None = closest

    def __str__(self) -> str:
        if self._closest is not None:
            self.args = (f"{self.args[0]}{self._closest()}",)
            self._closest = None
        return str(self.args[0])


def find_closest(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None
) -> tuple[int, int, float] | None:
    """Return x, y of the place that differs least, and by how much: as `find_image`. None where the picture is larger.

    Both are (height, width, 3) uint8; where `mask` (height, width) is False, nothing is compared. Where so many places
    are about the same that no few of them can be the best, it is the best of the most likely ones.
    """
    rows, columns = picture.shape[:2]
    if rows > inside.shape[0] or columns > inside.shape[1]:
        return None
    most = min(_MOST_COMPARED, max(_MOST_PIXELS // (rows * columns), _LEAST_COMPARED))
    weights = np.ones((rows, columns)) if mask is None else mask.astype(float)
    grey = _grey(picture)
    bounds, places = np.empty(0), np.empty(0, np.intp)
    band = max(_BAND, rows)
    for top in range(0, inside.shape[0] - rows + 1, band):
        sums = _sums(_grey(inside[top : top + band + rows - 1]), grey, weights, mask is not None)
        least = np.argpartition(sums.ravel(), min(most, sums.size) - 1)[:most]
        bounds = np.append(bounds, sums.ravel()[least])
        places = np.append(places, least + top * sums.shape[1])
    best: tuple[float, int, int] = (math.inf, 0, 0)
    wanted = picture.astype(np.int32)
    for index in np.argsort(bounds, kind="stable")[:most].tolist():
        if 3 * bounds[index] > best[0]:
            break
        y, x = divmod(int(places[index]), inside.shape[1] - columns + 1)
        squares = np.square(inside[y : y + rows, x : x + columns] - wanted).sum(axis=2)
        best = min(best, (float(squares.sum() if mask is None else squares[mask].sum()), y, x))
    least_sum, y, x = best
    return x, y, math.sqrt(least_sum / (255**2 * 3 * weights.sum()))


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey: NDArray[np.float64] = rgb.mean(axis=2)
    grey -= _MIDDLE
    return grey


def _sums(
    inside: NDArray[np.float64], picture: NDArray[np.float64], weights: NDArray[np.float64], is_masked: bool
) -> NDArray[np.float64]:
    """Return for each place the sum of the squares of how far it is off; below 0 by rounding alone."""
    rows, columns = inside.shape[0] - len(picture) + 1, inside.shape[1] - picture.shape[1] + 1

    def correlate(values: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        product = np.fft.rfft2(values)
        product *= np.conj(np.fft.rfft2(kernel, inside.shape))
        return np.fft.irfft2(product, inside.shape)[:rows, :columns]

    squares = np.square(inside)
    if is_masked:
        own = correlate(squares, weights)
    else:  # a summed-area table is faster
        table = np.zeros((inside.shape[0] + 1, inside.shape[1] + 1))
        np.cumsum(np.cumsum(squares, axis=0), axis=1, out=table[1:, 1:])
        height, width = picture.shape
        own = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    weighted = picture * weights
    own -= 2 * correlate(inside, weighted)
    own += float((weighted * picture).sum())
    return own
