"""XTEST 2.2 as bytes: keys, buttons and motion that the server takes for a device's. No I/O.

Source: "XTEST Extension Protocol", XTestFakeInput. `opcode` is the extension's major opcode.
"""

from __future__ import annotations

import struct
from typing import Final

NAME: Final = "XTEST"
VERSION: Final = (2, 1)  # the least that servers of this century have
KEY_PRESS: Final = 2
KEY_RELEASE: Final = 3
BUTTON_PRESS: Final = 4
BUTTON_RELEASE: Final = 5
_MOTION: Final = 6
_FAKE_INPUT, _WORDS = 2, 9
_INPUT: Final = struct.Struct("=BBHBBxxII8xhh8x")  # type, detail; delay in ms; root; x, y


def pack_fake_input(opcode: int, kind: int, detail: int) -> bytes:
    """Encode XTestFakeInput of a key or a button, `detail`, at once."""
    return _INPUT.pack(opcode, _FAKE_INPUT, _WORDS, kind, detail, 0, 0, 0, 0)


def pack_fake_motion(opcode: int, root: int, x: int, y: int) -> bytes:
    """Encode XTestFakeInput of a motion to a point of a screen, named by its root window."""
    return _INPUT.pack(opcode, _FAKE_INPUT, _WORDS, _MOTION, 0, 0, root, x, y)
