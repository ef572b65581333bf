"""One who watches a channel of a live view in this process.

viewer = Viewer(channel)
viewer.until(lambda: viewer.channel.picture)
viewer.rgb()
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm.pixels import to_rgb

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xshm.live.channel import Channel


class Viewer:
    """One who watches, and wants the next change as soon as he has seen the one before."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._woken = threading.Event()
        self.wakes = 0
        self.watch = channel.watch(self._wake)
        self.watch.want()

    def _wake(self) -> None:
        self.wakes += 1
        self._woken.set()

    def until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        """Wait for a condition, and want each change meanwhile."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.channel.state, self.channel.size)
            self._woken.wait(0.1)
            self._woken.clear()
            self.watch.want()

    def rgb(self) -> NDArray[Any]:
        """Return what it sees."""
        picture = self.channel.picture
        assert picture is not None
        (raster,) = picture.copy(0).rasters
        return to_rgb.rgb(raster)

    def shows(self, source: Any) -> bool:
        """Return whether that is what the source shows now."""
        return bool(np.array_equal(self.rgb(), source.grab().rgb()))
