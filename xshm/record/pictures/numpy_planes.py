"""Write blue, green, red into a picture's planes by numpy alone; as all converters do it, for small parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.record.pictures import yuv

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.record.pictures.picture import Layout

    Planes = Sequence[NDArray[np.uint8]]
else:
    from xshm._numpy import np

_OPAQUE: Final = 255


_BAND: Final = 8192  # pixels at a time: the intermediate numbers, four bytes each, then stay in the cache


class NumpyWriter:
    """The conversion of pixels."""

    loss: Final = 6e-9  # seconds that a pixel takes longer than by OpenCV (tests/bench/record_conversions.py)
    name: Final = "numpy"

    def write(self, pixels: NDArray[np.uint8], planes: Planes, layout: Layout) -> None:
        """Convert (height, width, 3 or 4) blue, green, red into planes of that size; yuv420p's is even."""
        if layout == "bgr0":
            write_bgr0(pixels, planes[0])
            return
        for rows, halves in bands(pixels.shape[0], pixels.shape[1], _BAND):
            band = pixels[rows]
            if layout == "gbrp":
                for plane, place in zip(planes, (1, 0, 2), strict=True):
                    plane[rows] = band[..., place]
                continue
            colours = yuv.channels(band)
            if layout == "yuv444p":
                for at, plane in enumerate(planes):
                    plane[rows] = yuv.samples(colours, at)
                continue
            planes[0][rows] = yuv.luma(colours)
            means = yuv.halved(colours)
            for at in (1, 2):
                planes[at][halves] = yuv.samples(means, at)


def bands(height: int, width: int, pixels: int) -> Iterator[tuple[slice, slice]]:
    """Return slices of rows from the top, of an even number of them and about so many pixels, and those of half."""
    rows = max(pixels // width // 2 * 2, 2)
    return ((slice(top, top + rows), slice(top // 2, (top + rows) // 2)) for top in range(0, height, rows))


def write_bgr0(pixels: NDArray[np.uint8], plane: NDArray[Any]) -> None:
    """Copy blue, green and red, and set the fourth byte: as one number a pixel where the pixels have four bytes."""
    if pixels.shape[2] == plane.shape[2] and pixels.strides[2] == 1:
        np.bitwise_or(pixels.view("<u4"), np.uint32(_OPAQUE << 24), out=plane.view("<u4"))
    else:
        plane[..., :3] = pixels[..., :3]
        plane[..., 3] = _OPAQUE
