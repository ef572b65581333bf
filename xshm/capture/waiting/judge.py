"""Judge: which changes of a source count, and since when it has been at rest; what waits and acts share.

A Judge is fed with one frame after the other (`see`), and with the time: it does no I/O and reads no clock. It compares
each frame with the one before, where something was drawn, and gives each rectangle that differs to a Place, which tells
a steady rhythm from all else by the evidence that `rhythm` explains.

1. Places are found by pixels that differ, not by drawing: Tk and GTK redraw a whole entry for its caret, and Chromium
   one rectangle around all that moves on a page.
2. A place grows to cover the changes that overlap or touch it. Growing, it begins anew; a change that leaves the bounds
   of a proven rhythm, or covers most of it, is no part of it.
3. All counts as a change until it is proven to be a rhythm. Only `Act`, which has to decide at once, leaves out what
   looks like a caret: see `reaction`.

The cost of a change is that of comparing, and of hashing or sampling `_SAMPLES` pixels of its place: 0.15 to
0.3 ms, where comparing a full-HD frame takes 3.1 ms.

What does not work: places by the rectangles of DAMAGE (1); a caret that blinks for the first time on the edge of what
has just changed, which is a part of that place, and counts; and a place whose changes are so small that no sampled
pixel shows them, which is never proven to be a rhythm, and so counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from xshm.capture.waiting.compare import compare, part, whole_bytes
from xshm.capture.waiting.results import Moving
from xshm.capture.waiting.rhythm import CYCLE, FLOW, TICK, Known, Place, Swing, may_tick
from xshm.geometry import Rect
from xshm.image.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_SAMPLES: Final = 2048  # pixels of a place that are looked at, of a large one
_HASHED: Final = 128 * 128  # pixels: places up to this size are hashed whole
_REACH: Final = 2  # pixels between two changes that are of one place
_MOST_PLACES: Final = 48
_MOST_KNOWN: Final = 16
_BUSY, _FEW = 1.0, 2  # seconds, changes: a place that has changed more often within this time is no caret's
_SHORTEST_PHASE: Final = 0.25  # seconds: of a caret (Tk, xterm: 300 ms)
_MARGIN: Final = 256  # pixels around a place that are sampled with it, at most: a clock's hands reach ever new ones
# Pixels. Carets of text fields are 1 or 2 wide and fill their rectangle, as a terminal's does, which is a cell of text.
_WIDEST, _SHORTEST, _TALLEST = 24, 6, 64
_NARROW: Final = 3  # pixels: no letter but those that are a bar
_FILLED, _FILLED_NARROW = 0.9, 0.75  # of its pixels
# Seconds: the longest phase of a caret (GTK: 800 ms without), and a little.
_PHASE: Final = 0.95
_BITS_PER_BYTE: Final = 8


class Judge:
    """The places of one source that change, from the frame `first`, at the time `began`.

    `ignored` is in the source's coordinates, and is left out; `known` is what `remembered` returned at the end of an
    earlier wait. `frame` is the last one.
    """

    def __init__(self, first: Frame, began: float, ignored: Iterable[Rect] = (), known: Iterable[Known] = ()) -> None:
        self.frame = first
        self.began = began
        self._ignored = list(ignored)
        self._known = list(known)
        # A caret that has moved is as large as before.
        sizes = [(each.rect.width, each.rect.height) for each in self._known if each.rhythm in (None, CYCLE)]
        self._caret_sizes = frozenset(sizes)
        self._places: list[Place] = []
        self._dropped: tuple[float, float] | None = None  # changes of places that are not kept any more

    def see(self, frame: Frame, at: float, *, exact: bool = True) -> bool:
        """Take the next frame and its time; return whether anything differs.

        `exact` is False where changes may be as old as the frame before: nobody waited for them.
        """
        before, self.frame = self.frame, frame
        if before.rect != frame.rect:  # the source was resized, or is another drawable
            for place in self._places:
                self._drop(place)
            self._places = []
            self._count((at, at))
            return True
        found = compare(before, frame, list(frame.changed or ()), self._ignored).rects
        touched: list[Place] = []
        for rect in found:
            place = self._place(rect, before, frame, at)
            touched = [each for each in touched if each is not place and each in self._places] + [place]
        for place in touched:
            mark = None
            if place.rhythm is None and not place.is_caret and place.count:
                mark = self._swing(place, before, frame, at)
            place.add(at, _mark(frame, place.rect) if mark is None else mark, exact=exact)
        return bool(found)

    # -- the verdict ---------------------------------------------------------------------------------------------------

    def changes(self, now: float, *, rhythms: bool = False) -> tuple[float, float] | None:
        """Return the times of the first and the last change that counts, None without any; with `rhythms` all count."""
        self._review(now)
        times = [self._dropped] + [
            (each.first, each.last) if rhythms and each.count else each.changes() for each in self._places
        ]
        return span(times)

    def reaction(self, now: float) -> tuple[float, float] | None:
        """Return `changes`, but without what looks like a caret whose next change is not due yet, or that is as before.

        A single one: a caret that leaves one place and comes in another has moved.
        """
        self._review(now)
        suspects = self._suspects(now)
        return span([self._dropped] + [each.changes() for each in self._places if each not in suspects])

    def pending(self, now: float) -> float | None:
        """Return until when to wait for what looks like a caret to change back, None where nothing does."""
        waited = [each.last + _PHASE for each in self._suspects(now) if each.count % 2]
        return max(waited, default=None)

    def moving(self, now: float, since: float = math.inf, *, rhythms: bool = True) -> tuple[Moving, ...]:
        """Return what moves in a steady rhythm, and what has changed since a time; the last to change is the first."""
        self._review(now)
        found = [
            each
            for each in self._places
            if each.count and ((rhythms and each.rhythm) or (each.rhythm is None and each.last >= since))
        ]
        return _described(found)

    def set_aside(self, now: float) -> tuple[Moving, ...]:
        """Return what `reaction` leaves out: what moves in a steady rhythm, or looks like a caret."""
        self._review(now)
        suspects = self._suspects(now)
        return _described([each for each in self._places if each.count and (each.rhythm or each in suspects)])

    def no_changes(self, now: float) -> list[Rect]:
        """Return the places whose difference is no lasting change: what is proven, or known, to go back and forth.

        What only has a caret's shape may be a letter, "l", that was typed beside a greater change. What lies inside a
        place that has changed is a part of that change.
        """
        suspects = self._suspects(now)
        aside = [each for each in self._places if each.rhythm or (each in suspects and self._is_trusted(each))]
        counted = [each.rect for each in self._places if each not in suspects and each.changes()]
        return [each.rect for each in aside if not any(rect.contains(each.rect) for rect in counted)]

    def rhythms(self) -> list[Rect]:
        """Return the places of proven rhythms."""
        return [each.rect for each in self._places if each.rhythm]

    def remembered(self) -> tuple[Known, ...]:
        """Return what the next wait on this source is to know: rhythms, and what looks like a caret."""
        found = [each.remembered() for each in self._places]
        fresh = [each for each in found if each is not None]
        rects = {each.rect for each in fresh}
        return (*[each for each in self._known if each.rect not in rects], *fresh)[-_MOST_KNOWN:]

    # -- places --------------------------------------------------------------------------------------------------------

    def _place(self, rect: Rect, before: Frame, now: Frame, at: float) -> Place:
        """Return the place that a difference belongs to: a new one, or one that has grown by it."""
        near = [each for each in self._places if _reaches(each.rect, rect)]
        for place in near:
            if place.rect == rect or (place.rhythm and self._accepts(place, rect, before)):
                return place
        is_caret = _is_caret(before, now, rect)
        if is_caret and not any(_is_busy(each, rect, at) for each in near):
            return self._new(rect, before, is_caret=True)
        joined = [each for each in near if not each.rhythm or _covers_most(rect, each.rect)]
        if not joined:
            return self._new(rect, before, is_caret=is_caret)
        place = joined[0]
        place.end()
        bounds = rect
        for other in joined:
            bounds = bounds.union(other.rect)
        mark = _mark(before, bounds)
        for other in joined[1:]:
            place.join(other, mark)
            self._places.remove(other)
        if bounds != place.rect or place.is_caret:
            place.grow(rect, mark)
            place.is_caret = False
        return place

    def _new(self, rect: Rect, before: Frame, *, is_caret: bool) -> Place:
        known = next((each for each in self._known if _is_of(rect, each) and before.rect.contains(each.rect)), None)
        bounds = known.rect.union(rect) if known else rect
        place = Place(bounds, _mark(before, bounds), self.began, is_caret=is_caret)
        if known is not None:
            self._known.remove(known)
            place.recall(known)
        if len(self._places) >= _MOST_PLACES:
            oldest = min(self._places, key=lambda each: (each.rhythm is not None or not each.count, each.last))
            self._drop(oldest)
            self._places.remove(oldest)
        self._places.append(place)
        return place

    def _accepts(self, place: Place, rect: Rect, before: Frame) -> bool:
        """Return whether a difference is one of a proven rhythm; widen the bounds where they may be wider."""
        if place.rect.contains(rect):
            return True
        if place.rhythm == CYCLE or not place.may_widen(rect):
            return False
        place.grow(rect, _mark(before, place.rect.union(rect)))
        return True

    def _swing(self, place: Place, before: Frame, now: Frame, at: float) -> int | None:
        """Sample a place and its surroundings before and after a change; return its mark where these samples are it.

        They are where the place is the whole frame. Each of its samples is a cache miss: it is sampled once.
        """
        swing = place.swing
        if swing is None or not swing.area.contains(place.rect):
            margin = min(max(place.rect.width, place.rect.height, _BITS_PER_BYTE), _MARGIN)
            area = Rect.from_ltrb(
                place.rect.x - margin, place.rect.y - margin, place.rect.right + margin, place.rect.bottom + margin
            ).intersect(now.rect)
            assert area is not None  # noqa: S101 - the place lies inside the frame
            swing = place.swing = Swing(area, _look(before, area, _SAMPLES))
        samples = np.ascontiguousarray(_look(now, swing.area, _SAMPLES))
        swing.add(samples, at)
        is_whole = swing.area == place.rect and place.rect.width * place.rect.height > _HASHED
        return hash(samples.tobytes()) if is_whole else None

    def _suspects(self, now: float) -> list[Place]:
        """Return what looks like a caret, and is not proven to be one: at most one place that is not as before."""
        found = [
            each
            for each in self._places
            if each.is_caret and not each.rhythm and each.is_unsure and len(set(each.marks)) <= 2  # noqa: PLR2004
        ]
        changed = [each for each in found if each.count % 2]
        waiting = [each for each in changed if now < each.last + _PHASE]
        return [each for each in found if each not in changed or (len(changed) == 1 and each in waiting)]

    def _is_trusted(self, place: Place) -> bool:
        """Return whether what looks like a caret has been seen to change back, or is as large as one that has."""
        return place.count > 1 or place.is_recalled or (place.rect.width, place.rect.height) in self._caret_sizes

    def _review(self, now: float) -> None:
        for each in self._places:
            each.review(now)

    def _drop(self, place: Place) -> None:
        place.end()
        self._count(place.changes())

    def _count(self, times: tuple[float, float] | None) -> None:
        self._dropped = span([self._dropped, times])


def span(times: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    """Return the first and the last of several spans of time."""
    found = [each for each in times if each is not None]
    return (min(first for first, _ in found), max(last for _, last in found)) if found else None


def _described(places: list[Place]) -> tuple[Moving, ...]:
    places = sorted(places, key=lambda each: -each.last)
    return tuple(
        Moving(each.rect, each.period or each.gap or None, each.last - each.first, each.rhythm) for each in places
    )


def _is_of(rect: Rect, known: Known) -> bool:
    """Return whether a difference may be one of what is known from an earlier wait."""
    if known.rhythm == TICK:
        return may_tick(known.rect, rect)
    return known.rect == rect or (known.rhythm == FLOW and known.rect.contains(rect))


def _reaches(place: Rect, rect: Rect) -> bool:
    return (
        rect.x < place.right + _REACH
        and place.x < rect.right + _REACH
        and rect.y < place.bottom + _REACH
        and place.y < rect.bottom + _REACH
    )


def _is_busy(place: Place, rect: Rect, at: float) -> bool:
    """Return whether a place changes too often for a caret in it or beside it: it is an animation, or a bar that fills.

    A place without a change yet is one of this same moment. A caret knows nothing of a result that has just come around
    it; a bar that fills grows beside what was filled before, and the next bit of it would join both places.
    """
    if not place.count:
        return True
    if place.count > _FEW:
        return place.last > at - _BUSY
    has_just_come = place.rect.contains(rect) and not place.is_caret and not place.is_recalled
    return place.last > at - _SHORTEST_PHASE and not has_just_come


def _covers_most(rect: Rect, place: Rect) -> bool:
    common = rect.intersect(place)
    return common is not None and 2 * common.width * common.height >= place.width * place.height


def _is_caret(before: Frame, now: Frame, rect: Rect) -> bool:
    """Return whether a difference has the shape of a caret: upright, small, and one colour in place of another.

    A letter that was typed has more colours, or leaves some of its rectangle as it was; those that are a bar ("l")
    do not. The edge of a letter may be below a narrow caret. That of a terminal exchanges the letter's two colours.
    """
    if not (_SHORTEST <= rect.height <= _TALLEST and rect.width <= _WIDEST and rect.width < rect.height):
        return False
    old, new = (_look(each, rect, _HASHED).reshape(-1, 3) for each in (before, now))
    changed = float((old != new).any(axis=1).mean())
    shares = changed, _largest_share(old), _largest_share(new)
    if min(shares) >= (_FILLED if rect.width > _NARROW else _FILLED_NARROW):
        return True
    colours = np.unique(old, axis=0)
    return changed == 1 and len(colours) == 2 and np.array_equal(colours, np.unique(new, axis=0))  # noqa: PLR2004


def _largest_share(pixels: NDArray[np.uint8]) -> float:
    """Return the share of the pixels that have the most frequent colour."""
    return float(np.unique(pixels, axis=0, return_counts=True)[1].max() / len(pixels))


def _cut(frame: Frame, rect: Rect) -> Frame:
    return part(frame, whole_bytes(frame, rect))


def _mark(frame: Frame, rect: Rect) -> int:
    """Return a number for a part's picture: equal pictures have equal numbers, and other ones others, in practice."""
    return hash(_look(frame, rect, _HASHED if rect.width * rect.height <= _HASHED else _SAMPLES).tobytes())


def _look(frame: Frame, rect: Rect, most: int) -> NDArray[np.uint8]:
    """Return about `most` pixels of a part, evenly spread, or all if it has no more: (h, w, 3) uint8."""
    cut = _cut(frame, rect)
    step = math.ceil(math.sqrt(rect.width * rect.height / most))
    pixels = cut.pixels
    if pixels.ndim == 3:  # noqa: PLR2004 - B G R X, or A
        return pixels[::step, ::step, :3]
    if frame.format.bits_per_pixel < _BITS_PER_BYTE:
        return cut.rgb()[::step, ::step]
    few = np.ascontiguousarray(pixels[::step, ::step])
    size = Rect(0, 0, few.shape[1], few.shape[0])
    return Frame(few, size, 0, 0, frame.format, frame.colormap).rgb()
