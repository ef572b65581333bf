"""Lending: keycodes that have no keysym are lent to characters that no key has, and given back some time after.

Programs get a key's code, and look up what it stands for when they come to it: one that is busy reads the keymap long
after the key was pressed. So a keycode stays lent for GRACE seconds after its last use.

1. A keycode that is lent has a note on the root window (property _XSHM_LENT), written before the keymap is changed:
   its owner's window, the code, and the two keysyms. What it had before is nothing: other codes are never lent.
2. The owner's window dies with its connection. Any later Lender that finds a note without a living owner takes the
   keycode back, if it still has the keysyms of the note.
3. A keycode of our own that has other keysyms than its note, since a user has set a keymap, is not lent any more.
4. Notes and keymap are changed while the server is grabbed, so that two programs never lend one keycode.

Locking rules: all methods are called under the InputDevice's lock.

What does not work: a program that comes to a key later than that gets nothing from it.
After kill -9 the keycodes stay lent until the next Lender, which other programs hardly notice: the codes had no
keysyms, and no key of a keyboard sends them.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.errors import BadValue
from xshm.x11.bare_window import create_bare_window
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import Request
from xshm.x11.scheduling import with_server_grabbed
from xshm.x11.windows.properties import get_property, intern_atom

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from xshm.x11.connection import Connection
    from xshm.x11.cookie import Cookie
    from xshm.x11.io.resources import ServerResource
    from xshm.x11.server.keymap import Keymap

# Seconds from the last use of a lent keycode until it is given back. Tk 8.6, Qt 5.15, GTK 3.24, Chromium and xterm need
# 0.02 where they have nothing else to do. Each of the first four that was stopped for 0.4 seconds got all characters,
# and none when it was stopped for 0.8. A greater one is paid for by texts of more characters than can be lent at once,
# and by `close`.
GRACE: Final = 0.5
# Seconds that programs take for a key: Chromium 0.0013 to 0.0022, GTK 0.00026, Qt and Tk 0.0001, in texts of 200 and
# 1800 characters. A program that gives each key a second look may take longer.
_PER_KEY: Final = 0.0025
_NO_SYMBOLS: Final = (0, 0)
_KEY: Final = 2  # keysyms of one keycode that are lent


class Note(NamedTuple):
    """What the root window says of one lent keycode."""

    owner: int
    keycode: int
    first: int
    second: int

    @property
    def symbols(self) -> tuple[int, int]:
        """The keysyms that it was lent to."""
        return self.first, self.second


class Lender:
    """The keycodes that one connection has lent."""

    def __init__(self, connection: Connection, keymap: Keymap) -> None:
        self._connection = connection
        self._keymap = keymap
        self._root: int = connection.setup.root.id
        self._notes = intern_atom(connection, "_XSHM_LENT")
        self._mark = intern_atom(connection, "_XSHM_LENDER")
        self._owner: ServerResource | None = None  # the window; made with the first loan
        self._one_by_one = False
        # In time.monotonic: when programs have come to all keys that were sent; and to the first key of the last batch
        # with a lent keycode, for which they read the keymap.
        self._caught_up = 0.0
        self._used: dict[int, float] = {}

    @property
    def keycodes(self) -> frozenset[int]:
        """The keycodes that are lent by this connection."""
        return frozenset(self._used)

    @property
    def seconds_left(self) -> float:
        """Seconds until the last of the keycodes may be given back; 0 where none is lent."""
        return max(0.0, max(self._used.values(), default=0.0) + GRACE - time.monotonic())

    def ask(self) -> Cookie:
        """Queue a request for the notes."""
        return get_property(self._connection, self._root, self._notes, core.CARDINAL)

    def foreign(self, asked: Cookie) -> frozenset[int] | None:
        """Return the keycodes that others have lent; those of owners that are gone are taken back first.

        None where there are no notes of others: then the keymap was not changed.
        """
        notes = [note for note in _parse(asked) if note.owner != self._owner]
        if not notes:
            return None
        with_server_grabbed(self._connection, partial(self._take_back, self._used))
        return frozenset(note.keycode for note in self._read() if note.owner != self._owner)

    def lend(self, keysyms: Sequence[int], held: Iterable[int]) -> bool:
        """Lend keycodes to these keysyms; return False where there are fewer free ones than it takes.

        Codes in `held` are not lent.
        """
        return with_server_grabbed(self._connection, partial(self._lend, keysyms, frozenset(held)))

    def use(self, keycodes: Sequence[int]) -> None:
        """Note that these keycodes were sent now, some of which may be lent."""
        begun = max(self._caught_up, time.monotonic())
        self._caught_up = begun + _PER_KEY * len(keycodes)
        self._used |= dict.fromkeys(self._used.keys() & set(keycodes), begun)

    def give_back(self, but: Collection[int] = ()) -> None:
        """Give the keycodes back that this connection has lent, all `but` these."""
        if self._used:
            with_server_grabbed(self._connection, partial(self._take_back, but))

    def _lend(self, keysyms: Sequence[int], held: frozenset[int]) -> bool:
        owner = self._become_owner()
        notes = self._read()
        self._keymap.query()
        notes = [note for note in notes if not self._is_lost(note)]
        self._used = {code: at for code, at in self._used.items() if code in {note.keycode for note in notes}}
        noted = {note.keycode for note in notes}
        free = [code for code in self._keymap.free_keycodes() if code not in noted and code not in held]
        pairs = _pairs(keysyms, len(free))
        if len(pairs) > len(free):
            return False
        lent = dict(zip(free, pairs, strict=False))
        notes += [Note(owner, code, *pair) for code, pair in lent.items()]
        self._used |= dict.fromkeys(lent, time.monotonic())  # before they are sent: an interrupt may come in between
        self._send(self._pack_notes(notes))
        self._change(lent)
        return True

    def _is_lost(self, note: Note) -> bool:
        """Return whether a keycode of ours has got other keysyms, or none: by setxkbmap, which sets a whole keymap."""
        return note.owner == self._owner and self._keymap.symbols(note.keycode) != note.symbols

    def _take_back(self, kept: Collection[int]) -> None:
        """Take back the keycodes of owners that are gone, and our own but those in `kept`; called under a grab."""
        notes = self._read()
        owners = {note.owner for note in notes}
        marks = {owner: get_property(self._connection, owner, self._mark, core.CARDINAL) for owner in owners}
        alive = {owner for owner, mark in marks.items() if _has_value(mark)}
        left = [note for note in notes if note.owner in alive and (note.owner != self._owner or note.keycode in kept)]
        self._keymap.query()
        returned = {
            note.keycode: _NO_SYMBOLS
            for note in notes
            if note not in left and self._keymap.symbols(note.keycode) == note.symbols
        }
        if returned:
            self._change(returned)
        self._send(self._pack_notes(left))
        self._used = {code: at for code, at in self._used.items() if code in kept}

    def _change(self, symbols: dict[int, tuple[int, int]]) -> None:
        """Change the keysyms of keys: by XKB at once, or where the server refuses that, one by one."""
        if not self._one_by_one:
            try:
                self._send(self._keymap.pack_changes(symbols))
            except BadValue:  # seen with Xwayland 22.1, whose keyboards do not all have the same key types
                self._one_by_one = True
        if self._one_by_one:
            self._send(*(core.pack_change_key(keycode, *pair) for keycode, pair in symbols.items()))

    def _become_owner(self) -> int:
        """Return our window, which notes name; it is created for the first loan, under its grab."""
        if self._owner is None:
            owner = create_bare_window(self._connection)
            # While it has no mark: the server gives ids again, and a note with this one is of an owner that is gone.
            self._take_back(self._used)
            self._send(core.pack_change_property(int(owner), self._mark, core.CARDINAL, 1))
            self._owner = owner
        return int(self._owner)

    def _read(self) -> list[Note]:
        return _parse(self.ask())

    def _pack_notes(self, notes: Iterable[Note]) -> bytes:
        words = [word for note in notes for word in note]
        return core.pack_change_property(self._root, self._notes, core.CARDINAL, *words)

    def _send(self, *requests: bytes) -> None:
        """Send requests, all or none of them, and wait until the server has processed them."""
        batch = tuple(map(Request, requests))
        self._connection.wire.send_all(batch)
        self._connection.check(*batch, doing="lending keycodes")


def most_lent(free: int) -> int:
    """Return how many characters so many free keycodes can be lent to."""
    return _KEY * free


def _pairs(keysyms: Sequence[int], free: int) -> list[tuple[int, int]]:
    """Return the keysyms of each keycode: one, in both levels, or with Shift two, where there are not enough codes."""
    if len(keysyms) <= free:
        return [(keysym, keysym) for keysym in keysyms]
    return [(first, second or first) for first, second in zip_longest(keysyms[::2], keysyms[1::2], fillvalue=0)]


def _parse(asked: Cookie) -> list[Note]:
    """Return the notes in a property; what else there is, since any client can write it, counts as none."""
    reply = asked.reply()
    if reply.value is None or reply.value[0] != 32:  # noqa: PLR2004 - bits of an item
        return []
    words = list(reply.value[1])
    notes = [Note(*words[at : at + 4]) for at in range(0, len(words) - 3, 4)]
    return [note for note in notes if 8 <= note.keycode <= 255]  # noqa: PLR2004 - as in the core protocol


def _has_value(mark: Cookie) -> bool:
    reply = mark.reply_or_none()
    return reply is not None and reply.value is not None
