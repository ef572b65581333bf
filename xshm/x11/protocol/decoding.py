"""The one gate that all decoding passes: what a server has said becomes values here, or ServerNonsense.

python-xlib's structures believe their bytes: they raise whatever the bytes make go wrong, and make a list as long as a
number in a reply says before they look whether so much has come. Here a list is never longer than what is there, and
what goes wrong ends the connection, with the request's name and what was wrong. What a signal handler raises meanwhile
is passed on as it is.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, Final, Literal

from Xlib.protocol import rq
from Xlib.protocol.request import GetGeometry

from xshm.errors import InvalidArgument, ServerNonsense, XshmError
from xshm.system.kernel_errors import is_a_handlers

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Whose functions may be running when decoding goes wrong; a signal handler has a frame of its own, of another package.
_DECODERS: Final = ("Xlib", "numpy", "enum", "encodings")
_GEOMETRY: Final = "xshm.geometry"  # whose InvalidArgument is of numbers that are the server's, inside of a gate
# How many bytes may follow the 32 of a reply: by far more than any server has to say in answer to that question.
_MOST: Final = 1 << 20
_MOST_OF: Final = {
    "GetRectangles": 4 << 20,  # of a shape there may be a piece for each pixel
    "FetchRegion": 4 << 20,
    "QueryClientIds": 1 << 16,  # lists in a list, for which python-xlib takes time that grows with the square
    "GetMonitors": 1 << 16,
}
_MOST_UNKNOWN: Final = 256 << 20  # to a question that python-xlib's objects ask, of a property's or a font list's size
_GET_IMAGE: Final = 73
_SIZE = struct.Struct("=12xHH")


def most_of(request: Any) -> int:
    """Return how many bytes may follow the 32 of the reply to a request (a class of python-xlib's kind)."""
    return _MOST_OF.get(request.__name__, _MOST)


def most_of_image(width: int, height: int) -> int:
    """Return how many bytes a picture of that size has at most, in whatever format: 32 bits a pixel, rows padded."""
    return (4 * width + 8) * height


def most_of_packed(data: bytes) -> int:
    """Return how many bytes may follow the 32 of the reply to a request that somebody else has packed."""
    if data[:1] == bytes([_GET_IMAGE]) and len(data) >= _SIZE.size:
        return most_of_image(*_SIZE.unpack_from(data))
    return _MOST_UNKNOWN


class Gate:
    """A with block in which what the server has said about `name` is decoded.

    What goes wrong in it, is no error of ours that means something else, and does not come from a signal handler is
    raised as what `nonsense(name, wrong)` returns.
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
        if error is not None:
            refuse(error, self._name, self._nonsense)
        return False


def refuse(error: BaseException, name: str, nonsense: Callable[[str, str], Exception]) -> None:
    """Raise what `nonsense(name, wrong)` returns, if the error is one of decoding: what a Gate does."""
    if _is_of_decoding(error):
        raise nonsense(name, _told(error)) from error


def _is_of_decoding(error: BaseException) -> bool:
    if not isinstance(error, Exception) or isinstance(error, OSError | RecursionError | MemoryError):
        return False
    if is_a_handlers(error, *_DECODERS):
        return False
    return not isinstance(error, XshmError) or (type(error) is InvalidArgument and _raised_in(error) == _GEOMETRY)


def _raised_in(error: BaseException) -> str:
    """Return the name of the module in which an error was raised."""
    module, trace = "", error.__traceback__
    while trace is not None:
        module, trace = str(trace.tb_frame.f_globals.get("__name__")), trace.tb_next
    return module


def _told(error: BaseException) -> str:
    text = str(error)
    return text if isinstance(error, InvalidArgument) else f"{type(error).__name__}{': ' if text else ''}{text}"


# -- python-xlib's structures ------------------------------------------------------------------------------------------


class _List(rq.List):
    """A list that takes no more memory than what has come is worth."""

    def parse_binary_value(self, data: Any, display: Any, length: Any, format: Any) -> Any:  # noqa: A002 - its name
        if length is not None and length > len(data):
            raise ValueError(f"{self.name}: a list of {length} in {len(data)} bytes")
        return super().parse_binary_value(data, display, length, format)


@functools.cache
def believing_no_length(structure: Any) -> Any:
    """Return an rq.Struct that reads what `structure` reads, with lists that are no longer than what is there."""
    fields = [_of_lists(field) for field in structure.fields]
    if all(field is before for field, before in zip(fields, structure.fields, strict=True)):
        return structure
    return rq.Struct(*fields)


def _of_lists(field: Any) -> Any:
    if type(field) is not rq.List:
        return field
    kind = believing_no_length(field.type) if type(field.type) is rq.Struct else field.type
    return _List(field.name, kind, field.pad)


def decode(request: Any, data: bytes, display: Any) -> Any:
    """Return what the reply to a request (a class of python-xlib's kind) has in it; raises what goes wrong."""
    found, _ = believing_no_length(request._reply).parse_binary(data, display)  # noqa: SLF001 - decodes without I/O
    if request is GetGeometry and not (found.width and found.height):
        raise ValueError(f"a size of {found.width}x{found.height}, which nothing has")
    return found
