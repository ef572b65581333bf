"""Straight and premultiplied alpha: a picture's own colours, and the same multiplied by alpha, as X keeps them.

Both ways round to the nearest, halves up, so that what was straightened comes back as it was wherever no colour is
brighter than its alpha. Samples are uint8 or uint16 of any byte order, up to `top`, 255 or 65535.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_ALPHA = 3  # its place among R G B A, after the colours


def straighten(rgba: NDArray[Any], bands: Iterable[slice]) -> None:
    """Divide colours by alpha, in place: (2 × colour × top + alpha) // (2 × alpha), at most `top`; 0 where alpha is 0.

    `rgba` is (height, width, 4), with any strides; `bands` are slices of its rows that stay in the cache.
    """
    top = int(np.iinfo(rgba.dtype).max)
    for rows in bands:
        band = rgba[rows]
        alpha = band[..., _ALPHA]
        if (alpha == top).all():
            continue
        if band.itemsize == 1:
            # One look-up a sample, in a table that fits in the cache: 14 ms of 1080p.
            row_of_table = alpha.astype(np.uint16) << 8
            for at in range(_ALPHA):
                band[..., at] = _straight().take(row_of_table | band[..., at])
        else:
            band[..., :_ALPHA] = _divided(band[..., :_ALPHA], alpha[..., None], top)


def premultiply(rgba: NDArray[np.uint8], bands: Iterable[slice]) -> NDArray[np.uint8]:
    """Return a copy of (height, width, 4) uint8, colours multiplied by alpha: (2 × colour × alpha + 255) // 510."""
    multiplied = np.empty(rgba.shape, np.uint8)
    for rows in bands:
        alpha = rgba[rows, :, _ALPHA].astype(np.uint16)
        for at in range(_ALPHA):
            # The same as the division, for every product of two bytes, in 16 bits.
            product = rgba[rows, :, at] * alpha
            product += 128
            product += product >> 8
            multiplied[rows, :, at] = product >> 8
        multiplied[rows, :, _ALPHA] = alpha
    return multiplied


@functools.cache
def _straight() -> NDArray[np.uint8]:
    """Return the straight colour for each pair, at alpha × 256 + colour."""
    pairs = np.arange(1 << 16)
    return _divided(pairs & 0xFF, pairs >> 8, 255).astype(np.uint8)


def _divided(colour: NDArray[Any], alpha: NDArray[Any], top: int) -> NDArray[Any]:
    opacity = alpha.astype(np.uint64)
    straight = (colour.astype(np.uint64) * np.uint64(2 * top) + opacity) // np.maximum(2 * opacity, 1)
    found: NDArray[Any] = np.where(opacity == 0, 0, np.minimum(straight, top))
    return found
