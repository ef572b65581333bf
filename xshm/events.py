"""Events of a Surface's window, as values: Key, Button, Motion, Resize, Close. `Surface.events` yields them.

Coordinates are pixels from the window's upper left corner, without its border. `state` is the core protocol's
SETofKEYBUTMASK as it was before the event: Shift 1, Lock 2, Control 4, Mod1 to Mod5 8 to 128, buttons 256 to 4096.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Button", "Close", "Event", "Key", "Motion", "Resize"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key was pressed (`pressed`) or released. `name` is its keysym's ("a", "Escape"), `text` what it types, or "".

    `state` has the modifiers and buttons that were down before, as the core protocol has them (Shift 1, Control 4 …).
    """

    pressed: bool
    name: str
    text: str
    keycode: int
    state: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Button:
    """A pointer button was pressed or released; 1 to 3 are left, middle, right, 4 and 5 the wheel up and down."""

    pressed: bool
    number: int
    x: int
    y: int
    state: int


@dataclass(frozen=True, slots=True)
class Motion:
    """The pointer moved to x, y in the window."""

    x: int
    y: int
    state: int


@dataclass(frozen=True, slots=True)
class Resize:
    """The window has another size, in pixels, and so has the Surface from this event on."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Close:
    """The user has asked for the window to be closed (WM_DELETE_WINDOW). It is the last event."""


Event = Key | Button | Motion | Resize | Close
