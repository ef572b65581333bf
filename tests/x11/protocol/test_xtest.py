"""XTEST's and XKB's requests against xcffib's encodings of them, and replies that are read as xcffib reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import xcffib
import xcffib.xkb
import xcffib.xproto
import xcffib.xtest

import xshm
from xshm.x11.protocol import core, xkb, xtest
from xshm.x11.server.keymap import Keymap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

_OPCODE = 0  # xcffib leaves the major opcode to libxcb


class _Recorder:
    """Stands where xcffib's connection is, and keeps the bytes of each request."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_request(self, _flags: int, _opcode: int, data: bytes, *_: object, **__: object) -> None:
        self.sent.append(data)
