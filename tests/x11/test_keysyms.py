"""Characters of keysyms against libxkbcommon, which GTK, Qt and Chromium read them by."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from xshm.x11.server import keysyms

_LATIN_GREEK_CYRILLIC = (*range(0x100, 0x400), *range(0x5A0, 0x800), *range(0xC00, 0xDDE), *range(0x13A0, 0x1400))


@pytest.fixture(scope="module")
def xkbcommon() -> ctypes.CDLL:
    name = ctypes.util.find_library("xkbcommon")
    if name is None:
        pytest.skip("no libxkbcommon (Debian: libxkbcommon0, which Qt, GTK and weston bring)")
    return ctypes.CDLL(name)


def test_a_keysym_has_the_character_that_it_has_in_programs(xkbcommon: ctypes.CDLL) -> None:
    known = [number for number in range(0x20, 0x2100) if xkbcommon.xkb_keysym_to_utf32(number)]
    wrong = {
        hex(number): keysyms.character(number)
        for number in known
        if keysyms.character(number) not in ("", chr(xkbcommon.xkb_keysym_to_utf32(number)))
    }
    assert not wrong
    missing = [hex(number) for number in known if number in _LATIN_GREEK_CYRILLIC and not keysyms.character(number)]
    assert not missing


def test_a_character_has_a_keysym_that_programs_know_it_by(xkbcommon: ctypes.CDLL) -> None:
    for character in " a~\xa0\xff\u0100\u0416\u20ac\u65e5\U0001f642\u0301":
        assert xkbcommon.xkb_keysym_to_utf32(keysyms.keysym(character)) == ord(character)
        assert keysyms.character(keysyms.keysym(character)) == character


def test_names_are_those_of_keysymdef(xkbcommon: ctypes.CDLL) -> None:
    for name in ("Return", "Page_Up", "F12", "KP_Enter", "Shift_L", "ISO_Level3_Shift", "XF86AudioPlay", "EuroSign"):
        assert keysyms.keysyms_by_name()[name] == xkbcommon.xkb_keysym_from_name(name.encode(), 0)
    assert keysyms.names()[0xFF0D] == "Return"
