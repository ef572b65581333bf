"""The event masks of one connection's windows, ORed from what all of its users select (core protocol).

A client has one mask for each window, and each ChangeWindowAttributes replaces it. So one object sends all of xshm's:
for each window it ORs the masks of its holders with what other users of this connection have selected, through
python-xlib's objects or `Connection.send`. Always true:

1. What others on this connection have selected stays selected, before, during and after, and their events still reach
   them. Events that only holders have selected reach holders alone. A mask that others select meanwhile is sent ORed
   with the holders' (`_join`); one that was selected before is queried (`_others`).
2. The entry of a window is stored before its events are selected, and removed after they were deselected. An interrupt
   in between leaves an entry without holders, whose window the next call deselects.
3. A window that was destroyed stays `gone`: the server has ended the selection with it, and its id may be another
   window's, so nothing is deselected.
4. Events that the server sent before it processed a deselection are dropped (`_deselected`).

Locking rules: one thread at a time selects or releases; it holds the lock of the object that has this EventMasks. The
thread that reads calls `_notify` at any moment, under the Wire's lock: `_notify` sends nothing, takes no lock, and
finds each dict and tuple as before or as after a change, since each change is one store. Any thread may call `_join`.
"""

from __future__ import annotations

import struct
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from xshm.x11.connection import pack_request
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import EventRoute, precedes, weakly
from xshm.x11.protocol.xlib import X

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request

SENT_EVENT: Final = 0x80  # the bit in the code of an event that another client has sent (SendEvent)
WINDOWS: Final = struct.Struct("=4xII")  # of an event: the window it was selected on; what it is about
_CODES: Final = (
    *(X.CreateNotify, X.DestroyNotify, X.UnmapNotify, X.MapNotify, X.ReparentNotify, X.ConfigureNotify),
    *(X.GravityNotify, X.CirculateNotify, X.PropertyNotify),
)
_ATTRIBUTES: Final = struct.Struct("=xxxxII")  # ChangeWindowAttributes: window, value mask; a word for each value
_EVENT_MASK: Final = 1 << 11  # the bit of the value mask

_Kind = TypeVar("_Kind")


class Holder(Protocol):
    """What needs events of windows: the `mask` of them, and a method for each, called by the thread that reads."""

    @property
    def mask(self) -> int:
        """The events, as the protocol numbers them (SETofEVENT); always the same."""
        ...

    def notify(self, message: bytes) -> None:
        """Note an event of the mask. It may be the same one again, where a signal handler raised."""
        ...


class Holders(Generic[_Kind]):
    """The holders of one window, by weak references: one that is dropped counts as removed."""

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: tuple[weakref.ref[_Kind], ...] = ()  # replaced as a whole, for the thread that reads

    def __iter__(self) -> Iterator[_Kind]:
        return (found for found in [reference() for reference in self._references] if found is not None)

    def __contains__(self, holder: object) -> bool:
        return any(other is holder for other in self)

    def __bool__(self) -> bool:
        return any(reference() is not None for reference in self._references)

    def add(self, holder: _Kind) -> None:
        """Add a holder, if it is not there."""
        if holder not in self:
            self._references = (*map(weakref.ref, self), weakref.ref(holder))

    def remove(self, holder: _Kind) -> None:
        """Remove a holder, if it is there."""
        self._references = tuple(weakref.ref(other) for other in self if other is not holder)


class _Entry:
    """A window whose events are selected."""

    __slots__ = ("chosen", "gone", "holders", "others", "ours", "sent")

    def __init__(self) -> None:
        self.gone = False
        self.ours = 0  # all that was selected for holders; stored before the request, so that none counts as others'
        self.sent = 0  # the same, stored after it, so that none is left out
        self.others = 0  # what others on this connection have selected
        self.chosen: int | None = None  # what they have selected since the mask was last queried
        self.holders: Holders[Holder] = Holders()


