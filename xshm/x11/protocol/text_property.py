"""Text properties (titles, classes) as str: STRING, UTF8_STRING and COMPOUND_TEXT. No bytes raise an exception.

What cannot be decoded becomes U+FFFD. Source: "Compound Text Encoding" 1.1, X Consortium standard.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

# COMPOUND_TEXT is ISO 2022: an escape sequence (ESC, intermediates, a final byte) names the charset of what follows.
_SEGMENT = re.compile(rb"\x1b%G(.*?)(?:\x1b%@|$)|\x1b([ -/]+)([0-~])|([^\x1b]+)|\x1b", re.DOTALL)
# By the final byte, parts of ISO 8859.
_SETS_OF_96: Final = {
    final.encode(): f"iso8859-{part}"
    for final, part in zip("ABCDFGHLMVY_bf", (1, 2, 3, 4, 7, 6, 8, 5, 9, 10, 13, 14, 15, 16), strict=True)
}
_SETS_OF_94_BY_94: Final = {b"A": "gb2312", b"B": "euc-jp", b"C": "euc-kr"}
_HALF: Final = 0x80
# A set of 94 by 94 lies in the upper half in its EUC encoding; controls and the space are no part of it.
_UPPER: Final = bytes(byte | _HALF if b"!"[0] <= byte <= b"~"[0] else byte for byte in range(256))
_EXTENDED_LENGTH: Final = 2
# Codecs of Python's own that decode texts, and are no charsets: what they make of foreign bytes differs by release.
_NO_CHARSETS: Final = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape")


def decode(kind: str, data: bytes) -> str:
    """Return the text of a property of the type `kind`: UTF8_STRING, STRING (Latin-1) or COMPOUND_TEXT.

    NUL bytes separate the strings of a property that has several; the first is the text.
    """
    if kind == "COMPOUND_TEXT":
        return _compound(data).partition("\0")[0]
    data = data.partition(b"\0")[0]
    if kind == "UTF8_STRING":
        return data.decode("utf-8", "replace")
    try:  # many programs write UTF-8 with the type STRING; Latin-1 text is hardly ever valid UTF-8 by chance
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _compound(data: bytes) -> str:
    left, right = "ascii", "iso8859-1"  # the charsets of bytes below 0x80 (GL) and from 0x80 on (GR)
    text = []
    position = 0
    while position < len(data):
        match = _SEGMENT.match(data, position)
        assert match is not None  # noqa: S101 - ESC alone matches the last part, any other byte the one before
        position = match.end()
        utf8, intermediates, final, plain = match.groups()
        if utf8 is not None:
            text.append(utf8.decode("utf-8", "replace"))
        elif plain is not None:
            text.append(_plain(plain, left, right))
        elif intermediates == b"%/":  # an extended segment: length in two bytes, charset name, STX, bytes
            size = data[position : position + _EXTENDED_LENGTH]
            end = position + _EXTENDED_LENGTH + sum((byte & 0x7F) << 7 * (1 - at) for at, byte in enumerate(size))
            name, _, body = data[position + _EXTENDED_LENGTH : end].partition(b"\x02")
            text.append(_by_name(body, name.decode("ascii", "replace")))
            position = end
        elif intermediates == b"(":
            left = "ascii"
        elif intermediates == b"-":
            right = _SETS_OF_96.get(final, "")
        elif intermediates == b"$(":
            left = _SETS_OF_94_BY_94.get(final, "")
        elif intermediates == b"$)":
            right = _SETS_OF_94_BY_94.get(final, "")
        else:
            text.append("\ufffd")
    return "".join(text)


def _plain(data: bytes, left: str, right: str) -> str:
    """Decode bytes of which those below 0x80 are in one charset and the others in another."""
    text = []
    for run in re.findall(rb"[\x00-\x7f]+|[\x80-\xff]+", data):
        if run[0] >= _HALF:
            text.append(_by_name(run, right))
        else:
            text.append(_by_name(run if left == "ascii" else run.translate(_UPPER), left))
    return "".join(text)


def _by_name(data: bytes, charset: str) -> str:
    try:
        if codecs.lookup(charset).name.replace("_", "-") in _NO_CHARSETS:
            return "\ufffd"
        return data.decode(charset, "replace")
    except (LookupError, ValueError):  # no such charset; a name with NUL in it
        return "\ufffd"
