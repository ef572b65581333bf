"""PNG files from pixels: lossless, and nearly as fast as the pixels can be read.

Pictures of at most 256 colours become palette files, which are about half as large. `png_stdlib` makes the same files
of the usual screens without numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm.image.files import png_chunks, png_palette
from xshm.pixels import opencv
from xshm.pixels.alpha import straighten
from xshm.pixels.channels import Part, alpha, luma, values
from xshm.pixels.channels import colours as colour_channels
from xshm.pixels.to_rgb import check_colormap, paint, row_bands, sample_type, size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from xshm._arguments import Colours
    from xshm.pixels.format import PixelFormat
else:
    from xshm._numpy import np


def png(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    level: int = png_chunks.FASTEST,
    colormap: NDArray[Any] | None = None,
    dtype: DTypeLike = "uint8",
    width: int | None = None,
    colours: Colours = "auto",
) -> bytes:
    """Return a PNG file. `colours` decides on its channels.

    - "auto": gray, palette or RGB, the smallest of them that holds the picture, and RGBA at depth 32.
    - "rgb": RGB, and RGBA at depth 32; never gray, never a palette.

    `level` 1 is libisal's, by far the fastest; 2 to 9 are zlib's, smaller and ten to a hundred times slower; 0 does
    not compress. With dtype=numpy.uint16 channels have 16 bits, which keeps all of depth 30. Alpha is straight, as
    `xshm.pixels.to_rgb.rgba` returns it. `colormap` and `width` are as `xshm.pixels.to_rgb` has them.
    """
    _arguments.colours(colours)
    kind = sample_type(dtype)
    png_chunks.check_level(level)
    height, width = size(pixels, fmt, width)
    if fmt.is_gray and colours == "auto":
        return _picture(pixels, fmt, (luma(fmt, kind, colormap),), png_chunks.GRAY, kind, width, level)
    channels: tuple[Part, ...] = colour_channels(fmt, kind, colormap)
    if fmt.alpha_mask:
        return _picture(pixels, fmt, (*channels, alpha(fmt, kind)), png_chunks.RGBA, kind, width, level)
    if kind == np.uint8 and colours == "auto":
        rows = np.empty((height, 1 + width), np.uint8)
        rows[:, 0] = 0
        shown = _indices(pixels, fmt, channels, rows[:, 1:])
        if shown is not None:
            table = np.stack([part.of(shown) for part in channels], axis=1).astype(np.uint8)
            return png_chunks.write(width, height, png_chunks.PALETTE, rows, level, table=table.tobytes())
    return _picture(pixels, fmt, channels, png_chunks.RGB, kind, width, level)


def _picture(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    parts: tuple[Part, ...],
    colour_type: int,
    kind: np.dtype[Any],
    width: int,
    level: int,
) -> bytes:
    """Return a file without a palette."""
    check_colormap(pixels, fmt, parts, width)
    height, pixel = len(pixels), len(parts) * kind.itemsize
    rows = np.empty((height, 1 + width * pixel), np.uint8)
    rows[:, 0] = 0
    shape, strides = (height, width, len(parts)), (rows.strides[0], pixel, kind.itemsize)
    samples: NDArray[Any] = np.ndarray(shape, kind.newbyteorder(">"), rows, 1, strides)
    paint(pixels, fmt, parts, samples, opencv.loaded())
    if colour_type == png_chunks.RGBA:
        straighten(samples, row_bands(height, width))
    if level:
        _filter(rows, pixel)
    return png_chunks.write(width, height, colour_type, rows, level, bits=8 * kind.itemsize)


def _indices(
    pixels: NDArray[Any], fmt: PixelFormat, channels: tuple[Part, ...], out: NDArray[np.uint8]
) -> NDArray[Any] | None:
    """Write the picture as indices, and return the pixel values they stand for; None where 256 don't do."""
    if fmt.has_masks:
        return png_palette.build_palette(pixels, fmt, out)
    if fmt.depth > 8 * out.itemsize:
        return None
    width = out.shape[1]
    check_colormap(pixels, fmt, channels, width)
    np.bitwise_and(values(pixels, fmt, width), fmt.colour_mask, out=out)
    return np.arange(int(out.max()) + 1)


def _filter(rows: NDArray[np.uint8], pixel: int) -> None:
    """Filter in place the bands that gain from it, from the last: each needs the row before it as it was."""
    sample = rows[:: png_chunks.EVERY]
    change = sample[:, 1 + pixel :] - sample[:, 1:-pixel]
    steps = change != 0
    change += png_chunks.STEP
    steps &= change <= 2 * png_chunks.STEP
    for top in reversed(range(0, len(rows), png_chunks.BAND)):
        found = steps[top // png_chunks.EVERY : (top + png_chunks.BAND) // png_chunks.EVERY]
        if np.count_nonzero(found) > png_chunks.STEPS * found.size:
            first = max(top, 1)  # the first row has none above
            band = rows[first : top + png_chunks.BAND]
            band[:, 1:] -= rows[first - 1 : first - 1 + len(band), 1:]
            band[:, 0] = png_chunks.UP