class EventMasks:
    """All event masks of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._entries: dict[int, _Entry] = {}
        self._deselected: dict[int, tuple[Request, int]] = {}  # requests until they are processed, and the masks' bits
        self._routes: tuple[EventRoute, ...] = ()

    def select(self, holder: Holder, windows: Sequence[int]) -> None:
        """Call `holder.notify`, from now on, with each event of its mask on these windows. Windows may not exist.

        One round trip, where a window is new. An event from before the call's return may come, too.
        """
        if not self._routes:
            self._connection.on_selection = weakly(self._join)
            self._routes = tuple(EventRoute(code, self._notify, most=1) for code in _CODES)
            for route in self._routes:
                self._connection.wire.add_route(route)
        self.collect_dropped()
        lacking = []
        for window in windows:
            entry = self._entries.get(window)
            if entry is None or entry.gone:
                entry = self._entries[window] = _Entry()  # first: rule 2
            if holder not in entry.holders:
                entry.holders.add(holder)
            if holder.mask & ~entry.sent:
                lacking.append((window, entry))
        cookies = [self._query(window, entry) for window, entry in lacking]
        for (window, entry), cookie in zip(lacking, cookies, strict=True):
            attributes = cookie.reply_or_none()
            if attributes is not None:
                entry.others = _others(entry, attributes)
                entry.ours |= holder.mask
                self._connection.wire.send(_select_events(window, entry.others | entry.ours))
                entry.sent = entry.ours
            else:
                entry.gone = True

    def release(self, holder: Holder, windows: Sequence[int]) -> None:
        """End the selection of a holder; deselect the events of windows that have no other."""
        for window in windows:
            entry = self._entries.get(window)
            if entry is not None:  # None: the entry is that of a former window of this id, and was removed
                entry.holders.remove(holder)
        self.collect_dropped()

    def is_gone(self, window: int) -> bool:
        """Return whether a window with a holder was destroyed, as far as events have reported it."""
        entry = self._entries.get(window)
        return entry is None or entry.gone

    def collect_dropped(self) -> None:
        """Deselect the events of windows whose holders were released or dropped, or interrupted while selecting."""
        unwanted = [(window, entry) for window, entry in self._entries.items() if not entry.holders]
        cookies = [None if entry.gone or not entry.ours else self._query(window, entry) for window, entry in unwanted]
        for (window, entry), cookie in zip(unwanted, cookies, strict=True):
            attributes = None if cookie is None else cookie.reply_or_none()
            if attributes is not None:
                others = _others(entry, attributes)
                last = _select_events(window, others)
                self._deselected[window] = last, entry.ours & ~others
                self._connection.wire.send(last)
            self._entries.pop(window, None)  # last: rule 2
        for window in [window for window, (last, _) in self._deselected.items() if last.done]:
            del self._deselected[window]

    def _query(self, window: int, entry: _Entry) -> Cookie:
        entry.chosen = None  # before the request: what others select from now on is stored there
        return Cookie(self._connection, core.GetWindowAttributes, window=window)

    def _join(self, data: bytes) -> bytes:
        """Return a ChangeWindowAttributes of another user of this connection, with the holders' events in its mask."""
        window, values = _ATTRIBUTES.unpack_from(data)
        entry = self._entries.get(window)
        if not values & _EVENT_MASK or entry is None or entry.gone:
            return data
        at = _ATTRIBUTES.size + 4 * (values & (_EVENT_MASK - 1)).bit_count()
        chosen = int.from_bytes(data[at : at + 4], sys.byteorder)
        entry.chosen = entry.others = chosen
        return data[:at] + (chosen | entry.ours).to_bytes(4, sys.byteorder) + data[at + 4 :]

    def _notify(self, message: bytes) -> bool:
        """Give an event to its holders; return whether to hide it from other users of the connection."""
        on, about = WINDOWS.unpack_from(message)
        code = message[0]
        if code == X.DestroyNotify and (destroyed := self._entries.get(about)) is not None:
            destroyed.gone = True  # be it the parent's event
        bit = _selected_by(code & ~SENT_EVENT, is_own=on == about)
        entry = self._entries.get(on)
        if entry is None:
            last = self._deselected.get(on)
            return last is not None and bool(last[1] & bit) and precedes(message, last[0])
        for holder in entry.holders:
            if holder.mask & bit:
                holder.notify(message)
        return bool(entry.ours & ~entry.others & bit)


def _select_events(window: int, mask: int) -> Request:
    """Return the request that selects these events of a window, in place of those that were selected before."""
    return pack_request(core.ChangeWindowAttributes, window=window, attrs={"event_mask": mask})


def _others(entry: _Entry, attributes: Any) -> int:
    """Return the mask that other users of this connection have selected.

    That is what the server has, without what is the holders' alone; or what others have selected since it was queried.
    """
    mask = int(attributes.your_event_mask) & ~(entry.ours & ~entry.others)
    return mask if entry.chosen is None else entry.chosen


def _selected_by(code: int, *, is_own: bool) -> int:
    """Return the bit of the mask that an event was selected by; `is_own`: it is about the window it was selected on."""
    if code == X.PropertyNotify:
        return X.PropertyChangeMask
    # CreateNotify is sent to those who have selected events of the parent.
    return X.StructureNotifyMask if is_own and code != X.CreateNotify else X.SubstructureNotifyMask
