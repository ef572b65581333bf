"""DAMAGE 1.1: hearing that something was drawn on a drawable. It reports drawing, not difference."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

from Xlib.ext import damage

from xshm.x11.protocol.requests import EventRoute, precedes

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.protocol.requests import Request

NAME: Final = "DAMAGE"
_NOTIFY: Final = 0
_WHICH = struct.Struct("=8xI")
_SUBTRACT = struct.Struct("=BBHIII")
_NONE: Final = 0


class Damage:
    """Word of drawing on `drawable`, the windows inside it included.

    `route.queue` holds a message once something was drawn, and no more follow until it is subtracted. To begin with,
    all of a window counts as drawn.
    """

    def __init__(self, connection: Connection, extension: Extension, drawable: int) -> None:
        self._connection = connection
        self._opcode = extension.major
        self._id = connection.holdings.id(damage.DamageDestroy, "damage", opcode=self._opcode)
        number = int(self._id)  # the route is held by the connection, and shall not hold what the server keeps for us
        self._since: Request | None = None
        self.route = EventRoute(
            extension.first_event + _NOTIFY, lambda message: _WHICH.unpack_from(message)[0] == number, most=1
        )
        self._id.release.routes = (self.route,)
        connection.wire.add_route(self.route)
        # Until it has been told a version the server answers BadRequest.
        connection.send(damage.QueryVersion, opcode=self._opcode, major_version=1, minor_version=1)
        connection.send(
            damage.DamageCreate,
            opcode=self._opcode,
            damage=self._id,
            drawable=drawable,
            level=damage.DamageReportNonEmpty,
        )

    def wait(self, timeout: float) -> bool:
        """Wait until something is drawn, and rearm; False when `timeout` seconds have passed."""
        deadline = time.monotonic() + timeout
        while True:
            message = self._connection.wire.next_event(self.route.queue, max(0.0, deadline - time.monotonic()))
            if message is None:
                return False
            if not self._is_forgotten(message):
                self._subtract()
                return True
            if time.monotonic() >= deadline:
                return False  # what is forgotten comes again and again

    def forget(self) -> None:
        """Let `wait` tell only of what is drawn from now on."""
        self._since = self._subtract()

    def _subtract(self) -> Request:
        return self._connection.send(
            damage.DamageSubtract, opcode=self._opcode, damage=self._id, repair=_NONE, parts=_NONE
        )

    def _is_forgotten(self, message: bytes) -> bool:
        """Tell whether the server sent this before it came to the request of `forget`."""
        return self._since is not None and precedes(message, self._since)

    def pack_subtract(self, parts: int) -> bytes:
        """Encode Subtract, whole: empty the record, and make the region `parts` what was in it."""
        return _SUBTRACT.pack(self._opcode, 3, 4, self._id, _NONE, parts)

    def close(self) -> None:
        """Stop listening, as when this goes."""
        self._connection.holdings.free(self._id)
