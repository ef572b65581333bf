"""Palettes of at most 256 colours for pixels of any number of colours: exact where these suffice, else near.

Colours are counted in bins of 64 or 32 steps a channel. The bins are parted where their colours vary most (Wu's
criterion, cut at the mean), the parts are moved to the means of what is nearest to them (k-means), and a part that is
mostly one colour, a window's background, gets exactly that.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from xshm.image.files.png_palette import build_palette
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_BGRX: Final = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
_RGB: Final = np.uint32(0xFFFFFF)
_MOST: Final = 256
_FEW: Final = 32_768  # pixels; sorting them takes less time than clearing a table of all colours, 0.3 ms
_FINE, _COARSE = 6, 5  # bits of a channel that tell its bin
_MOST_FINE: Final = 12_288  # bins that are used; more take too long to compare with 256 colours
_SAMPLE: Final = 1 << 18  # pixels that a palette is made of, at most
_MOVES: Final = 2  # of k-means; a third one gains 0.1 dB
_BAND: Final = 2048  # bins compared at a time, so that the distances stay in the cache
_NO_ERROR: Final = 0.01  # below that of two pixels of neighbouring colours, 0.5; above that of rounding
_MOSTLY: Final = 0.5  # the share of one bin from which on a colour is exactly that bin's


def indexed(pixels: NDArray[np.uint32], most: int) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Return the index of each pixel, and at most `most` colours; pixels and colours are 0xRRGGBB, or with 255 above.

    `pixels` has one dimension.
    """
    exact = _exact(pixels)
    if exact is not None and len(exact[1]) <= most:
        return exact
    bits, bins, counts = _counted(pixels)
    used = np.flatnonzero(counts)
    weights, means, spread = _statistics(pixels, bins, used, counts)
    palette = _palette(weights, means, spread, most)
    table = np.zeros(1 << 3 * bits, np.uint8)
    table[used] = _nearest(means, palette)
    red, green, blue = palette.astype(np.uint32).T
    return table.take(bins), red << np.uint32(16) | green << np.uint32(8) | blue


def _exact(pixels: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.uint32]] | None:
    """Return the index of each pixel, and its colours; None for more than 256."""
    if len(pixels) <= _FEW:
        colours, found = np.unique(pixels & _RGB, return_inverse=True)
        return (found.astype(np.uint8), colours) if len(colours) <= _MOST else None
    indices = np.empty((1, len(pixels)), np.uint8)
    known = build_palette(Raster(pixels.view(np.uint8).reshape(1, -1, 4), _BGRX), indices)
    return None if known is None else (indices[0], known)


def _palette(
    weights: NDArray[np.float64], means: NDArray[np.float64], spread: NDArray[np.float64], most: int
) -> NDArray[np.float64]:
    """Return at most `most` colours, R G B of whole numbers, for bins of these weights, means and variances."""
    palette = _parted(weights, means, most)
    for _ in range(_MOVES):
        nearest = _nearest(means, palette)
        total = np.bincount(nearest, weights, len(palette))
        for channel in range(3):
            summed = np.bincount(nearest, weights * means[:, channel], len(palette))
            palette[:, channel] = np.where(total > 0, summed / np.maximum(total, 1), palette[:, channel])
    nearest = _nearest(means, palette)
    total = np.bincount(nearest, weights, len(palette))
    heavy = np.flatnonzero((weights > _MOSTLY * total[nearest]) & (spread < 1))
    palette[nearest[heavy]] = means[heavy]
    return np.rint(palette)


def _counted(pixels: NDArray[np.uint32]) -> tuple[int, NDArray[np.uint32], NDArray[np.intp]]:
    """Return how many bits of a channel tell its bin, the bin of each pixel, and how many pixels each bin has."""
    bits = _FINE
    bins = _bins(pixels, bits)
    counts = np.bincount(bins, minlength=1 << 3 * bits)
    if np.count_nonzero(counts) > _MOST_FINE:
        bits = _COARSE
        bins = _bins(pixels, bits)
        counts = np.bincount(bins, minlength=1 << 3 * bits)
    return bits, bins, counts


def _bins(pixels: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    mask = np.uint32((1 << bits) - 1)
    found = pixels >> np.uint32(8 - bits) & mask
    for channel in (1, 2):
        found |= (pixels >> np.uint32(8 * channel + 8 - bits) & mask) << np.uint32(bits * channel)
    return found


def _statistics(
    pixels: NDArray[np.uint32], bins: NDArray[np.uint32], used: NDArray[np.intp], counts: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return weight, mean R G B, and the colours' variance around it, of each bin that is used."""
    step = max(len(pixels) // _SAMPLE, 1) | 1  # odd, so that it falls into no rhythm with the rows
    pixels, bins = pixels[::step], bins[::step]
    size = len(counts)
    sampled = np.bincount(bins, minlength=size)[used]
    means = np.empty((len(used), 3))
    spread = np.zeros(len(used))
    bits = size.bit_length() // 3
    for channel in range(3):
        values = (pixels >> np.uint32(16 - 8 * channel) & np.uint32(0xFF)).astype(np.float64)
        mean = np.bincount(bins, values, size)[used] / np.maximum(sampled, 1)
        spread += np.bincount(bins, values * values, size)[used] / np.maximum(sampled, 1) - mean * mean
        middle = ((used >> bits * (2 - channel) & (1 << bits) - 1) + 0.5) * (1 << 8 - bits)
        means[:, channel] = np.where(sampled > 0, mean, middle)  # a rare bin may be missed by the sample
    return counts[used].astype(np.float64), means, spread


def _parted(weights: NDArray[np.float64], means: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Return the mean colours of at most `most` parts of the bins."""
    parts = [_Part(weights, means, np.arange(len(weights)))]  # a heap: the one with the greatest error first
    while len(parts) < most and parts[0].error >= _NO_ERROR:
        part = parts[0]
        low = means[part.members, part.axis] <= part.cut
        heapq.heapreplace(parts, _Part(weights, means, part.members[low]))
        heapq.heappush(parts, _Part(weights, means, part.members[~low]))
    return np.array([each.mean for each in parts])


class _Part:
    """Some of the bins: their mean, how far they are from it in all, and where to part them."""

    __slots__ = ("axis", "cut", "error", "mean", "members")

    def __init__(self, weights: NDArray[np.float64], means: NDArray[np.float64], members: NDArray[np.intp]) -> None:
        self.members = members
        weight, colours = weights[members], means[members]
        total = weight.sum()
        self.mean = weight @ colours / total
        apart = weight @ (colours - self.mean) ** 2
        self.axis = int(apart.argmax())
        self.cut = self.mean[self.axis]
        self.error = float(apart.sum()) if len(members) > 1 else 0.0

    def __lt__(self, other: _Part) -> bool:
        return self.error > other.error


def _nearest(colours: NDArray[np.float64], palette: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the index of the nearest colour of the palette for each of the colours."""
    found = np.empty(len(colours), np.intp)
    red, green, blue = palette.T.astype(np.float32)
    for at in range(0, len(colours), _BAND):
        r, g, b = colours[at : at + _BAND].T.astype(np.float32)[:, :, np.newaxis]
        found[at : at + _BAND] = ((r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2).argmin(axis=1)
    return found
