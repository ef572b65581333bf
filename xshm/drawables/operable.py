"""Operable: the verbs of Screen and Window that click, drag, scroll and type, over `input`.

A method checks its arguments and finds the point of the screen; `input.device` does the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.drawables.drawable import Drawable
from xshm.errors import InvalidArgument, OutOfBounds
from xshm.system import limits
from xshm.system.deadlines import holding
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from xshm.input.device import InputDevice
    from xshm.input.names import KeyName

# Limits of one call: the server processes its requests in one go, and a slip of the pen is no million of clicks.
_MOST_CLICKS: Final = 100
_MOST_NOTCHES: Final = 1000
_LONGEST_DRAG: Final = 600  # seconds


class Operable(Drawable):
    """A Drawable that can be clicked on and typed into, by XTEST: a Screen, or a Window."""

    # -- the pointer -------------------------------------------------------------------------------------------------

    def move(self, x: int, y: int) -> None:
        """Move the pointer to a point. One write and one round trip; on a Window one more, which asks where it is.

        For this and all other input: points are in the drawable's own coordinates, in pixels, as those of `rect` and of
        frames: 0, 0 is a window's corner, wherever it is on the screen. One outside of it is OutOfBounds, before
        anything is sent; so is one in a part of a window that is off the screen. A click goes to what is shown at that
        point: to another window where that covers this one. Keys go to the window that has the focus, for a Window too,
        or to the one under the pointer where nothing manages the focus (a bare Xvfb): click first.

        When a call returns, the server has processed all of its input; programs act on it when they come to it (`act`,
        `wait_change`). To them it is a user's. Calls of several threads come one after the other. Nothing stays pressed
        after an exception, such as KeyboardInterrupt, but by `key_down` and `button_down`.

        Raises ExtensionMissing where the server has no XTEST, InvalidArgument for a name that is none, with near ones.

        What does not work: what a Wayland desktop shows besides X windows. Buttons are numbered before the user's own
        mapping (a left-handed mouse). A process that is killed leaves down what it held. A modifier that a user lets go
        of in the milliseconds in which it is put aside is put back nevertheless, until it is pressed once more.
        """
        x, y = self._on_screen(x, y)
        self._input("move", x=x, y=y).move(x, y)

    def click(
        self, x: int, y: int, button: str | int = "left", count: int = 1, modifiers: Iterable[str] | str = ()
    ) -> None:
        """Move to a point and click there, `count` times: 2 is a double click. Costs what `move` does.

        `button` is "left", "middle", "right", "back", "forward", or a number from 1 to 9. `modifiers` are held
        meanwhile, as in ("ctrl", "shift"); they cost a round trip more. Those that the user holds count as well.
        """
        names = _names()
        number = names.button(button)
        held = names.modifiers(modifiers)
        count = _arguments.integer(count, "count is a whole number")
        if not 1 <= count <= _MOST_CLICKS:
            raise InvalidArgument(f"count is from 1 to {_MOST_CLICKS}, not {quoted(count)}")
        x, y = self._on_screen(x, y)
        self._input("click", x=x, y=y, button=number, count=count, keys=_text(held)).click(x, y, number, count, held)

    def drag(
        self,
        x1: int,
        y1: int,
        x2: int,
        y2: int,
        button: str | int = "left",
        duration: float = 0.0,
        modifiers: Iterable[str] | str = (),
    ) -> None:
        """Press a button at x1, y1, move to x2, y2 in a straight line, and release it there.

        Programs get a motion for each pixel, up to 100 of them. `duration` spreads them over so many seconds, one each
        10 ms: for programs that answer while something is dragged. The other arguments are those of `click`.
        """
        names = _names()
        number = names.button(button)
        held = names.modifiers(modifiers)
        seconds = _arguments.seconds(duration, "duration is a number of seconds, 0 or more")
        if seconds > _LONGEST_DRAG:
            raise InvalidArgument(f"duration is at most {_LONGEST_DRAG} seconds, not {quoted(duration)}")
        start, end = self._on_screen(x1, y1), self._on_screen(x2, y2)
        points = {"x": start[0], "y": start[1], "x2": end[0], "y2": end[1]}
        self._input("drag", **points, button=number, keys=_text(held)).drag(start, end, number, seconds, held)

    def scroll(self, dx: int, dy: int, modifiers: Iterable[str] | str = ()) -> None:
        """Turn the wheel, where the pointer is: dx notches to the right and dy down, to the left and up below 0."""
        names = _names()
        held = names.modifiers(modifiers)
        notches = [_arguments.integer(each, f"{name} is a whole number") for name, each in (("dx", dx), ("dy", dy))]
        for each in notches:
            if not -_MOST_NOTCHES <= each <= _MOST_NOTCHES:
                raise InvalidArgument(f"scroll turns by {_MOST_NOTCHES} notches at most, not {quoted(each)}")
        self._input("scroll", dx=notches[0], dy=notches[1], keys=_text(held)).scroll(notches[0], notches[1], held)

    def button_down(self, button: str | int = "left") -> None:
        """Press a button where the pointer is, and hold it until `button_up` or the Screen's `close`."""
        number = _names().button(button)
        self._input("button_down", button=number).button(number, down=True)

    def button_up(self, button: str | int = "left") -> None:
        """Release a button."""
        number = _names().button(button)
        self._input("button_up", button=number).button(number, down=False)

    # -- the keyboard ------------------------------------------------------------------------------------------------

    def press(self, keys: str) -> None:
        """Press a key, with others held: "Return", "a", "F5", "Page_Up", "ctrl+shift+s", "ctrl++".

        Names are those of xdotool and of X's keysyms, or single characters, where "A" is shift+a; modifiers are shift,
        ctrl, alt, altgr, super, meta, hyper. A key that the keyboard lacks is lent a keycode, as `type` does it.
        """
        chord = _names().chord(keys, "a key")
        self._input("press", keys=keys).press(chord)

    def type(self, text: str) -> None:
        r"""Type a text, on any keymap: letters, any character of Unicode, "\n" (Return) and "\t" (Tab).

        Modifiers that are held, and Caps Lock, are put aside and put back. Keys are taken from the keyboard's present
        group where it has them, or else from another one. The first call asks for the keymap; each costs two round
        trips for 500 characters.

        A character that no key has is lent a keycode that has none, which makes all programs read the keymap again. It
        is given back after half a second (and 2.5 ms for each key of earlier calls that programs may still be busy
        with), by a thread, or by the Screen's `close`, which waits for that. Programs read the keymap when they come to
        the key: one that is later gets nothing. Most servers have 19 such keycodes, which take 38 characters: a text of
        more different ones waits in between. After kill -9 they stay lent until the next program that types by xshm.

        What does not work: other control characters (InvalidArgument), and input methods, which may take keys for
        themselves. Raises XshmError where the keymap has neither the character nor a keycode that is free.
        """
        typed = _names().text(text)
        self._input("type", text=text).type(typed)

    def key_down(self, key: str) -> None:
        """Press a key, or several as in "ctrl+shift", and hold it until `key_up` or the Screen's `close`."""
        chord = _names().chord(key, "a key")
        self._input("key_down", keys=key).key_down(chord)

    def key_up(self, key: str) -> None:
        """Release a key."""
        chord = _names().chord(key, "a key")
        self._input("key_up", keys=key).key_up(chord)

    # -- shared by them ----------------------------------------------------------------------------------------------

    def _to_root(self, x: int, y: int) -> tuple[int, int]:
        """Return a point of the drawable as one of the screen; raises OutOfBounds where that is off the screen."""
        raise NotImplementedError

    def _on_screen(self, x: int, y: int) -> tuple[int, int]:
        """Check a point, and return it as one of the screen."""
        x, y = (_arguments.integer(each, f"{name} is a whole number") for name, each in (("x", x), ("y", y)))
        self._check_open()
        rect = self.rect
        if not (rect.x <= x < rect.right and rect.y <= y < rect.bottom):
            raise OutOfBounds(f"the point {quoted(x)}, {quoted(y)} is outside of {self._name()} {rect}")
        return self._to_root(x, y)

    def _input(self, action: str, **values: str | int) -> InputDevice:
        """Return the device for an action; those who listen (`Session.listeners`) are told before it is made."""
        self._check_open()
        self._connection.check_for_error()  # raises after fork, where a thread of the parent may hold the lock forever
        session = self._session
        device = session.input or holding(session.opening, self._open_input)
        if session.listeners:
            for listener in session.listeners.living():
                listener.note_input(action, values)
        return device

    def _open_input(self) -> InputDevice:
        if self._session.input is None:
            with limits.loading():
                from xshm.input.device import InputDevice  # noqa: PLC0415 - a screenshot does not pay for it

            self._session.input = InputDevice(self._connection)
        return self._session.input


def _text(keys: Iterable[KeyName]) -> str:
    return "+".join(key.name for key in keys)


def _names() -> ModuleType:
    with limits.loading():
        from xshm.input import names  # noqa: PLC0415 - as above

    return names
