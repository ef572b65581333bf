"""XKB 1.0 as bytes: the keymap, the keyboard's state, and locks of modifiers and groups. No I/O.

Source: "The X Keyboard Extension: Protocol Specification", appendix D. `opcode` is the extension's major opcode. All
requests are about the core keyboard.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "XKEYBOARD"
VERSION: Final = (1, 0)
_CORE_KEYBOARD: Final = 0x100
_GET_STATE, _LATCH_LOCK_STATE, _GET_MAP, _SET_MAP = 4, 5, 8, 9
_KEYSYMS: Final = 2
_PARTS: Final = 1 | _KEYSYMS | 4  # key types, keysyms, modifier map
_STATE_REQUEST: Final = struct.Struct("=BBHHxx")
_STATE: Final = struct.Struct("=8xBBBBBB")
_LOCKS: Final = struct.Struct("=BBHHBBBBBBxBH")
_MAP_REQUEST: Final = struct.Struct("=BBHHHH18x")
_MAP: Final = struct.Struct("=10xBB3xBxBHB12xB6x")  # first and last keycode; types, first key, keysyms, keys; modmap
_SET: Final = struct.Struct("=BBHHHxxBBxxBBH18x")  # first and last keycode; first keycode, number of keys, keysyms
_TYPE: Final = struct.Struct("=BBHBBBx")
_ENTRY: Final = struct.Struct("=BBBxxxxx")  # active, mask, level
_KEY: Final = struct.Struct("=4BBBH")
_TWO_LEVEL: Final = 1  # the index of a type that every keymap has: Shift gives the second level
_PRESERVED: Final = 4  # bytes of each entry of a type's `preserve` list

NO_KEYSYMS: Final = bytes(_KEY.size)  # a key that has none, as `Key.data`
LONGEST_MAP: Final = 1 << 20  # bytes; 248 keys of 4 groups with 64 levels take a quarter


class State(NamedTuple):
    """The keyboard's state: modifiers in effect, of held keys, latched and locked; the group in effect and locked."""

    modifiers: int
    held: int
    latched: int
    locked: int
    group: int
    locked_group: int


class KeyType(NamedTuple):
    """How modifiers choose a key's level: `mask` is those that count, `levels` what each set of them gives, else 0."""

    mask: int
    levels: dict[int, int]


class Key(NamedTuple):
    """One key: the keysyms of each of its groups by level, and the type of each group; and both as they were sent."""

    data: bytes
    groups: tuple[tuple[int, ...], ...]
    types: tuple[KeyType, ...]


class KeyMap(NamedTuple):
    """All keys by their codes, and the modifiers (a mask) that a key sets while it is held."""

    keys: dict[int, Key]
    modifiers: dict[int, int]


def pack_get_state(opcode: int) -> bytes:
    """Encode XkbGetState."""
    return _STATE_REQUEST.pack(opcode, _GET_STATE, 2, _CORE_KEYBOARD)


def unpack_state(reply: bytes) -> State:
    """Return the state in XkbGetState's reply."""
    return State(*_STATE.unpack_from(reply))


def pack_lock(opcode: int, modifiers: int, group: int | None, *, affected: int = 0xFF) -> bytes:
    """Encode XkbLatchLockState: of the `affected` modifiers lock these alone, end all latches, and lock a group."""
    locks = (affected, modifiers, group is not None, group or 0)
    return _LOCKS.pack(opcode, _LATCH_LOCK_STATE, 4, _CORE_KEYBOARD, *locks, 0xFF, 0, 0, 0)


def pack_get_map(opcode: int) -> bytes:
    """Encode XkbGetMap of all key types, keysyms and modifiers."""
    return _MAP_REQUEST.pack(opcode, _GET_MAP, 7, _CORE_KEYBOARD, _PARTS, 0)


def unpack_map(reply: bytes) -> KeyMap:
    """Return the keymap in XkbGetMap's reply."""
    _, _, type_count, first, _, key_count, modifier_count = _MAP.unpack_from(reply)
    types, at = [], 40
    for _ in range(type_count):
        found, at = _unpack_type(reply, at)
        types.append(found)
    keys = {}
    for keycode in range(first, first + key_count):
        *indices, group_info, width, count = _KEY.unpack_from(reply, at)
        symbols = struct.unpack_from(f"={count}I", reply, at + _KEY.size)
        begin, at = at, at + _KEY.size + 4 * count
        groups = group_info & 0xF
        keys[keycode] = Key(
            reply[begin:at],
            tuple(symbols[group * width : (group + 1) * width] for group in range(groups)),
            tuple(types[index] for index in indices[:groups]),
        )
    modifiers = dict(struct.unpack_from("=BB", reply, at + 2 * index) for index in range(modifier_count))
    return KeyMap(keys, modifiers)


def pack_two_levels(first: int, second: int) -> bytes:
    """Encode a key of one group for `pack_set_keys`, with a keysym, and another one for Shift."""
    return _KEY.pack(_TWO_LEVEL, 0, 0, 0, 1, 2, 2) + struct.pack("=II", first, second)


def pack_set_keys(opcode: int, first: int, keys: Sequence[bytes]) -> bytes:
    """Encode XkbSetMap: the keysyms of consecutive keys from `first` on, and no more, as a `Key` has them."""
    data = b"".join(keys)
    count = sum(_KEY.unpack_from(key)[-1] for key in keys)
    words = (_SET.size + len(data)) // 4
    last = first + len(keys) - 1
    head = _SET.pack(opcode, _SET_MAP, words, _CORE_KEYBOARD, _KEYSYMS, first, last, first, len(keys), count)
    return head + data


def _unpack_type(reply: bytes, at: int) -> tuple[KeyType, int]:
    """Return the key type at an offset, and the offset of what follows it."""
    mask, _, _, _, count, has_preserved = _TYPE.unpack_from(reply, at)
    at += _TYPE.size
    levels: dict[int, int] = {}
    for index in range(count):
        active, modifiers, level = _ENTRY.unpack_from(reply, at + index * _ENTRY.size)
        if active:
            levels.setdefault(modifiers, level)
    at += count * (_ENTRY.size + (_PRESERVED if has_preserved else 0))
    return KeyType(mask, levels), at
