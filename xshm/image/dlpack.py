"""Pixels as other libraries ask for them: by numpy's `__array__`, and by DLPack.

A consumer of DLPack gets a copy of read-only memory, since consumers ignore the flag.

DLPack can say that memory is read-only from its version 1.0 on. PyTorch asks for that version and writes all the same
(2.13: into what others build on, or into pages that can't be written, which ends the process).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, ReadOnlyMemory
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np


def as_array(pixels: NDArray[Any], dtype: Any, copy: bool | None) -> NDArray[Any]:
    """Return `pixels` themselves where they can serve as `__array__`'s answer, else a copy; with copy=False, refuse."""
    if copy is not None:
        _arguments.flag(copy, "copy, where it is not None,")
    if dtype is not None and (wanted := _kind(dtype)) != pixels.dtype:
        if copy is False:
            raise InvalidArgument(f"the pixels are {pixels.dtype}; as {wanted} they must be copied")
        try:
            return pixels.astype(wanted)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"the pixels are {pixels.dtype}, and can't be made {wanted}: {error}") from None
    return pixels.copy() if copy else pixels


def export(
    pixels: NDArray[Any],
    stream: Any,
    max_version: tuple[int, int] | None,
    dl_device: tuple[int, int] | None,
    copy: bool | None,
) -> Any:
    """Return a capsule as `ndarray.__dlpack__` does, over a copy where `pixels` is read-only.

    Raises ReadOnlyMemory, a BufferError, where that needs a copy and `copy` is False; InvalidType, a TypeError, and
    InvalidArgument, a ValueError, with numpy's words for arguments that it does not take, a stream for one; numpy's own
    BufferError for a device that is not the processor's, and for bytes that are not in the machine's order.
    """
    if copy is not None:
        _arguments.flag(copy, "copy, where it is not None,")
    if not pixels.flags.writeable and not copy:
        if copy is not None:
            raise ReadOnlyMemory(
                "this memory is read-only, which consumers of DLPack ignore; leave out copy=False to get a copy, "
                "or read it in place as .pixels, with numpy"
            )
        pixels = pixels.copy()
    asked = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
    # numpy 2.0 knows `stream` alone; its TypeError has a consumer ask again without the others.
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        return pixels.__dlpack__(**given)
    except TypeError as error:
        raise InvalidType(f"numpy exports no array by DLPack with {quoted(given)}: {error}") from None
    except (ValueError, OverflowError, RuntimeError) as error:
        raise InvalidArgument(f"numpy exports no array by DLPack with {quoted(given)}: {error}") from None


def _kind(dtype: Any) -> np.dtype[Any]:
    try:
        kind: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError, AttributeError) as error:  # which of them is numpy's own affair
        raise InvalidType(f"{quoted(dtype)} is no dtype: {error}") from None
    return kind
