"""Feed: where the pixels of a recording come from; Captured: what one look at them gives.

A feed is used by one thread, the capture thread. Its region has one size from the start on: pixels that the source no
longer has (a window that was made smaller) are black.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat


_Found = TypeVar("_Found")


class Captured(Protocol):
    """The pixels of a feed's region after a change; valid until `release`, or the feed's next `capture`.

    A LiveFeed's are the live screen. So they are read, then asked whether they were drawn on meanwhile: where `is_torn`
    is true, the feed's next `capture` has all rectangles in which that was, and others that were drawn since; these are
    read over the same picture, and so on until it is not torn, or `capture` returns None: then the drawing was outside
    of the region.
    """

    pixels: NDArray[Any]  # as `Frame.pixels` in `Feed.format`: (height, width, 4) uint8 on 24 bits; live for a LiveFeed
    colormap: NDArray[np.uint16] | None  # of depth 8, as `Frame.colormap`
    changed: Sequence[Rect]  # outside of these all is as in the last Captured; from the region's corner, inside of it
    at: int  # CLOCK_MONOTONIC, nanoseconds

    def is_torn(self) -> bool:
        """Whether anything may have been drawn since the capture; to be asked before the next one. Raises nothing."""

    def release(self) -> None:
        """Drop the pixels."""


class Feed(Protocol):
    """Pictures of one region of a source, after each change."""

    @property
    def how(self) -> str:
        """How pixels are read, and why so."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the region."""

    @property
    def format(self) -> PixelFormat:
        """The layout of its pixels."""

    def wait(self, deadline: float) -> bool:
        """Wait until a change is likely, or until `deadline` (time.monotonic); return whether one is.

        Returns False at once after `wake`. Raises DisplayGone, Closed.
        """

    def capture(self) -> Captured | None:
        """Look once; None where nothing has changed, or there is no picture (a window that is hidden).

        Raises DisplayGone, WindowGone; Closed where the source was closed; RequestTimeout, after which another capture
        may succeed.
        """

    def undisturbed(self, look: Callable[[], _Found]) -> _Found:
        """Return what a look returns while the server draws for nobody else. Raises as `capture`."""

    def wake(self) -> None:
        """End a `wait` in another thread, at once, or the next one; while the server is stopped, at its deadline."""

    def close(self) -> None:
        """Release what the server keeps. Closing twice is fine."""
