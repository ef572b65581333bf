"""Received bytes, cut into messages: a reply or an error goes to its request, an event to a queue. No socket here.

Only `shared_socket` calls this: the thread that is the reader appends the bytes it has received to `chunks`, without a
lock; then `dispatch_short` or `dispatch`, under the Wire's lock, makes messages of them.

Invariants:
1. A message is committed by stores (signal-safe: 2), and only then counted as read, by `_at` or the removal of its
   chunk. A message whose dispatch a signal handler cut short is dispatched again, one that was committed is not.
2. `seen` is the serial, the full number, of the last request that a message was about. A message has 16 bits of its
   request's serial; the Wire keeps the number of unanswered requests below that.
3. The ledger begins with the request `seen`, or later. The server replies in order: requests before that are done, and
   one among them that should have a reply and has none was passed over.
4. The server is not trusted. A number that no request has, a reply longer than its request allows (`Request.most`) or
   an event longer than any is `wrong`: no byte after it is read, and no memory is taken for it. Events and errors that
   wait to be taken are bounded in number and size; of events the oldest are dropped.
5. An event that completes its request (`CompletedByEvent`) is given to it by the number, as a reply is, and is in no
   queue. One that another client has sent (SendEvent) completes nothing.
"""

from __future__ import annotations

import array
import socket
import struct
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import Descriptor
from xshm.x11.protocol.requests import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.io.deferred import Deferred
    from xshm.x11.protocol.requests import EventRoute, Ledger, Request

    Received = bytes | tuple[bytes, list[tuple[int, int, bytes]], int, object]  # what recv and recvmsg return

ERROR: Final = 0
REPLY: Final = 1
KEYMAP_NOTIFY: Final = 11  # the one event without a sequence number
GENERIC_EVENT: Final = 35  # the one event that is longer than 32 bytes
# `& 0x7F` leaves the code of an event: the bit above says that another client has sent it.
_UNLIKE_OTHERS: Final = (KEYMAP_NOTIFY, GENERIC_EVENT)
_SEQUENCE = struct.Struct("=H")
_LENGTH = struct.Struct("=I")
_unpack_start = struct.Struct("=BxHI").unpack_from  # of a message: its code, sequence number and, in a reply, length
_READ_LEAST, _READ_MOST = 4096, 1 << 20  # bytes for one read
_MOST_EVENTS: Final = 1 << 17  # in a queue; and replies to one request, of the requests that have several
_LONGEST_EVENT: Final = 1 << 20  # bytes; XInput's longest, which describe a device, have a few thousand
_MOST_BYTES: Final = 64 << 20  # of the messages that wait in one queue, where one more long one comes
_SHORT: Final = _MOST_BYTES // _MOST_EVENTS  # bytes; messages of no more are bounded by their number
_MOST_DESCRIPTORS: Final = 64  # that were received, and belong to no reply so far


