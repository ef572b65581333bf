"""YUV of BT.601 in limited range, in whole numbers: black is 16 128 128, white 235 128 128, in each converter.

The coefficients have ten bits, as cv2.transform rounds them, so that what numpy paints beside OpenCV has the same
samples: a picture shows no seam where one took over from the other. Each sample of a pixel is

    (blue × c0 + green × c1 + red × c2 + c3) >> 10

which is off by at most 0.62 from the exact one, where rounding alone is off by 0.5. yuv420p has its luma from
cv2.cvtColor, whose coefficients have twenty bits. Its chroma is that of the mean of 2x2 pixels, rounded to the nearest,
halves up: chroma of one pixel in four, as OpenCV's conversion to I420 takes it, needs half the time, but coloured text
that scrolls took 1.5 times the bytes (libx264, ultrafast), with an error of 24.9 dB, where the mean's is 27.5 dB.
Source: ITU-R BT.601-7, 2.5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

# Rows are Y, U, V; columns blue, green, red and what is added, for colours of 0 to 255.
_SCALED: Final = (
    (24.966, 128.553, 65.481, 16 * 255),
    (112.0, -74.203, -37.797, 128 * 255),
    (-18.214, -93.786, 112.0, 128 * 255),
)
MATRIX: Final = tuple(tuple(value / 255 for value in row) for row in _SCALED)
_BITS: Final = 10
_ONE: Final = 1 << _BITS
_WHOLE: Final = tuple((*(round(value * _ONE) for value in row[:3]), int((row[3] + 0.5) * _ONE)) for row in MATRIX)

# yuv420p's luma has twenty bits, as cv2.cvtColor has them.
_LUMA_BITS: Final = 20
_LUMA: Final = (102760, 528482, 269484, (16 << _LUMA_BITS) + (1 << _LUMA_BITS - 1))

Channels = tuple["NDArray[np.int32]", "NDArray[np.int32]", "NDArray[np.int32]"]


def channels(pixels: NDArray[np.uint8]) -> Channels:
    """Return blue, green and red of (height, width, 3 or 4) pixels, wide enough to compute with."""
    blue, green, red = (pixels[..., place].astype(np.int32) for place in range(3))
    return blue, green, red


def samples(bgr: Channels, plane: int) -> NDArray[np.int32]:
    """Return the samples of plane 0 (Y), 1 (U) or 2 (V)."""
    return _weighted(bgr, _WHOLE[plane], _BITS)


def luma(bgr: Channels) -> NDArray[np.int32]:
    """Return the samples of yuv420p's plane 0."""
    return _weighted(bgr, _LUMA, _LUMA_BITS)


def _weighted(bgr: Channels, row: tuple[int, ...], bits: int) -> NDArray[np.int32]:
    *factors, constant = row
    total = bgr[0] * factors[0]
    total += constant
    for channel, factor in zip(bgr[1:], factors[1:], strict=True):
        total += channel * factor
    total >>= bits
    return total


def halved(bgr: Channels) -> Channels:
    """Return the means of each 2x2 pixels."""
    blue, green, red = (_means(channel) for channel in bgr)
    return blue, green, red


def _means(channel: NDArray[np.int32]) -> NDArray[np.int32]:
    rows = channel[::2] + channel[1::2]
    found = rows[:, ::2] + rows[:, 1::2]
    found += 2
    found >>= 2
    return found
