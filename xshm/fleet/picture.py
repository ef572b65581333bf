"""Picture and Delta: a screen that is elsewhere, followed by what changes on it.

    picture = fleet.Picture()
    while True:
        frame = picture.apply(ray.get(seat.changed.remote(picture.seen, timeout=1)))

Always true:

1. After `apply` the picture is the screen's, exactly, as of the Delta's moment. What is lost, doubled or late is
   noticed: `apply` leaves the picture as it was, or raises; the next Delta that is asked for by `picture.seen` has all
   that was missed.
2. The pixels of a Frame that was returned do not change, as long as it, or a view of them, is held.

Memory: pictures lie in slots, each with a list of where it is behind. A slot of which no view is left is brought up to
date and written to again, so a reader that drops its frames has two.

What does not work: order between displays. A whole Delta of a display that was replaced, where it comes after one of
the display that replaced it, is shown; the next Delta that is asked for is the new display's again.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.errors import FleetError, InvalidType
from xshm.geometry import Rect, merged
from xshm.image.frame import Frame
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat
else:
    from xshm._numpy import np

_SLOTS: Final = 3  # that are kept
_MOST_RECTS: Final = 32  # of a slot's list
EPOCH_COUNT_BITS: Final = 16  # the lowest of an epoch, which count; those above are the display's


class Seen(NamedTuple):
    """A state of a screen: `generation` rises with each change; `epoch` is another one after a restart or a new size.

    The epochs of one display rise with each new size; those of different displays have no order.
    """

    epoch: int
    generation: int


class Delta(NamedTuple):
    """What has changed on a screen between two states, or (`base` 0) all of it.

    `rects` are in the screen's coordinates, and `pixels` what is there, contiguous arrays in `format` without a
    colormap; none where nothing has changed. `monotonic_ns` is when (time.monotonic_ns() on the seat's machine). It is
    pickled with its pixels out of band: by Ray, a reader on the same machine has them without a copy, and read-only.
    """

    epoch: int
    base: int
    generation: int
    monotonic_ns: int
    size: tuple[int, int]
    format: PixelFormat
    rects: tuple[Rect, ...]
    pixels: tuple[NDArray[Any], ...]

    @property
    def nbytes(self) -> int:
        """How many bytes the pixels of all rectangles are."""
        return sum(each.nbytes for each in self.pixels)

    def __repr__(self) -> str:
        base = f"after state {self.base}" if self.base else "whole"
        size = "{}x{}".format(*self.size)
        return f"<Delta of {size}, state {self.generation}, {base}, {len(self.rects)} rects, {self.nbytes:,} bytes>"


class Picture:
    """The last known picture of one screen. `apply` may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: Seen | None = None
        self._slots: list[_Slot] = []
        self._newest: _Slot | None = None
        self._made_of: Any = None  # the arguments of a Frame beside its pixels

    @property
    def seen(self) -> Seen | None:
        """The state that it has, for `Seat.changed`; None before the first Delta."""
        return self._seen

    def apply(self, delta: Delta) -> Frame:
        """Bring the picture up to date, and return it.

        The Frame is all of the screen, read-only; `changed` are the Delta's rectangles, `sequence` its generation. A
        Delta that is not newer changes nothing. Raises FleetError where the Delta is built on a state that the picture
        does not have, which stays as it was then; InvalidType.
        """
        if not isinstance(delta, Delta):
            raise InvalidType(
                f"a Picture takes a Delta, as Seat.changed returns it (an actor's by ray.get), not {quoted(delta)}"
            )
        with self._lock:
            if not self._is_news(delta):
                return self._frame(())
            self._check(delta)
            self._newest = self._written(delta)
            self._seen = Seen(delta.epoch, delta.generation)
            self._made_of = Rect(0, 0, *delta.size), delta.monotonic_ns, delta.generation, delta.format
            return self._frame(delta.rects)

    def __repr__(self) -> str:
        seen, newest = self._seen, self._newest
        if seen is None or newest is None:
            return "<Picture of nothing yet>"
        return f"<Picture of {newest.canvas.shape[1]}x{newest.canvas.shape[0]}, state {seen.generation}>"

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _is_news(self, delta: Delta) -> bool:
        seen = self._seen
        if seen is None or seen.epoch >> EPOCH_COUNT_BITS != delta.epoch >> EPOCH_COUNT_BITS:
            return True
        return (seen.epoch, seen.generation) < (delta.epoch, delta.generation)

    def _check(self, delta: Delta) -> None:
        seen = self._seen
        if delta.base and (seen is None or seen.epoch != delta.epoch or seen.generation < delta.base):
            has = "nothing" if seen is None else f"state {seen.generation} of epoch {seen.epoch:x}"
            raise FleetError(
                f"this Delta is what changed after state {delta.base} of epoch {delta.epoch:x}, and the picture has "
                f"{has}; ask for one by changed(picture.seen)"
            )
        # Before anything is written: it may be over the picture itself.
        whole, (shape, _) = Rect(0, 0, *delta.size), _shape(delta)
        fits = [
            whole.contains(rect) and pixels.shape == (rect.height, rect.width, *shape[2:])
            for rect, pixels in zip(delta.rects, delta.pixels, strict=False)
        ]
        if not all(fits) or len(delta.rects) != len(delta.pixels) or not (delta.base or delta.rects == (whole,)):
            raise FleetError(
                f"this Delta is none that `changed` returned: its pixels do not fit its {len(delta.rects)} rectangles "
                f"of a screen of {delta.size[0]}x{delta.size[1]}; ask for one by changed(picture.seen)"
            )

    def _written(self, delta: Delta) -> _Slot:
        """Return a slot that nobody sees, with the newest picture and the Delta over it."""
        if not delta.base:
            slot = self._free(delta) or _Slot(delta)
            slot.stale = []
        else:
            assert self._newest is not None  # noqa: S101 - it has a state
            slot = self._free(delta) or _Slot(delta, self._newest)
            slot.catch_up(self._newest)
        for rect, pixels in zip(delta.rects, delta.pixels, strict=True):
            slot.canvas[rect.slices] = pixels
        self._slots = [each for each in self._slots if each is not slot and each.fits(delta)]
        for each in self._slots:
            each.stale = list(merged([*each.stale, *delta.rects], _MOST_RECTS))
        self._slots = [slot, *self._slots][:_SLOTS]
        return slot

    def _free(self, delta: Delta) -> _Slot | None:
        """Return a slot without views, the newest one first: it is not behind."""
        return next((slot for slot in self._slots if slot.fits(delta) and not slot.is_seen), None)

    def _frame(self, changed: tuple[Rect, ...]) -> Frame:
        assert self._newest is not None  # noqa: S101 - it has a state
        frame = Frame(self._newest.view(), *self._made_of)
        frame.changed = changed
        return frame


class _Slot:
    """Memory of one picture; `stale` is where others are newer."""

    def __init__(self, delta: Delta, newest: _Slot | None = None) -> None:
        shape, dtype = _shape(delta)
        self.canvas: NDArray[Any] = np.empty(shape, dtype) if newest is None else newest.canvas.copy()
        self.format = delta.format
        self.stale: list[Rect] = []
        self._seen_by: weakref.ref[Any] | None = None

    def fits(self, delta: Delta) -> bool:
        """Return whether a picture of that size and format lies in it."""
        return self.format == delta.format and (self.canvas.shape, self.canvas.dtype) == _shape(delta)

    @property
    def is_seen(self) -> bool:
        """Whether a frame, an array or a slice over it is held by anybody."""
        return self._seen_by is not None and self._seen_by() is not None

    def catch_up(self, newest: _Slot) -> None:
        """Copy what it lacks."""
        for rect in self.stale:
            self.canvas[rect.slices] = newest.canvas[rect.slices]
        self.stale = []  # last: where the copies are interrupted, it still lacks them

    def view(self) -> NDArray[Any]:
        """Return the picture as a read-only array, over an object that dies with the last view."""
        from xshm.image.read_only_array import ReadOnlyArray  # noqa: PLC0415 - it loads numpy

        owner = self._seen_by() if self._seen_by is not None else None
        if owner is None:
            owner = (ctypes.c_ubyte * self.canvas.nbytes).from_buffer(self.canvas.data)
            self._seen_by = weakref.ref(owner)
        whole = np.frombuffer(memoryview(owner).toreadonly(), np.uint8)
        return ReadOnlyArray(self.canvas.shape, self.canvas.dtype, whole, 0, self.canvas.strides)


def _shape(delta: Delta) -> tuple[tuple[int, ...], Any]:
    """Return shape and dtype of a picture: rows without padding."""
    width, height = delta.size
    shape, dtype, _ = delta.format.layout(1, 1)
    return (height, width, *shape[2:]), dtype
