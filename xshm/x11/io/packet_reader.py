"""The way in: bytes cut into replies, errors and events, and each put where it belongs. No socket here.

Bytes arrive in `chunks`; `hand_out`, called under the Wire's lock, makes messages of them. State is committed by
stores, `+=` and `del` with no call in between, so that a message that was being given when a signal handler raised is
given again, and one that was given is not (see `wire.py`, "How it keeps step").

The server is not trusted. A number that no request has, a reply longer than its request allows (`Request.most`) or an
event longer than any is `wrong`: nothing after it is read, and no memory is taken for it. A request that was passed
over is done, and has neither reply nor error. Events that nobody takes are kept up to a number, the oldest go first.
"""

from __future__ import annotations

import array
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Descriptor

if TYPE_CHECKING:
    from xshm.x11.io.late_errors import Late
    from xshm.x11.protocol.requests import EventRoute, Ledger, Request

    Received = bytes | tuple[bytes, list[tuple[int, int, bytes]], int, object]  # what recv and recvmsg return

ERROR: Final = 0
REPLY: Final = 1
KEYMAP_NOTIFY: Final = 11  # the one event without a sequence number
GENERIC_EVENT: Final = 35
_UNLIKE_OTHERS: Final = (KEYMAP_NOTIFY, GENERIC_EVENT)
_HEADER: Final = 32
_SEQUENCE = struct.Struct("=H")
_LENGTH = struct.Struct("=I")
_READ_LEAST, _READ_MOST = 4096, 1 << 20
_NO_LENGTH = bytes(4)  # no words follow the 32 bytes that every reply has
_MOST_EVENTS: Final = 1 << 17  # that wait to be taken; as many replies to one request, of those that have several
_LONGEST_EVENT: Final = 1 << 20  # bytes; XInput's longest, which describe a device, are of a few thousand
_MOST_BYTES: Final = 64 << 20  # that wait where one more long message comes
_SHORT: Final = _MOST_BYTES // _MOST_EVENTS  # bytes of a message of which that many may wait
_MOST_DESCRIPTORS: Final = 64  # that came, and belong to no reply so far


