"""What a session needs of the channel that it shows; `live.channel` and `live.picture`, which are built above, have it.

Locking rules: all of it may be called in any thread; `wake` is called in the channel's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm.geometry import Rect
    from xshm.image.cursor import Cursor
    from xshm.pixels.raster import Raster


class ViewedCopy(Protocol):
    """`picture.Copied`: where it differs, what is there, and as of when."""

    @property
    def generation(self) -> int:
        """Its number; 0: nothing was captured yet."""

    @property
    def rects(self) -> Sequence[Rect]:
        """Where it differs."""

    @property
    def rasters(self) -> Sequence[Raster]:
        """What is there, one for each rectangle."""


class ViewedPicture(Protocol):
    """`picture.Picture`: of one size all its life."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""

    @property
    def generation(self) -> int:
        """Its number; 0: nothing was captured yet."""

    def copy(self, since: int, also: Sequence[Rect] = ()) -> ViewedCopy:
        """Return what differs from an earlier generation (0: from nothing), and the rectangles `also`."""


class ViewedState(Protocol):
    """`channel.ChannelState`."""

    @property
    def kind(self) -> str:
        """One word: live, gone or another."""

    @property
    def words(self) -> str:
        """Why it is not live, for a person."""


class ViewedPointer(Protocol):
    """`channel.PointerState`."""

    @property
    def x(self) -> int:
        """From the left of the picture."""

    @property
    def y(self) -> int:
        """From its top."""

    @property
    def is_visible(self) -> bool:
        """Whether it is shown."""

    @property
    def image(self) -> Cursor | None:
        """What it looks like."""


class ViewedWatch(Protocol):
    """`channel.Watch`."""

    def want(self) -> None:
        """Have one more change captured."""

    def close(self) -> None:
        """End it."""


class Viewed(Protocol):
    """`channel.Channel`."""

    @property
    def title(self) -> str:
        """What it shows, for a person."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""

    @property
    def state(self) -> ViewedState:
        """Whether it is live."""

    @property
    def picture(self) -> ViewedPicture | None:
        """What was captured last."""

    @property
    def pointer(self) -> ViewedPointer:
        """Where the pointer is."""

    def watch(self, wake: Callable[[], None]) -> ViewedWatch:
        """Begin to watch."""


class RfbInput(Protocol):
    """Where keys and the pointer go, where they may; all else drops them."""

    def key(self, keysym: int, *, is_down: bool) -> None:
        """Press or release a key, by its keysym."""

    def pointer(self, x: int, y: int, buttons: int) -> None:
        """Move the pointer; press and release its buttons, bit n for button n + 1."""

    def release(self) -> None:
        """Release all that is pressed: the client has gone."""
