"""A count of pointer events: motion (XInput 2.1, raw motion) and changes of its image (XFIXES, CursorNotify).

Locking rules: `subscribe` takes a lock, so that only one of several threads selects the events. Only the thread that
reads from the connection counts; any thread may read the count.

What does not work: devices and XTEST cause raw motion, XWarpPointer does not. A warp is counted only where no window
under the pointer selects motion, since then the root window gets a motion event.
"""

from __future__ import annotations

import struct
import weakref
from threading import Lock
from typing import TYPE_CHECKING, Final

from xshm.x11.io.packet_reader import GENERIC_EVENT
from xshm.x11.protocol import xfixes
from xshm.x11.protocol.requests import EventRoute
from xshm.x11.protocol.structures import request_struct
from xshm.x11.protocol.xlib import rq

if TYPE_CHECKING:
    from xshm.x11.connection import Connection
    from xshm.x11.io.resources import ServerResource

NAME: Final = "XInputExtension"
_MOTION, _RAW_MOTION = 6, 17
_ALL_DEVICES, _ALL_MASTERS = 0, 1
_WHICH = struct.Struct("=xB6xH")  # in a GenericEvent: the extension's opcode, the event's type


class _SelectEvents(rq.Request):
    """XISelectEvents with two masks of a word each (not python-xlib's class, whose module takes 1 ms to import)."""

    _request = request_struct(
        46,
        *(rq.Window("window"), rq.Card16("masks"), rq.Pad(2)),
        *(rq.Card16("device"), rq.Card16("words"), rq.Card32("mask")),
        *(rq.Card16("device_2"), rq.Card16("words_2"), rq.Card32("mask_2")),
    )


class Selection:
    """The events that are selected on the server; they are deselected when the last reference to this goes."""

    __slots__ = ("__weakref__", "held")

    def __init__(self, *held: ServerResource) -> None:
        self.held = held


class PointerEvents:
    """The number of pointer events of one connection, in `count`, while a Selection of `subscribe` is referred to.

    1. There is one selection on the server, whatever the number of subscribers.
    2. A dropped Selection deselects only if it is the newest (`_newest`): the server has one mask for each client and
       window, which the late release of an older Selection would clear.
    3. Without XInput, motion is not counted.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._fixes = connection.require(xfixes.NAME, xfixes.VERSION, "the pointer")
        self._input = connection.negotiate(NAME)  # not required: without it, changes of the image are counted
        self.count = 0
        self._lock = Lock()
        self._newest = [0]  # the number of the last selection; a list, which closures share without holding this object
        self._selection: weakref.ref[Selection] | None = None

    def subscribe(self) -> Selection:
        """Select the events, unless they are selected; they are counted while the returned Selection is referred to."""
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

        # The releases are made before the events are selected: an interrupt in between leaves nothing selected.
        where = {"opcode": self._fixes.major, "window": root}
        shape = connection.resources.undone_by(xfixes.SelectCursorInput, lapsed=is_replaced, **where, mask=0)
        shape.release.routes = (EventRoute(self._fixes.first_event + xfixes.CURSOR_NOTIFY, self._count_cursor, most=1),)
        selection = Selection(shape)
        connection.wire.add_route(*shape.release.routes)
        connection.send(xfixes.SelectCursorInput, **where, mask=xfixes.DISPLAY_CURSOR_NOTIFY_MASK)
        if self._input is not None:
            # Raw motion of all devices, and motion of all master pointers in the root window.
            where = {"opcode": self._input.major, "window": root, "masks": 2}
            where |= {"device": _ALL_DEVICES, "words": 1, "device_2": _ALL_MASTERS, "words_2": 1}
            motion = connection.resources.undone_by(_SelectEvents, lapsed=is_replaced, **where, mask=0, mask_2=0)
            motion.release.routes = (EventRoute(GENERIC_EVENT, self._count_motion, most=1),)
            selection.held = (shape, motion)
            connection.wire.add_route(*motion.release.routes)
            connection.send(_SelectEvents, **where, mask=1 << _RAW_MOTION, mask_2=1 << _MOTION)
        return selection

    def _count_cursor(self, _message: bytes) -> bool:
        """Count a CursorNotify; called by the thread that reads."""
        self.count += 1
        return True

    def _count_motion(self, message: bytes) -> bool:
        """Count a motion event of XInput's, and leave other GenericEvents to other routes."""
        opcode, kind = _WHICH.unpack_from(message)
        # All extensions' GenericEvents have one code; the opcode tells them apart.
        if self._input is None or opcode != self._input.major or kind not in (_MOTION, _RAW_MOTION):
            return False
        self.count += 1
        return True
