"""DAMAGE 1.1: events when a drawable is drawn on, which report drawing also where no pixel changed its value.

The caller negotiates the extension before (`Connection.negotiate`); without that the requests are BadRequest. What does
not work: the pointer's image, which the server paints without damage.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

from xshm.x11.protocol.requests import EventRoute, Request, precedes
from xshm.x11.protocol.xlib import X, damage

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension

NAME: Final = "DAMAGE"
_NOTIFY: Final = 0  # the event's offset from first_event
_WHICH = struct.Struct("=8xI")  # in an event: the damage object
_SUBTRACT_MINOR, _SUBTRACT_WORDS = 3, 4
_SUBTRACT = struct.Struct("=BBHIII")


class Damage:
    """A damage object for `drawable`, its subwindows included, with the report level NonEmpty.

    1. The server sends one event when the damage becomes non-empty, and no other until it is subtracted.
    2. From that event on `route.queue` is not empty; it holds one event at most.
    3. When the object is created, all of a window counts as damaged.
    """

    def __init__(self, connection: Connection, extension: Extension, drawable: int) -> None:
        self._connection = connection
        self._opcode = extension.major
        self._id = connection.resources.new_id(damage.DamageDestroy, "damage", opcode=self._opcode)
        # A plain int: by the route, the connection would keep `self._id` alive, and the damage object with it.
        number = int(self._id)
        self._since: Request | None = None
        self.route = EventRoute(
            extension.first_event + _NOTIFY, lambda message: _WHICH.unpack_from(message)[0] == number, most=1
        )
        self._id.release.routes = (self.route,)  # removed once the server has destroyed the object
        connection.wire.add_route(self.route)
        connection.send(
            damage.DamageCreate,
            opcode=self._opcode,
            damage=self._id,
            drawable=drawable,
            level=damage.DamageReportNonEmpty,
        )

    def wait(self, timeout: float) -> bool:
        """Wait until the damage is not empty, and subtract it; return False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            message = self._connection.wire.next_event(self.route.queue, max(0.0, deadline - time.monotonic()))
            if message is None:
                return False
            # Else the server sent it before it processed the request of `discard_pending`.
            if self._since is None or not precedes(message, self._since):
                self._subtract()
                return True
            if time.monotonic() >= deadline:
                return False  # a server may send discarded events without end

    def discard_pending(self) -> None:
        """Subtract the damage until now: `wait` ignores what is drawn before the server processes this request."""
        self._since = self._subtract()

    def _subtract(self) -> Request:
        return self._connection.wire.send(Request(self.pack_subtract(X.NONE)))

    def pack_subtract(self, parts: int) -> bytes:
        """Encode DamageSubtract of all damage, which the server stores in the region `parts`."""
        return _SUBTRACT.pack(self._opcode, _SUBTRACT_MINOR, _SUBTRACT_WORDS, self._id, X.NONE, parts)

    def close(self) -> None:
        """Destroy the damage object now, not with the last reference to this."""
        self._connection.resources.free(self._id)
