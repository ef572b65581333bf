"""A frame's own memory as a source to draw from: no copy between a grab and a blit, even to another server.

A System V segment can be attached by every server on this machine, so each frame's is attached once to the one that
draws it. A memfd's descriptor is gone once the grabbing server has it, so those frames are copied.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm.memory import Segment, Slot
from xshm.picture import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.pixels import PixelFormat
    from xshm.transport import Transport


class FrameMemory:
    """The segments of other pools that the server behind `transport` was given."""

    def __init__(self, transport: Transport, form: PixelFormat) -> None:
        self._transport = transport
        self._format = form
        # As long as a segment lives; a shmseg that goes is detached (`Transport.attach`).
        self._attached: weakref.WeakKeyDictionary[Segment, int] = weakref.WeakKeyDictionary()

    def source(self, pixels: NDArray[Any], place: Rect) -> Source | None:
        """Return `pixels`, of the drawable's own format, as a source that the server can read; None where it can't.

        The array is held for as long as the source is.
        """
        form = self._format
        if pixels.strides[1:] != form.layout(place.width, place.height)[2][1:]:
            return None
        rows = pixels.view(np.uint8).reshape(place.height, -1)
        if self._transport.kind == "core":
            return Source(place, rows, form.bits_per_pixel // 8)
        slot = slot_of(pixels)
        if slot is None or self._transport.kind != "sysv" or slot.segment.kind != "sysv":
            return None
        owner: Any = pixels.base
        if pixels.ctypes.data != ctypes.addressof(owner) or pixels.strides[0] != form.stride(place.width):
            return None
        return Source(place, rows, form.bits_per_pixel // 8, self._shmseg(slot.segment))

    def _shmseg(self, segment: Segment) -> int:
        shmseg = self._attached.get(segment)
        if shmseg is None:
            shmseg = self._attached[segment] = self._transport.attach(segment)
        return shmseg


def slot_of(pixels: NDArray[Any]) -> Slot | None:
    """Return the slot that a frame's pixels stand on: the weak reference that will bring it home knows it."""
    owner: Any = pixels.base
    for home in weakref.getweakrefs(owner) if isinstance(owner, ctypes.Array) else ():
        slot = getattr(home, "slot", None)
        if isinstance(slot, Slot):
            return slot
    return None
