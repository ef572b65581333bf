"""A frame's own memory as an image source: no copy between a grab and a blit, even to another server.

Every server on this machine can attach a System V segment. So a frame's segment is attached once to the server that
shows the frame, and detached when the segment's last user is gone. A memfd's descriptor is closed once the server that
was grabbed from has it, so frames in a memfd are copied by the caller.

Always true: an ImageSource holds the frame's array, and with it the slot of the pool that the frame came from. While it
is shown, or read by the server, no later grab is written there.
"""

from __future__ import annotations

import ctypes
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm._signal_safety import TaggedRef
from xshm.shm.pool import segment_of
from xshm.surface.contents import ImageSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat
    from xshm.shm.segment import Segment
    from xshm.shm.shared_pixmap import SharedPixmaps
    from xshm.shm.transport import Transport
    from xshm.x11.io.resources import ServerResource


class FrameMemory:
    """The segments of other connections' pools, as far as they are attached to the server behind `transport`."""

    def __init__(self, transport: Transport, pixmaps: SharedPixmaps | None, fmt: PixelFormat) -> None:
        self._transport = transport
        self._pixmaps = pixmaps
        self._format = fmt
        # By the segment's id(), as long as the segment lives. An attachment that is dropped here releases shmseg and
        # pixmap (`Transport.attach`, `SharedPixmaps.make`). TaggedRef and not WeakKeyDictionary, whose callback is in
        # Python: what a signal handler raises there is swallowed.
        self._attachments: dict[int, TaggedRef[Segment, _Attachment]] = {}
        self._dead_segments: deque[TaggedRef[Segment, _Attachment]] = deque()

    def source(self, pixels: NDArray[Any], place: Rect) -> ImageSource | None:
        """Return `pixels`, of the drawable's own format, as a source that the server can read; None where it can't."""
        fmt, width, height = self._format, place.width, place.height
        strides = fmt.layout(width, height)[2]
        if pixels.strides[1:] != strides[1:]:  # within a row; rows may lie further apart, for core PutImage
            return None
        rows = pixels.view(np.uint8).reshape(height, -1)
        if self._transport.kind == "core":
            return ImageSource(place, rows, fmt.bits_per_pixel // 8)
        segment = segment_of(owner_of(pixels))
        if segment is None or self._transport.kind != "sysv" or segment.kind != "sysv":
            return None
        # MIT-SHM's pixmaps and images begin at the segment's beginning here, with the server's own scanline pad.
        if pixels.ctypes.data != ctypes.addressof(owner_of(pixels)) or pixels.strides != strides:
            return None
        attachment = self._attachment_of(segment)  # one for all frames of a slot, however many are shown
        if self._pixmaps is not None and attachment.size != (width, height):
            attachment.pixmap = self._pixmaps.make(attachment.shmseg, width, height)
            attachment.size = (width, height)
        return ImageSource(place, rows, fmt.bits_per_pixel // 8, attachment.shmseg, attachment.pixmap)

    def _attachment_of(self, segment: Segment) -> _Attachment:
        """Return a segment's attachment; attach the segment if it is not. Drop those of segments that are gone."""
        while self._dead_segments:
            dead = self._dead_segments[0]
            if self._attachments.get(dead.tag.key) is dead:  # else the id() is a later segment's by now
                del self._attachments[dead.tag.key]
            del self._dead_segments[0]
        ref = self._attachments.get(id(segment))
        if ref is None:
            attachment = _Attachment(id(segment), self._transport.attach(segment))
            ref = TaggedRef(segment, self._dead_segments.append)
            ref.tag = attachment
            self._attachments[attachment.key] = ref
        return ref.tag


@dataclass(slots=True)
class _Attachment:
    """A segment as the server has it: its shmseg, and a pixmap of `size` over it.

    `key` is the segment's id(), which another object may have once the segment is gone.
    """

    key: int
    shmseg: int
    pixmap: ServerResource | None = None
    size: tuple[int, int] = (0, 0)


def owner_of(pixels: NDArray[Any]) -> Any:
    """Return the object whose memory an array views: the one behind all arrays and memoryviews in between."""
    base: Any = pixels.base
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base
