"""Entries of Xauthority files, written by hand."""

from __future__ import annotations

import struct

COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"


def line(family: int, address: bytes, number: bytes, data: bytes, name: bytes = COOKIE_NAME) -> bytes:
    fields = (address, number, name, data)
    return struct.pack(">H", family) + b"".join(struct.pack(">H", len(field)) + field for field in fields)
