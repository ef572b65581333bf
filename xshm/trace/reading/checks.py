"""Checks of what a file's objects say: it may be anybody's, with checksums that are right and nothing else that is."""

from __future__ import annotations

from typing import Any, Final

_MOST: Final = (1 << 16) - 1  # pixels of an edge, which has two bytes
_WINDOW: Final = (int, str, int, int, int, int)


def size(value: Any) -> tuple[int, int]:
    """Return the pixels of a trace's region. Raises TypeError and ValueError for what is none."""
    width, height = pair(value)
    if not (0 < width <= _MOST and 0 < height <= _MOST):
        raise ValueError(f"{width}x{height} pixels are no size")
    return width, height


def pair(value: Any) -> tuple[int, int]:
    """Return two numbers. Raises TypeError and ValueError."""
    first, second = value
    return int(first), int(second)


def is_understood(event: dict[str, Any]) -> bool:
    """Return whether an event has what its type says; readers skip others, as those of unknown types."""
    match event.get("type"):
        case "windows":
            windows = event.get("windows")
            return isinstance(windows, list) and all(map(_is_window, windows))
        case "pointer":
            return _is(event.get("x"), int) and _is(event.get("y"), int)
        case "mark" | "failure":
            return _is(event.get("file", ""), str) and _is(event.get("line", 0), int)
        case kind:
            return isinstance(kind, str)


def _is_window(value: Any) -> bool:
    return isinstance(value, list) and len(value) == len(_WINDOW) and all(map(_is, value, _WINDOW))


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
