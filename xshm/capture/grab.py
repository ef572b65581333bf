"""The values of one grab: FrameSize, its memory; GrabRequest, its packed ShmGetImage; PendingGrab, once it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.x11.protocol.mit_shm import PLACE_BYTES, pack_get_image

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.shm.pool import Pool
    from xshm.x11.protocol.requests import Request

# No dataclasses: making one costs 0.7 ms of import, which each screenshot pays for.


class FrameSize:
    """The bytes that a frame of one width and height takes; `verified` once a reply has named the same number."""

    __slots__ = ("nbytes", "verified")

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.verified = False


class GrabRequest:
    """A ShmGetImage of `rect` into a slot of `pool`, packed but for its last bytes, which name the slot.

    It is valid while the source has the same `extent` (the same object), and the caller asks for the same `rect`:
    comparing objects is most of what a repeated grab costs before its request is sent.
    """

    # `head` is bytes: what follows it, shmseg and offset, is packed with the slot once for all its requests.
    __slots__ = ("extent", "head", "pool", "rect", "size")

    def __init__(self, opcode: int, drawable: int, rect: Rect, extent: Rect, size: FrameSize, pool: Pool) -> None:
        self.rect = rect
        self.extent = extent
        self.size = size
        self.pool = pool
        self.head = pack_get_image(opcode, drawable, rect.x, rect.y, rect.width, rect.height, 0)[:-PLACE_BYTES]


class PendingGrab:
    """A frame whose requests were sent, and the source's `extent` at that moment.

    `owner` holds the slot that the server writes to, None where pixels come over the socket. `copied`: the frame gets
    memory of its own, not that slot. `colours` is the request for the colormap, where pixels are indices.
    """

    __slots__ = ("colours", "copied", "extent", "owner", "rect", "request", "size")

    def __init__(
        self,
        extent: Rect,
        rect: Rect,
        size: FrameSize,
        owner: Any,
        request: Request,
        colours: Request | None,
        *,
        copied: bool,
    ) -> None:
        self.extent = extent
        self.rect = rect  # in the source's coordinates, which do not count the border
        self.size = size
        self.owner = owner  # None once the reply was received: the frame owns the slot then
        self.request = request
        self.colours = colours
        self.copied = copied
