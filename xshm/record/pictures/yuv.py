"""YUV of BT.601 in limited range, in whole numbers: black is 16 128 128, white 235 128 128, in any converter.

Two sets of coefficients, those of OpenCV's functions, so that what numpy paints beside them has the same samples: a
picture shows no seam where one converter took over from the other. Each sample is

    (blue × c0 + green × c1 + red × c2 + c3) >> shift

- FULL, 10 bits, as cv2.transform has it: chroma of each pixel (yuv444p).
- LUMA, 20 bits, as cv2.cvtColor to I420 has it: luma of yuv420p.

Both are off by at most 0.62 from the exact sample, where rounding alone is off by 0.5. Source: ITU-R BT.601-7, 2.5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

# Rows are Y, U, V; columns blue, green, red and what is added, of 0 to 255 each.
_SCALED: Final = (
    (24.966, 128.553, 65.481, 16 * 255),
    (112.0, -74.203, -37.797, 128 * 255),
    (-18.214, -93.786, 112.0, 128 * 255),
)
MATRIX: Final = tuple(tuple(value / 255 for value in row) for row in _SCALED)
_BITS: Final = 10
FULL: Final = tuple(
    (*(round(value * (1 << _BITS)) for value in row[:3]), int((row[3] + 0.5) * (1 << _BITS)), _BITS) for row in MATRIX
)
LUMA: Final = (102760, 528482, 269484, (16 << 20) + (1 << 19), 20)


def sample(bgr: tuple[NDArray[np.int32], ...], coefficients: tuple[int, ...], out: NDArray[np.uint8]) -> None:
    """Write one plane of samples from blue, green and red as int32, all of one shape."""
    *factors, constant, shift = coefficients
    total = bgr[0] * factors[0]
    total += constant
    for channel, factor in zip(bgr[1:], factors[1:], strict=True):
        total += channel * factor
    total >>= shift
    out[...] = total


def channels(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int32], ...]:
    """Return blue, green and red of (height, width, 3 or 4) pixels, wide enough to compute with."""
    return tuple(pixels[..., place].astype(np.int32) for place in range(3))


def halved(bgr: tuple[NDArray[np.int32], ...]) -> tuple[NDArray[np.int32], ...]:
    """Return blue, green and red of the mean of each 2x2 pixels, rounded to the nearest, halves up."""
    found = []
    for channel in bgr:
        rows = channel[::2] + channel[1::2]
        found.append((rows[:, ::2] + rows[:, 1::2] + 2) >> 2)
    return tuple(found)
