"""A frame's own memory as a source to draw from: no copy between a grab and a blit, even to another server.

A System V segment can be attached by every server on this machine, so each frame's is attached once to the one that
draws it. A memfd's descriptor is gone once the grabbing server has it, so those frames are copied.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm.shm.segment import Slot
from xshm.surface.contents import ImageSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat
    from xshm.shm.segment import Segment
    from xshm.shm.shared_pixmap import SharedPixmaps
    from xshm.shm.transport import Transport
    from xshm.x11.io.release_queue import ServerResource


class FrameMemory:
    """The segments of other pools that the server behind `transport` was given."""

    def __init__(self, transport: Transport, pixmaps: SharedPixmaps | None, fmt: PixelFormat) -> None:
        self._transport = transport
        self._pixmaps = pixmaps
        self._format = fmt
        # By the segment's id, as long as it lives; what goes is detached and freed (`Transport.attach`,
        # `SharedPixmaps.make`). Not a WeakKeyDictionary, whose callback is in Python: signals are swallowed there.
        self._known: dict[int, _Known] = {}
        self._gone: deque[_Known] = deque()

    def source(self, pixels: NDArray[Any], place: Rect) -> ImageSource | None:
        """Return `pixels`, of the drawable's own format, as a source that the server can read; None where it can't.

        The array is held for as long as the source is.
        """
        fmt, width, height = self._format, place.width, place.height
        strides = fmt.layout(width, height)[2]
        if pixels.strides[1:] != strides[1:]:
            return None
        rows = pixels.view(np.uint8).reshape(height, -1)
        if self._transport.kind == "core":
            return ImageSource(place, rows, fmt.bits_per_pixel // 8)
        slot = slot_of(pixels)
        if slot is None or self._transport.kind != "sysv" or slot.segment.kind != "sysv":
            return None
        if pixels.ctypes.data != ctypes.addressof(owner_of(pixels)) or pixels.strides != strides:
            return None
        known = self._what_is_known(slot.segment)
        if self._pixmaps is not None and known.size != (width, height):
            known.pixmap = self._pixmaps.make(known.shmseg, width, height)
            known.size = (width, height)
        return ImageSource(place, rows, fmt.bits_per_pixel // 8, known.shmseg, known.pixmap)

    def _what_is_known(self, segment: Segment) -> _Known:
        while self._gone:
            gone = self._gone[0]
            if self._known.get(gone.key) is gone:
                del self._known[gone.key]
            del self._gone[0]
        known = self._known.get(id(segment))
        if known is None:
            known = _Known(segment, self._gone.append)
            known.key = id(segment)
            known.pixmap = None
            known.size = (0, 0)
            known.shmseg = self._transport.attach(segment)
            self._known[known.key] = known
        return known


class _Known(weakref.ref):  # type: ignore[type-arg]
    """What the server knows a segment by: its shmseg, and a pixmap of `size` over it. It notes when the segment goes.

    `key` is the segment's id, which another may have by then.
    """

    __slots__ = ("key", "pixmap", "shmseg", "size")
    key: int
    pixmap: ServerResource | None
    shmseg: int
    size: tuple[int, int]


def owner_of(pixels: NDArray[Any]) -> Any:
    """Return what an array stands on: the buffer behind the array and the view that make it read-only, too."""
    base: Any = pixels.base
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base


def slot_of(pixels: NDArray[Any]) -> Slot | None:
    """Return the slot that a frame's pixels stand on: the weak reference that will bring it home knows it."""
    owner = owner_of(pixels)
    for home in weakref.getweakrefs(owner) if isinstance(owner, ctypes.Array) else ():
        slot = getattr(home, "slot", None)
        if isinstance(slot, Slot):
            return slot
    return None
