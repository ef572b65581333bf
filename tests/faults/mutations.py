"""A server whose messages are changed on their way: bits, bytes and fields, in each kind of message; messages lost.

Each session uses most of the API, in a process of its own that lives as long as nothing goes wrong. A failure is
an error that is not typed, a call that takes longer than its timeout and two seconds, a `close` that raises, a GiB.
"""

from __future__ import annotations

import json
import random
import select
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liar import Liar, honest
from painter import Painter
from servers import start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liar import Message

    from faults.report import Report

_TIMEOUT = 0.2
_SESSION_ENDS = 40.0  # seconds; each call has its own bound, and reports
_MOST_MIB = 400  # more than what the libraries alone take
_PER_EFFORT = 1  # sessions of each row
_FIELDS = (0, 1, 2, 3, 4, 8, 10, 12, 14, 16, 18, 20, 24, 28)


def _bit(data: bytes, rng: random.Random, first: int = 0) -> list[bytes]:
    changed = bytearray(data)
    at = rng.randrange(8 * min(first, len(data) - 1), 8 * len(data))
    changed[at // 8] ^= 1 << at % 8
    return [bytes(changed)]


def _byte(data: bytes, rng: random.Random) -> list[bytes]:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] = rng.randrange(256)
    return [bytes(changed)]


def _field(data: bytes, rng: random.Random, places: tuple[int, ...] = _FIELDS, fmt: str = "") -> list[bytes]:
    """Put an extreme value into a field: zero, one, the greatest, the smallest, any number."""
    changed = bytearray(data)
    code = fmt or rng.choice("BHI")
    bits = 8 * struct.calcsize("=" + code)
    value = rng.choice((0, 1, 2, (1 << bits) - 1, 1 << (bits - 1), rng.getrandbits(bits)))
    place = rng.choice(places) if rng.random() < 0.7 or len(places) == 1 else rng.randrange(0, len(data), 4)
    place = min(place, len(data) - bits // 8)
    struct.pack_into("=" + code, changed, place, value)
    return [bytes(changed)]


def _cut(data: bytes, rng: random.Random) -> list[bytes]:
    return [data[: rng.randrange(len(data))]]


# What is changed, and how. All but the first rows spare the set-up.
_KINDS: dict[str, tuple[str, Any]] = {
    "set-up: a bit": ("set-up", _bit),
    "set-up: a byte": ("set-up", _byte),
    "set-up: a field": ("set-up", lambda data, rng: _field(data, rng, (8, 12, 16, 24, 26, 28, 29, 30, 31, 34, 35), "")),
    "set-up: cut short": ("set-up", _cut),
    "a bit of a reply": ("reply", _bit),
    "a byte of a reply": ("reply", _byte),
    "a field of a reply": ("reply", _field),
    "a reply's number": ("reply", lambda data, rng: _field(data, rng, (2,), "H")),
    "a reply's length": ("reply", lambda data, rng: _field(data, rng, (4,), "I")),
    "a bit of an event or error": ("event error", _bit),
    "a field of an event or error": ("event error", _field),
    "any type": ("reply event error", lambda data, rng: _field(data, rng, (0,), "B")),
    "any number": ("reply event error", lambda data, rng: _field(data, rng, (2,), "H")),
    "twice": ("reply event error", lambda data, _rng: [data, data]),
    "lost": ("reply event error", lambda _data, _rng: []),
    "cut short": ("reply event error", _cut),
    "a reply's length gone astray": ("reply", lambda data, rng: [data + rng.randbytes(rng.randrange(1, 40))]),
    "an event in between": ("reply", lambda data, rng: [_event(data, rng), data]),
}


def _event(data: bytes, rng: random.Random) -> bytes:
    return struct.pack("=BBH", rng.randrange(2, 128), rng.randrange(256), *struct.unpack_from("=2xH", data)) + bytes(28)


class _Change:
    """Changes one message of a session: the one of that kind that comes as the `place`-th."""

    def __init__(self, kind: str, place: int, change: Any, seed: str) -> None:
        self._kinds, self._place, self._change = kind.split(), place, change
        self._rng = random.Random(seed)
        self._met = 0

    def __call__(self, message: Message) -> Iterable[bytes]:
        if message.kind not in self._kinds:
            return (message.data,)
        self._met += 1
        if self._met - 1 != self._place:
            return (message.data,)
        changed: list[bytes] = self._change(message.data, self._rng)
        return changed


class _Program:
    """The process that sessions run in; a new one after one that did not answer."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, **session: Any) -> list[str]:
        """Run one session, and return what went wrong."""
        if self._process is None:
            program = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "session.py")]
            self._process = subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(session).encode() + b"\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], _SESSION_ENDS)[0]:
            self.close()
            return [f"it did not end within {_SESSION_ENDS} s"]
        line = process.stdout.readline()
        if not line:
            said = self.close()
            return [f"the program ended: {said[-600:]}"]
        told = json.loads(line)
        if told["peak"] > _MOST_MIB:
            self.close()
            told["wrong"].append(f"it took {told['peak']} MiB")
        return list(told["wrong"])

    def close(self) -> str:
        """End the process; return what it has written to standard error."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.kill()
        return process.communicate()[1].decode(errors="replace")


def provoke(report: Report, effort: int) -> None:
    """Run `_PER_EFFORT` sessions for each row and unit of effort."""
    program = _Program()
    with start("Xvfb", 320, 200) as server, Painter(server) as painter, Liar(server) as liar:
        painter.rectangles()
        window = painter.window((50, 60, 100, 80), (0, 0, 255), title="blue")
        if effort > 1:  # with something to be painted anew, which costs a third of a second
            painter.window((70, 70, 100, 80), (0, 255, 255), title="over it")
        pixmap = painter.root.create_pixmap(30, 30, 24)
        painter.display.sync()
        fixed = {"name": liar.name, "timeout": _TIMEOUT, "window": window.id, "pixmap": pixmap.id}
        try:
            _provoke(report, effort, program, liar, fixed)
        finally:
            program.close()


def _provoke(report: Report, effort: int, program: _Program, liar: Liar, fixed: dict[str, Any]) -> None:
    counts = _Count()
    liar.lie = counts
    report.row("nothing").count(_one(program.run(**fixed, transport="sysv")))
    for name, (kind, change) in _KINDS.items():
        row = report.row(name)
        most = sum(counts.of.get(each, 0) for each in kind.split())
        for number in range(_PER_EFFORT * effort):
            seed = f"{name} {number}"
            rng = random.Random(seed)
            place = rng.randrange(most) if kind != "set-up" else rng.randrange(2)
            transport = rng.choice(("sysv", "sysv", "fd", "core", "auto"))
            liar.lie = _Change(kind, place, change, seed)
            wrong = _one(program.run(**fixed, transport=transport))
            row.count(wrong and f"seed {seed!r} ({transport}, message {place}): {wrong}")
            liar.hang_up()
            liar.lie = honest


class _Count:
    """Counts the messages of each kind in an honest session."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}

    def __call__(self, message: Message) -> Iterable[bytes]:
        self.of[message.kind] = self.of.get(message.kind, 0) + 1
        return (message.data,)


def _one(wrong: list[str]) -> str | None:
    more = [f"and {len(wrong) - 2} more"] if len(wrong) > 2 else []
    return "; ".join([*wrong[:2], *more]) or None
