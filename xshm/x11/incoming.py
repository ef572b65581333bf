"""The way in: bytes cut into replies, errors and events, and each put where it belongs. No socket here.

Bytes arrive in `chunks`; `hand_out`, called under the Wire's lock, makes messages of them. State is committed by
stores, `+=` and `del` with no call in between, so that a message that was being given when a signal handler raised is
given again, and one that was given is not (see `wire.py`, "How it keeps step").
"""

from __future__ import annotations

import array
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from xshm.descriptor import Descriptor

if TYPE_CHECKING:
    from xshm.x11.messages import Pending, Route

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


class Incoming:
    """Messages for the requests in `ledger`, for `routes`, and for whoever takes from `events`."""

    def __init__(self, ledger: deque[Pending]) -> None:
        self.chunks: list[Received] = []  # as received, until they are joined into the buffer
        self.parsed = True  # nothing but a part of a message is left
        self.over = False  # the server has ended the stream
        self.expected = _READ_LEAST  # how many bytes to ask the kernel for
        self.seen = 0  # the serial of the last request that the server was heard of on
        self.events: deque[bytes] = deque()
        self.routes: dict[int, tuple[Route, ...]] = {}
        self.late: deque[tuple[Pending | None, bytes] | None] = deque()  # errors that nobody waits for
        self._ledger = ledger
        self._buffer = b""  # parsed up to `_at`
        self._at = 0
        self._descriptors: tuple[int, ...] = ()  # received, and not yet given to a reply

    def hand_out(self) -> None:  # noqa: C901 - one decision after another
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
            if have >= _HEADER:
                kind = buffer[at]
                if kind == REPLY or kind & 0x7F == GENERIC_EVENT:
                    need += 4 * _LENGTH.unpack_from(buffer, at + 4)[0]
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
            # The protocol has 16 bits of the serial; the Wire sees to it that no more are under way.
            serial = self.seen + ((_SEQUENCE.unpack_from(message, 2)[0] - self.seen) & 0xFFFF)
            while ledger and ledger[0].serial < serial:
                del ledger[0]
            self.seen = serial
            pending = ledger[0] if ledger and ledger[0].serial == serial else None
            if kind == REPLY:
                self._give_reply(pending, message, end)
            elif kind == ERROR:
                self._give_error(pending, message, end)
            else:
                self._give_event(kind, message, end)

    def hand_out_one(self) -> bool:  # noqa: PLR0911 - what it is not for
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
        while ledger and ledger[0].serial < serial:
            del ledger[0]
        if kind != REPLY:
            general = self.events
            routed, take = self._way_of(kind, message)
            if routed is not None:
                routed += (message,)
            if not take:
                general += (message,)
            del chunks[0]
            self.seen = serial
            self.parsed = True
            return True
        if not ledger or ledger[0].serial != serial or message[4:8] != _NO_LENGTH:
            return False
        pending = ledger[0]
        if pending.received is not None or pending.replies is not None:
            return False
        del chunks[0]
        self.seen = serial
        pending.reply = message
        pending.keep = None
        pending.done = True
        self.parsed = True
        return True

    def drop_descriptors(self) -> None:
        """Close those that were received and given to nobody."""
        left = [*self._descriptors, *_descriptors_in(self.chunks)]
        self._descriptors = ()
        self.chunks = []
        list(map(Descriptor, left))

    def _join(self, missing: int) -> bool:
        """Put the chunks into the buffer if they hold what is missing."""
        chunks = self.chunks
        parts = [chunk if isinstance(chunk, bytes) else chunk[0] for chunk in chunks]
        if parts and not parts[-1]:
            self.over = True
            return False
        arrived = sum(map(len, parts))
        if arrived < missing:
            self.expected = min(max(missing - arrived, _READ_LEAST), _READ_MOST)
            return False
        buffer = b"".join([self._buffer[self._at :], *parts])
        descriptors = self._descriptors + tuple(_descriptors_in(chunks))
        self._buffer = buffer
        self._at = 0
        self._descriptors = descriptors
        self.expected = _READ_LEAST
        del chunks[:]
        return True

    def _give_reply(self, pending: Pending | None, message: bytes, end: int) -> None:
        if pending is None:
            self._at = end
            return
        if pending.received is not None:
            count = message[1]
            if not pending.received:  # else a signal handler raised just after this was done
                pending.received.extend(map(Descriptor, self._descriptors[:count]))
            self._descriptors = self._descriptors[count:]
        if pending.replies is not None:
            pending.replies += (message,)
        else:
            pending.reply = message
        self._at = end
        pending.keep = None
        pending.done = True

    def _give_error(self, pending: Pending | None, message: bytes, end: int) -> None:
        late = self.late
        if pending is None:
            late += ((None, message),)
        else:
            pending.error = message
            pending.keep = None
            if pending.on_error is not None:
                late += ((pending, message),)
            pending.done = True
        self._at = end

    def _give_event(self, kind: int, message: bytes, end: int) -> None:
        general = self.events
        routed, take = self._way_of(kind, message)
        if routed is not None:
            routed += (message,)
        if not take:
            general += (message,)
        self._at = end

    def _way_of(self, kind: int, message: bytes) -> tuple[deque[bytes] | None, bool]:
        """Return the queue of the route that wants an event, and whether it is for that alone."""
        for route in self.routes.get(kind & 0x7F, ()):
            if route.wants(message):
                return route.queue, route.take
        return None, False


def _descriptors_in(chunks: list[Received]) -> list[int]:
    found = array.array("i")
    for chunk in chunks:
        for level, kind, data in () if isinstance(chunk, bytes) else chunk[1]:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()
