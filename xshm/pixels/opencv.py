"""OpenCV's cvtColor as a faster converter for four bytes a pixel, where OpenCV is installed (`xshm[fast]`).

It is imported by the first conversion that can use it, never with xshm; `to_rgb.converters` returns what is in use.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from xshm import _arguments
from xshm.errors import MissingExtra
from xshm.pixels.channels import Channel, Constant, Luma, Part
from xshm.system import limits, logs

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat

Converter = Literal["auto", "numpy", "opencv"]

_PIXEL = 4  # bytes
_OPAQUE = 255

# Offsets in the pixel of red, green, blue (and alpha) → the name of OpenCV's conversion, whose pixels are B G R A.
_Bytes = tuple[int | None, ...]
_COLOUR: dict[_Bytes, str] = {
    (2, 1, 0): "COLOR_BGRA2RGB",
    (0, 1, 2): "COLOR_BGRA2BGR",
    (2, 1, 0, 3): "COLOR_BGRA2RGBA",
}
_GRAY: dict[_Bytes, str] = {
    (2, 1, 0): "COLOR_BGRA2GRAY",
    (0, 1, 2): "COLOR_RGBA2GRAY",
}

_SPARED: Final = 100 * 1920 * 1080  # pixels; a JPEG of 1080p takes 1 ms longer without OpenCV
_converted = [0]  # pixels, without it


@functools.cache
def module() -> tuple[ModuleType | None, str]:
    """Return OpenCV, or None where it can't be imported, and the reason in words."""
    try:
        with limits.loading():
            found = importlib.import_module("cv2")
    except ImportError as error:
        reason = f"OpenCV can't be imported ({error}); pip install xshm[fast] brings it"
        logs.info("converter", "numpy: %s", reason)
        return None, reason
    reason = f"OpenCV {found.__version__} is installed"
    logs.info("converter", "opencv: %s", reason)
    return found, reason


def required() -> ModuleType:
    """Return OpenCV; raise `MissingExtra` where it is not installed."""
    found, reason = module()
    if found is None:
        raise MissingExtra(reason)
    return found


def loaded(pixels: int = 0) -> ModuleType | None:
    """Return OpenCV if this process has imported it, for a conversion that importing it (0.1 s) would slow.

    `pixels` is how many there are to be converted, for what takes a millisecond longer without: it is imported once
    that has added up to the import's time.
    """
    if "cv2" not in sys.modules:
        _converted[0] += pixels
        if _converted[0] < _SPARED:
            return None
    return module()[0]


def choose(converter: Converter, fmt: PixelFormat) -> ModuleType | None:
    """Return OpenCV where `converter` and the format call for it; None for numpy."""
    if converter == "auto":
        return module()[0] if fmt.byte_offsets is not None else None  # not imported for formats it can't convert
    _arguments.choice(converter, get_args(Converter), "converter is one of")
    return required() if converter == "opencv" else None


def convert(cv2: ModuleType, pixels: NDArray[Any], parts: tuple[Part, ...], target: NDArray[Any]) -> bool:
    """Write `parts` of `pixels` into `target`, (height, width, len(parts)) uint8; return False where OpenCV can't."""
    if pixels.shape[2:] != (_PIXEL,) or not (dense(pixels) and dense(target)):
        return False
    code = _code(parts)  # None: OpenCV has no conversion to this order
    if code is None:
        return False
    cv2.cvtColor(pixels, getattr(cv2, code), dst=target)
    if isinstance(parts[-1], Constant):
        target[..., -1] = _OPAQUE  # OpenCV has copied the undefined byte
    return True


def _code(parts: tuple[Part, ...]) -> str | None:
    first = parts[0]
    if isinstance(first, Luma):
        return _GRAY.get(_bytes((first.red, first.green, first.blue)))
    if isinstance(parts[-1], Constant):
        # Opaque alpha: convert as if the fourth byte were alpha; `convert` overwrites it.
        return _COLOUR.get((*_bytes(parts[:-1]), _PIXEL - 1))
    return _COLOUR.get(_bytes(parts))


def _bytes(parts: tuple[Part, ...]) -> _Bytes:
    return tuple(part.byte if isinstance(part, Channel) else None for part in parts)


def dense(array: NDArray[Any]) -> bool:
    """Return whether pixels of a uint8 array have no gaps and rows do not overlap: then OpenCV needs no copy of it."""
    pixel = array.shape[2] if array.ndim == 3 else 1  # noqa: PLR2004 - rows, columns, channels
    row, column, *byte = array.strides
    return bool(column == pixel and (pixel == 1 or byte == [1]) and row >= pixel * array.shape[1])
