"""StructureNotify events (core protocol): windows that are mapped, unmapped, resized, reparented or destroyed.

Any number of subscribers share the selection of `event_masks`, on their window and on its ancestors.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from xshm.x11.protocol.xlib import X
from xshm.x11.windows.event_masks import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.x11.windows.event_masks import EventMasks

_CODES: Final = (X.DestroyNotify, X.UnmapNotify, X.MapNotify, X.ReparentNotify, X.ConfigureNotify)
_SIZE = struct.Struct("=20xHHH")  # ConfigureNotify: width, height, border width


class Subscription:
    """What has happened to one window, as flags that events set and the subscriber clears.

    `stale`: anything has changed. `reparented`: the window has other ancestors. `reshaped`: it has another bounding
    shape (`shape`). `gone`: it was destroyed; never cleared. `events` counts those that have set `stale`.
    """

    mask = X.StructureNotifyMask  # as a Holder

    __slots__ = ("__weakref__", "_size", "events", "gone", "reparented", "reshaped", "stale", "windows")

    def __init__(self, windows: Sequence[int]) -> None:
        self.windows = tuple(windows)  # the window itself, then its ancestors
        self.stale = True
        self.gone = False
        self.events = 0
        self.reparented = False
        self.reshaped = True
        self._size: tuple[int, ...] | None = None  # of the last ConfigureNotify, with the border's width

    def notify(self, message: bytes) -> None:
        """Set the flags, as a Holder."""
        code = message[0]
        if code not in _CODES:  # not those by SendEvent: window managers send positions by it, which are no change
            return
        on, _ = WINDOWS.unpack_from(message)
        is_own = self.windows[0] == on
        if code == X.ConfigureNotify:
            # An ancestor's size does not matter; a window that was moved or restacked has its pixels where they were.
            if is_own and (size := _SIZE.unpack_from(message)) != self._size:
                self.stale = True
                self.events += 1
                self._size = size
            return
        if code == X.ReparentNotify:
            self.reparented = True
        if code == X.DestroyNotify and is_own:
            self.gone = True
        self.stale = True
        self.events += 1


def subscribe(masks: EventMasks, windows: Sequence[int]) -> Subscription:
    """Subscribe to a window, the first, and its ancestors. `stale` is set at first, and by each later change."""
    subscription = Subscription(windows)
    masks.select(subscription, windows)
    if masks.is_gone(windows[0]):  # destroyed before the selection
        subscription.gone = True
    return subscription
