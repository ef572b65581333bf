"""Keymaps of a test's server, and texts that take all of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servers import Server

LATIN_1 = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x100))))
CYRILLIC = "".join(map(chr, range(0x410, 0x450))) + "\u0401\u0451\u0404\u0457\u0491\u2116"
# CJK, a line's end, a tab, emoji (one of two code points), combining characters, quotes that German keys have.
OTHERS = "日本語\n漢字\t\U0001f642\U0001f44d\U0001f3fd e\u0301 a\u0308 \u20ac\u201e\u201c\u2026\u0142"
TEXT = LATIN_1 + CYRILLIC + OTHERS


def set_layout(server: Server, layout: str) -> None:
    """Set a keymap, as a user does."""
    subprocess.run(["setxkbmap", layout], env=server.env(), check=True)


def keymap_of(server: Server) -> bytes:
    """Return the whole keymap as xkbcomp has it."""
    return subprocess.run(
        ["xkbcomp", "-w0", server.name, "-"], env=server.env(), capture_output=True, check=True
    ).stdout
