"""Convert arrays of colours to pixels of any `PixelFormat`: the reverse of `to_rgb`.

Each channel becomes the nearest value that the format has, exactly: 8 bits, 255 → 5 bits, 31. Pixels that are indices
become the index of the colormap's nearest colour, the lowest of several. Undefined bits of a pixel may have any value
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, UnsupportedFormat
from xshm.pixels import channels, opencv, to_rgb
from xshm.pixels.format import PixelFormat
from xshm.pixels.nearest_colour import Nearest
from xshm.pixels.raster import Raster, row_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.pixels.opencv import Converter

Order = Literal["rgb", "bgr"]
_FULL: Final = 255
_FLAT, _COLOURED = 2, 3  # dimensions of an array
_BYTE: Final = 8

# OpenCV's names of pixels by their samples, where the target's are B G R or B G R A: in the same order, and reversed.
_SAME: Final = {1: "GRAY", 3: "BGR", 4: "BGRA"}
_REVERSED: Final = {3: "RGB", 4: "RGBA"}


def check(array: NDArray[Any], order: str) -> tuple[int, int]:
    """Return height and width of an array of colours; raise InvalidArgument or InvalidType for anything else."""
    _arguments.choice(order, get_args(Order), "order is one of")
    if not isinstance(array, np.ndarray):
        raise InvalidType(f"a picture is a numpy array, not {type(array).__name__}")
    shape = array.shape
    wrong = array.ndim not in (_FLAT, _COLOURED) or (array.ndim == _COLOURED and shape[2] not in (3, 4)) or 0 in shape
    if wrong or array.dtype != np.uint8:
        raise InvalidArgument(
            f"a picture is (height, width, 3), (height, width, 4) or (height, width) uint8, not {shape} {array.dtype}"
        )
    return shape[0], shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """A colormap to draw with: `colours` is (n, 3) uint16, `usable` (n,) is True for pixels that may be used."""

    colours: NDArray[np.uint16]
    usable: NDArray[np.bool_]


class PixelWriter:
    """Writes colours as pixels of one format. `palette` is the colormap, needed where `fmt.needs_colormap`.

    Raises UnsupportedFormat for several pixels a byte (depths 1 and 4).
    """

    def __init__(self, fmt: PixelFormat, palette: Palette | None = None, converter: Converter = "auto") -> None:
        if fmt.bits_per_pixel < _BYTE:
            raise UnsupportedFormat(f"{fmt}: several pixels share a byte, which is not drawn")
        if fmt.needs_colormap and palette is None:
            raise InvalidArgument(f"{fmt}: pixels are indices; pass the colormap")
        self._format = fmt
        self._converter = converter
        self._offsets = None if fmt.needs_colormap else fmt.byte_offsets
        # Pixel values are computed in the smallest integers that hold them: 1, 2, 4 and 4 bytes for 8, 16, 24, 32 bits.
        self._word = np.dtype(f"u{1 << (fmt.bits_per_pixel - 1).bit_length() - 3}")
        # One of the next three is set where channels are not whole bytes.
        self._tables = _tables(fmt, palette, self._word) if fmt.has_masks and self._offsets is None else None
        self._shades = _shades(fmt, palette).astype(self._word) if fmt.is_gray else None
        self._nearest = None
        if palette is not None and not fmt.has_masks and not fmt.is_gray:
            self._nearest = Nearest(palette.colours >> _BYTE, palette.usable)

    def fill(self, target: NDArray[Any], array: NDArray[Any], order: str) -> None:
        """Write the colours of `array` (see `check`) into `target`, pixels of the format of the same height and width.

        A fourth channel is alpha where the format has it, and the colours are premultiplied; otherwise it is ignored.
        """
        if self._offsets is not None:
            self._fill_bytes(target, array, order, self._offsets)
            return
        shades = None
        if array.ndim == _FLAT:  # each of the 256 grays once, then one look-up a pixel
            ramp = np.arange(256, dtype=np.uint8)
            shades = self._values(np.stack((ramp, ramp, ramp), axis=1)[None], "rgb")[0]
        for rows in row_bands(*array.shape[:2]):
            values = self._values(array[rows], order) if shades is None else shades.take(array[rows])
            channels.store(values, target[rows], self._format)

    def _fill_bytes(self, target: NDArray[Any], array: NDArray[Any], order: str, offsets: tuple[int, int, int]) -> None:
        """Write colours to formats whose channels are whole bytes: by one copy, by OpenCV, or channel by channel."""
        flat = array.ndim == _FLAT
        samples = 1 if flat else array.shape[2]
        if offsets in ((0, 1, 2), (2, 1, 0)):
            same = flat or (order == "rgb") == (offsets == (0, 1, 2))
            is_copy = same and samples == target.shape[2]
            # numpy copies rows of whole words, or without gaps, fast; others sample by sample.
            if is_copy and (samples == 4 or opencv.dense(array)):  # noqa: PLR2004
                np.copyto(target, array)
                return
            cv2 = opencv.choose(self._converter, self._format)
            if cv2 is not None and not is_copy and opencv.dense(array) and opencv.dense(target):
                names = (_SAME if same else _REVERSED)[samples], _SAME[target.shape[2]]
                cv2.cvtColor(array, getattr(cv2, "COLOR_{}2{}".format(*names)), dst=target)
                return
        # One strided copy a channel: the innermost loop is then a row long, not a pixel.
        for at, offset in zip(_places(order), offsets, strict=True):
            target[..., offset] = array if flat else array[..., at]
        if self._format.alpha_mask:
            target[..., self._format.fourth_byte] = _FULL if samples < 4 else array[..., 3]  # noqa: PLR2004

    def _values(self, colours: NDArray[np.uint8], order: str) -> NDArray[Any]:
        """Return the pixel values of (height, width, 3 or 4) colours, as integers in this machine's order."""
        if self._shades is not None:
            fmt = PixelFormat.RGB if order == "rgb" else PixelFormat.BGR
            return self._shades.take(to_rgb.gray(Raster(colours[..., :3], fmt), converter="numpy"))
        red, green, blue = (colours[..., at] for at in _places(order))
        if self._nearest is not None:
            return self._nearest.of(red, green, blue).astype(self._word, copy=False)
        assert self._tables is not None  # noqa: S101 - without masks there are shades or a palette: see __init__
        red_bits, green_bits, blue_bits, alpha_bits = self._tables
        values = red_bits.take(red)
        values |= green_bits.take(green)
        values |= blue_bits.take(blue)
        values |= alpha_bits.take(colours[..., 3]) if colours.shape[2] == 4 else alpha_bits[_FULL]  # noqa: PLR2004
        return values


