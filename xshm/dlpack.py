"""DLPack exports that keep read-only memory unchanged: a consumer gets a copy, since consumers ignore the flag.

DLPack can say that memory is read-only from its version 1.0 on. PyTorch asks for that version and writes all the same
(2.13: into what others build on, or into pages that can't be written, which ends the process).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.errors import ReadOnlyMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
