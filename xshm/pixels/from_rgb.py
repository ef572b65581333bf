"""Arrays of colours into pixels of a format: the way back of `to_rgb`, straight into the memory that is shown.

Each channel becomes the nearest value that the format has, exactly: 8 bits, 255 → 5 bits, 31. Pixels that are indices
become the cell of the colormap that is nearest to the colour, the lowest where several are. Undefined bits of a pixel
may have any value afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from xshm.errors import InvalidArgument, InvalidType, UnsupportedFormat
from xshm.pixels import opencv, to_rgb
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.nearest_colour import Nearest
from xshm.pixels.to_rgb import row_bands
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from xshm.pixels.to_rgb import Converter

Order = Literal["rgb", "bgr"]
_FULL: Final = 255
_FLAT, _COLOURED = 2, 3  # dimensions of an array
_BYTE: Final = 8
# Colours as arrays have them, to turn into brightness.
_RGB: Final = PixelFormat(24, 24, 8, "little", 0xFF, 0xFF00, 0xFF0000, VisualClass.TrueColor)
_BGR: Final = PixelFormat(24, 24, 8, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)

# (array's channels, bytes of a pixel, whether the order is the same) → OpenCV's conversion; None: a plain copy.
_CONVERSIONS: Final[dict[tuple[int, int, bool], str | None]] = {
    (3, 4, True): "COLOR_BGR2BGRA",
    (3, 4, False): "COLOR_RGB2BGRA",
    (4, 4, True): None,
    (4, 4, False): "COLOR_RGBA2BGRA",
    (3, 3, True): None,
    (3, 3, False): "COLOR_RGB2BGR",
    (4, 3, True): "COLOR_BGRA2BGR",
    (4, 3, False): "COLOR_RGBA2BGR",
    (1, 4, True): "COLOR_GRAY2BGRA",
    (1, 3, True): "COLOR_GRAY2BGR",
}
# Masks of 16-bit formats that OpenCV packs, and the bits that it takes of each channel, the lowest first.
_PACKED: Final = {
    (0xF800, 0x07E0, 0x001F): ("565", (5, 6, 5)),
    (0x7C00, 0x03E0, 0x001F): ("555", (5, 5, 5)),
}


def check(array: NDArray[Any], order: str) -> tuple[int, int]:
    """Return height and width of an array that can be painted; raise what is wrong with another."""
    if not (isinstance(order, str) and order in get_args(Order)):
        raise InvalidArgument(f"order is 'rgb' or 'bgr', not {quoted(order)}")
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
    """A colormap: `colours` is (n, 3) uint16, `usable` (n,) tells which pixels may be drawn with."""

    colours: NDArray[np.uint16]
    usable: NDArray[np.bool_]


class PixelWriter:
    """Fills pixels of one format. `cells` is the colormap, needed where `fmt.needs_colormap`.

    Raises UnsupportedFormat for several pixels a byte (depths 1 and 4).
    """

    def __init__(self, fmt: PixelFormat, cells: Palette | None = None, converter: Converter = "auto") -> None:
        if fmt.bits_per_pixel < _BYTE:
            raise UnsupportedFormat(f"{fmt}: several pixels share a byte, which is not drawn")
        if fmt.needs_colormap and cells is None:
            raise InvalidArgument(f"{fmt}: pixels are indices; pass the colormap")
        self._format = fmt
        self._converter = converter
        self._offsets = fmt.byte_offsets if not fmt.needs_colormap else None
        self._word = np.dtype(f"u{max(1, 1 << (fmt.bits_per_pixel - 1).bit_length() - 3)}")
        self._tables = _tables(fmt, cells, self._word) if fmt.has_masks and self._offsets is None else None
        self._shades = _shades(fmt, cells).astype(self._word) if fmt.is_gray else None
        self._nearest = None
        if cells is not None and not fmt.has_masks and not fmt.is_gray:
            self._nearest = Nearest(cells.colours >> 8, cells.usable)

    def fill(self, target: NDArray[Any], array: NDArray[Any], order: str) -> None:
        """Write the colours of `array` (see `check`) into `target`, pixels of the format of the same height and width.

        A fourth channel is alpha where the format has it (multiplied into the colours already), and else of no account.
        """
        if self._offsets is not None:
            self._fill_bytes(target, array, order, self._offsets)
            return
        if self._tables is not None and self._fill_packed(target, array, order):
            return
        flat = array.ndim == _FLAT
        table = self._values(np.arange(256, dtype=np.uint8)[None], "rgb")[0] if flat else None
        for rows in row_bands(*array.shape[:2]):
            part = array[rows]
            self._store(target[rows], table.take(part) if table is not None else self._values(part, order))

    # -- whole bytes -------------------------------------------------------------------------------------------------

    def _fill_bytes(self, target: NDArray[Any], array: NDArray[Any], order: str, offsets: tuple[int, int, int]) -> None:
        flat = array.ndim == _FLAT
        channels = 1 if flat else array.shape[2]
        if offsets in ((0, 1, 2), (2, 1, 0)):
            same = flat or (order == "rgb") == (offsets == (0, 1, 2))
            name = _CONVERSIONS[channels, target.shape[2], same]
            if name is None and channels == target.shape[2] and (channels == 4 or _dense(array)):  # noqa: PLR2004 - whole words
                np.copyto(target, array)
                return
            cv2 = self._opencv()
            if cv2 is not None and name is not None and _dense(array) and _dense(target):
                cv2.cvtColor(array, getattr(cv2, name), dst=target)
                return
        # One strided copy a channel: the innermost loop is then a row long, not a pixel.
        for at, offset in zip(_places(order), offsets, strict=True):
            target[..., offset] = array if flat else array[..., at]
        if self._format.alpha_mask:
            target[..., 6 - sum(offsets)] = _FULL if channels < 4 else array[..., 3]  # noqa: PLR2004

    # -- words -------------------------------------------------------------------------------------------------------

    def _fill_packed(self, target: NDArray[Any], array: NDArray[Any], order: str) -> bool:
        """Let OpenCV pack 16-bit pixels, which it does by cutting bits off: so they are rounded first."""
        fmt = self._format
        packed = _PACKED.get((fmt.red_mask, fmt.green_mask, fmt.blue_mask))
        cv2 = self._opencv() if packed and not fmt.needs_colormap else None
        if cv2 is None or packed is None or array.ndim == _FLAT or not (_dense(array) and target.dtype.isnative):
            return False
        pixels = target[..., None].view(np.uint8)
        if target.dtype.itemsize != 2 or not _dense(pixels):  # noqa: PLR2004
            return False
        name, bits = packed
        rounded = np.zeros((1, 256, array.shape[2]), np.uint8)
        for at, count in zip(_places(order), bits, strict=True):
            rounded[0, :, at] = _scaled((1 << count) - 1) << (_BYTE - count)
        source = "BGR" if order == "bgr" else "RGB"
        alpha = "A" if array.shape[2] == 4 else ""  # noqa: PLR2004
        cv2.cvtColor(cv2.LUT(array, rounded), getattr(cv2, f"COLOR_{source}{alpha}2BGR{name}"), dst=pixels)
        return True

    def _values(self, part: NDArray[Any], order: str) -> NDArray[Any]:
        """Return the pixel values of colours, as integers in this machine's order."""
        channels = [part] * 3 if part.ndim == _FLAT else [part[..., at] for at in _places(order)]
        if self._shades is not None:
            fmt = _RGB if order == "rgb" else _BGR
            return self._shades.take(part if part.ndim == _FLAT else to_rgb.gray(part[..., :3], fmt))
        if self._nearest is not None:
            return self._nearest.of(*channels).astype(self._word, copy=False)
        assert self._tables is not None  # noqa: S101 - without masks there are shades or cells: see __init__
        red, green, blue, alpha = self._tables
        values = red.take(channels[0])
        values |= green.take(channels[1])
        values |= blue.take(channels[2])
        if part.ndim == _FLAT or part.shape[2] < 4:  # noqa: PLR2004
            values |= alpha[_FULL]
        else:
            values |= alpha.take(part[..., 3])
        return values

    def _store(self, target: NDArray[Any], values: NDArray[Any]) -> None:
        """Write pixel values to memory of the format's layout."""
        if target.ndim == _FLAT:
            target[...] = values
            return
        size = target.shape[2]
        for at in range(size):
            shift = _BYTE * (at if self._format.byte_order == "little" else size - 1 - at)
            target[..., at] = values >> shift & _FULL

    def _opencv(self) -> ModuleType | None:
        if self._converter == "opencv":
            return opencv.required()
        return opencv.module()[0] if self._converter == "auto" else None


