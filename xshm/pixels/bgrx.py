"""Convert four bytes a pixel to three (B G R X to R G B or B G R) in one pass of numpy, by stores that overlap.

Each pixel is stored as one number of four bytes, and the next one three bytes further on, over the fourth byte of the
one before. Three pixels B G R X to R G B, where the lower-case letters are the pixel's number:

    target   R0 G0 B0 .  .  .  .  .  .      the first store: R0 G0 B0 and x0 behind them
                      x0
             R0 G0 B0 R1 G1 B1 x1 .  .      the second store covers x0
             R0 G0 B0 R1 G1 B1 R2 G2 B2     the last pixel is copied by bytes, since nothing would cover its x2

1.2 ms of a 1080p picture, where numpy takes 1.8 ms to copy one channel after the other (tests/bench/pixels.py).

What does not work: relying on numpy to store from the first element to the last, which it does not document.
`_stores_forward` tests it once in each process, before anything depends on it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from xshm.pixels.raster import row_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_IN, _OUT = 4, 3  # bytes a pixel
_TRIED: Final = (3, 1 << 13)  # rows and columns: long enough for numpy's fastest loops


def can_pack(pixels: NDArray[Any], target: NDArray[Any], places: Sequence[int]) -> bool:
    """Return whether `pack` can convert these: `places` are adjacent bytes of a pixel, in memory order or reversed."""
    if pixels.shape[2] != _IN or pixels.strides[1:] != (_IN, 1) or len(places) != _OUT:
        return False
    if target.dtype != np.uint8 or target.strides[1:] != (_OUT, 1) or target.shape[1] < 2:  # noqa: PLR2004
        return False
    return _shift(places) is not None and _stores_forward()


def pack(pixels: NDArray[Any], target: NDArray[Any], places: Sequence[int]) -> None:
    """Write the bytes `places` of each pixel into `target`, (height, width, 3) uint8, where `can_pack`."""
    shift = _shift(places)
    assert shift is not None  # noqa: S101 - `can_pack` is False for other orders
    up, reverse = shift
    height, width = target.shape[:2]
    values = pixels.view("<u4")[..., 0]
    # The last pixel of a row is left out: its fourth byte would be beyond the row.
    over = np.lib.stride_tricks.as_strided(target, (height, width - 1, _IN), (target.strides[0], _OUT, 1))
    stored = over.view(">u4" if reverse else "<u4")[..., 0]
    for rows in row_bands(height, width):
        band = values[rows]
        if up:
            band = band << up if up > 0 else band >> -up
        stored[rows] = band[:, :-1]
    # The last pixels, which `stored` leaves out.
    target[:, -1] = pixels[:, -1, list(places)]


def _shift(places: Sequence[int]) -> tuple[int, bool] | None:
    """Return by how many bits a pixel's number is shifted left, and whether its bytes are reversed; None: can't be.

    The number is read as little-endian. Shifted, its first three bytes are the `places` in memory order, or its last
    three are, which a big-endian store writes first and in reverse.
    """
    first = places[0]
    if list(places) == [first, first + 1, first + 2]:
        return -8 * first, False  # 1, 2, 3: down by a byte
    if list(places) == [first, first - 1, first - 2]:
        return 8 * (_IN - 1 - first), True  # 2, 1, 0: up by a byte, so that the undefined one is stored last
    return None


@functools.cache
def _stores_forward() -> bool:
    """Return whether `pack` writes what slices do, on pixels of which no byte is 0, as the target's are."""
    pixels = np.arange(_TRIED[0] * _TRIED[1] * _IN, dtype=np.uint32).astype(np.uint8).reshape(*_TRIED, _IN) | 1
    for places in ((2, 1, 0), (0, 1, 2), (3, 2, 1), (1, 2, 3)):
        target = np.zeros((*_TRIED, _OUT), np.uint8)
        pack(pixels, target, places)
        if not np.array_equal(target, pixels[..., list(places)]):
            return False
    return True
