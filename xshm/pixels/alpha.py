"""Straight and premultiplied alpha, one to the other; X has colours multiplied by alpha (Render).

Both conversions round to the nearest, halves up, so a picture that was straightened and premultiplied again is the same
wherever no colour is brighter than its alpha. Samples are uint8 or uint16 of any byte order, up to `top`, 255 or 65535.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from xshm.pixels.raster import row_bands

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_ALPHA: Final = 3  # the index of alpha in R G B A, and so the number of colours before it


def straighten(rgba: NDArray[Any]) -> None:
    """Divide colours by alpha, in place: (2 × colour × top + alpha) // (2 × alpha), at most `top`; 0 where alpha is 0.

    `rgba` is (height, width, 4), with any strides.
    """
    top = int(np.iinfo(rgba.dtype).max)
    for rows in row_bands(*rgba.shape[:2]):
        band = rgba[rows]
        alpha = band[..., _ALPHA]
        if (alpha == top).all():  # as in most windows of depth 32, nearly everywhere
            continue
        if band.itemsize == 1:
            # One look-up a sample, in a table of 64 KiB, which the cache holds: 14 ms of 1080p.
            row_of_table = alpha.astype(np.uint16) << 8
            for at in range(_ALPHA):
                band[..., at] = _straight().take(row_of_table | band[..., at])
        else:
            band[..., :_ALPHA] = _divided(band[..., :_ALPHA], alpha[..., None], top)


def premultiply(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of (height, width, 4) uint8, colours multiplied by alpha: (2 × colour × alpha + 255) // 510."""
    multiplied = np.empty(rgba.shape, np.uint8)
    for rows in row_bands(*rgba.shape[:2]):
        alpha = rgba[rows, :, _ALPHA].astype(np.uint16)
        for at in range(_ALPHA):
            # (p + 128 + (p + 128 >> 8)) >> 8 is p / 255 to the nearest for every product p of two bytes, in 16 bits.
            product = rgba[rows, :, at] * alpha
            product += 128
            product += product >> 8
            multiplied[rows, :, at] = product >> 8
        multiplied[rows, :, _ALPHA] = alpha
    return multiplied


@functools.cache
def _straight() -> NDArray[np.uint8]:
    """Return the straight colour of each pair, at index alpha × 256 + colour."""
    pairs = np.arange(1 << 16)
    return _divided(pairs & 0xFF, pairs >> 8, 255).astype(np.uint8)


def _divided(colour: NDArray[Any], alpha: NDArray[Any], top: int) -> NDArray[Any]:
    opacity = alpha.astype(np.uint64)
    straight = (colour.astype(np.uint64) * np.uint64(2 * top) + opacity) // np.maximum(2 * opacity, 1)
    found: NDArray[Any] = np.where(opacity == 0, 0, np.minimum(straight, top))
    return found