def _places(order: str) -> tuple[int, int, int]:
    return (0, 1, 2) if order == "rgb" else (2, 1, 0)


def _scaled(top: int) -> NDArray[Any]:
    """Return for each of 256 values what it is of 0 to `top`, rounded to the nearest."""
    return (np.arange(256, dtype=np.int64) * (2 * top) + _FULL) // (2 * _FULL)


def _tables(fmt: PixelFormat, cells: Palette | None, word: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """Return the bits of a pixel for each of 256 values of red, green, blue and alpha."""
    tables = []
    for column, mask in enumerate((fmt.red_mask, fmt.green_mask, fmt.blue_mask, fmt.alpha_mask)):
        low = mask & -mask
        if not mask:
            values = np.zeros(256, np.int64)
        elif cells is not None and column < _COLOURED:
            values = _closest(cells.colours[: mask // low + 1, column], None)
        else:
            values = _scaled(mask // low)
        tables.append((values * low).astype(word))
    return tuple(tables)


def _shades(fmt: PixelFormat, cells: Palette | None) -> NDArray[Any]:
    """Return the pixel value for each of 256 degrees of brightness."""
    if cells is not None:
        return _closest(cells.colours[:, 0], cells.usable)
    return _scaled((1 << fmt.depth) - 1)


def _closest(ramp: NDArray[np.uint16], usable: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return for each of 256 values the index in a ramp that is nearest, the lowest of several."""
    wanted = np.arange(256, dtype=np.int64) * 257
    distances = np.abs(ramp.astype(np.int64)[None, :] - wanted[:, None])
    if usable is not None:
        distances[:, ~usable] = 1 << 32
    nearest: NDArray[Any] = distances.argmin(axis=1)
    return nearest


def _dense(array: NDArray[Any]) -> bool:
    """Tell whether pixels follow each other without gaps, and rows do not overlap: what OpenCV can point at."""
    pixel = array.shape[2] if array.ndim == _COLOURED else 1
    inner = array.strides[1:] == ((pixel, 1) if array.ndim == _COLOURED else (1,))
    return inner and array.strides[0] >= pixel * array.shape[1]
