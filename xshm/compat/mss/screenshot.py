"""ScreenShot: one picture, as mss 10 has it: a bytearray of B G R X, and conversions of it.

Always true:

1. The bytes are copied when `raw` is first read. Until then a screenshot of `MSS.grab` is a view of the frame's own
   memory, which no later grab writes to, and so is an array that numpy makes of it.
2. From then on `raw` is the picture: what is written to it is in `bgra`, and in arrays that are made later.

What does not work: writing to an array that was made before `raw` was first read, and reading it in `raw` afterwards
(or the other way round); read `raw` first, as mss does. `rgb` and `pixels` are kept when they are first read, as there.
"""

from __future__ import annotations

import os
from threading import RLock
from typing import TYPE_CHECKING, Any, Self, TypeGuard, cast

from xshm.compat.mss._shot import PixelsOfBytes, rgb_of
from xshm.compat.mss.exception import ScreenShotError
from xshm.compat.mss.models import Monitor, Pixel, Pixels, Pos, Size

if TYPE_CHECKING:
    from xshm.geometry import Rect

__all__ = ["Monitor", "Pixel", "Pixels", "Pos", "ScreenShot", "ScreenShotError", "Size"]

_copying = RLock()  # two threads that read `raw` for the first time get one bytearray; a signal handler may, too


class ScreenShot(PixelsOfBytes):
    """A picture of `size` from `pos`: `raw`, `bgra`, `rgb`, `pixels`, `pixel`, and whatever numpy makes of it.

    `data` is a bytearray of B G R X, `monitor` a dict of left, top, width and height; `size` another size than that.
    """

    __slots__ = ("_raw", "_rgb", "_view")

    def __init__(self, data: bytearray, monitor: Monitor, /, *, size: Size | None = None) -> None:
        self._tuples = None
        self._rgb: bytes | None = None
        self._view: memoryview | None = None  # of a frame's memory; None where there is a bytearray
        self._raw: bytearray | None = data
        self.pos = Pos(monitor["left"], monitor["top"])
        self.size = Size(monitor["width"], monitor["height"]) if size is None else size

    @classmethod
    def from_size(cls, data: bytearray, width: int, height: int, /) -> Self:
        """Make one of bytes and their size, from the corner 0, 0."""
        return cls(data, {"left": 0, "top": 0, "width": width, "height": height})

    @property
    def raw(self) -> bytearray:
        """The pixels, B G R X, to be read and written; the fourth byte is undefined on most screens."""
        view = self._view
        if view is not None:
            with _copying:
                if self._view is not None:
                    self._raw = bytearray(view)
                    self._view = None
        return cast("bytearray", self._raw)  # there is one or the other

    @raw.setter
    def raw(self, data: bytearray) -> None:
        self._raw, self._view = data, None

    @property
    def bgra(self) -> bytes:
        """A copy of the pixels, B G R X."""
        return bytes(self._memory())

    @property
    def rgb(self) -> bytes:
        """The pixels as R G B."""
        if self._rgb is None:
            self._rgb = bytes(rgb_of(self._memory(), self.width, self.height))
        return self._rgb

    def _memory(self) -> Any:
        view = self._view
        return self.raw if view is None else view

    def __getstate__(self) -> object:
        self.raw  # noqa: B018 - a view of a frame's memory can't be pickled, and a copy is to have pixels of its own
        return super().__getstate__()


def is_lazy(kind: object) -> TypeGuard[type[ScreenShot]]:
    """Return whether screenshots of this class are made by ScreenShot's own constructor, so that it can be left out."""
    if kind is ScreenShot:
        return True
    return isinstance(kind, type) and all(
        getattr(kind, name, None) is getattr(ScreenShot, name) for name in ("__init__", "__new__")
    )


def over_frame(kind: type[ScreenShot], view: memoryview, rect: Rect) -> ScreenShot:
    """Return a screenshot of `kind`, whose constructor is ScreenShot's, over a frame's memory: nothing is copied."""
    shot = kind.__new__(kind)
    shot._place(rect)  # noqa: SLF001 - of this module's class
    shot._rgb = shot._raw = None  # noqa: SLF001
    shot._view = view  # noqa: SLF001
    return shot


def _after_fork_in_child() -> None:
    global _copying  # noqa: PLW0603 - a thread that only the parent has may hold it
    _copying = RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)
