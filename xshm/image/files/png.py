"""Encode pixels as PNG by numpy: gray, palette, RGB or RGBA, 8 or 16 bits a channel.

Pictures of at most 256 colours become palette files, which are about half as large. `png_stdlib` writes the usual
screens without numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm.image.files import png_chunks, png_palette
from xshm.pixels import opencv
from xshm.pixels.alpha import straighten
from xshm.pixels.channels import Part, alpha, luma, values
from xshm.pixels.channels import colours as colour_channels
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster
from xshm.pixels.to_rgb import check_colormap, sample_type, write_channels

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from xshm._arguments import Colours
else:
    from xshm._numpy import np


def png(
    raster: Raster,
    *,
    level: int = png_chunks.FASTEST,
    dtype: DTypeLike = "uint8",
    colours: Colours = "auto",
) -> bytes:
    """Return a PNG file. `colours` decides on its channels.

    - "auto": gray, palette or RGB, the smallest of them that holds the picture, and RGBA at depth 32.
    - "rgb": RGB, and RGBA at depth 32; never gray, never a palette.

    `level` 1 is libisal's, by far the fastest; 2 to 9 are zlib's, smaller and ten to a hundred times slower; 0 does
    not compress. With dtype=numpy.uint16 channels have 16 bits, which keeps all of depth 30. Alpha is straight, as
    `xshm.pixels.to_rgb.rgba` returns it.
    """
    _arguments.colours(colours)
    kind = sample_type(dtype)
    png_chunks.check_level(level)
    check_colormap(raster)
    fmt, (width, height) = raster.format, raster.size
    if fmt.is_gray and colours == "auto":
        return _without_palette(raster, (luma(fmt, kind, raster.colormap),), png_chunks.GRAY, kind, level)
    channels: tuple[Part, ...] = colour_channels(fmt, kind, raster.colormap)
    if fmt.alpha_mask:
        return _without_palette(raster, (*channels, alpha(fmt, kind)), png_chunks.RGBA, kind, level)
    if kind == np.uint8 and colours == "auto":
        rows = _unfiltered(raster.size, 1)  # filters help between shades, not between indices
        indexed = _indices(raster, rows[:, 1:])
        if indexed is not None:
            table = np.stack([part.of(indexed) for part in channels], axis=1).astype(np.uint8)
            return png_chunks.write(width, height, png_chunks.PALETTE, rows, level, table=table.tobytes())
    return _without_palette(raster, channels, png_chunks.RGB, kind, level)


def png_of_rgb(
    size: tuple[int, int],
    write: Callable[[NDArray[np.uint8]], None],
    *,
    level: int = png_chunks.FASTEST,
    colours: Colours = "auto",
) -> bytes:
    """Return a PNG file, as `png` does, of what `write` writes into the array (height, width, 3) that it is given.

    Where RGB is what has to be computed anyway, no second picture is needed, whose memory the system would have to give
    anew each time: 1 ms of a page that `max_edge` makes smaller.
    """
    png_chunks.check_level(level)
    width, height = size
    rows, samples = _rows(size, 3, np.dtype(np.uint8))
    write(samples)
    if colours == "auto":
        indices = _unfiltered(size, 1)
        indexed = png_palette.build_palette(Raster(samples, PixelFormat.RGB), indices[:, 1:])
        if indexed is not None:
            table = np.stack([indexed >> shift for shift in (0, 8, 16)], axis=1).astype(np.uint8)
            return png_chunks.write(width, height, png_chunks.PALETTE, indices, level, table=table.tobytes())
    return _filtered(size, png_chunks.RGB, rows, 3, level)


def _without_palette(
    raster: Raster, parts: tuple[Part, ...], colour_type: int, kind: np.dtype[Any], level: int
) -> bytes:
    rows, samples = _rows(raster.size, len(parts), kind)
    write_channels(raster, parts, samples, opencv.loaded())
    if colour_type == png_chunks.RGBA:
        straighten(samples)
    return _filtered(raster.size, colour_type, rows, samples.strides[1], level, bits=8 * kind.itemsize)


def _rows(size: tuple[int, int], channels: int, kind: np.dtype[Any]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return a file's rows, and the samples in them, (height, width, channels)."""
    (width, height), pixel = size, channels * kind.itemsize
    rows = _unfiltered(size, pixel)
    # The channels are written between the filter bytes, in PNG's byte order, so that nothing is copied afterwards.
    strides = (rows.strides[0], pixel, kind.itemsize)
    return rows, np.ndarray((height, width, channels), kind.newbyteorder(">"), rows, 1, strides)


def _unfiltered(size: tuple[int, int], pixel: int) -> NDArray[np.uint8]:
    """Return rows of so many bytes a pixel, which have their filter bytes."""
    width, height = size
    rows = np.empty((height, 1 + width * pixel), np.uint8)
    rows[:, 0] = png_chunks.NONE
    return rows


def _filtered(
    size: tuple[int, int], colour_type: int, rows: NDArray[np.uint8], pixel: int, level: int, *, bits: int = 8
) -> bytes:
    """Return a file of rows whose filter bytes say that they are not filtered yet."""
    if level:  # filters make rows compressible, so an uncompressed file does without
        filter_rows(rows, pixel)
    return png_chunks.write(*size, colour_type, rows, level, bits=bits)


def _indices(raster: Raster, out: NDArray[np.uint8]) -> NDArray[Any] | None:
    """Write the picture as indices, and return the pixel value of each index; None where there are more than 256."""
    if raster.format.has_masks:
        return png_palette.build_palette(raster, out)
    if raster.format.depth > 8 * out.itemsize:
        return None
    # Indices of a colormap are those of the palette.
    np.bitwise_and(values(raster.pixels, raster.format, raster.width), raster.format.colour_mask, out=out)
    return np.arange(int(out.max()) + 1)


def filter_rows(rows: NDArray[np.uint8], pixel: int) -> None:
    """Filter in place the bands that gain from it (`png_chunks.STEPS`), from the last: each needs the raw row above."""
    sample = rows[:: png_chunks.EVERY]
    change = sample[:, 1 + pixel :] - sample[:, 1:-pixel]
    steps = change != 0
    # In uint8 a step of -8 to 8 becomes 0 to 16, so that one comparison finds it.
    change += png_chunks.STEP
    steps &= change <= 2 * png_chunks.STEP
    for top in reversed(range(0, len(rows), png_chunks.BAND)):
        found = steps[top // png_chunks.EVERY : (top + png_chunks.BAND) // png_chunks.EVERY]
        if np.count_nonzero(found) > png_chunks.STEPS * found.size:
            first = max(top, 1)  # the first row has none above
            band = rows[first : top + png_chunks.BAND]
            band[:, 1:] -= rows[first - 1 : first - 1 + len(band), 1:]
            band[:, 0] = png_chunks.UP
