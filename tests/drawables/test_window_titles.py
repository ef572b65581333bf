"""Window titles, in every encoding that X has had."""

from __future__ import annotations

import ctypes
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any

import pytest
from colours import BLUE
from hypothesis import given
from hypothesis import strategies as st
from Xlib import Xatom

import xshm
from xshm.x11.protocol.text_property import decode

if TYPE_CHECKING:
    from painter import Painter
    from servers import Server

_TITLES = [
    "plain",
    "naïve café",
    "Ελληνικά",
    "日本語 テスト",
    "한국어",
    "中文 简体",
    "Привет мир",
    "mixed ñ 日本 – “quotes” €",
    "עברית",
    "ő ű ž",
    "🙂 x",
]


class _TextProperty(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.POINTER(ctypes.c_ubyte)),
        ("encoding", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("count", ctypes.c_ulong),
    )


def _listed(screen: xshm.Screen, window: Any) -> xshm.WindowInfo:
    found = [info for info in screen.windows() if info.id == window.id]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("title", _TITLES)
def test_a_title_is_read_from_net_wm_name(screen: xshm.Screen, painter: Painter, title: str) -> None:
    window = painter.window((0, 0, 50, 50), BLUE, "the plain name")
    kind = painter.display.intern_atom("UTF8_STRING")
    window.change_property(painter.display.intern_atom("_NET_WM_NAME"), kind, 8, title.encode())
    painter.display.sync()
    assert _listed(screen, window).title == title
    with screen.window(title) as opened:
        assert opened.id == window.id
        assert opened.title == title


@pytest.mark.parametrize("title", _TITLES)
def test_a_title_is_read_from_wm_name_as_xlib_encodes_it(
    xvfb: Server, screen: xshm.Screen, painter: Painter, title: str
) -> None:
    # XTextProperty with the style XCompoundTextStyle: what programs of before UTF-8 write.
    xlib = ctypes.CDLL("libX11.so.6")
    xlib.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(xlib.XOpenDisplay(xvfb.name.encode()))
    made = _TextProperty()
    texts = (ctypes.c_char_p * 1)(title.encode())
    assert xlib.Xutf8TextListToTextProperty(display, texts, 1, 1, ctypes.byref(made)) >= 0
    data = bytes(made.value[: made.count])
    xlib.XCloseDisplay(display)
    window = painter.window((0, 0, 50, 50), BLUE)
    window.change_property(Xatom.WM_NAME, painter.display.intern_atom("COMPOUND_TEXT"), 8, data)
    painter.display.sync()
    assert _listed(screen, window).title == title


@pytest.mark.parametrize("data", ["naïve".encode("latin-1"), "naïve".encode(), "naïve\0rest".encode("latin-1")])
def test_a_title_is_read_from_a_wm_name_of_latin_1_or_of_utf_8_that_calls_itself_that(
    screen: xshm.Screen, painter: Painter, data: bytes
) -> None:
    window = painter.window((0, 0, 50, 50), BLUE)
    window.change_property(Xatom.WM_NAME, Xatom.STRING, 8, data)
    painter.display.sync()
    assert _listed(screen, window).title == "naïve"


def test_an_extended_segment_of_compound_text_names_its_charset() -> None:
    body = b"koi8-r\x02" + "мир".encode("koi8-r")
    data = b"a \x1b%/1" + bytes([0x80 | len(body) >> 7, 0x80 | len(body) & 0x7F]) + body + b" z"
    assert decode("COMPOUND_TEXT", data) == "a мир z"


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "unicode_escape", "hex", "no such", "", "a\0b"])
def test_a_charset_that_can_not_be_read_is_one_replacement_character(charset: str) -> None:
    body = charset.encode() + b"\x02" + rb"\q" + b"\xff\xfe"
    data = b"a \x1b%/1" + bytes([0x80 | len(body) >> 7, 0x80 | len(body) & 0x7F]) + body + b" z"
    assert decode("COMPOUND_TEXT", data) == "a \ufffd z"


@given(charset=st.sampled_from(sorted({*aliases, *aliases.values()})), body=st.binary(max_size=40))
def test_no_charset_that_python_knows_makes_reading_a_text_fail(charset: str, body: bytes) -> None:
    segment = charset.encode() + b"\x02" + body
    size = bytes([0x80 | len(segment) >> 7, 0x80 | len(segment) & 0x7F])
    assert isinstance(decode("COMPOUND_TEXT", b"\x1b%/1" + size + segment), str)


@given(st.sampled_from(["COMPOUND_TEXT", "UTF8_STRING", "STRING"]), st.binary() | st.text().map(str.encode))
def test_no_bytes_of_another_client_make_reading_a_text_fail(kind: str, data: bytes) -> None:
    assert isinstance(decode(kind, data), str)


@given(
    st.lists(
        st.sampled_from([b"\x1b", b"$", b"(", b")", b"-", b"%", b"/", b"G", b"@", b"A", b"B", b"~", b"\xe9", b"1"])
    )
)
def test_no_escapes_of_another_client_make_reading_a_text_fail(parts: list[bytes]) -> None:
    assert isinstance(decode("COMPOUND_TEXT", b"".join(parts)), str)


def test_a_window_without_any_properties_is_listed_too(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((10, 20, 30, 40), BLUE)
    info = _listed(screen, window)
    assert (info.title, info.class_name, info.instance) == ("", "", "")
    assert info.rect == xshm.Rect(10, 20, 30, 40)
