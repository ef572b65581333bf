"""ListingSink: a sink in memory that notes each picture it is given, and checks the rules of what it is given."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from counter_screen import counter_in

from xshm.record.pictures.picture import Picture, new_planes
from xshm.record.sinks.sink import KEEP_ALIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.record.pictures.picture import Layout


class ListingSink:
    """Notes the time and the number of each picture in `pictures`, keep-alives in `alive`.

    Outside of `changed` a picture has to be the one before. While `free` is clear it stands still.
    """

    how = "a list"
    layout: Layout = "bgr0"

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.nbytes = 0
        self.free = threading.Event()
        self.free.set()
        self.keep_alive = KEEP_ALIVE
        self.pictures: list[tuple[int, int]] = []
        self.alive: list[int] = []
        self.marks: list[tuple[int, str]] = []
        self.areas: list[int] = []  # pixels that were said to be changed
        self.end: int | None = None
        self.aborted = 0
        self.last: NDArray[Any] | None = None

    def new_picture(self) -> Picture:
        return Picture(self.layout, *self.size, new_planes(self.layout, *self.size))

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:
        assert self.end is None
        assert not self.aborted
        assert self.free.wait(20)
        pixels = picture.planes[0]
        times = [time for time, _ in self.pictures] + self.alive
        assert not times or at > max(times)
        if self.last is not None:
            same = (pixels == self.last).all(axis=2)
            for rect in changed:
                same[rect.slices] = True
            assert same.all()
        self.last = pixels.copy()
        self.areas.append(sum(rect.width * rect.height for rect in changed))
        if changed:
            self.pictures.append((at, counter_in(pixels[..., 2::-1])))
        else:
            self.alive.append(at)
        self.nbytes += 1

    def mark(self, at: int, title: str) -> None:
        self.marks.append((at, title))

    def finish(self, end: int) -> None:
        assert self.end is None
        self.end = end

    def abort(self) -> None:
        self.aborted += 1


def shows(sink: ListingSink, truth: NDArray[Any]) -> bool:
    """Return whether the last picture is this one, (height, width, 3), R G B."""
    return sink.last is not None and np.array_equal(sink.last[..., 2::-1], truth)
