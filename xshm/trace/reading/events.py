"""Events: what a trace holds besides pictures, as values: marks, windows, the pointer, lines of logs, inputs.

Coordinates that a value names are those of what was traced; files have them from the region's corner.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SECOND: Final = 10**9  # nanoseconds
_STATES: Final = ("windows", "pointer")  # what holds until the next event of its type


@dataclass(frozen=True, slots=True)
class TraceMark:
    """A mark, or a failure with its report, and the file and line of it where they are known.

    `seen` is when a failure was there, in seconds, where that is known to be earlier than its report; else None.
    """

    seconds: float
    title: str
    kind: Literal["mark", "failure"] = "mark"
    text: str = ""
    file: str | None = None
    line: int | None = None
    seen: float | None = None


@dataclass(frozen=True, slots=True)
class TraceWindow:
    """A window at an instant; `rect` is in the coordinates of what was traced."""

    id: int
    title: str
    rect: Rect


@dataclass(frozen=True, slots=True)
class TraceLine:
    """A line of a log or of a program's output."""

    seconds: float
    text: str
    source: str = "log"
    level: str = ""


@dataclass(frozen=True, slots=True)
class TraceInput:
    """Input that was made: "click", "press", "type", …; `details` has what applies: x, y, button, keys, length, text.

    Points (x, y, and x2, y2 of a drag) are in the coordinates of what was traced.
    """

    seconds: float
    action: str
    details: dict[str, Any] = field(default_factory=dict)


class Events:
    """The events of a trace, times in nanoseconds, in the order of these; `origin` is the region's corner."""

    def __init__(self, events: Sequence[tuple[int, dict[str, Any]]], origin: tuple[int, int]) -> None:
        self._events = events
        self._origin = origin
        self._states: dict[str, tuple[list[int], list[dict[str, Any]]]] = {kind: ([], []) for kind in _STATES}
        for at, values in events:
            if values["type"] in self._states:
                times, objects = self._states[values["type"]]
                times.append(at)
                objects.append(values)

    def __iter__(self) -> Iterator[tuple[float, dict[str, Any]]]:
        return ((at / _SECOND, dict(values)) for at, values in self._events)

    @property
    def end(self) -> str | None:
        """Why the trace ended; None where nothing says that it did."""
        return next((str(each.get("why", "")) for _, each in reversed(self._events) if each["type"] == "end"), None)

    def marks(self) -> list[TraceMark]:
        """Return the marks and failures."""
        return [
            TraceMark(
                seconds,
                _text(values, "title"),
                kind,
                _text(values, "text"),
                values.get("file"),
                values.get("line"),
                None if values.get("seen") is None else values["seen"] / _SECOND,
            )
            for seconds, kind, values in self._of("mark", "failure")
        ]

    def lines(self) -> list[TraceLine]:
        """Return the lines of logs."""
        names = ("text", "source", "level")
        return [TraceLine(seconds, *(_text(values, name) for name in names)) for seconds, _, values in self._of("log")]

    def inputs(self) -> list[TraceInput]:
        """Return the inputs."""
        return [
            TraceInput(seconds, _text(values, "action"), self._placed(values))
            for seconds, _, values in self._of("input")
        ]

    def windows(self, at: int) -> list[TraceWindow]:
        """Return the windows of an instant, from the lowest to the highest."""
        found = self._latest("windows", at).get("windows", ())
        return [TraceWindow(number, title, Rect(*place).moved(*self._origin)) for number, title, *place in found]

    def pointer(self, at: int) -> tuple[int, int] | None:
        """Return where the pointer is at an instant."""
        found = self._latest("pointer", at)
        return (found["x"] + self._origin[0], found["y"] + self._origin[1]) if found else None

    def _placed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return an input's details, points in the coordinates of what was traced."""
        found = {name: value for name, value in values.items() if name != "action"}
        for name, start in zip(("x", "y", "x2", "y2"), self._origin * 2, strict=True):
            if isinstance(found.get(name), int):
                found[name] += start
        return found

    def _of(self, *kinds: str) -> Iterator[tuple[float, Any, dict[str, Any]]]:
        """Yield seconds, type and the rest of each event of these types."""
        for at, values in self._events:
            if values["type"] in kinds:
                yield at / _SECOND, values["type"], {name: values[name] for name in values if name != "type"}

    def _latest(self, kind: str, at: int) -> dict[str, Any]:
        times, objects = self._states[kind]
        place = bisect.bisect_right(times, at)
        return objects[place - 1] if place else {}


def _text(values: dict[str, Any], name: str) -> str:
    return str(values.get(name) or "")
