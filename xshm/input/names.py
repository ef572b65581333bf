"""Names of keys, modifiers and buttons, as xdotool and X have them: "ctrl+shift+s", "Page_Up", "left". No I/O."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType
from xshm.system.printable import quoted
from xshm.x11.server import keysyms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BUTTONS: Final = {"left": 1, "middle": 2, "right": 3, "back": 8, "forward": 9}
_MOST_BUTTONS: Final = 9  # XTEST's pointer has ten; the tenth has no use by convention
# xdotool's short names, and "altgr"; in any case of letters.
_MODIFIERS: Final = {
    "shift": "Shift_L",
    "ctrl": "Control_L",
    "control": "Control_L",
    "alt": "Alt_L",
    "altgr": "ISO_Level3_Shift",
    "meta": "Meta_L",
    "super": "Super_L",
    "hyper": "Hyper_L",
}
_SHORT: Final = _MODIFIERS | {"enter": "Return", "return": "Return"}
_MODIFIER_KEYS: Final = frozenset(_MODIFIERS.values()) | {
    *("Shift_R", "Control_R", "Alt_R", "Meta_R", "Super_R", "Hyper_R", "ISO_Level5_Shift", "Mode_switch"),
}
_CODE_POINT: Final = re.compile("U([0-9A-Fa-f]{4,6})")  # "U20AC", as X has it
# What `type` presses a named key for. Other control characters type nothing.
_CONTROL: Final = {"\n": "Return", "\t": "Tab"}


class KeyName(NamedTuple):
    """A key by its name: the keysym, and the character that it types, "" for none."""

    name: str
    keysym: int
    character: str


def chord(keys: object, what: str) -> list[KeyName]:
    """Return the keys of "ctrl+shift+s" in order; raises InvalidArgument for a name that is none, with near ones."""
    if not isinstance(keys, str):
        raise InvalidType(f'{what} is a text such as "ctrl+s", not {type(keys).__name__}: {quoted(keys)}')
    names = keys.split("+")
    if keys == "+" or keys.endswith("++"):  # the key "+" itself is the last one
        names[-2:] = ["+"]
    return [_key(name, keys, what) for name in names]


def modifiers(given: object) -> list[KeyName]:
    """Return the keys of `modifiers`: several names, or one text such as "ctrl+shift"."""
    if isinstance(given, str):
        names: Sequence[object] = given.split("+") if given else ()
    else:
        names = _arguments.several(given, "modifiers are names, as in ('ctrl', 'shift')", no_types=(bytes,))
    return [_modifier(name) for name in names]


def button(given: object) -> int:
    """Return the number of a button, given by its name or number."""
    if isinstance(given, str):
        if given in _BUTTONS:
            return _BUTTONS[given]
        raise InvalidArgument(f"no button is named {quoted(given)}; {_near(given, _BUTTONS)}")
    number = _arguments.integer(given, f"a button is one of {', '.join(_BUTTONS)}, or a number")
    if not 1 <= number <= _MOST_BUTTONS:
        raise InvalidArgument(f"a button's number is from 1 to {_MOST_BUTTONS}, not {quoted(given)}")
    return number


def text(given: object) -> list[KeyName]:
    """Return the keys of a text, character by character; a line's end of any kind is one Return."""
    checked = _arguments.text(given, "what is typed").replace("\r\n", "\n").replace("\r", "\n")
    return [_typed(character, place) for place, character in enumerate(checked)]


def _typed(character: str, place: int) -> KeyName:
    if character in _CONTROL:
        return KeyName(_CONTROL[character], keysyms.keysyms_by_name()[_CONTROL[character]], character)
    found = _of_character(character)
    if found is None:
        raise InvalidArgument(
            f"the control character {quoted(character)} at index {place} can't be typed; press the key that is meant, "
            f'as in press("BackSpace")'
        )
    return found


def _key(name: str, keys: str, what: str) -> KeyName:
    where = f" in {quoted(keys)}" if name != keys else ""
    if not name:
        raise InvalidArgument(f"{what} names no key{where}; several are written as in 'ctrl+shift+s', plus as 'ctrl++'")
    if len(name) == 1 and (found := _of_character(name)) is not None:
        return found
    known = keysyms.keysyms_by_name()
    full = (known.get(name) is None and _SHORT.get(name.lower())) or name
    if full in known:
        return KeyName(full, known[full], keysyms.character(known[full]))
    point = _CODE_POINT.fullmatch(name)
    if point and int(point[1], 16) <= 0x10FFFF and (found := _of_character(chr(int(point[1], 16)))):  # noqa: PLR2004
        return found
    raise InvalidArgument(f"no key is named {quoted(name)}{where}; {_near(name, (*known, *_SHORT))}")


def _modifier(name: object) -> KeyName:
    if not isinstance(name, str):
        raise InvalidType(f"a modifier is a name such as 'ctrl', not {type(name).__name__}: {quoted(name)}")
    full = _MODIFIERS.get(name.lower(), name)
    if full not in _MODIFIER_KEYS:
        raise InvalidArgument(f"no modifier is named {quoted(name)}; {_near(name, (*_MODIFIERS, *_MODIFIER_KEYS))}")
    known = keysyms.keysyms_by_name()
    return KeyName(full, known.get(full, 0), "")


def _of_character(character: str) -> KeyName | None:
    """Return the key of a character; None for a control character or half of a surrogate pair."""
    code = ord(character)
    if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000:  # noqa: PLR2004 - C0, C1, surrogates
        return None
    return KeyName(character, keysyms.keysym(character), character)


def _near(name: str, known: Iterable[str]) -> str:
    """Return what to write instead of a name that is not known."""
    names = {each.lower(): each for each in reversed(list(known))}
    if len(name) <= 40:  # noqa: PLR2004 - no name is longer, and comparing takes the square of the length
        found = difflib.get_close_matches(name.lower(), names, n=3)
        if found:
            return f"near ones are {', '.join(names[each] for each in found)}"
    if len(names) < 20:  # noqa: PLR2004 - what can be read in one line
        return f"there are {', '.join(names.values())}"
    return "names are those of X, such as Return, F5, Page_Up, a"
