"""Keysyms: their names, and the characters that they stand for (core protocol, appendix A, "KEYSYM Encoding").

A character has up to three keysyms: its Latin-1 code, its code point with a prefix, and an older one from a page of 256
that follows a national standard. Keymaps use all three. No I/O.

What does not work: of the older keysyms, those of drawing, mathematics, Katakana and Hangul, which no keymap of Debian
has on a key of its own. They have names, but no characters.
"""

from __future__ import annotations

import functools
from typing import Final

from xshm.x11.protocol.xlib import keysym_groups

UNICODE: Final = 0x01000000  # from here on, a keysym is this plus a code point
_LATIN_1: Final = (range(0x20, 0x7F), range(0xA0, 0x100))  # keysyms that are code points
# The older pages: the second byte of a keysym, and the encoding of its first byte.
_PAGES: Final = {
    0x01: "iso8859-2",
    0x02: "iso8859-3",
    0x03: "iso8859-4",
    0x05: "iso8859-6",
    0x06: "koi8-r",
    0x07: "iso8859-7",
    0x0C: "iso8859-8",
    0x0D: "tis-620",
    0x13: "iso8859-15",
}
# Where a page differs from its encoding: the first keysym, and the characters from there on; a space is none.
_RUNS: Final = (
    (0x06A1, "\u0452\u0453\u0451\u0454\u0455\u0456\u0457\u0458\u0459\u045a\u045b\u045c\u0491\u045e\u045f\u2116"),
    (0x06B1, "\u0402\u0403\u0401\u0404\u0405\u0406\u0407\u0408\u0409\u040a\u040b\u040c\u0490\u040e\u040f"),
    (0x07A1, "\u0386\u0388\u0389\u038a\u03aa \u038c\u038e\u03ab \u038f  \u0385\u2015 \u03ac\u03ad\u03ae\u03af\u03ca"),
    (0x07B6, "\u0390\u03cc\u03cd\u03cb\u03b0\u03ce     "),
    (0x07D2, "\u03a3 "),
    (0x07F2, "\u03c3\u03c2"),
    (0x0AA9, "\u2014\u2013"),
    (0x0AAE, "\u2026"),
    (0x0AC9, "\u2122"),
    (0x0AD0, "\u2018\u2019\u201c\u201d"),
    (0x0AE6, "\u2022"),
    (0x0AFD, "\u201a\u201e"),
    (0x20AC, "\u20ac"),
)
# Names that python-xlib does not have.
_MORE: Final = {"EuroSign": 0x20AC, "ISO_Level5_Shift": 0xFE11}
# Names that python-xlib has in these two groups are those of ordinary keyboards, and are found first.
_ORDINARY: Final = ("latin1", "miscellany")


def character(keysym: int) -> str:
    """Return the character of a keysym, "" for one that has none."""
    if any(keysym in part for part in _LATIN_1):
        return chr(keysym)
    if UNICODE + 0x100 <= keysym <= UNICODE + 0x10FFFF:
        return "" if UNICODE + 0xD800 <= keysym <= UNICODE + 0xDFFF else chr(keysym - UNICODE)
    return _older().get(keysym, "")


def keysym(character: str) -> int:
    """Return the keysym of a character as programs understand it best: Latin-1 or Unicode, never an older one."""
    code = ord(character)
    return code if any(code in part for part in _LATIN_1) else UNICODE + code


def names() -> dict[int, str]:
    """Return the names of keysyms as keysymdef.h has them, without XK_; the first where a keysym has several."""
    found: dict[int, str] = {}
    for name, number in keysyms_by_name().items():
        found.setdefault(number, name)
    return found


@functools.cache
def keysyms_by_name() -> dict[str, int]:
    """Return all keysyms by their names; those of multimedia keys as in "XF86AudioPlay"."""
    groups = keysym_groups()
    found = dict(_MORE)
    for group in sorted(groups, key=lambda name: (name not in _ORDINARY, name)):
        for name, number in groups[group].items():
            found.setdefault(name.removeprefix("XK_").replace("XF86_", "XF86"), number)
    return found


@functools.cache
def _older() -> dict[int, str]:
    found = {}
    for page, encoding in _PAGES.items():
        for low in range(0xA1, 0x100):
            text = bytes([low]).decode(encoding, errors="ignore")
            if text and not (page == 0x06 and low < 0xC0) and not (page == 0x07 and low < 0xC1):  # noqa: PLR2004
                found[page << 8 | low] = text
    for first, run in _RUNS:
        found |= {first + place: each for place, each in enumerate(run)}
    return {number: text for number, text in found.items() if text != " "}
