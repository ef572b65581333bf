"""LiveInput: what one viewer does with pointer and keyboard, done on the screen, where `allow_input` says that it may.

From the page, each with "channel"; x and y are of the screen's picture, and one that is outside of it does nothing:

    {"type": "pointer", "x": 10, "y": 20}
    {"type": "button", "x": 10, "y": 20, "button": 1, "down": true}    X's numbers: left 1, middle 2, right 3, back 8,
                                                                       forward 9
    {"type": "scroll", "x": 10, "y": 20, "dx": 0, "dy": -1}            notches; down and right are positive
    {"type": "key", "key": "a", "code": "KeyA", "down": true, "repeat": false}    as KeyboardEvent has them
    {"type": "key", "text": "é"}                                       composed: by dead keys, AltGr, an input method

Always true:

1. A message is looked at whole before anything is done; InvalidArgument is for what no page sends.
2. What a viewer has pressed is released when it goes (`release`), or when it presses more than a person can.
3. A key that is a character types that character, whatever keyboards the viewer and the server have: it is pressed and
   held where the server's key types it as things are, else typed at once. With Ctrl, Alt or Super it is the key alone.
4. A key that is held repeats by the server's own clock, so its repetitions here are left out; those of one that was
   typed type it again.
5. There are at most `_RATE` of these a second, of which releases are never left out; a server that does not answer is
   left alone for a while.

Locking rules: one lock, held by each call: what is released is not pressed again by a message that was under way.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from xshm.errors import InvalidArgument, RequestTimeout, XshmError
from xshm.input import names
from xshm.system import logs
from xshm.system.deadlines import within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xshm.geometry import Rect
    from xshm.input.device import InputDevice
    from xshm.input.names import KeyName
    from xshm.live.channel import Channel

_PATIENCE: Final = 1.0  # seconds for the server's answers, and that it is left alone after it gave none
_RATE: Final = 400  # a second, of motions, notches, presses and characters; twice as many at once
_MOST_HELD: Final = 32  # keys and buttons
_MOST_EDGE: Final = (1 << 16) - 1
_MOST_NOTCHES: Final = 50
_MOST_TEXT: Final = 256  # characters
_MOST_NAME: Final = 32  # characters of a key's name
_BUTTONS: Final = (1, 2, 3, 8, 9)

# KeyboardEvent.key of what types no character, and X's names.
_NAMED: Final = {
    **{f"F{number}": f"F{number}" for number in range(1, 25)},
    **{f"Arrow{side}": side for side in ("Left", "Right", "Up", "Down")},
    **{name: name for name in ("Tab", "Escape", "Delete", "Home", "End", "Insert", "Pause", "Help", "Undo", "Redo")},
    "Enter": "Return",
    "Backspace": "BackSpace",
    "PageUp": "Page_Up",
    "PageDown": "Page_Down",
    "ContextMenu": "Menu",
    "PrintScreen": "Print",
    "ScrollLock": "Scroll_Lock",
    "Clear": "Clear",
    "Shift": "Shift_L",
    "Control": "Control_L",
    "Alt": "Alt_L",
    "Meta": "Super_L",
    "OS": "Super_L",
}
# By KeyboardEvent.code, where that says more: which of two keys.
_PLACED: Final = {
    "ShiftRight": "Shift_R",
    "ControlRight": "Control_R",
    "AltRight": "Alt_R",
    "MetaRight": "Super_R",
    "OSRight": "Super_R",
    "NumpadEnter": "KP_Enter",
}
_SHORTCUT: Final = ("Control_L", "Control_R", "Alt_L", "Alt_R", "Super_L", "Super_R")


class _Operated(Protocol):
    """What a Screen and a Window have besides their picture; a Pixmap has not."""

    def _to_root(self, x: int, y: int) -> tuple[int, int]: ...
    def _input(self, action: str, **values: str | int) -> InputDevice: ...


class _Held(NamedTuple):
    target: _Operated
    button: int = 0
    key: KeyName | None = None


class LiveInput:
    """One viewer's input. `channels` returns those that are shown now, by number."""

    def __init__(self, channels: Callable[[], Mapping[int, Channel]]) -> None:
        self._channels = channels
        self._lock = threading.Lock()
        self._held: dict[object, _Held] = {}  # by the button's number and the key's code, in order
        self._is_over = False
        self._left = 2.0 * _RATE  # what may be done at once
        self._filled_at = time.monotonic()
        self._deaf_until = float("-inf")
        self._was_said = False

    def handle(self, message: Mapping[str, Any]) -> None:
        """Do what a message says. Raises InvalidArgument for one that no page sends."""
        todo = _PARSERS[message["type"]](message)
        cost = todo.cost
        with self._lock:
            if self._is_over or not self._may(cost):
                return
            channel = self._channels().get(message["channel"]) if _is_whole(message.get("channel"), 255) else None
            target, region = (None, None) if channel is None else channel.shown
            if channel is None or not hasattr(target, "_to_root") or channel.state.kind != "live":
                return
            self._attempt(todo, cast("_Operated", target), region, channel.size)

    def release(self) -> None:
        """Release all that is pressed; the last call."""
        with self._lock:
            self._is_over = True
            self._release_all()

    # -- bounds --------------------------------------------------------------------------------------------------------

    def _may(self, cost: int) -> bool:
        now = time.monotonic()
        self._left = min(self._left + (now - self._filled_at) * _RATE, 2.0 * _RATE)
        self._filled_at = now
        if not cost:
            return True
        if self._left < cost or now < self._deaf_until:
            return False
        self._left -= cost
        return True

    def _attempt(self, todo: _Todo, target: _Operated, region: Rect | None, size: tuple[int, int]) -> None:
        if todo.at is not None and not (todo.at[0] < size[0] and todo.at[1] < size[1]):
            if not isinstance(todo, _Button) or todo.down:  # a button is released wherever the pointer is
                return
            todo = todo._replace(at=None)
        try:
            within(time.monotonic() + _PATIENCE, self._do, todo, target, region)
        except RequestTimeout:
            self._deaf_until = time.monotonic() + _PATIENCE
        except (XshmError, OSError) as error:  # the page says what has become of the screen
            if not self._was_said:
                self._was_said = True
                logs.warning("live", "a viewer's input was not done: %s", error)

    def _release_all(self) -> None:
        held, self._held = list(self._held.values()), {}
        for each in reversed(held):
            with suppress(XshmError, OSError):
                within(time.monotonic() + _PATIENCE, self._let_go, each)

    # -- what is done --------------------------------------------------------------------------------------------------

    def _do(self, todo: _Todo, target: _Operated, region: Rect | None) -> None:
        if todo.at is not None:
            x, y = todo.at
            if region is not None:
                x, y = x + region.x, y + region.y
            target._input("move", x=x, y=y).move(*target._to_root(x, y))
        if isinstance(todo, _Button):
            self._press_button(todo, target)
        elif isinstance(todo, _Scroll):
            target._input("scroll", dx=todo.dx, dy=todo.dy).scroll(todo.dx, todo.dy, ())
        elif isinstance(todo, _Text):
            target._input("type", text=todo.text).type(names.text(todo.text))
        elif isinstance(todo, _Key):
            self._press_key(todo, target)

    def _press_button(self, todo: _Button, target: _Operated) -> None:
        number = todo.button
        if not todo.down:
            held = self._held.pop(number, None)
            if held is not None:
                self._let_go(held)
        elif number not in self._held and self._has_room():
            self._held[number] = _Held(target, button=number)
            target._input("button_down", button=number).button(number, down=True)

    def _press_key(self, todo: _Key, target: _Operated) -> None:
        held = self._held.get(todo.code)
        if not todo.down:
            if held is not None:
                del self._held[todo.code]
                self._let_go(held)
            return
        if held is not None and todo.repeat:
            return
        if held is not None:  # its release was lost
            del self._held[todo.code]
            self._let_go(held)
        is_shortcut = any(each.key is not None and each.key.name in _SHORTCUT for each in self._held.values())
        key = _key(todo, is_shortcut=is_shortcut)
        if key is None or not self._has_room():
            return
        self._held[todo.code] = _Held(target, key=key)  # first: what may have been pressed is released
        if is_shortcut or not key.character or len(todo.key) > 1:
            target._input("key_down", keys=key.name).key_down([key])
        elif not target._input("key_down", keys=key.name).hold(key):
            del self._held[todo.code]

    def _let_go(self, held: _Held) -> None:
        if held.key is not None:
            held.target._input("key_up", keys=held.key.name).key_up([held.key])
        else:
            held.target._input("button_up", button=held.button).button(held.button, down=False)

    def _has_room(self) -> bool:
        """Return whether one more may be held; if not, all are released."""
        if len(self._held) < _MOST_HELD:
            return True
        self._release_all()
        return False


