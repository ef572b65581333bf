"""OpenCV as a faster converter for four bytes a pixel, where it is installed (`xshm[fast]`).

It is imported at the first conversion that can use it, never at import of xshm, and what is in use can be asked.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any

from xshm.errors import MissingExtra
from xshm.pixels.channels import Channel, Constant, Luma, Part
from xshm.system import limits

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

_PIXEL = 4
_OPAQUE = 255

# By which bytes of a pixel become red, green, blue (and alpha): the name of OpenCV's conversion.
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


@functools.cache
def module() -> tuple[ModuleType | None, str]:
    """Return OpenCV, imported now if it was not, or None, and the reason in words."""
    try:
        with limits.loading():
            found = importlib.import_module("cv2")
    except ImportError as error:
        return None, f"OpenCV can't be imported ({error}); pip install xshm[fast] brings it"
    return found, f"OpenCV {found.__version__} is installed"


def required() -> ModuleType:
    """Return OpenCV; `MissingExtra` where it is not installed."""
    found, reason = module()
    if found is None:
        raise MissingExtra(reason)
    return found


def loaded() -> ModuleType | None:
    """Return OpenCV if this process has imported it already: one conversion does not pay for importing it (0.1 s)."""
    return module()[0] if "cv2" in sys.modules else None


def convert(cv2: ModuleType, pixels: NDArray[Any], parts: tuple[Part, ...], target: NDArray[Any]) -> bool:
    """Write `parts` of `pixels` into `target`, (height, width, len(parts)) uint8; False where OpenCV can't."""
    if pixels.shape[2:] != (_PIXEL,) or not (_dense(pixels) and _dense(target)):
        return False
    code = _code(parts)
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
        return _COLOUR.get((*_bytes(parts[:-1]), _PIXEL - 1))
    return _COLOUR.get(_bytes(parts))


def _bytes(parts: tuple[Part, ...]) -> _Bytes:
    return tuple(part.byte if isinstance(part, Channel) else None for part in parts)


def _dense(array: NDArray[Any]) -> bool:
    """Tell whether pixels follow each other without gaps, and rows do not overlap: what OpenCV can point at."""
    pixel = array.shape[2]
    row, column, byte = array.strides
    return bool(column == pixel and (byte == 1 or pixel == 1) and row >= pixel * array.shape[1])
