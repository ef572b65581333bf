"""Word of the pointer: that it was moved (XInput 2.1, raw motion) or got another picture (XFIXES, CursorNotify).

Raw motion is what devices say, and XTEST's; a pointer that is put somewhere by XWarpPointer gives no event of its own.
Where the windows under it leave its motion to the root window, the root window's motion events tell of that too.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from xshm.x11 import xfixes
from xshm.x11.incoming import GENERIC_EVENT
from xshm.x11.wire import Pending, Route

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension

NAME: Final = "XInputExtension"
_SELECT: Final = struct.Struct("=BBHIHxxHHIHHI")
_VERSION: Final = struct.Struct("=BBHHH")
_MOTION, _RAW_MOTION = 6, 17
_ALL_DEVICES, _ALL_MASTERS = 0, 1
_WHICH = struct.Struct("=xB6xH")  # in a GenericEvent: the extension's opcode, the event's type


class Pointing:
    """Counts, in `seen`, what the server tells of the pointer, from the first `start` to the last `stop`.

    `events` tells whether motion is told at all: not without XInput.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._fixes = xfixes.start(connection, "the pointer")
        self._input = connection.extension(NAME)
        self.events = self._input is not None
        self.seen = 0
        self._users = 0
        self._routes = [Route(self._fixes.first_event + xfixes.CURSOR_NOTIFY, self._hear, most=1)]
        if self._input is not None:
            self._routes.append(Route(GENERIC_EVENT, self._hear_motion, most=1))
            connection.wire.send(Pending(_VERSION.pack(self._input.major, 47, 2, 2, 1)))

    def start(self) -> None:
        """Have the server tell, if nobody has asked for it yet."""
        self._users += 1
        if self._users == 1:
            for route in self._routes:
                self._connection.wire.add_route(route)
            self._select(on=True)

    def stop(self) -> None:
        """Undo one `start`."""
        self._users -= 1
        if not self._users:
            last = self._select(on=False)
            for route in self._routes:
                self._connection.wire.remove_route(route, last)

    def _select(self, *, on: bool) -> Pending:
        """Have it told, or not; return the last request for that."""
        root = self._connection.setup.root.id
        mask = xfixes.DISPLAY_CURSOR_NOTIFY_MASK if on else 0
        last = self._connection.send(xfixes.SelectCursorInput, opcode=self._fixes.major, window=root, mask=mask)
        if self._input is not None:
            last = self._connection.wire.send(Pending(_select_motion(self._input, root, on=on)))
        return last

    def _hear(self, _message: bytes) -> bool:
        """Count; called by the reader."""
        self.seen += 1
        return True

    def _hear_motion(self, message: bytes) -> bool:
        opcode, kind = _WHICH.unpack_from(message)
        if self._input is None or opcode != self._input.major or kind not in (_MOTION, _RAW_MOTION):
            return False
        self.seen += 1
        return True


def _select_motion(extension: Extension, root: int, *, on: bool) -> bytes:
    """Encode XISelectEvents: raw motion of all devices, and the pointers' motion in the root window."""
    raw, motion = (1 << _RAW_MOTION, 1 << _MOTION) if on else (0, 0)
    return _SELECT.pack(extension.major, 46, 7, root, 2, _ALL_DEVICES, 1, raw, _ALL_MASTERS, 1, motion)