# -- what messages say -------------------------------------------------------------------------------------------------


class _Move(NamedTuple):
    at: tuple[int, int] | None
    cost: int = 1


class _Button(NamedTuple):
    at: tuple[int, int] | None
    button: int
    down: bool
    cost: int


class _Scroll(NamedTuple):
    at: tuple[int, int] | None
    dx: int
    dy: int
    cost: int


class _Key(NamedTuple):
    key: str
    code: str
    down: bool
    repeat: bool
    cost: int
    at: None = None


class _Text(NamedTuple):
    text: str
    cost: int
    at: None = None


_Todo = _Move | _Button | _Scroll | _Key | _Text


def _move(message: Mapping[str, Any]) -> _Todo:
    return _Move(_point(message))


def _button(message: Mapping[str, Any]) -> _Todo:
    number, down = message.get("button"), message.get("down")
    if type(number) is not int or number not in _BUTTONS or type(down) is not bool:
        raise _nonsense("button")
    return _Button(_point(message), number, down, int(down))


def _scroll(message: Mapping[str, Any]) -> _Todo:
    dx, dy = message.get("dx"), message.get("dy")
    if not (_is_whole(dx, _MOST_NOTCHES, signed=True) and _is_whole(dy, _MOST_NOTCHES, signed=True)):
        raise _nonsense("scroll")
    across, down = cast("int", dx), cast("int", dy)
    return _Scroll(_point(message), across, down, abs(across) + abs(down))


