"""The keymap as XKB has it: which key types a keysym or a character, in which group, with which modifiers.

Locking rules: one thread at a time queries and looks things up.

What does not work: dead keys and compose sequences; a character that only they make counts as one that no key has. And
from the first query on, the connection gets no MappingNotify any more: servers send it only to clients that have not
asked for XKB. So the keymap is queried for each use (a reply of 8 KB, read only where it differs from the last one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.x11.protocol import core, xkb
from xshm.x11.protocol.requests import bounded_request
from xshm.x11.server import keysyms

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_LOCK: Final = 1 << 1
# Keys that set a modifier while they are held, best first. Other keys of a modifier may be locks, or change the group.
# Shift_L, Shift_R, ISO_Level3_Shift (AltGr), ISO_Level5_Shift.
_HOLDERS: Final = (0xFFE1, 0xFFE2, 0xFE03, 0xFE11)


class Stroke(NamedTuple):
    """A key to press: its code, the group to be in (None: any), and the modifiers (a mask) that choose the level."""

    keycode: int
    group: int | None = None
    modifiers: int = 0


class Keyboard(NamedTuple):
    """The keyboard's state at one moment: the codes of the keys that are held, and modifiers and groups."""

    held: frozenset[int]
    state: xkb.State


class Keymap:
    """The keymap of a connection's core keyboard, as of the last `query`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.opcode = connection.require(xkb.NAME, xkb.VERSION, "pressing keys").major
        self._reply = b""  # of the last query
        self._map = xkb.KeyMap({}, {})
        self._strokes: dict[int, list[Stroke]] = {}  # by keysym
        self._characters: dict[str, list[Stroke]] = {}

    def query(self) -> Keyboard:
        """Update the keymap, and return the keyboard's state; one round trip."""
        send, opcode = self._connection.wire.send, self.opcode
        state = send(bounded_request(0, xkb.pack_get_state(opcode)))
        held = send(bounded_request(core.KEYS_REPLY, core.QUERY_KEYMAP))
        keymap = send(bounded_request(xkb.LONGEST_MAP, xkb.pack_get_map(opcode)))
        wait = self._connection.wait_reply
        # Without the sequence number, which differs each time: a keymap that is the same is not read again.
        reply = wait(keymap, "XkbGetMap")[4:]
        if reply != self._reply:
            self._reply = b""  # until all is stored: after an interrupt in between it is read anew
            with self._connection.decoding("XkbGetMap"):
                self._map = xkb.unpack_map(bytes(4) + reply)
                self._index()
            self._reply = reply
        bits = int.from_bytes(wait(held, "QueryKeymap")[8:40], "little")
        return Keyboard(
            frozenset(keycode for keycode in range(bits.bit_length()) if bits >> keycode & 1),
            xkb.unpack_state(wait(state, "XkbGetState")),
        )

    def strokes(self, keysym: int) -> list[Stroke]:
        """Return the ways to type a keysym, those with the fewest modifiers first."""
        return self._strokes.get(keysym, [])

    def typing(self, character: str) -> list[Stroke]:
        """Return the ways to type a character, those with the fewest modifiers first."""
        return self._characters.get(character, [])

    def is_typed_now(self, keycode: int, keysym: int, character: str, state: xkb.State) -> bool:
        """Return whether a key that is pressed in this state types a keysym, or its character."""
        groups, types = self._map.keys[keycode].groups, self._map.keys[keycode].types
        if not groups:
            return False
        group = min(state.group, len(groups) - 1)
        level = types[group].levels.get(state.modifiers & types[group].mask, 0)
        found = groups[group][level] if level < len(groups[group]) else 0
        return found == keysym or bool(character and keysyms.character(found) == character)

    def symbols(self, keycode: int) -> tuple[int, ...]:
        """Return the first two keysyms of a key, as `pack_changes` sets them; 0 for none."""
        groups = self._map.keys[keycode].groups if keycode in self._map.keys else ()
        first, second, *_ = (*(groups[0] if groups else ()), 0, 0)
        return first, second or first

    def free_keycodes(self) -> list[int]:
        """Return the codes that have no keysym in any group and set no modifier, in order."""
        return [
            keycode
            for keycode, key in self._map.keys.items()
            if not any(map(any, key.groups)) and not self._map.modifiers.get(keycode)
        ]

    def pack_changes(self, changes: dict[int, tuple[int, int]]) -> bytes:
        """Encode a change of keys to two keysyms each, without and with Shift, (0, 0) for none.

        In one request, with the keys between them as they are: each makes all programs read the keymap again.
        """
        keys = {
            keycode: xkb.pack_two_levels(*pair) if any(pair) else xkb.NO_KEYSYMS for keycode, pair in changes.items()
        }
        codes = range(min(changes), max(changes) + 1)
        return xkb.pack_set_keys(
            self.opcode, codes[0], [keys.get(keycode, self._map.keys[keycode].data) for keycode in codes]
        )

    def modifier_keys(self) -> dict[int, int]:
        """Return the masks of the keys that set modifiers, by their codes."""
        return {keycode: mask for keycode, mask in self._map.modifiers.items() if mask}

    def holders(self, modifiers: int) -> tuple[list[int], int]:
        """Return the keys to hold for a mask of modifiers, and the rest of the mask, which has to be locked."""
        found, left = [], modifiers
        for keysym in _HOLDERS:
            for stroke in self.strokes(keysym):
                mask = self._map.modifiers.get(stroke.keycode, 0)
                if mask & left and not mask & ~left and not stroke.modifiers:
                    found.append(stroke.keycode)
                    left &= ~mask
        return found, left

    def _index(self) -> None:
        self._strokes, self._characters = {}, {}
        for keycode, key in self._map.keys.items():
            for group, (symbols, kind) in enumerate(zip(key.groups, key.types, strict=True)):
                for level, keysym in enumerate(symbols):
                    modifiers = _modifiers_of(kind, level)
                    if keysym and modifiers is not None:
                        stroke = Stroke(keycode, group if len(key.groups) > 1 else None, modifiers)
                        self._strokes.setdefault(keysym, []).append(stroke)
        for keysym, strokes in self._strokes.items():
            strokes.sort(key=_effort)
            character = keysyms.character(keysym)
            if character:
                self._characters.setdefault(character, []).extend(strokes)
        for strokes in self._characters.values():
            strokes.sort(key=_effort)


def _modifiers_of(kind: xkb.KeyType, level: int) -> int | None:
    """Return the modifiers that give a level of a key, as few as possible; None where none do."""
    if level == 0 and not kind.levels.get(0):
        return 0
    found = [modifiers for modifiers, reached in kind.levels.items() if reached == level]
    return min(found, key=_cost, default=None)


def _effort(stroke: Stroke) -> tuple[int, int]:
    return _cost(stroke.modifiers)


def _cost(modifiers: int) -> tuple[int, int]:
    # A lock is no key to hold: it is used where nothing else gives the level.
    return (modifiers & _LOCK, modifiers.bit_count())