class PacketReader:
    """Messages for the requests in `ledger`, for `routes`, and for whoever takes from `events`."""

    def __init__(self, ledger: Ledger) -> None:
        self.chunks: list[Received] = []  # as received, until they are joined into the buffer
        self.parsed = True  # nothing but a part of a message is left
        self.over = False  # the server has ended the stream
        self.wrong = ""  # what the server has said that makes no sense
        self.expected = _READ_LEAST  # how many bytes to ask the kernel for
        self.seen = 0  # the serial of the last request that the server was heard of on
        self.events: deque[bytes] = deque(maxlen=_MOST_EVENTS)
        self.kept = True  # whether somebody may take from `events`; else nothing is put there
        self.routes: dict[int, tuple[EventRoute, ...]] = {}
        self.deferred: deque[Late | None] = deque()  # errors that nobody waits for, and what has lost its owner
        self._ledger = ledger
        self._buffer = b""  # parsed up to `_at`
        self._at = 0
        self._descriptors: tuple[int, ...] = ()  # received, and not yet given to a reply

    def dispatch(self) -> None:  # noqa: C901, PLR0912 - one decision after another
        """Hand out every whole message that is there."""
        ledger = self._ledger
        while True:
            buffer, at = self._buffer, self._at
            have = len(buffer) - at
            if not have:
                self._buffer = b""  # a large message is its receiver's from now on
                self._at = 0
            need = _HEADER
            kind = -1
            serial = self.seen
            if have >= _HEADER:
                kind = buffer[at]
                if kind & 0x7F != KEYMAP_NOTIFY:
                    # The protocol has 16 bits of the serial; the Wire sees to it that no more are under way.
                    serial += (_SEQUENCE.unpack_from(buffer, at + 2)[0] - serial) & 0xFFFF
                if kind == REPLY or kind & 0x7F == GENERIC_EVENT:
                    need += 4 * _LENGTH.unpack_from(buffer, at + 4)[0]
                if serial > ledger.sent or need > _HEADER:
                    self._check(kind, serial, need)
            if self.wrong:
                self.parsed = True
                return
            if have < need:
                if self._join(need - have):
                    continue
                self.parsed = True
                return
            end = at + need
            message = buffer if have == need and not at else buffer[at:end]
            if kind & 0x7F == KEYMAP_NOTIFY:
                self._give_event(kind, message, end)
                continue
            while ledger and ledger[0].serial < serial:
                ledger[0].done = True  # as far as it ever will be
                del ledger[0]
            self.seen = serial
            pending = ledger[0] if ledger and ledger[0].serial == serial else None
            if kind == REPLY:
                self._give_reply(pending, message, end)
            elif kind == ERROR:
                self._give_error(pending, message, end)
            else:
                self._give_event(kind, message, end)

    def dispatch_short_reply(self) -> bool:  # noqa: C901, PLR0911 - what it is not for
        """Hand out what has mostly arrived, one short reply or event and nothing else; False where that is not so."""
        chunks, ledger = self.chunks, self._ledger
        if len(chunks) != 1 or self._at != len(self._buffer):
            return False
        message = chunks[0]
        if type(message) is not bytes or len(message) != _HEADER:
            return False
        kind = message[0]
        if kind == ERROR or kind & 0x7F in _UNLIKE_OTHERS:
            return False
        serial = self.seen + ((_SEQUENCE.unpack_from(message, 2)[0] - self.seen) & 0xFFFF)
        if serial > ledger.sent:
            return False
        first = None
        while ledger:
            first = ledger[0]
            if first.serial >= serial:
                break
            first.done = True  # as far as it ever will be
            del ledger[0]
        if kind != REPLY:
            general = self.events
            routed, take = self._way_of(kind, message)
            if routed is not None:
                routed += (message,)
            if self.kept and not take:
                general += (message,)
            del chunks[0]
            self.seen = serial
            self.parsed = True
            return True
        if first is None or first.serial != serial or message[4:8] != _NO_LENGTH:
            return False
        pending = first
        if pending.received is not None or pending.replies is not None:
            return False
        del chunks[0]
        self.seen = serial
        pending.reply = message
        pending.keepalive = None
        pending.done = True
        self.parsed = True
        return True

    def drop_descriptors(self) -> None:
        """Close those that were received and given to nobody."""
        left = [*self._descriptors, *_descriptors_in(self.chunks)]
        self._descriptors = ()
        self.chunks = []
        list(map(Descriptor, left))

    def _check(self, kind: int, serial: int, need: int) -> None:
        """See whether there can be a message of `need` bytes about the request `serial`."""
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
            place = serial - ledger[0].serial if ledger else 0
            most = _HEADER + (ledger[place].most if 0 <= place < len(ledger) else 0)
        if need > most:
            self.wrong = f"{what} of {need} bytes to request {serial & 0xFFFF}, where {most} are the most"

    def _join(self, missing: int) -> bool:
        """Put the chunks into the buffer if they hold what is missing."""
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
        self._buffer = buffer
        self._at = 0
        self._descriptors = descriptors
        self.expected = _READ_LEAST
        del chunks[:]
        return True

    def _give_reply(self, pending: Request | None, message: bytes, end: int) -> None:
        if pending is None:
            self._at = end
            return
        replies = pending.replies
        if replies is not None and (len(replies) >= _MOST_EVENTS or _is_too_much(replies, message)):
            self.wrong = f"{len(replies) + 1} replies to request {pending.serial & 0xFFFF}, none of which was taken"
            return
        if pending.received is not None:
            count = message[1]
            if not pending.received:  # else a signal handler raised just after this was done
                pending.received.extend(map(Descriptor, self._descriptors[:count]))
            self._descriptors = self._descriptors[count:]
        if replies is not None:
            replies += (message,)
        else:
            pending.reply = message
        self._at = end
        pending.keepalive = None
        pending.done = True

    def _give_error(self, pending: Request | None, message: bytes, end: int) -> None:
        late = self.deferred
        if pending is None:
            if len(late) < _MOST_EVENTS:
                late += ((None, message),)
        else:
            pending.error = message
            pending.keepalive = None
            if pending.on_error is not None and len(late) < _MOST_EVENTS:
                late += ((pending, message),)
            pending.done = True
        self._at = end

    def _give_event(self, kind: int, message: bytes, end: int) -> None:
        general = self.events
        routed, take = self._way_of(kind, message)
        if routed is not None:
            routed += (message,)
        if self.kept and not take and not _is_too_much(general, message):
            general += (message,)
        self._at = end

    def _way_of(self, kind: int, message: bytes) -> tuple[deque[bytes] | None, bool]:
        """Return the queue of the route that wants an event, and whether it is for that alone."""
        for route in self.routes.get(kind & 0x7F, ()):
            if route.wants(message):
                return route.queue, route.take
        return None, False


def _is_too_much(waiting: deque[bytes], message: bytes) -> bool:
    """Tell whether there is no room for one more long message; short ones, which may be many, are only counted."""
    return len(message) > _SHORT and sum(map(len, waiting)) > _MOST_BYTES


def _descriptors_in(chunks: list[Received]) -> list[int]:
    found = array.array("i")
    for chunk in chunks:
        for level, kind, data in () if isinstance(chunk, bytes) else chunk[1]:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()