def _pressed(message: Mapping[str, Any]) -> _Todo:
    if "text" in message:
        text = message["text"]
        if not isinstance(text, str) or not 0 < len(text) <= _MOST_TEXT:
            raise _nonsense("key")
        names.text(text)
        return _Text(text, len(text))
    key, code, down, repeat = (message.get(name) for name in ("key", "code", "down", "repeat"))
    is_named = all(isinstance(each, str) and 0 < len(each) <= _MOST_NAME for each in (key, code))
    if not is_named or type(down) is not bool or type(repeat) not in (bool, type(None)):
        raise _nonsense("key")
    return _Key(cast("str", key), cast("str", code), down, bool(repeat), int(down))


def _point(message: Mapping[str, Any]) -> tuple[int, int]:
    x, y = message.get("x"), message.get("y")
    if not (_is_whole(x, _MOST_EDGE) and _is_whole(y, _MOST_EDGE)):
        raise _nonsense(message["type"])
    return cast("int", x), cast("int", y)


def _is_whole(value: object, most: int, *, signed: bool = False) -> bool:
    return type(value) is int and (-most if signed else 0) <= value <= most  # not bool, which is an int, too


def _nonsense(kind: str) -> InvalidArgument:
    return InvalidArgument(f"no page sends such a message of the type {kind!r}")


_PARSERS: Final = {
    "pointer": _move,
    "button": _button,
    "scroll": _scroll,
    "key": _pressed,
}


def _key(todo: _Key, *, is_shortcut: bool) -> KeyName | None:
    """Return the key that is meant; None for one that X has not, or that has done its work in the browser (AltGr)."""
    key, code = todo.key, todo.code
    if len(key) == 1:
        if is_shortcut and not key.isascii():  # Ctrl+C on a Cyrillic keyboard
            key = _latin(code) or key
        with suppress(InvalidArgument):
            return names.text(key)[0]
        return None
    name = _PLACED.get(code) if key in _NAMED else None
    name = name or _NAMED.get(key)
    return None if name is None else names.chord(name, "a key")[0]


def _latin(code: str) -> str:
    """Return what a key types on a keyboard as in the US, by its place: "c" of "KeyC"."""
    for prefix in ("Key", "Digit"):
        if code.startswith(prefix) and len(code) == len(prefix) + 1:
            return code[-1].lower()
    return ""
