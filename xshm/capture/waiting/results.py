"""Change, Stability and Found: the results of wait_change, wait_stable and wait_image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.image.frame import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A change: `rects` that differ, in the source's coordinates; the `ratio` of differing pixels to all.

    `frame` is the picture after the change, `seconds` the time since the wait began.
    """

    rects: tuple[Rect, ...]
    ratio: float
    frame: Frame
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Whether the picture became `stable` (then it is true), the `seconds` that took, and the last `frame`."""

    stable: bool
    seconds: float
    frame: Frame

    def __bool__(self) -> bool:
        return self.stable


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where `wait_image` found the picture: `rect` in the source's coordinates, in `frame`.

    `difference` is the root mean square of how far its pixels are off, 0.0 (the same) to 1.0.
    """

    rect: Rect
    difference: float
    frame: Frame
