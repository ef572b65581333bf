"""Pixels as other libraries ask for them: by numpy's `__array__`, and by DLPack.

A consumer of DLPack gets a copy of read-only memory, since consumers ignore the flag.

DLPack can say that memory is read-only from its version 1.0 on. PyTorch asks for that version and writes all the same
(2.13: into what others build on, or into pages that can't be written, which ends the process).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.errors import InvalidArgument, ReadOnlyMemory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm.later import np


def as_array(pixels: NDArray[Any], dtype: Any, copy: bool | None) -> NDArray[Any]:
    """Return `pixels` themselves where they can serve as `__array__`'s answer, else a copy; with copy=False, refuse."""
    if dtype is not None and np.dtype(dtype) != pixels.dtype:
        if copy is False:
            raise InvalidArgument(f"the pixels are {pixels.dtype}; as {np.dtype(dtype)} they must be copied")
        return pixels.astype(dtype)
    return pixels.copy() if copy else pixels


def export(
    pixels: NDArray[Any],
    stream: Any,
    max_version: tuple[int, int] | None,
    dl_device: tuple[int, int] | None,
    copy: bool | None,
) -> Any:
    """Return a capsule as `ndarray.__dlpack__` does, over a copy where `pixels` is read-only.

    Raises ReadOnlyMemory, a BufferError, where that needs a copy and `copy` is False; numpy's own errors for a stream
    or a device that is not the processor's, and for bytes that are not in the machine's order.
    """
    if not pixels.flags.writeable and not copy:
        if copy is not None:
            raise ReadOnlyMemory(
                "this memory is read-only, which consumers of DLPack ignore; leave out copy=False to get a copy, "
                "or read it in place as .pixels, with numpy"
            )
        pixels = pixels.copy()
    asked = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
    # numpy 2.0 knows `stream` alone; its TypeError has a consumer ask again without the others.
    return pixels.__dlpack__(**{name: value for name, value in asked.items() if value is not None})
