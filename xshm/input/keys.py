"""KeyFinder: the keys that type a text or a chord, by the keymap of this moment; for what it lacks, keycodes are lent.

Locking rules: all methods are called under the InputDevice's lock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from xshm.errors import XshmError
from xshm.input.lending import Lender, most_lent
from xshm.system.printable import quoted
from xshm.x11.server.keymap import Keymap

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from xshm.input.names import KeyName
    from xshm.x11.connection import Connection
    from xshm.x11.server.keymap import Keyboard, Stroke

_TRIES: Final = 20  # to lend keycodes, where other programs change the keymap all the time


class KeyFinder:
    """The keymap of one connection, and the keycodes that it has lent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.keymap = Keymap(connection)
        self.lender = Lender(connection, self.keymap)

    def find(self, keys: Sequence[KeyName], kept: Collection[int]) -> tuple[Keyboard, list[list[Stroke]]]:
        """Return the keyboard's state, and the ways to press the first of these keys: as many as there can be at once.

        One round trip where the keyboard has all of them; more to lend keycodes to the others. Codes in `kept` are held
        by the caller, and stay lent. Raises XshmError where no keycode can be lent.
        """
        for _ in range(_TRIES):
            keyboard, foreign = self._look()
            # An interrupted loan has a note, and no keysyms yet.
            taken = keyboard.held | foreign | self.lender.keycodes
            free = [code for code in self.keymap.free_keycodes() if code not in taken]
            strokes, missing = self._prefix(keys, foreign, most_lent(len(free)))
            if strokes and not missing:
                return keyboard, strokes
            if not missing:  # not even one fits
                self._free_keycodes(keys[0], kept)
            elif self.lender.lend(missing, keyboard.held):
                keys = keys[: len(strokes)]
        raise self._none_free(next((key for key, found in zip(keys, strokes, strict=False) if not found), keys[0]))

    def find_all(self, keys: Sequence[KeyName], kept: Collection[int]) -> tuple[Keyboard, list[list[Stroke]]]:
        """Return the keyboard's state, and the ways to press each key; raises XshmError where they are too many."""
        keyboard, strokes = self.find(keys, kept)
        if len(strokes) < len(keys):  # all that are free may be lent to what was typed before
            self._free_keycodes(keys[len(strokes)], kept)
            keyboard, strokes = self.find(keys, kept)
        if len(strokes) < len(keys):
            raise self._none_free(keys[len(strokes)])
        return keyboard, strokes

    def _prefix(
        self, keys: Sequence[KeyName], foreign: Collection[int], most: int
    ) -> tuple[list[list[Stroke]], list[int]]:
        """Return the ways to press each of the first keys, and the keysyms that the keymap lacks, `most` at most."""
        strokes: list[list[Stroke]] = []
        missing: dict[int, None] = {}  # as a set that keeps the order
        for key in keys:
            # What others have lent may be given back at any moment.
            found = [stroke for stroke in self._strokes(key) if stroke.keycode not in foreign]
            if not found and key.keysym not in missing:
                if len(missing) == most:
                    break
                missing[key.keysym] = None
            strokes.append(found)
        return strokes, list(missing)

    def _look(self) -> tuple[Keyboard, frozenset[int]]:
        """Return the keyboard's state, and the keycodes that others have lent; the keymap is up to date then."""
        notes = self.lender.ask()
        keyboard = self.keymap.query()
        foreign = self.lender.foreign(notes)
        return (self.keymap.query() if foreign is not None else keyboard), foreign or frozenset()

    def _strokes(self, key: KeyName) -> list[Stroke]:
        return self.keymap.strokes(key.keysym) or (self.keymap.typing(key.character) if key.character else [])

    def _free_keycodes(self, key: KeyName, kept: Collection[int]) -> None:
        """Wait until the lent keycodes may be given back, and give them back."""
        if not self.lender.keycodes.difference(kept):
            raise self._none_free(key)
        time.sleep(self.lender.seconds_left)
        self.lender.give_back(but=kept)

    def _none_free(self, key: KeyName) -> XshmError:
        return XshmError(
            f"the keymap of the server at {self._connection.address} has no key for {quoted(key.name)}, and no keycode "
            f"without a keysym that could be lent to it"
        )
