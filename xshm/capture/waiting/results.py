"""Change, Stability, Found, Outcome, Moving: what wait_change, wait_stable, wait_image and act return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.geometry import Rect
    from xshm.image.frame import Frame

_MOST_LISTED: Final = 4  # of places or titles in one line
_MOMENT: Final = 0.05  # seconds
_TALLEST_CARET: Final = 64  # pixels


class Moving(NamedTuple):
    """A place that was seen to move: its `rect` in the source's coordinates, the `period` and for how many `seconds`.

    `period` is the mean time between two changes in seconds, None where there was one alone. `rhythm` is the kind of
    steady rhythm that was proven: "cycle" (pictures that repeat: a caret), "flow" (a video, a spinner), "tick" (a
    clock); None where it moves in no rhythm, or not for long enough.
    """

    rect: Rect
    period: float | None
    seconds: float
    rhythm: str | None

    def __str__(self) -> str:
        if self.rhythm is None or self.period is None:
            # Several changes within a moment are told as one: "for 0.0 s" would say that nothing moved.
            return f"{self.rect} for {self.seconds:.1f} s" if self.seconds >= _MOMENT else f"{self.rect} once"
        guess = {"tick": " (a clock?)", "flow": " (a video, a spinner?)"}.get(self.rhythm, "")
        if self.rhythm == "cycle" and self.rect.width < self.rect.height <= _TALLEST_CARET:
            guess = " (a caret?)"
        return f"{self.rect} every {self.period * 1000:.0f} ms{guess}"


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
    """A picture at rest: the `seconds` that it took, the last `frame`, and what kept `moving` in a steady rhythm."""

    seconds: float
    frame: Frame
    moving: tuple[Moving, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where `wait_image` found the picture: `rect` in the source's coordinates, in `frame`.

    `difference` is the root mean square of how far its pixels are off, 0.0 (the same) to 1.0. `scale` is the one of
    the `scales` at which it was found.
    """

    rect: Rect
    difference: float
    frame: Frame
    scale: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of an action: the result of `act`.

    - `reacted`: something changed that is no steady rhythm; `reaction_seconds` after what began the action (None: not).
    - `settled`: the picture came to rest in time; `rest_seconds` is when the last change before the rest was (0.0 if
      there was none, None if it did not settle).
    - `changed`: rectangles of lasting change, in the source's coordinates: where `frame` differs from `before`, but for
      `ignore` and what is in `moving`. What flickered, and is as it was, is not in it.
    - `moving`: what moved in a steady rhythm, or looked like a caret, whose `period` is None if it changed once.
    - `before`, `frame`: the pictures before the action and at the end. Each is valid as long as it is referenced.
    - `opened`, `closed`: top-level windows that came or went during the action, by id, with their last titles. One that
      came and went again is in both.

    Seconds count from the moment that the block of `act` was entered, or the function was called: from the action.
    """

    reacted: bool
    settled: bool
    reaction_seconds: float | None
    rest_seconds: float | None
    changed: tuple[Rect, ...]
    moving: tuple[Moving, ...]
    before: Frame
    frame: Frame
    opened: dict[int, str]
    closed: dict[int, str]

    def summary(self) -> str:
        """Return the outcome in one line, for a log or a model."""
        if self.reaction_seconds is None:
            parts = ["no reaction"]
        else:
            parts = [f"reacted after {_milliseconds(self.reaction_seconds)}"]
        if self.rest_seconds is None:
            parts.append("not at rest when the time was over")
        elif self.reaction_seconds is not None:
            parts.append(f"at rest after {_milliseconds(self.rest_seconds)}")
        if self.changed or self.reacted:
            parts.append(f"changed: {_listed(map(str, self.changed)) or 'nothing that lasted'}")
        parts += [f"{what}: {_listed(map(quoted, titles.values()))}" for what, titles in self._windows() if titles]
        if self.moving:
            parts.append(f"moving: {_listed(map(str, self.moving))}")
        return "; ".join(parts)

    def _windows(self) -> tuple[tuple[str, dict[int, str]], ...]:
        return ("windows opened", self.opened), ("windows closed", self.closed)


def describe_moving(moving: Iterable[Moving]) -> str:
    """Return what moves, as a part of a sentence; a few places, and the number of the others."""
    return _listed(map(str, moving))


def _listed(texts: Iterable[str]) -> str:
    found = list(texts)
    more = [f"{len(found) - _MOST_LISTED} more"] if len(found) > _MOST_LISTED else []
    return ", ".join([*found[:_MOST_LISTED], *more])


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
