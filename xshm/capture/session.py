"""What a grab is made of: how much memory, which request, which memory it goes to; and what all grabs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.x11.protocol.mit_shm import PLACE_BYTES, pack_get_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from xshm.geometry import Rect, Region
    from xshm.image.cursor import Pointer
    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat
    from xshm.shm.segment import Pool, PoolStats
    from xshm.shm.transport import Transport
    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request
    from xshm.x11.server.pointer_events import PointerEvents


@dataclass(frozen=True, slots=True)
class Stats:
    """What a source has done: frames taken, and its pool (None where frames have memory of their own: core).

    `copies` counts the frames that got memory of their own because all slots were held, or the kernel had no room for
    one more (`Frame.shared` is False): of a slot that they came in, or over the socket.
    """

    frames: int
    pool: PoolStats | None
    copies: int = 0


class FrameSize:
    """What a frame of one size takes in memory; `proven` once a reply has shown that the server counts the same."""

    __slots__ = ("nbytes", "proven")

    def __init__(self, fmt: PixelFormat, width: int, height: int) -> None:
        self.nbytes = fmt.nbytes(width, height)
        self.proven = False


class GrabRequest:
    """A grab of `rect`, inside of `whole`, made ready: `head` is its request without the slot."""

    __slots__ = ("drawable", "head", "layout", "rect", "whole")

    def __init__(self, opcode: int, drawable: int, rect: Rect, whole: Rect, layout: FrameSize) -> None:
        self.drawable = drawable
        self.rect = rect
        self.whole = whole
        self.layout = layout
        self.head = pack_get_image(opcode, drawable, rect.x, rect.y, rect.width, rect.height, 0)[:-PLACE_BYTES]


@dataclass(slots=True)
class Session:
    """What all drawables of one Screen share."""

    connection: Connection
    transport: Transport
    pool: Pool | None
    copies: bool = True  # whether frames that there is no slot for get memory of their own; else PoolExhausted
    pointer: Pointer | None = None  # from the first grab that asks for it
    pointing: PointerEvents | None = None  # from the first stream that does


class PendingGrab:
    """A frame whose requests are on their way. With `copied`, its memory is not the slot that `owner` holds, if any."""

    __slots__ = ("colours", "copied", "drawable", "layout", "owner", "pending", "rect")

    def __init__(
        self,
        drawable: int,
        rect: Rect,
        layout: FrameSize,
        owner: Any,
        pending: Request,
        colours: Request | None,
        connection: Connection,
        *,
        copied: bool,
    ) -> None:
        self.drawable = drawable
        self.rect = rect
        self.layout = layout
        self.owner = owner
        self.copied = copied
        self.pending = connection.wire.send(pending)
        self.colours = colours


def several(regions: Iterable[Region]) -> list[Region]:
    """Make a list of regions; InvalidType for one alone."""
    return _arguments.several(regions, "grab_many takes a list of regions", no_types=(str, Mapping))


def check_fits(array: NDArray[Any], frame: Frame) -> None:
    """Raise InvalidArgument where an array can't take a frame's pixels, with all that is wrong with it."""
    pixels = frame.pixels
    wrong = []
    if array.shape != pixels.shape:
        wrong.append(f"its shape is {array.shape}, not {pixels.shape}")
    if array.dtype != pixels.dtype:
        wrong.append(f"its dtype is {array.dtype!r}, not {pixels.dtype!r}")
    if not array.flags.writeable:
        wrong.append("it is read-only")
    if any(stride == 0 and count > 1 for stride, count in zip(array.strides, array.shape, strict=True)):
        wrong.append(f"its elements share memory (strides {array.strides})")
    if wrong:
        raise InvalidArgument(f"the array can't take {frame.rect} of {frame.format}: {'; '.join(wrong)}")
