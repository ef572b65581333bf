"""XTEST's and XKB's requests against xcffib's encodings of them, and a keymap as xcffib reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xcffib
import xcffib.xkb
import xcffib.xtest
from recorder import Recorder

import xshm
from xshm.x11.protocol import xkb, xtest

if TYPE_CHECKING:
    from servers import Server

_OPCODE = 130


def test_input_has_the_bytes_that_xcffib_gives_it() -> None:
    encoded = Recorder(_OPCODE, xcffib.xtest.xtestExtension)
    assert xtest.pack_fake_input(_OPCODE, xtest.KEY_PRESS, 38) == encoded("FakeInput", 2, 38, 0, 0, 0, 0, 0)
    assert xtest.pack_fake_input(_OPCODE, xtest.BUTTON_RELEASE, 3) == encoded("FakeInput", 5, 3, 0, 0, 0, 0, 0)
    assert xtest.pack_fake_motion(_OPCODE, 0x123, 640, 17) == encoded("FakeInput", 6, 0, 0, 0x123, 640, 17, 0)


def test_locks_and_queries_have_the_bytes_that_xcffib_gives_them() -> None:
    encoded = Recorder(_OPCODE, xcffib.xkb.xkbExtension)
    assert xkb.pack_get_state(_OPCODE) == encoded("GetState", 0x100)
    assert xkb.pack_get_map(_OPCODE) == encoded("GetMap", 0x100, 7, *(0,) * 16)
    lock = ("LatchLockState", 0x100)
    assert xkb.pack_lock(_OPCODE, 2, None) == encoded(*lock, 0xFF, 2, 0, 0, 0xFF, 0, 0)
    assert xkb.pack_lock(_OPCODE, 0, 1, affected=16) == encoded(*lock, 16, 0, 1, 1, 0xFF, 0, 0)


def test_keys_are_set_with_the_bytes_that_xcffib_gives_them() -> None:
    encoded = Recorder(_OPCODE, xcffib.xkb.xkbExtension)
    synthetic: Any = xcffib.xkb.KeySymMap.synthetic
    keys = [synthetic([1, 0, 0, 0], 1, 2, 2, [97, 98]), synthetic([0, 0, 0, 0], 0, 0, 0, [])]
    words = (0x100, 2, 0, 93, 94, 0, 0, 93, 2, 2, *(0,) * 16)
    assert xkb.pack_set_keys(_OPCODE, 93, [xkb.pack_two_levels(97, 98), xkb.NO_KEYSYMS]) == encoded(
        "SetMap", *words, [keys]
    )


def test_a_keymap_is_read_as_xcffib_reads_it(xvfb: Server) -> None:
    connect: Any = xcffib.connect
    theirs = connect(display=xvfb.name)
    try:
        extension = theirs(xcffib.xkb.key)
        extension.UseExtension(1, 0).reply()
        reply = extension.GetMap(0x100, 7, *(0,) * 16).reply()
    finally:
        theirs.disconnect()
    with xshm.Screen(xvfb.name) as screen:
        connection = screen.connection
        opcode = connection.require(xkb.NAME, xkb.VERSION, "a test").major
        found = xkb.unpack_map(connection.wire.call(xkb.pack_get_map(opcode)).reply or b"")
    types = [
        xkb.KeyType(each.mods_mask, {entry.mods_mask: entry.level for entry in each.map if entry.active})
        for each in reply.types_rtrn
    ]
    for (keycode, key), their_key in zip(found.keys.items(), reply.syms_rtrn, strict=True):
        assert [symbol for group in key.groups for symbol in group] == list(their_key.syms), keycode
        assert list(key.types) == [types[index] for index in list(their_key.kt_index)[: their_key.groupInfo & 15]]
    assert [*found.keys] == [*range(8, 256)]
    assert found.modifiers == {each.keycode: each.mods for each in reply.modmap_rtrn}
