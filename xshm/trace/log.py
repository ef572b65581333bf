"""RecordLog: the records of a trace in memory, bounded by seconds and bytes, to be saved at any time; its spill file.

Always true:

1. Records are in groups, each of a key picture, the events that say anew how things are, and all up to the next key.
   Whole groups are evicted, the oldest first, so that what is kept begins with a key picture. The newest one stays.
   Where events fill a group while the screen stands still, its key picture begins the next one, too.
2. A record is never changed, and its time is never less than that of the one before it: an event that comes too late
   is given that time. A picture never does: from `hold` on events wait until the picture of that look is filed.
3. Totals (bytes, pictures) are kept in each entry, as of its record: one append makes record and totals valid at once,
   wherever a signal handler interrupts.
4. The offset of a record in the spill file follows from these totals: to write it again changes nothing. A reader finds
   all records in it that were added, but for one that was cut off by the end of the process; events that wait for a
   picture are there ahead of it, until it takes their place.

Locking rules: `_lock` guards the groups and the spill file; it is never held while a picture is encoded. `_inbox` takes
events without it.

Signal safety: events are added, and records read, by threads that a signal's handler interrupts, and by handlers. An
event is in `_inbox` by one call into C, and leaves it after it is in its group, which knows by `Entry.item` that it
has it. A handler that interrupts the filing only leaves its own event in the inbox.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import is_a_handlers
from xshm.trace import records
from xshm.trace.records import EVENT, Record
from xshm.trace.spill import Entry, Item, Spill

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from xshm.trace.records import Patch

MAX_BYTES: Final = 64 << 20
_SECOND: Final = 1_000_000_000
_LEAST_CHANGES: Final = 32 << 10  # bytes of changes, which are read in no time, before another key picture
_MOST_CHANGES: Final = 2000  # until the next key picture
_PARTS: Final = 8  # that the bytes are divided into, so that there is something to evict
_TIMES: Final = 4  # the same of the seconds
# Events of which there may be any number: lines and inputs, and those for which some more room is kept.
_MANY: Final = (b'{"type":"log",', b'{"type":"input",')
# Events that say how things are, until the next of the type: they are said anew behind a key picture.
_STATES: Final = (b'{"type":"windows",', b'{"type":"pointer",', b'{"type":"rate",')
_FEWER: Final = (b'{"type":"mark",', b'{"type":"failure",')
_MOST_WAITING: Final = 10_000  # events, while a look lasts; a server that stands still makes that seconds
_LEAST_SPILL: Final = 8 << 20  # bytes, of a log without a bound of its own


class RecordLog:
    """The records of a trace, in groups, each a key picture and all up to the next one.

    `head` is the H record. `seconds` and `max_bytes` bound what is kept, by whole groups; None: no bound. `wants_key`
    is called, by the thread that adds an event, where a group that has changes is full, or any is too long: then a key
    picture is due, though nothing was drawn. `spill` is a file that has the same records at any time, in place of one
    that is there; raises OSError where it can't be written.
    """

    def __init__(
        self,
        head: Record,
        *,
        seconds: float | None = None,
        max_bytes: int | None = MAX_BYTES,
        wants_key: Callable[[], object] | None = None,
        spill: str | bytes | os.PathLike[str] | None = None,
    ) -> None:
        self.head: Final = head
        self.last_picture = 0  # when it was (nanoseconds since the start)
        self.lines_dropped = 0  # and marks and inputs, that came while no key picture was to be had and memory was full
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._wants_key = wants_key
        self._lock = threading.RLock()  # the collector may interrupt its owner by a finalizer that logs, too
        self._groups: deque[list[Entry]] = deque()
        self._inbox: deque[Item] = deque()  # events on their way
        self._picture: Item | None = None  # the same, of the thread that takes pictures
        self._is_held = True  # until the first key picture
        self._is_filing = False
        self._spill = None if spill is None else Spill(spill, head)
        self.spill_error: OSError | None = None  # what ended the spill file, as a full disk does; the log goes on

    # -- the thread that takes pictures --------------------------------------------------------------------------------

    def hold(self) -> None:
        """Begin a look at the source: events that come from here on go behind its picture, which may be older."""
        self._is_held = True

    def release(self) -> None:
        """End a look without a picture."""
        self._is_held = not self._groups
        self._file()

    def is_key_due(self, at: int) -> bool:
        """Return whether the picture of that time is to be a key: `add_key` and not `add_change`."""
        if not self._groups:
            return True
        key, last = self._groups[-1][0], self._groups[-1][-1]
        changes = last.drawn - key.drawn
        return (
            changes >= max(key.record.nbytes, _LEAST_CHANGES)
            or last.pictures - key.pictures >= _MOST_CHANGES
            or self._is_full()
            or (self._seconds is not None and at - key.record.at >= self._seconds / _TIMES * _SECOND)
        )

    def add_key(self, at: int, patch: Patch, state: Sequence[Record] = ()) -> int:
        """Begin a group: a key picture, and the events that say anew how things are. Ends a look; returns the bytes."""
        return self._add_picture(Item((records.picture(at, (patch,), key=True), *state)))

    def add_change(self, at: int, patches: Sequence[Patch]) -> int:
        """Add what has changed at a time; nothing where no patch is given. Ends a look; returns the bytes.

        The first picture is a key.
        """
        if not patches:
            self.release()
            return 0
        assert self._groups, "the first picture is a key"  # noqa: S101 - a mistake of the caller
        return self._add_picture(Item((records.picture(at, patches, key=False),)))

    # -- any thread ----------------------------------------------------------------------------------------------------

    def end(self, at: int, why: str) -> Record:
        """Return the event that ends a trace: why, and what is not in it."""
        return records.event(at, "end", why=why, dropped=self.dropped, lines_dropped=self.lines_dropped)

    def add(self, event: Record) -> None:
        """Add an event (`records.event`). For any thread, signal handlers included. Before the first key it waits."""
        if len(self._inbox) >= _MOST_WAITING and event.payload.startswith(_MANY):
            self.lines_dropped += 1
            return
        self._inbox.append(Item((event,)))
        self._file()
        if self._wants_key is not None and (self._is_past() or (self._is_full() and not self._stands_still())):
            self._wants_key()

    def records(self, *last: Record) -> list[Record]:
        """Return what is kept now: the head, and from a key picture on all records by time; then `last`, not kept."""
        self._file()
        with self._lock:
            groups, waiting = [*map(list, self._groups)], list(self._inbox)
        found = [self.head, *(entry.record for group in groups for entry in group)]
        filed = groups[-1][-1].item if groups else None
        for item in (*(each for each in waiting if each is not filed), Item(last)):
            found += (record.not_before(found[-1].at) for record in item.records)
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of all records that are kept, without the head."""
        with self._lock:
            return self._kept()

    @property
    def dropped(self) -> int:
        """Pictures that were kept once and are no more: those of the groups that were evicted."""
        with self._lock:
            return self._groups[0][0].pictures - 1 if self._groups else 0

    def close(self) -> None:
        """Remove the spill file, at the proper end. What is kept in memory stays. Twice is fine."""
        with self._lock:
            self._file_all()
            spill, self._spill = self._spill, None
            if spill is not None:
                spill.remove()

    # -- filing --------------------------------------------------------------------------------------------------------

    def _add_picture(self, item: Item) -> int:
        self._picture = item
        self._is_held = False
        self._file()
        self.last_picture = item.records[0].at
        return sum(record.nbytes for record in item.records)

    def _file(self) -> None:
        with self._lock:
            self._file_all()

    def _file_all(self) -> None:
        """File what waits; the caller has the lock. No loop is inside of its `with`: see `_signal_safety`."""
        if self._is_filing:  # of the same thread, which a handler or finalizer has interrupted
            return
        self._is_filing = True
        try:
            while (item := self._next()) is not None:
                self._file_one(item)
                if item is self._picture:
                    self._picture = None
                else:
                    self._inbox.popleft()
            self._spill_rest()
        finally:
            self._is_filing = False

    def _next(self) -> Item | None:
        """Return the oldest of what waits; first of all what was filed before an interrupt."""
        picture, event = self._picture, self._inbox[0] if self._inbox else None
        filed = self._groups[-1][-1].item if self._groups else None
        if filed is not None and (filed is picture or filed is event):
            return filed
        if picture is None:
            return None if self._is_held else event
        if event is None or not self._groups or picture.records[0].at <= event.records[0].at:
            return picture
        return event

    def _file_one(self, item: Item) -> None:
        last = self._groups[-1][-1] if self._groups else None
        if last is not None and last.item is item:
            return
        event = item.records[0]
        if event.kind == EVENT and self._stands_still() and (self._is_full() or self._is_in_excess(event)):
            self._groups.append(self._again(event.at))
            last = self._groups[-1][-1]
        if event.kind == EVENT and self._is_in_excess(event):
            self.lines_dropped += 1
            return
        entries: list[Entry] = []
        for record in item.records:
            last = _entry(record, item, last)
            entries.append(last)
        if item.records[0].kind == records.KEY:
            self._groups.append(entries)
        else:
            self._groups[-1].append(entries[0])
        while len(self._groups) > 1 and self._is_evicted():
            self._groups.popleft()

    def _kept(self) -> int:
        if not self._groups:
            return 0
        first = self._groups[0][0]
        return self._groups[-1][-1].end - first.end + first.record.nbytes

    def _is_full(self) -> bool:
        """Return whether the newest group takes its part of the bytes, its key picture apart."""
        if self._max_bytes is None or not self._groups:
            return False
        group = self._groups[-1]
        return group[-1].end - group[0].end >= self._max_bytes / _PARTS

    def _stands_still(self) -> bool:
        """Return whether nothing has changed since the newest key picture."""
        return self._groups[-1][-1].pictures == self._groups[-1][0].pictures

    def _again(self, at: int) -> list[Entry]:
        """Return a group that begins as the newest one, which has no change, and with how things are by now."""
        group = self._groups[-1]
        known = {name: entry.record for entry in group for name in _STATES if entry.record.payload.startswith(name)}
        item, last, entries = Item(()), group[-1], list[Entry]()
        for record in (group[0].record, *known.values()):
            last = _entry(record.not_before(at), item, last)
            entries.append(last)
        return entries

    def _is_past(self) -> bool:
        """Return whether the newest group alone is as long as what is to be kept, of a screen that stands still."""
        if self._seconds is None or not self._groups:
            return False
        group = self._groups[-1]
        return group[-1].record.at - group[0].record.at >= self._seconds * _SECOND

    def _is_in_excess(self, event: Record) -> bool:
        """Return whether an event would go beyond the bytes, and no group is there to make room for it."""
        if self._max_bytes is None or len(self._groups) > 1 or not event.payload.startswith((*_MANY, *_FEWER)):
            return False
        key, last, part = self._groups[0][0], self._groups[0][-1], self._max_bytes // _PARTS
        most = max(self._max_bytes - key.record.nbytes, part)  # a key picture may take all by itself
        if event.payload.startswith(_FEWER):
            most += part
        return last.end - key.end + event.nbytes > most

    def _is_evicted(self) -> bool:
        """Return whether the oldest group is needed no more: the next is old enough, or there are too many bytes."""
        if self._max_bytes is not None and self._kept() > self._max_bytes:
            return True
        if self._seconds is None:
            return False
        return self._groups[1][0].record.at <= self._groups[-1][-1].record.at - self._seconds * _SECOND

    # -- the spill file ------------------------------------------------------------------------------------------------

    def _spill_rest(self) -> None:
        """Bring the spill file up to date; where that fails it ends there."""
        spill = self._spill
        if spill is None or not self._groups:
            return
        try:
            if spill.nbytes > 2 * max(self._max_bytes or _LEAST_SPILL, self._kept()):
                spill.rewrite(entry for group in self._groups for entry in group)
            else:
                spill.append(self._since(spill.end))
            spill.append_ahead(itertools.islice(self._inbox, spill.ahead.events, None), self._groups[-1][-1])
        except OSError as error:
            if is_a_handlers(error):
                raise
            self._spill, self.spill_error = None, error
            spill.close()

    def _since(self, end: int) -> list[Entry]:
        """Return the records behind so many bytes."""
        found: list[Entry] = []
        for group in reversed(self._groups):
            for entry in reversed(group):
                if entry.end <= end:
                    return found[::-1]
                found.append(entry)
        return found[::-1]


def _entry(record: Record, item: Item, last: Entry | None) -> Entry:
    """Return a record as it is kept behind another."""
    if last is not None:
        record = record.not_before(last.record.at)
    end, drawn, pictures = (0, 0, 0) if last is None else (last.end, last.drawn, last.pictures)
    drawn += record.nbytes * record.is_picture
    return Entry(record, end + record.nbytes, drawn, pictures + record.is_picture, item)
