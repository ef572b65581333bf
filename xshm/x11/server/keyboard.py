"""The keyboard mapping: names and characters of key codes (core protocol, GetKeyboardMapping).

What does not work: input methods, dead keys, and all groups but the first.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xshm.x11.protocol.xlib import request
from xshm.x11.server import keysyms

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_SHIFT, _LOCK = 1, 2  # bits of an event's state


class Keyboard:
    """The first group of the keyboard mapping, queried when a key is looked up after `invalidate`.

    Locking rules: one thread at a time looks keys up; `invalidate` is called by the thread that reads (`x11.io`).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._first = connection.info.min_keycode
        self._keysyms: list[list[int]] = []
        # Two counters, each written by one thread. A flag, cleared after a query, would lose a change during the query.
        self._changes = 0
        self._known = -1  # the value of `_changes` before the mapping was queried

    def invalidate(self) -> None:
        """Mark the mapping as stale, after a MappingNotify. It sends nothing: the thread that reads calls it."""
        self._changes += 1

    def look_up(self, keycode: int, state: int) -> tuple[str, str]:
        """Return a key's name ("a", "Escape", "F1") and the character that it types, "" for none.

        Shift and Lock in `state` choose between the key's first two keysyms. A round trip where the mapping is stale.
        """
        if self._known != self._changes:
            changes = self._changes
            count = self._connection.info.max_keycode - self._first + 1
            reply = self._connection.request(request.GetKeyboardMapping, first_keycode=self._first, count=count)
            self._keysyms = [list(symbols) for symbols in reply.keysyms]
            self._known = changes
        index = keycode - self._first
        symbols = self._keysyms[index] if 0 <= index < len(self._keysyms) else []
        plain, shifted = (*symbols[:2], 0, 0)[:2]
        character = keysyms.character(plain)
        # A letter alone stands for both cases (core protocol, "Keyboards").
        if not shifted:
            shifted = ord(character.upper()) if len(character.upper()) == 1 and character.isalpha() else plain
        upper = bool(state & _SHIFT) != (bool(state & _LOCK) and character.isalpha())
        keysym = shifted if upper else plain
        return _names().get(keysym, f"{keysym:#x}" if keysym else f"keycode {keycode}"), keysyms.character(keysym)


@functools.cache
def _names() -> dict[int, str]:
    return keysyms.names()
