"""One grab: the memory that its frame takes, its request, and the frame while its reply is on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.x11.protocol.mit_shm import PLACE_BYTES, pack_get_image

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat
    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request


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


class PendingGrab:
    """A frame whose requests are on their way. With `copied`, its memory is not the slot that `owner` holds, if any."""

    __slots__ = ("colours", "copied", "drawable", "layout", "owner", "rect", "request")

    def __init__(
        self,
        drawable: int,
        rect: Rect,
        layout: FrameSize,
        owner: Any,
        request: Request,
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
        self.request = connection.wire.send(request)
        self.colours = colours
