"""Drawing a small picture with alpha into pixels of any format, right to the last bit.

The operator is OVER on colours that are multiplied by alpha already: colour + behind × (1 - alpha), for each channel in
the format's own width, rounded to the nearest once. Nothing but the pixels that the picture covers is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument
from xshm.pixels import channels, to_rgb
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.nearest_colour import Nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_RGBA: Final = PixelFormat(32, 32, 32, "little", 0xFF, 0xFF00, 0xFF0000, VisualClass.TrueColor)
_COLORMAPS_KEPT: Final = 4
_Terms = tuple["NDArray[np.uint32]", "NDArray[np.uint32]"]
_Inside = tuple[slice, slice]


class Sprite:
    """A picture to draw: `rgba` is (height, width, 4) uint8, R G B A, premultiplied, and must not change any more.

    What is worked out for a format is kept: drawing again costs less than the first time.
    """

    def __init__(self, rgba: NDArray[np.uint8]) -> None:
        if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:  # noqa: PLR2004
            raise InvalidArgument(f"a sprite is (height, width, 4) uint8, not {rgba.shape} {rgba.dtype}")
        self.rgba = rgba
        self._bytes: dict[PixelFormat, _Terms] = {}
        self._linear: dict[PixelFormat, _Linear] = {}
        self._nearest: dict[bytes, Nearest] = {}

    def draw(
        self,
        pixels: NDArray[Any],
        fmt: PixelFormat,
        x: int,
        y: int,
        *,
        colormap: NDArray[Any] | None = None,
        width: int | None = None,
    ) -> None:
        """Draw it with its corner at x, y of `pixels`, cut at their edges; the rest is as `xshm.pixels.to_rgb` has it.

        Where pixels are indices, the blended colour is rounded to 8 bits a channel, and the nearest colour of the
        colormap is taken, the lowest index of several; the nearest in brightness where all are shades of gray.
        """
        height, width = to_rgb.size(pixels, fmt, width)
        top, bottom = max(y, 0), min(y + self.rgba.shape[0], height)
        left, right = max(x, 0), min(x + self.rgba.shape[1], width)
        if bottom <= top or right <= left:
            return
        inside = slice(top - y, bottom - y), slice(left - x, right - x)
        terms = self._bytes.get(fmt) or self._for_bytes(fmt)
        if terms is not None:
            keep, add = terms
            under = pixels[top:bottom, left:right]
            under[...] = _over(under, keep[inside], add[inside], 255)
            return
        # Pixels that share a byte are unpacked and packed by whole bytes.
        each = max(8 // fmt.bits_per_pixel, 1)
        first, end = left // each, -(-right // each)
        block = pixels[top:bottom, first:end]
        values = channels.values(block, fmt, (end - first) * each).copy()
        under = values[:, left - first * each : right - first * each]
        if fmt.needs_colormap:
            parts = channels.colours(fmt, np.dtype(np.uint8), colormap)
            to_rgb.check_colormap(pixels[top:bottom], fmt, parts, width)
            covered = self.rgba[inside].any(axis=2)
            if not covered.any():
                return
            under[covered] = self._indices(under[covered], self.rgba[inside][covered], fmt, parts)
        else:
            under[...] = (self._linear.get(fmt) or self._for_channels(fmt)).over(under, inside)
        _store(values, block, fmt)

    def _for_bytes(self, fmt: PixelFormat) -> _Terms | None:
        """Work out the terms for each byte of a pixel, where channels are bytes; one that is no channel is kept."""
        places: tuple[int, ...] | None = fmt.byte_offsets
        if places is None or fmt.needs_colormap:
            return None
        if fmt.alpha_mask:
            places = (*places, 6 - sum(places))  # the bytes are 0, 1, 2 and 3
        keep = np.full((*self.rgba.shape[:2], fmt.bits_per_pixel // 8), 255, np.uint32)
        add = np.zeros_like(keep)
        for at, place in enumerate(places):
            keep[..., place], add[..., place] = _terms(self.rgba[..., at], self.rgba[..., 3], 255)
        self._bytes[fmt] = keep, add
        return keep, add

    def _for_channels(self, fmt: PixelFormat) -> _Linear:
        linear = self._linear[fmt] = _Linear(self.rgba, fmt)
        return linear

    def _indices(
        self, under: NDArray[Any], rgba: NDArray[np.uint8], fmt: PixelFormat, parts: tuple[channels.Channel, ...]
    ) -> NDArray[Any]:
        """Return the n pixel values that come of drawing n pixels of the sprite over the pixel values `under`."""
        colour, alpha = rgba.T[:3], rgba[:, 3]
        if fmt.is_gray:
            parts, colour = parts[:1], _brightness(rgba[None])
        if fmt.has_masks:  # an index for each channel
            for part, plane in zip(parts, colour, strict=True):
                drawn = self._index(under, (part,), plane[None], alpha).astype(under.dtype) << part.shift
                under = under & ~under.dtype.type(part.top << part.shift) | drawn
            return under
        return self._index(under, parts, colour, alpha)

    def _index(
        self, under: NDArray[Any], parts: tuple[channels.Channel, ...], colour: NDArray[np.uint8], alpha: NDArray[Any]
    ) -> NDArray[Any]:
        """Return the indices whose colours, one part or three, are nearest to `colour` over those of `under`."""
        index = parts[0].raw(under)
        tables = np.stack([part.table[: part.top + 1] for part in parts if part.table is not None])
        mixed = _over(tables[:, index], *_terms(colour, alpha, 255), 255).astype(np.uint8)
        key = tables.tobytes()
        if key not in self._nearest:
            if len(self._nearest) >= _COLORMAPS_KEPT:
                self._nearest.clear()
            cells = np.broadcast_to(tables, (3, tables.shape[1])).T
            self._nearest[key] = Nearest(cells, np.ones(len(cells), bool))
        red, green, blue = np.broadcast_to(mixed, (3, len(index)))
        return self._nearest[key].of(red, green, blue)


class _Linear:
    """A sprite for pixels of evenly scaled channels, which are not whole bytes, or of shades of gray."""

    def __init__(self, rgba: NDArray[np.uint8], fmt: PixelFormat) -> None:
        planes = rgba.transpose(2, 0, 1)  # one channel after the other, so that numpy's inner loops are rows
        kind = np.dtype(np.uint8)
        parts: list[channels.Part] = [*channels.colours(fmt, kind, None), channels.alpha(fmt, kind)]
        if fmt.is_gray:
            parts, planes = parts[:1], _brightness(rgba)[None]
        found = [part for part in parts if isinstance(part, channels.Channel)]
        self._shifts = np.array([part.shift for part in found], np.uint32).reshape(-1, 1, 1)
        self._tops = np.array([part.top for part in found], np.uint32).reshape(-1, 1, 1)
        self._others = np.uint32(0xFFFFFFFF ^ sum(part.top << part.shift for part in found))
        self._keep, self._add = _terms(planes[: len(found)], rgba[..., 3], self._tops)

    def over(self, under: NDArray[Any], inside: _Inside) -> NDArray[Any]:
        """Return the pixel values that come of drawing over `under`."""
        behind = under.astype(np.uint32)
        mixed = _over(behind >> self._shifts & self._tops, self._keep[inside], self._add[:, *inside], self._tops)
        mixed <<= self._shifts
        drawn: NDArray[Any] = np.bitwise_or.reduce(mixed, axis=0)
        drawn |= behind & self._others
        return drawn


def _terms(colour: NDArray[Any], alpha: NDArray[Any], top: NDArray[np.uint32] | int) -> _Terms:
    """Return `keep` and `add` for `_over`; colour and alpha are up to 255."""
    keep: NDArray[np.uint32] = 255 - alpha.astype(np.uint32)
    add: NDArray[np.uint32] = np.multiply(colour, top, dtype=np.uint32)
    add += 127
    return keep, add


def _over(
    behind: NDArray[Any], keep: NDArray[Any], add: NDArray[Any], top: NDArray[np.uint32] | int
) -> NDArray[np.uint32]:
    """Return colour + behind × (1 - alpha), rounded, as (behind × keep + add) // 255."""
    mixed: NDArray[np.uint32] = np.multiply(behind, keep, dtype=np.uint32)
    mixed += add
    mixed //= 255
    np.minimum(mixed, top, out=mixed)  # a colour above its alpha, which X does not forbid, would leave the range
    return mixed


def _brightness(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return to_rgb.gray(rgba, _RGBA, converter="numpy")


def _store(values: NDArray[Any], block: NDArray[Any], fmt: PixelFormat) -> None:
    """Write pixel values back as memory has them: the reverse of `channels.values`."""
    little = fmt.byte_order == "little"
    if fmt.bits_per_pixel == 1:
        block[...] = np.packbits(values, axis=1, bitorder=fmt.bit_order)
    elif fmt.bits_per_pixel == 4:  # noqa: PLR2004  two pixels a byte
        left, right = values[:, ::2], values[:, 1::2]
        block[...] = left | right << 4 if little else left << 4 | right
    elif block.ndim == 3:  # noqa: PLR2004  three or four bytes a pixel
        size = block.shape[2]
        parts = values.astype("<u4" if little else ">u4")[..., None].view(np.uint8)
        block[...] = parts[..., :size] if little else parts[..., -size:]
    else:
        block[...] = values
