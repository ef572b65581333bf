"""The types that annotations of programs name, and the two tuples of a screenshot: where it is from, and its size."""

from __future__ import annotations

from typing import Any, NamedTuple

Monitor = dict[str, Any]
Monitors = list[Monitor]
Pixel = tuple[int, int, int]
Pixels = list[tuple[Pixel, ...]]


class Pos(NamedTuple):
    """The corner of a screenshot, in the screen's coordinates."""

    left: int
    top: int


class Size(NamedTuple):
    """The size of a screenshot in pixels."""

    width: int
    height: int
