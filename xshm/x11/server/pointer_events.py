"""Word of the pointer: that it was moved (XInput 2.1, raw motion) or got another picture (XFIXES, CursorNotify).

Raw motion is what devices say, and XTEST's; a pointer that is put somewhere by XWarpPointer gives no event of its own.
Where the windows under it leave its motion to the root window, the root window's motion events tell of that too.
"""

from __future__ import annotations

import struct
import weakref
from threading import Lock
from typing import TYPE_CHECKING, Final

from xshm.x11.io.packet_reader import GENERIC_EVENT
from xshm.x11.protocol import xfixes
from xshm.x11.protocol.requests import EventRoute, Request

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.io.release_queue import ServerResource

NAME: Final = "XInputExtension"
_SELECT: Final = struct.Struct("=BBHIHxxHHIHHI")
_VERSION: Final = struct.Struct("=BBHHH")
_MOTION, _RAW_MOTION = 6, 17
_ALL_DEVICES, _ALL_MASTERS = 0, 1
_WHICH = struct.Struct("=xB6xH")  # in a GenericEvent: the extension's opcode, the event's type


class Selection:
    """What is selected on the server for those who want to hear of the pointer, as long as one of them has this."""

    __slots__ = ("__weakref__", "held")

    def __init__(self, *held: ServerResource) -> None:
        self.held = held


class PointerEvents:
    """Counts, in `seen`, what the server tells of the pointer, for as long as somebody has what `start` returned.

    `events` tells whether motion is told at all: not without XInput.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._fixes = xfixes.start(connection, "the pointer")
        self._input = connection.extension(NAME)
        self.events = self._input is not None
        self.seen = 0
        self._lock = Lock()
        self._newest = [0]  # the number of the last selection, which takes the place of those before
        self._selection: weakref.ref[Selection] | None = None
        if self._input is not None:
            connection.wire.send(Request(_VERSION.pack(self._input.major, 47, 2, 2, 1)))

    def start(self) -> Selection:
        """Have the server tell, if nobody has asked for it yet; it does until what is returned goes."""
        with self._lock:
            selection = self._selection() if self._selection is not None else None
            if selection is None:
                selection = self._select()
                self._selection = weakref.ref(selection)
            return selection

    def _select(self) -> Selection:
        connection, root, newest = self._connection, self._connection.setup.root.id, self._newest
        newest[0] = number = newest[0] + 1

        def is_replaced() -> bool:
            return newest[0] != number

        where = {"opcode": self._fixes.major, "window": root}
        shape = connection.holdings.undo(xfixes.SelectCursorInput, lapsed=is_replaced, **where, mask=0)
        shape.release.routes = (EventRoute(self._fixes.first_event + xfixes.CURSOR_NOTIFY, self._hear, most=1),)
        selection = Selection(shape)
        connection.wire.add_route(*shape.release.routes)
        connection.send(xfixes.SelectCursorInput, **where, mask=xfixes.DISPLAY_CURSOR_NOTIFY_MASK)
        if self._input is not None:
            off = Request(_select_motion(self._input, root, on=False))
            motion = connection.holdings.undo_by(off, is_replaced)
            motion.release.routes = (EventRoute(GENERIC_EVENT, self._hear_motion, most=1),)
            selection.held = (shape, motion)
            connection.wire.add_route(*motion.release.routes)
            connection.wire.send(Request(_select_motion(self._input, root, on=True)))
        return selection

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
