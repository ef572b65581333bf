"""Blend a small RGBA image, such as a cursor, over pixels of any format, in place and exact to the last bit.

The operator is Porter and Duff's OVER on premultiplied colours: colour + behind × (1 - alpha), for each channel, alpha
included where the format has it, in the format's own width, rounded to the nearest once. In integers, for a channel
from 0 to `top` and 8-bit colour and alpha:

    (behind × keep + add) // 255    with  keep = 255 - alpha  and  add = colour × top + 127

`keep` and `add` depend on the image and the format alone, so a `Sprite` computes them once for each format, and
`capture.pointer` keeps one Sprite for as long as the cursor looks the same. Pixels are of three kinds, each with its
method:

- `_draw_bytes`: each channel is one byte of memory (B G R X): all bytes of a pixel at once, where they are.
- `_draw_channels`: channels of other widths, or shades (depths 15, 16, 30, gray): unpack, blend, pack.
- `_draw_indexed`: pixels are indices: look their colours up, blend, find the nearest colours in the colormap.

Always true:

1. A pixel under a transparent pixel of the image keeps its value, undefined bits included, and so do all pixels outside
   of the image's rectangle.
2. Several threads may draw one Sprite: at worst its terms are computed twice, with the same result.

What does not work: formats with several pixels a byte (1 and 4 bits per pixel), which raise UnsupportedFormat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument, UnsupportedFormat
from xshm.pixels import channels, to_rgb
from xshm.pixels.format import PixelFormat
from xshm.pixels.nearest_colour import Nearest
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_COLORMAPS_KEPT: Final = 4  # a `Nearest` may grow to 32 MB; a screen has one or two colormaps at a time
_Terms = tuple["NDArray[np.uint32]", "NDArray[np.uint32]"]  # keep, add
_Part = tuple[slice, slice]  # the rows and columns of the image that lie inside the raster


class Sprite:
    """An image to draw: `rgba` is (height, width, 4) uint8, R G B A, premultiplied, and must not change after this.

    The terms for a format are kept: drawing again costs less than the first time.
    """

    def __init__(self, rgba: NDArray[np.uint8]) -> None:
        if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:  # noqa: PLR2004
            raise InvalidArgument(f"a sprite is (height, width, 4) uint8, not {rgba.shape} {rgba.dtype}")
        self.rgba = rgba
        self._byte_terms: dict[PixelFormat, _Terms] = {}
        self._blenders: dict[PixelFormat, _ChannelBlender] = {}
        self._nearest: dict[bytes, Nearest] = {}  # by the colormap's bytes, since its colours may change

    def draw(self, raster: Raster, x: int, y: int) -> None:
        """Blend the image into the raster, its corner at column x and row y, cut at the raster's edges.

        Where pixels are indices, the blended colour is rounded to 8 bits a channel, and the nearest colour of the
        colormap is taken, the lowest index of several; the nearest in brightness where all are shades of gray.
        """
        fmt = raster.format
        if fmt.bits_per_pixel < 8:  # noqa: PLR2004  bits of a byte
            raise UnsupportedFormat(f"{fmt}: several pixels share a byte, which is not drawn")
        top, bottom = max(y, 0), min(y + self.rgba.shape[0], raster.height)
        left, right = max(x, 0), min(x + self.rgba.shape[1], raster.width)
        if bottom <= top or right <= left:
            return
        behind = raster.pixels[top:bottom, left:right]
        part = slice(top - y, bottom - y), slice(left - x, right - x)
        if fmt.needs_colormap:
            self._draw_indexed(behind, fmt, raster.colormap, part)
        elif fmt.byte_offsets is not None:
            self._draw_bytes(behind, fmt, fmt.byte_offsets, part)
        else:
            self._draw_channels(behind, fmt, part)

    def _draw_bytes(
        self, behind: NDArray[np.uint8], fmt: PixelFormat, offsets: tuple[int, int, int], part: _Part
    ) -> None:
        """Blend all bytes of the pixels at once; a byte that is no channel stays, by keep = 255 and add = 0."""
        terms = self._byte_terms.get(fmt)
        if terms is None:
            keep = np.full((*self.rgba.shape[:2], fmt.bits_per_pixel // 8), 255, np.uint32)
            add = np.zeros_like(keep)
            places = (*offsets, fmt.fourth_byte) if fmt.alpha_mask else offsets
            for at, place in enumerate(places):
                keep[..., place], add[..., place] = _terms(self.rgba[..., at], self.rgba[..., 3], 255)
            terms = self._byte_terms[fmt] = keep, add
        keep, add = terms
        behind[...] = _over(behind, keep[part], add[part], 255)

    def _draw_channels(self, behind: NDArray[Any], fmt: PixelFormat, part: _Part) -> None:
        """Blend channels that are not whole bytes: unpack them from the pixel values, and pack them again."""
        blender = self._blenders.get(fmt)
        if blender is None:
            blender = self._blenders[fmt] = _ChannelBlender(self.rgba, fmt)
        values = channels.values(behind, fmt, behind.shape[1])
        channels.store(blender.over(values, part), behind, fmt)

    def _draw_indexed(self, behind: NDArray[Any], fmt: PixelFormat, colormap: NDArray[Any] | None, part: _Part) -> None:
        """Blend the colours of indices, and write the indices of the nearest colours in the colormap."""
        tables = channels.colours(fmt, np.dtype(np.uint8), colormap)
        to_rgb.check_colormap(Raster(behind, fmt, colormap))
        rgba = self.rgba[part]
        # Transparent pixels are left out (1): where the colormap has a colour twice, its nearest index may be another.
        covered = rgba.any(axis=2)
        if not covered.any():
            return
        values = channels.values(behind, fmt, behind.shape[1]).copy()
        values[covered] = self._blended_indices(values[covered], rgba[covered], fmt, tables)
        channels.store(values, behind, fmt)

    def _blended_indices(
        self, behind: NDArray[Any], rgba: NDArray[np.uint8], fmt: PixelFormat, tables: tuple[channels.Channel, ...]
    ) -> NDArray[Any]:
        """Return the n pixel values of n pixels of the image drawn over n pixel values."""
        colour, alpha = rgba.T[:3], rgba[:, 3]
        if fmt.is_gray:  # red, green and blue of the colormap are the same: one stands for all
            return self._nearest_index(behind, tables[:1], _brightness(rgba[None]), alpha)
        if not fmt.has_masks:
            return self._nearest_index(behind, tables, colour, alpha)
        for table, plane in zip(tables, colour, strict=True):  # DirectColor: an index for each channel
            index = self._nearest_index(behind, (table,), plane[None], alpha).astype(behind.dtype)
            behind = behind & ~behind.dtype.type(table.top << table.shift) | index << table.shift
        return behind

    def _nearest_index(
        self, behind: NDArray[Any], parts: tuple[channels.Channel, ...], colour: NDArray[np.uint8], alpha: NDArray[Any]
    ) -> NDArray[Any]:
        """Return the indices whose colours, of one part or three, are nearest to `colour` over those of `behind`."""
        # All parts have the same bits: they are the columns of one colormap, or there is only one.
        index = parts[0].raw(behind)
        tables = np.stack([part.table[: part.top + 1] for part in parts if part.table is not None])
        blended = _over(tables[:, index], *_terms(colour, alpha, 255), 255).astype(np.uint8)
        key = tables.tobytes()
        if key not in self._nearest:
            if len(self._nearest) >= _COLORMAPS_KEPT:
                self._nearest.clear()
            # One table becomes three equal columns: distances are three times as large, and in the same order.
            palette = np.broadcast_to(tables, (3, tables.shape[1])).T
            self._nearest[key] = Nearest(palette, np.ones(len(palette), bool))
        red, green, blue = np.broadcast_to(blended, (3, len(index)))
        return self._nearest[key].of(red, green, blue)


class _ChannelBlender:
    """An image's terms for one format of evenly scaled channels that are not whole bytes, or of shades of gray.

    Channels are the first axis of all arrays, so that numpy's inner loops are rows.
    """

    def __init__(self, rgba: NDArray[np.uint8], fmt: PixelFormat) -> None:
        planes = rgba.transpose(2, 0, 1)
        kind = np.dtype(np.uint8)
        parts: list[channels.Part] = [*channels.colours(fmt, kind, None), channels.alpha(fmt, kind)]
        if fmt.is_gray:
            parts, planes = parts[:1], _brightness(rgba)[None]  # red, green and blue are the same channel
        found = [part for part in parts if isinstance(part, channels.Channel)]  # without alpha where it is constant
        self._shifts = np.array([part.shift for part in found], np.uint32).reshape(-1, 1, 1)
        self._tops = np.array([part.top for part in found], np.uint32).reshape(-1, 1, 1)
        self._other_bits = np.uint32(0xFFFFFFFF ^ sum(part.top << part.shift for part in found))
        self._keep, self._add = _terms(planes[: len(found)], rgba[..., 3], self._tops)

    def over(self, values: NDArray[Any], part: _Part) -> NDArray[Any]:
        """Return the pixel values of the image's `part` drawn over pixel values."""
        behind = values.astype(np.uint32)
        blended = _over(behind >> self._shifts & self._tops, self._keep[part], self._add[:, *part], self._tops)
        blended <<= self._shifts
        drawn: NDArray[Any] = np.bitwise_or.reduce(blended, axis=0)
        drawn |= behind & self._other_bits
        return drawn


