"""Write pixels into a picture's planes by numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.record.pictures import yuv

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.record.pictures.picture import Layout

    Planes = Sequence[NDArray[np.uint8]]
else:
    from xshm._numpy import np

BAND = 8192  # pixels converted at a time: the intermediate numbers, four bytes each, then stay in the cache
_OPAQUE = 255


def write(pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
    """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p takes even sizes only."""
    if layout == "bgr0":
        write_bgr0(pixels, planes[0])
    elif layout == "gbrp":
        for plane, place in zip(planes, (1, 0, 2), strict=True):
            plane[...] = pixels[..., place]
    else:
        colours = yuv.channels(pixels)
        if layout == "yuv444p":
            for plane, coefficients in zip(planes, yuv.FULL, strict=True):
                yuv.sample(colours, coefficients, plane)
            return
        yuv.sample(colours, yuv.LUMA, planes[0])
        means = yuv.halved(colours)
        for plane, coefficients in zip(planes[1:], yuv.FULL[1:], strict=True):
            yuv.sample(means, coefficients, plane)


def write_bgr0(pixels: NDArray[np.uint8], plane: NDArray[Any]) -> None:
    """Copy blue, green and red, and set the fourth byte: as one number a pixel where the pixels have four bytes."""
    if pixels.shape[2] == plane.shape[2] and pixels.strides[2] == 1:
        np.bitwise_or(pixels.view("<u4"), np.uint32(_OPAQUE << 24), out=plane.view("<u4"))
    else:
        plane[..., :3] = pixels[..., :3]
        plane[..., 3] = _OPAQUE
