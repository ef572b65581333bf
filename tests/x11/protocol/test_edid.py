"""EDIDs are decoded as the standard has it, and no bytes raise an exception or yield unprintable text."""

from __future__ import annotations

import edids
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xshm.x11.protocol.edid import parse


def test_model_and_serial_number_are_the_texts() -> None:
    raw = edids.make(serial=7, texts=((edids.SERIAL, b"CN0123"), (edids.NAME, b"DELL U2720Q")))
    assert parse(raw) == ("DELL U2720Q", "CN0123")
    assert parse(raw + bytes(128)) == ("DELL U2720Q", "CN0123"), "an extension block follows"


def test_texts_of_thirteen_characters_have_no_line_feed() -> None:
    raw = edids.make(texts=((edids.NAME, b"Thirteen-long\n"), (edids.SERIAL, b"1234567890123\n")))
    assert parse(raw) == ("Thirteen-long", "1234567890123")


@pytest.mark.parametrize(
    ("maker", "product", "serial", "said"),
    [
        ("DEL", 0x40A3, 0, ("DEL-40A3", None)),
        ("SAM", 0x7, 0x01020304, ("SAM-0007", "16909060")),
        ("A\x00Z", 5, 4294967295, (None, "4294967295")),
        ("[[[", 5, 0, (None, None)),
    ],
)
def test_without_texts_they_are_the_numbers(maker: str, product: int, serial: int, said: object) -> None:
    assert parse(edids.make(maker, product, serial)) == said


def test_texts_that_are_empty_are_none() -> None:
    raw = edids.make(serial=9, texts=((edids.SERIAL, b"\n   "), (edids.NAME, b" \t\x1b\n"), (edids.NAME, b"second")))
    assert parse(raw) == ("second", "9")


def test_of_a_text_only_printable_ascii_is_kept() -> None:
    raw = edids.make(texts=((edids.NAME, b"A\x00\x1b[31m\xc3\xa9\x7fB"), (edids.SERIAL, b" \xff12\r3 ")))
    assert parse(raw) == ("A[31mB", "123")


def test_a_timing_is_not_taken_for_a_text() -> None:
    raw = bytearray(edids.make())
    raw[72:90] = b"\x01\x00\x00\xfc\x00" + b"no name\n     "
    assert parse(edids.summed(bytes(raw))) == ("DEL-40A3", None)


@pytest.mark.parametrize("size", [0, 1, 8, 12, 54, 127])
def test_what_is_too_short_is_none(size: int) -> None:
    assert parse(edids.make()[:size]) is None


@pytest.mark.parametrize("at", [0, 3, 7, 10, 60, 126, 127])
def test_a_wrong_header_or_checksum_is_none(at: int) -> None:
    raw = bytearray(edids.make(texts=((edids.NAME, b"name"),)))
    raw[at] ^= 0x40
    assert parse(bytes(raw)) is None
    if at < 8:
        assert parse(edids.summed(bytes(raw))) is None


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_are_an_exception_and_no_text_has_a_control_character(tail: bytes, whole: bool) -> None:
    raw = edids.make()[:8] + tail if whole else tail
    found = parse(edids.summed(raw.ljust(128, b"\0"))) if whole else parse(raw)
    for text in found or ():
        assert text is None or (text.isascii() and text.isprintable() and text == text.strip())
