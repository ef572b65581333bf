"""Packed: a Frame on its way to another machine, compressed, and the same one there."""

from __future__ import annotations

import functools
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from xshm.image.files.two_threads import together

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.image.frame import Frame
else:
    from xshm._numpy import np


class Packed(NamedTuple):
    """A Frame for another machine: its pixels compressed in two halves, which takes less time than to send them."""

    data: tuple[bytes, bytes]
    shape: tuple[int, ...]
    dtype: str
    others: tuple[Any, ...]

    @classmethod
    def of(cls, frame: Frame) -> Packed:
        """Compress a frame."""
        make, ((pixels, *rest), marks) = frame.__reduce_ex__(5)  # whose pixels are no copy
        return cls(_compressed(pixels), pixels.shape, pixels.dtype.str, (make, rest, marks))

    def frame(self) -> Frame:
        """Return the frame, in memory of its own."""
        make, rest, marks = self.others
        pixels = np.empty(self.shape, self.dtype)
        _decompress(self.data, pixels)
        unpacked: Frame = make((pixels, *rest), marks)
        return unpacked


def unpacked(found: Any) -> Any:
    """Return what a look has returned, with the Frame of a Packed in its place."""
    return found.frame() if isinstance(found, Packed) else found


def _compressed(pixels: NDArray[Any]) -> tuple[bytes, bytes]:
    """Return pixels in zlib's format, the halves of their bytes at the same time."""
    module, parts, found = _zlib(), _halves(pixels), [b"", b""]

    def compress(index: int) -> None:
        found[index] = module.compress(parts[index], 1)

    together(functools.partial(compress, 0), functools.partial(compress, 1))
    return found[0], found[1]


def _decompress(data: tuple[bytes, bytes], pixels: NDArray[Any]) -> None:
    module, parts = _zlib(), _halves(pixels)

    def decompress(index: int) -> None:
        parts[index][:] = np.frombuffer(module.decompress(data[index], bufsize=parts[index].nbytes), np.uint8)

    together(functools.partial(decompress, 0), functools.partial(decompress, 1))


def _halves(pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    whole = pixels.reshape(-1).view(np.uint8)
    return whole[: whole.size // 2], whole[whole.size // 2 :]


def _zlib() -> Any:
    """Return libisal's zlib, where it is installed: a 1080p screen full of text takes 10 ms, and 7 back."""
    try:
        from isal import isal_zlib  # noqa: PLC0415 - not for every processor
    except ImportError:
        return zlib
    return isal_zlib
