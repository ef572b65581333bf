"""Spill: the file that has the records of a log as they come, and what a killed process leaves of them.

The offset of a record follows from the bytes that were recorded before it: to write it again changes nothing. Events
that wait for a picture are written ahead of it, and again behind it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from xshm._signal_safety import Ignored
from xshm.system.replacement import Replacement
from xshm.trace import records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.trace.records import Record


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """Records that come together: a key picture with its state, a change, an event."""

    records: tuple[Record, ...]


class Entry(NamedTuple):
    """A record that is kept, and totals of all that was recorded up to and with it, evicted records included."""

    record: Record
    end: int  # bytes of all records, without the head
    drawn: int  # bytes of pictures
    pictures: int  # how many
    item: Item  # that it has come with


class _Ahead(NamedTuple):
    """How much of the spill file is events that wait still."""

    events: int = 0
    nbytes: int = 0


class Spill:
    """A file with the head and records one behind the other, `end` being the last one's."""

    def __init__(self, path: str | bytes | os.PathLike[str], head: Record) -> None:
        self._path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - as other files of this library have it
        self._start = records.MAGIC + head.pack()
        self._first = 0  # bytes recorded before what is in the file
        self.end = 0
        self.ahead = _Ahead()
        self._file = self._begin()
        self._file.commit()

    @property
    def nbytes(self) -> int:
        """Bytes of its records."""
        return self.end - self._first

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Begin a new file with these records, in place of the one that is there, once it has them."""
        written = list(entries)
        file = self._begin()
        try:
            at = len(self._start)
            for entry in written:
                at += _write(file.descriptor, entry.record.pack(), at)
            file.commit()
        except BaseException:
            file.discard()
            raise
        former, self._file = self._file, file
        self._first, self.end, self.ahead = written[0].end - written[0].record.nbytes, written[-1].end, _Ahead()
        former.close()

    def append(self, entries: list[Entry]) -> None:
        """Write records behind those that are there."""
        if not entries:
            return
        at = len(self._start) + entries[0].end - entries[0].record.nbytes - self._first
        at += _write(self._file.descriptor, b"".join([entry.record.pack() for entry in entries]), at)
        if self.ahead.events:
            os.ftruncate(self._file.descriptor, at)
        self.end, self.ahead = entries[-1].end, _Ahead()

    def append_ahead(self, waiting: Iterable[Item], last: Entry) -> None:
        """Write events that wait for a picture behind the last record, until that comes in their place."""
        found: list[Record] = []
        for item in waiting:
            found += (record.not_before((found or [last.record])[-1].at) for record in item.records)
        if found:
            at = len(self._start) + self.end - self._first + self.ahead.nbytes
            nbytes = _write(self._file.descriptor, b"".join([record.pack() for record in found]), at)
            self.ahead = _Ahead(self.ahead.events + len(found), self.ahead.nbytes + nbytes)

    def close(self) -> None:
        """Close the file, which stays."""
        with Ignored(OSError):
            self._file.close()

    def remove(self) -> None:
        """Close the file and remove it, unless another one has its name by now."""
        with Ignored(OSError):
            if os.path.samestat(os.fstat(self._file.descriptor), os.stat(self._path)):  # noqa: PTH116
                os.unlink(self._path)  # noqa: PTH108
        self.close()

    def _begin(self) -> Replacement:
        """Return a file with the head, that has no name yet."""
        file = Replacement(self._path)
        try:
            _write(file.descriptor, self._start, 0)
        except BaseException:
            file.discard()
            raise
        return file


def _write(descriptor: int, data: bytes, at: int) -> int:
    """Write all of it at an offset; return how much that was."""
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, at)
        left, at = left[written:], at + written
    return len(data)
