"""Decoding of replies: any bytes become values or a ServerNonsense, and take bounded memory.

python-xlib's structures trust their bytes: they raise any exception that invalid bytes lead to, and make a list as long
as a number in the reply says before they compare that with the bytes received. So every reply is decoded in a
`Decoding` block: no list is longer than its bytes, and a failure ends the connection, with the request's name and the
reason in the exception. An exception of a signal handler is passed on as it is.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, Final, Literal

from xshm._signal_safety import is_a_handlers
from xshm.errors import InvalidArgument, ServerNonsense, XshmError
from xshm.x11.protocol.xlib import PACKAGE, rq
from xshm.x11.protocol.xlib import request as core

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# -- how long a reply can be -------------------------------------------------------------------------------------------

# Bytes that may follow the header of a reply: far more than the replies to all requests but these have.
_LIMIT: Final = 1 << 20
_LIMITS: Final = {
    "GetRectangles": 4 << 20,  # a shape may have a rectangle for each pixel
    "FetchRegion": 4 << 20,
    "QueryClientIds": 1 << 16,  # a list of lists, which python-xlib decodes in time that grows with the square
    "GetMonitors": 1 << 16,
}
_UNKNOWN_LIMIT: Final = 256 << 20  # of requests that python-xlib's objects send, as for a property or a font list
_GET_IMAGE: Final = 73
_SIZE = struct.Struct("=12xHH")  # width and height in GetImage


def reply_limit(request: Any) -> int:
    """Return how many bytes may follow the header of the reply to a request (a python-xlib class)."""
    return _LIMITS.get(request.__name__, _LIMIT)


def image_reply_limit(width: int, height: int) -> int:
    """Return how many bytes an image of that size has at most, in any format: 32 bits a pixel, rows padded."""
    return (4 * width + 8) * height


def packed_reply_limit(data: bytes) -> int:
    """Return how many bytes may follow the header of the reply to a request that python-xlib has encoded."""
    if data[:1] == bytes([_GET_IMAGE]) and len(data) >= _SIZE.size:
        return image_reply_limit(*_SIZE.unpack_from(data))
    return _UNKNOWN_LIMIT


# -- which exceptions mean invalid bytes -------------------------------------------------------------------------------

# Packages whose functions raise while decoding. An exception with a frame of any other package in its traceback is a
# signal handler's.
_DECODERS: Final = (PACKAGE, "numpy", "enum", "encodings")
_GEOMETRY: Final = "xshm.geometry"  # its InvalidArgument is about numbers that the server has sent, while decoding


class Decoding:
    """A with block in which the reply to the request `name` is decoded.

    An exception that means that the bytes are invalid is replaced by the one that `nonsense(name, reason)` returns;
    other errors of xshm's, and exceptions of a signal handler, are passed on. `Wire.nonsense` also ends the connection.
    """

    __slots__ = ("_name", "_nonsense")

    def __init__(self, name: str, nonsense: Callable[[str, str], Exception] = ServerNonsense) -> None:
        self._name = name
        self._nonsense = nonsense

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if error is not None and _means_nonsense(error):
            raise self._nonsense(self._name, _reason(error)) from error
        return False


def _means_nonsense(error: BaseException) -> bool:
    if not isinstance(error, Exception) or isinstance(error, OSError | RecursionError | MemoryError):
        return False
    if is_a_handlers(error, *_DECODERS):
        return False
    return not isinstance(error, XshmError) or (type(error) is InvalidArgument and _raised_in(error) == _GEOMETRY)


def _raised_in(error: BaseException) -> str:
    """Return the name of the module in which an exception was raised."""
    module, trace = "", error.__traceback__
    while trace is not None:
        module, trace = str(trace.tb_frame.f_globals.get("__name__")), trace.tb_next
    return module


def _reason(error: BaseException) -> str:
    text = str(error)
    return text if isinstance(error, InvalidArgument) else f"{type(error).__name__}{': ' if text else ''}{text}"


# -- python-xlib's structures ------------------------------------------------------------------------------------------


class _CheckedList(rq.List):
    """A list that is not longer than its bytes, since an element has one byte at least."""

    def parse_binary_value(self, data: Any, display: Any, length: Any, format: Any) -> Any:  # noqa: A002 - its name
        if length is not None and length > len(data):
            raise ValueError(f"{self.name}: a list of {length} in {len(data)} bytes")
        return super().parse_binary_value(data, display, length, format)


@functools.cache
def with_checked_lists(structure: Any) -> Any:
    """Return an rq.Struct that decodes what `structure` does, with lists that are not longer than their bytes."""
    fields = [_checked(field) for field in structure.fields]
    if all(field is before for field, before in zip(fields, structure.fields, strict=True)):
        return structure
    return rq.Struct(*fields)


def _checked(field: Any) -> Any:
    if type(field) is not rq.List:
        return field
    kind = with_checked_lists(field.type) if type(field.type) is rq.Struct else field.type
    return _CheckedList(field.name, kind, field.pad)


def decode(request: Any, data: bytes, display: Any) -> Any:
    """Return the fields of the reply to a request (a python-xlib class). Call it in a `Decoding` block or its like."""
    found, _ = with_checked_lists(request._reply).parse_binary(data, display)  # noqa: SLF001 - decodes without I/O
    # No drawable can have such a size, and later divisions and allocations rely on that.
    if request is core.GetGeometry and not (found.width and found.height):
        raise ValueError(f"a size of {found.width}x{found.height}, which nothing has")
    return found
