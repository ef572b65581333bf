"""Export of pixels to other libraries: numpy's `__array__` and DLPack's `__dlpack__`, for Frame and ReadOnlyArray.

A consumer of DLPack gets a copy of read-only memory. DLPack has a read-only flag from version 1.0 on, but PyTorch
(2.13) requests that version and ignores the flag: it would write into memory that the next frames are built on, or
into pages that are mapped read-only, which ends the process by SIGSEGV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, ReadOnlyMemory
from xshm.pixels.to_rgb import as_dtype
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DlpackExport:
    """`__dlpack__` over the array that `_exported` returns."""

    __slots__ = ()

    def _exported(self, copy: bool | None) -> NDArray[Any]:
        raise NotImplementedError

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export the pixels without a copy where they are writable; as a copy where they are read-only.

        Raises ReadOnlyMemory, a BufferError, for read-only pixels and copy=False; InvalidType, a TypeError, and
        InvalidArgument, a ValueError, with numpy's message for arguments that it does not accept, a stream for one;
        numpy's own BufferError for a device that is not the CPU, and for bytes that are not in the machine's order.
        (DLPack 1.0, Python array API)
        """
        if copy is not None:
            _arguments.flag(copy, "copy, where it is not None,")  # numpy would take any truth value
        pixels = self._exported(copy)
        if not pixels.flags.writeable and not copy:
            if copy is not None:
                raise ReadOnlyMemory(
                    "this memory is read-only, which consumers of DLPack ignore; leave out copy=False to get a copy, "
                    "or read it in place as .pixels, with numpy"
                )
            pixels = pixels.copy()
        asked = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        # numpy 2.0 knows `stream` alone; on its TypeError, as the standard says, a consumer calls again without the
        # others.
        given = {name: value for name, value in asked.items() if value is not None}
        try:
            return pixels.__dlpack__(**given)
        except TypeError as error:
            raise InvalidType(f"numpy exports no array by DLPack with {quoted(given)}: {error}") from None
        except (ValueError, OverflowError, RuntimeError) as error:
            raise InvalidArgument(f"numpy exports no array by DLPack with {quoted(given)}: {error}") from None


class ArrayExport(DlpackExport):
    """All of the export of what has `pixels`: `__array__` too, for `numpy.asarray`."""

    __slots__ = ()

    @property
    def pixels(self) -> NDArray[Any]:
        """The array that is exported."""
        raise NotImplementedError

    def _exported(self, copy: bool | None) -> NDArray[Any]:  # noqa: ARG002 - Framebuffer's depends on it
        return self.pixels

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return where `pixels` are: (1, 0), the processor's memory."""
        return self.pixels.__dlpack_device__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return `pixels` themselves where they will do, else a copy.

        Raises InvalidArgument where `dtype` needs a copy and `copy` is False, or is one that pixels can't be converted
        to.
        """
        if copy is not None:
            _arguments.flag(copy, "copy, where it is not None,")
        pixels = self.pixels
        # numpy passes `copy` from version 2.0 on; before that the dtype alone, where there is one.
        if dtype is not None and (wanted := as_dtype(dtype, "a dtype is what numpy.dtype takes")) != pixels.dtype:
            if copy is False:
                raise InvalidArgument(f"the pixels are {pixels.dtype}; as {wanted} they must be copied")
            try:
                return pixels.astype(wanted)
            except (TypeError, ValueError) as error:
                raise InvalidArgument(f"the pixels are {pixels.dtype}, and can't be made {wanted}: {error}") from None
        return pixels.copy() if copy else pixels
