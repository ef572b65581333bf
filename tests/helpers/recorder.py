"""What xcffib would send: an oracle for requests of extensions."""

from __future__ import annotations

from typing import Any


class Recorder:
    """xcffib's methods of an extension, and what they would send: `last` is the minor opcode and the bytes."""

    def __init__(self, opcode: int, kind: Any) -> None:
        self._opcode = opcode
        self._extension = object.__new__(kind)
        self._extension.send_request = self._record
        self.last = b""

    def _record(self, minor: int, data: Any, *_: object, **__: object) -> None:
        body = data.getvalue()[4:]  # the header is libxcb's
        words = (4 + len(body)) // 4
        self.last = bytes([self._opcode, minor]) + words.to_bytes(2, "little") + body

    def __call__(self, name: str, *arguments: Any) -> bytes:
        getattr(self._extension, name)(*arguments)
        return self.last