def _terms(colour: NDArray[Any], alpha: NDArray[Any], top: NDArray[np.uint32] | int) -> _Terms:
    """Return `keep` and `add`; colour and alpha are up to 255, the channel in memory up to `top`."""
    keep: NDArray[np.uint32] = 255 - alpha.astype(np.uint32)
    add: NDArray[np.uint32] = np.multiply(colour, top, dtype=np.uint32)
    add += 127  # half of 255, so that the division rounds to the nearest; 255 is odd, so there are no ties
    return keep, add


def _over(
    behind: NDArray[Any], keep: NDArray[Any], add: NDArray[Any], top: NDArray[np.uint32] | int
) -> NDArray[np.uint32]:
    """Return colour + behind × (1 - alpha), rounded; 32 bits hold 65535 × 255 + 255 × 65535 + 127."""
    blended: NDArray[np.uint32] = np.multiply(behind, keep, dtype=np.uint32)
    blended += add
    blended //= 255
    np.minimum(blended, top, out=blended)  # a colour above its alpha, which X does not forbid, would exceed `top`
    return blended


def _brightness(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (height, width) brightness of the premultiplied colours, as OVER needs it for a gray channel."""
    return to_rgb.gray(Raster(rgba, PixelFormat.RGBA), converter="numpy")
