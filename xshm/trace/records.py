"""The records of a trace, as bytes and as values; no I/O. The package's docstring has the format.

Always true of a stream that is read: each record is whole and its checksum right, or the stream ends before it.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.errors import InvalidArgument
from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAGIC: Final = b"XSHMTRACE1\n"
VERSION: Final = 1
HEAD_KIND, KEY, CHANGE, EVENT = b"H", b"K", b"C", b"J"

# Names of the head, and what they hold.
HEAD: Final = {
    "version": "1",
    "xshm": "the version of xshm that wrote it",
    "title": "what it is a trace of, for people",
    "started_ns": "CLOCK_MONOTONIC at its time 0, nanoseconds",
    "started_at": "the same moment as seconds since 1970, UTC",
    "size": "[width, height] of the region, pixels",
    "origin": "[x, y] of its corner, in the coordinates of what was traced",
    "source": "what was traced, as text",
    "how": "how pixels were read, and why so",
    "fps": "pictures a second at most",
    "format": "the fields of the PixelFormat that `Trace.at` gives back",
}

# Types of events, and what they hold besides "type".
EVENTS: Final = {
    "mark": "title",
    "failure": "title; text: the report, several lines; file and line, where it is known; seen: nanoseconds since the "
    "start, where it was there before it was reported: what it left has perhaps closed its windows since",
    "log": "text: one line; source: 'log', 'stdout', a program's name; level: as logging's names, or ''",
    "windows": "windows: from the lowest to the highest [id, title, x, y, width, height], from the region's corner",
    "pointer": "x, y, from the region's corner; outside of it too",
    "input": "action: click, scroll, drag, move, press, type, …; x, y, x2, y2, dx, dy, button, count, keys, length and "
    "text as they apply",
    "rate": "fps: pictures a second at most from here on; why",
    "gap": "why no pictures were taken from here to the next one",
    "end": "why: '', or what ended it early; dropped, lines_dropped: pictures and lines that had to go",
}

_HEADER: Final = struct.Struct("<c3xIqI")
_COUNT: Final = struct.Struct("<H")
_PATCH: Final = struct.Struct("<4HI")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Patch(NamedTuple):
    """A rectangle, from the region's corner, and its pixels as a PNG file."""

    rect: Rect
    png: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its kind, its time in nanoseconds since the start, and its payload."""

    kind: bytes
    at: int
    payload: bytes

    @property
    def nbytes(self) -> int:
        """Its length as bytes."""
        return _HEADER.size + len(self.payload)

    def pack(self) -> bytes:
        """Return it as bytes."""
        return _HEADER.pack(self.kind, len(self.payload), self.at, zlib.crc32(self.payload)) + self.payload

    def not_before(self, at: int) -> Record:
        """Return it at this time if its own is less, else as it is."""
        return self if self.at >= at else Record(self.kind, at, self.payload)

    @property
    def is_picture(self) -> bool:
        """Whether it changes pixels: K or C."""
        return self.kind in (KEY, CHANGE)

    @property
    def is_key(self) -> bool:
        """Whether it is a whole picture."""
        return self.kind == KEY

    def patches(self) -> Iterator[Patch]:
        """Yield the rectangles of a K or C. Raises InvalidArgument where there are fewer than it says."""
        try:
            (count,) = _COUNT.unpack_from(self.payload)
            at = _COUNT.size
            for _ in range(count):
                *place, length = _PATCH.unpack_from(self.payload, at)
                at += _PATCH.size
                yield Patch(Rect(*place), self.payload[at : at + length])
                at += length
        except struct.error as error:
            what = f"the picture of {self.at / 1e9:.3f} s has fewer rectangles than it says"
            raise InvalidArgument(what) from error

    def value(self) -> dict[str, Any]:
        """Return the object of an H or J."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


def head(values: Mapping[str, Any]) -> Record:
    """Return the record that comes first."""
    return Record(HEAD_KIND, 0, _json(values))


def picture(at: int, patches: Sequence[Patch], *, key: bool) -> Record:
    """Return a K or C of these rectangles."""
    parts = [_COUNT.pack(len(patches))]
    for rect, png in patches:
        parts += (_PATCH.pack(rect.x, rect.y, rect.width, rect.height, len(png)), png)
    return Record(KEY if key else CHANGE, at, b"".join(parts))


def event(at: int, kind: str, **values: Any) -> Record:
    """Return a J."""
    return Record(EVENT, at, _json({"type": kind, **values}))


def pack(records: Iterable[Record]) -> Iterator[bytes]:
    """Yield a stream, in pieces."""
    yield MAGIC
    for record in records:
        yield record.pack()


def unpack(stream: bytes | memoryview, name: str = "the trace") -> Iterator[Record]:
    """Yield the records of a stream, up to where it is cut off or damaged. Raises InvalidArgument for another file."""
    if bytes(stream[: len(MAGIC)]) != MAGIC:
        raise InvalidArgument(f"{name} is no trace of version {VERSION}: it begins with {bytes(stream[:16])!r}")
    at = len(MAGIC)
    while at + _HEADER.size <= len(stream):
        kind, length, time, checksum = _HEADER.unpack_from(stream, at)
        at += _HEADER.size
        payload = bytes(stream[at : at + length])
        at += length
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield Record(kind, time, payload)


def _json(values: Mapping[str, Any]) -> bytes:
    """Return an object as UTF-8. Half a surrogate, as os.fsdecode makes of other bytes, becomes its number in hex."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: rf"\\u{ord(found[0]):04x}", text).encode()
