"""The events of one window, sorted: state that the surface acts on, and input that its user receives.

Routes of the connection put the raw messages into bounded queues as they are read, by whichever thread reads. `sort`
turns them into state: exposed rectangles, the size, whether the window is mapped, closed or destroyed.

Always true:

1. A message leaves its queue only after its effect is stored: after a `sort` that an exception cut short, the next one
   stores the same effect again, which does no harm.
2. The queues are bounded, whether `sort` is called or not: keys, buttons and motion keep the last 4096, exposures
   4096 (when full, everything counts as exposed), the size, the mapping and the end 1 each.
3. Only the server can report the end of a window: a DestroyNotify that a client sent (SendEvent) is dropped.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from xshm.events import Button, Key, Motion
from xshm.geometry import Rect
from xshm.x11.protocol.requests import EventRoute
from xshm.x11.server.keyboard import Keyboard
from xshm.x11.windows.properties import intern_atom

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.connection import Connection

# Event codes of the core protocol.
_KEY_PRESS, _KEY_RELEASE, _BUTTON_PRESS, _BUTTON_RELEASE, _MOTION = 2, 3, 4, 5, 6
_EXPOSE, _DESTROYED, _UNMAPPED, _MAPPED, _CONFIGURED, _CLIENT_MESSAGE, _MAPPING = 12, 17, 18, 19, 22, 33, 34
_INPUT: Final = (_KEY_PRESS, _KEY_RELEASE, _BUTTON_PRESS, _BUTTON_RELEASE, _MOTION)
_SENT: Final = 0x80  # the bit of an event's code that is set if a client sent it (SendEvent)
_POINTER = struct.Struct("=xB22xhhH")  # key or button, x, y in the window, state
_AREA = struct.Struct("=8xHHHH")  # of Expose
_SIZE = struct.Struct("=20xHH")  # of ConfigureNotify
_MESSAGE = struct.Struct("=8xII")  # of ClientMessage: its type, and the first of its data
_WINDOW = struct.Struct("=I")
# Where an event of each code has its window's id, in bytes from the beginning.
_WINDOW_AT: Final = (
    dict.fromkeys((_EXPOSE, _CLIENT_MESSAGE), 4)
    | dict.fromkeys((_DESTROYED, _MAPPED, _UNMAPPED, _CONFIGURED), 8)
    | dict.fromkeys(_INPUT, 12)
)
# Messages in a queue: a program that never calls `events` must not grow by each motion of the pointer.
_MOST_WAITING: Final = 4096
_EVERYWHERE: Final = Rect(0, 0, 0x8000, 0x8000)  # larger than any window can be


class Inbox:
    """What has happened to one window. It is a Waitable: `done` while there is something to sort."""

    def __init__(self, connection: Connection, window: int) -> None:
        self._connection = connection
        self._window = window
        self._keyboard = Keyboard(connection)
        self._close = (intern_atom(connection, "WM_PROTOCOLS"), intern_atom(connection, "WM_DELETE_WINDOW"))
        self.exposed: tuple[Rect, ...] = ()  # the surface empties it when it has redrawn them
        self.size: tuple[int, int] | None = None  # of the last ConfigureNotify
        self.mapped = False
        self.closed = False
        self.destroyed = False
        self.input: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._exposures: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._sizes, self._mappings, self._ends, self._closes = (deque[bytes](maxlen=1) for _ in range(4))
        queues = dict.fromkeys(_INPUT, self.input) | {
            _EXPOSE: self._exposures,
            _CONFIGURED: self._sizes,
            _MAPPED: self._mappings,
            _UNMAPPED: self._mappings,
        }
        for code, queue in queues.items():
            self._listen(code, self._is_ours, queue)
        # The second route of each pair drops what the first one does not want: nothing of this window is kept twice.
        self._listen(_DESTROYED, self._ends_it, self._ends)
        self._listen(_DESTROYED, self._is_ours, deque(maxlen=0))
        self._listen(_CLIENT_MESSAGE, self._closes_it, self._closes)
        self._listen(_CLIENT_MESSAGE, self._is_ours, deque(maxlen=0))
        self._listen(_MAPPING, self._is_other_keyboard, deque(maxlen=0))

    @property
    def done(self) -> bool:
        """Whether there is something to sort."""
        return bool(self._exposures or self._sizes or self._mappings or self._ends or self._closes)

    def sort(self) -> None:
        """Store the effect of every message that has come, input excepted."""
        exposures = self._exposures
        if len(exposures) == _MOST_WAITING:  # older ones may have been pushed out
            self.exposed = (_EVERYWHERE,)
            exposures.clear()
        while exposures:
            message = exposures[0]
            exposed = _area(message)
            self.exposed = (*self.exposed, exposed) if exposed is not None else self.exposed
            _remove(exposures, message)
        while self._sizes:
            message = self._sizes[0]
            self.size = _SIZE.unpack_from(message)
            _remove(self._sizes, message)
        while self._mappings:
            message = self._mappings[0]
            self.mapped = message[0] & ~_SENT == _MAPPED
            _remove(self._mappings, message)
        if self._ends:
            self.destroyed = True
            self._ends.clear()
        if self._closes:
            self.closed = True
            self._closes.clear()

    def next_input(self) -> Key | Button | Motion | None:
        """Return the next key, button or motion, or None."""
        if not self.input:
            return None
        message = self.input[0]
        code = message[0] & ~_SENT
        detail, x, y, state = _POINTER.unpack_from(message)
        event: Key | Button | Motion = Motion(x, y, state)
        if code in (_KEY_PRESS, _KEY_RELEASE):
            # May send a request, where the keyboard's mapping is not known or has changed.
            event = Key(code == _KEY_PRESS, *self._keyboard.look_up(detail, state), detail, state, x, y)
        elif code in (_BUTTON_PRESS, _BUTTON_RELEASE):
            event = Button(code == _BUTTON_PRESS, detail, x, y, state)
        del self.input[0]
        return event

    def _listen(self, code: int, wants: Callable[[bytes], bool], queue: deque[bytes]) -> None:
        route = EventRoute(code, wants)
        route.queue = queue
        self._connection.wire.add_route(route)

    # The connection's reader calls these under its lock: they send nothing and wait for nothing.

    def _is_ours(self, message: bytes) -> bool:
        return bool(_WINDOW.unpack_from(message, _WINDOW_AT[message[0] & ~_SENT])[0] == self._window)

    def _ends_it(self, message: bytes) -> bool:
        return message[0] == _DESTROYED and self._is_ours(message)  # the code without _SENT (3)

    def _closes_it(self, message: bytes) -> bool:
        return self._is_ours(message) and _MESSAGE.unpack_from(message) == self._close

    def _is_other_keyboard(self, _message: bytes) -> bool:
        self._keyboard.invalidate()
        return True


def _area(message: bytes) -> Rect | None:
    x, y, width, height = _AREA.unpack_from(message)
    return Rect(x, y, width, height) if width and height else None  # a server may send an empty one


def _remove(queue: deque[bytes], message: bytes) -> None:
    """Remove a message from the front of its queue, unless a newer one has pushed it out in the meantime."""
    if queue[0] is message:
        del queue[0]