def _places(order: str) -> tuple[int, int, int]:
    """Return the indices of red, green and blue in an array's last axis."""
    return (0, 1, 2) if order == "rgb" else (2, 1, 0)


def _scaled(top: int) -> NDArray[Any]:
    """Return for each of 256 samples the nearest value of 0 to `top`."""
    return (np.arange(256, dtype=np.int64) * (2 * top) + _FULL) // (2 * _FULL)


def _tables(fmt: PixelFormat, palette: Palette | None, word: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """Return the bits of a pixel value for each of 256 samples of red, green, blue and alpha."""
    tables = []
    for column, mask in enumerate((fmt.red_mask, fmt.green_mask, fmt.blue_mask, fmt.alpha_mask)):
        low = mask & -mask
        if not mask:
            values = np.zeros(256, np.int64)
        elif palette is not None and column < _COLOURED:  # DirectColor: each channel is an index of its own
            values = _closest(palette.colours[: mask // low + 1, column], None)
        else:
            values = _scaled(mask // low)
        tables.append((values * low).astype(word))
    return tuple(tables)


def _shades(fmt: PixelFormat, palette: Palette | None) -> NDArray[Any]:
    """Return the pixel value for each of 256 degrees of brightness."""
    if palette is not None:
        return _closest(palette.colours[:, 0], palette.usable)
    return _scaled((1 << fmt.depth) - 1)


def _closest(ramp: NDArray[np.uint16], usable: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return for each of 256 samples the index of the nearest value in a ramp, the lowest of several."""
    wanted = np.arange(256, dtype=np.int64) * 257  # 8 bits to 16: 255 becomes 65535
    distances = np.abs(ramp.astype(np.int64)[None, :] - wanted[:, None])
    if usable is not None:
        distances[:, ~usable] = 1 << 32  # farther than any colour
    nearest: NDArray[Any] = distances.argmin(axis=1)
    return nearest