class PacketReader:
    """Dispatches replies and errors to the requests in `ledger`, events to the queues of `routes` or to `events`."""

    def __init__(self, ledger: Ledger) -> None:
        self.chunks: list[Received] = []  # as received, until they are joined to the buffer
        self.parsed = True  # all whole messages were dispatched
        self.over = False  # the server has ended the stream
        self.wrong = ""  # why the received bytes are invalid, for ServerNonsense
        self.expected = _READ_LEAST  # bytes to ask the kernel for
        self.seen = 0
        self.events: deque[bytes] = deque(maxlen=_MOST_EVENTS)
        # Events so far, but for completions. Each is counted once it is in its queue: what is not counted comes later.
        self.arrivals = 0
        self.keeps_events = True  # whether events that no route takes are put into `events`, or dropped
        self.routes: dict[int, tuple[EventRoute, ...]] = {}  # by event code
        self.deferred: deque[Deferred | None] = deque()
        self.error_handler: Callable[[bytes], None] = lambda _message: None  # of errors that are about no request
        self._ledger = ledger
        self._buffer = b""
        self._at = 0  # the index in the buffer of the first byte that was not dispatched
        self._descriptors: tuple[int, ...] = ()  # received, and not yet given to a reply

    def dispatch(self) -> None:
        """Dispatch every whole message that was received."""
        while not self.wrong and self._dispatch_next():
            pass
        self.parsed = True

    def _dispatch_next(self) -> bool:
        """Take the next step: dispatch one message, or join chunks for it; False where neither can be done."""
        buffer, at = self._buffer, self._at
        have = len(buffer) - at
        if not have:
            self._buffer = b""  # or this reference would keep a large reply alive after its request
            self._at = 0
        if have < HEADER:
            return self._join(HEADER - have)
        kind, serial, need = self._read_header(buffer, at)
        if self.wrong:
            return False
        if have < need:
            return self._join(need - have)
        end = at + need
        message = buffer if have == need and not at else buffer[at:end]
        if kind & 0x7F == KEYMAP_NOTIFY:
            self._give_event(None, kind, message, end)
            return True
        request = self._request_of(serial)
        self.seen = serial
        if kind == REPLY:
            self._give_reply(request, message, end)
        elif kind == ERROR:
            self._give_error(request, message, end)
        else:
            self._give_event(request, kind, message, end)
        return True

    def dispatch_short(self) -> bool:  # noqa: PLR0911 - each case that `dispatch` has to do
        """Fast path: dispatch a chunk that is one whole 32-byte reply or event; return False where it is not.

        The same rules as `dispatch`, without the buffer: most reads are such a chunk, and take a third of the time.
        """
        chunks, ledger = self.chunks, self._ledger
        if len(chunks) != 1 or self._buffer:
            return False
        message: Any = chunks[0]
        if len(message) != HEADER:  # where descriptors may come it is a tuple, of four
            return False
        kind, number, length = _unpack_start(message)
        if kind != REPLY and (kind == ERROR or kind & 0x7F in _UNLIKE_OTHERS):
            return False
        serial = ledger.sent
        request: Request | None
        if number == serial & 0xFFFF and len(ledger) == 2 and ledger[1].serial == serial:  # noqa: PLR2004 - see below
            # Mostly one request waits, behind the one that the last message was about; so it takes 0.4 us less.
            former, request = ledger
            former.done = True
            del ledger[0]
        else:
            serial = self.seen + ((number - self.seen) & 0xFFFF)
            if serial > ledger.sent:
                return False
            request = self._request_of(serial)
        if kind != REPLY:
            self._give_short_event(request, kind, message, serial)
            return True
        if request is None or length or request.received is not None or request.replies is not None:
            return False
        del chunks[0]  # signal-safe (2), as far as the return
        self.seen = serial
        request.reply = message
        request.keepalive = None
        request.done = True
        self.parsed = True
        return True

    def _give_short_event(self, request: Request | None, kind: int, message: bytes, serial: int) -> None:
        chunks = self.chunks
        if request is not None and kind in request.completed_by:
            del chunks[0]  # signal-safe (2), as far as the return
            self.seen = serial
            request.keepalive = None
            request.done = True
            self.parsed = True
            return
        general = self.events
        routed, take = self._route_of(kind, message)
        if routed is not None:  # signal-safe (2), as far as the return
            routed += (message,)
        if self.keeps_events and not take:
            general += (message,)
        del chunks[0]
        self.seen = serial
        self.arrivals += 1
        self.parsed = True

    def _request_of(self, serial: int) -> Request | None:
        """Return the request of that serial, if it is in the ledger still; those before it are done, and leave it."""
        ledger = self._ledger
        while ledger:
            request = ledger[0]
            if request.serial >= serial:
                return request if request.serial == serial else None
            request.done = True
            del ledger[0]
        return None

    def drop_descriptors(self) -> None:
        """Close the descriptors that were received and belong to no reply so far."""
        left = [*self._descriptors, *_descriptors_in(self.chunks)]
        self._descriptors = ()
        self.chunks = []
        list(map(Descriptor, left))  # a Descriptor closes its number when it is dropped, here at once

    def _read_header(self, buffer: bytes, at: int) -> tuple[int, int, int]:
        """Return a message's code, its request's serial and its length in bytes; set `wrong` where those are invalid.

        KeymapNotify has no sequence number: its serial is that of the message before.
        """
        kind, serial, need = buffer[at], self.seen, HEADER
        if kind & 0x7F != KEYMAP_NOTIFY:
            serial += (_SEQUENCE.unpack_from(buffer, at + 2)[0] - serial) & 0xFFFF
        if kind == REPLY or kind & 0x7F == GENERIC_EVENT:
            need += 4 * _LENGTH.unpack_from(buffer, at + 4)[0]
        if serial > self._ledger.sent or need > HEADER:
            self._check(kind, serial, need)
        return kind, serial, need

    def _check(self, kind: int, serial: int, need: int) -> None:
        """Set `wrong` where there can be no message of `need` bytes about the request `serial`."""
        ledger = self._ledger
        what = "a reply" if kind == REPLY else "an error" if kind == ERROR else f"an event ({kind & 0x7F})"
        if serial > ledger.sent:
            self.wrong = (
                f"{what} with the number {serial & 0xFFFF}, which no request has: the last one sent is "
                f"{ledger.sent & 0xFFFF}, the last one answered {self.seen & 0xFFFF}"
            )
            return
        most = _LONGEST_EVENT
        if kind == REPLY:
            place = serial - ledger[0].serial if ledger else 0  # serials in the ledger have no gaps
            most = HEADER + (ledger[place].most if 0 <= place < len(ledger) else 0)
        if need > most:
            self.wrong = f"{what} of {need} bytes to request {serial & 0xFFFF}, where {most} are the most"

    def _join(self, missing: int) -> bool:
        """Join the chunks to the buffer if they hold the bytes that are missing; return whether they do."""
        chunks = self.chunks
        parts = [chunk if isinstance(chunk, bytes) else chunk[0] for chunk in chunks]
        if parts and not parts[-1]:
            self.over = True
            return False
        descriptors = self._descriptors
        if parts and not isinstance(chunks[-1], bytes):
            descriptors += tuple(_descriptors_in(chunks))
            if len(descriptors) > _MOST_DESCRIPTORS:
                self.wrong = f"{len(descriptors)} descriptors that belong to no reply"
                return False
        arrived = sum(map(len, parts))
        if arrived < missing:
            self.expected = min(max(missing - arrived, _READ_LEAST), _READ_MOST)
            return False
        buffer = b"".join([self._buffer[self._at :], *parts])
        self._buffer = buffer  # signal-safe (2)
        self._at = 0
        self._descriptors = descriptors
        self.expected = _READ_LEAST
        del chunks[:]
        return True

    def _give_reply(self, request: Request | None, message: bytes, end: int) -> None:
        """Store a reply in its request, with the descriptors it brings; `end` is where the next message begins."""
        if request is None:  # serial 0: sent before the first request
            self._at = end
            return
        replies = request.replies
        if replies is not None and (len(replies) >= _MOST_EVENTS or _is_full(replies, message)):
            self.wrong = f"{len(replies) + 1} replies to request {request.serial & 0xFFFF}, none of which was taken"
            return
        if request.received is not None:
            count = message[1]
            if not request.received:  # else a signal handler raised between this and the commit
                request.received.extend(map(Descriptor, self._descriptors[:count]))
            self._descriptors = self._descriptors[count:]
        if replies is not None:  # signal-safe (2)
            replies += (message,)
        else:
            request.reply = message
        self._at = end
        request.keepalive = None
        request.done = True

    def _give_error(self, request: Request | None, message: bytes, end: int) -> None:
        """Store an error in its request; defer the call of its handler, where there is one."""
        deferred = self.deferred
        handler = self.error_handler if request is None else request.on_error
        calls = (partial(handler, message),) if handler is not None and len(deferred) < _MOST_EVENTS else ()
        if request is not None:  # signal-safe (2)
            request.error = message
            request.keepalive = None
        deferred += calls
        if request is not None:
            request.done = True
        self._at = end

    def _give_event(self, request: Request | None, kind: int, message: bytes, end: int) -> None:
        """Complete the request that an event is about, where it is one that such an event completes, or queue it."""
        if request is not None and kind in request.completed_by:
            self._at = end
            request.keepalive = None
            request.done = True
            return
        # All that can fail or take time comes before the three stores, which commit the event.
        general = self.events
        routed, take = self._route_of(kind, message)
        keep = self.keeps_events and not take and not _is_full(general, message)
        if routed is not None:  # signal-safe (2)
            routed += (message,)
        if keep:
            general += (message,)
        self._at = end
        self.arrivals += 1

    def _route_of(self, kind: int, message: bytes) -> tuple[deque[bytes] | None, bool]:
        """Return the queue of the first route that wants an event, and whether the event is for that queue alone."""
        for route in self.routes.get(kind & 0x7F, ()):
            if route.wants(message):
                return route.queue, route.take
        return None, False


def _is_full(queue: deque[bytes], message: bytes) -> bool:
    """Return whether a queue has no room for one more long message; short ones are bounded by their number."""
    return len(message) > _SHORT and sum(map(len, queue)) > _MOST_BYTES


def _descriptors_in(chunks: list[Received]) -> list[int]:
    """Return the descriptors that came with chunks (SCM_RIGHTS)."""
    found = array.array("i")
    for chunk in chunks:
        for level, kind, data in () if isinstance(chunk, bytes) else chunk[1]:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found.frombytes(data[: len(data) - len(data) % found.itemsize])  # whole numbers: it may be cut
    return found.tolist()
