"""What happens to a surface's window: keys, buttons, motion, its size, its end; and the inbox that sorts it.

The inbox keeps what its owner acts on by itself (exposed parts, the size, the end) apart from what its user is told.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm.geometry import Rect
from xshm.x11.keyboard import Keyboard
from xshm.x11.messages import Route

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_KEY_PRESS, _KEY_RELEASE, _BUTTON_PRESS, _BUTTON_RELEASE, _MOTION = 2, 3, 4, 5, 6
_EXPOSE, _DESTROYED, _UNMAPPED, _MAPPED, _CONFIGURED, _CLIENT_MESSAGE, _MAPPING = 12, 17, 18, 19, 22, 33, 34
_INPUT: Final = (_KEY_PRESS, _KEY_RELEASE, _BUTTON_PRESS, _BUTTON_RELEASE, _MOTION)
# In an event's bytes: its code, the key or button, and where the window's id is.
_SENT: Final = 0x80
_POINTER = struct.Struct("=xB22xhhH")  # key or button, x, y in the window, state
_AREA = struct.Struct("=8xHHHH")
_SIZE = struct.Struct("=20xHH")
_MESSAGE = struct.Struct("=8xII")
_WINDOW = struct.Struct("=I")
_WINDOW_AT: Final = dict.fromkeys(_INPUT, 12) | {
    _EXPOSE: 4,
    _DESTROYED: 8,
    _MAPPED: 8,
    _UNMAPPED: 8,
    _CONFIGURED: 8,
    _CLIENT_MESSAGE: 4,
}
# Events that nobody asks for are not kept for ever; the oldest go first.
_MOST_WAITING: Final = 4096


@dataclass(frozen=True, slots=True)
class Key:
    """A key that went down (`pressed`) or up. `name` is the keysym's ("a", "Escape"), `text` what it types, or "".

    `state` has the modifiers and buttons that were down before, as the core protocol has them (Shift 1, Control 4 …).
    """

    pressed: bool
    name: str
    text: str
    keycode: int
    state: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Button:
    """A button of the pointer; 1 to 3 are left, middle, right, 4 and 5 the wheel up and down."""

    pressed: bool
    number: int
    x: int
    y: int
    state: int


@dataclass(frozen=True, slots=True)
class Motion:
    """The pointer moved to x, y in the window."""

    x: int
    y: int
    state: int


@dataclass(frozen=True, slots=True)
class Resize:
    """The window has another size; so has the surface, from now on."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Close:
    """The window's user wants it closed. It is the last event."""


Event = Key | Button | Motion | Resize | Close


class Inbox:
    """Events of one window. `sort` looks at what has come; it may be cut short by a signal handler, and done again."""

    def __init__(self, connection: Connection, window: int) -> None:
        self._connection = connection
        self._window = window
        self._keyboard = Keyboard(connection)
        self._close = (connection.get_atom("WM_PROTOCOLS"), connection.get_atom("WM_DELETE_WINDOW"))
        self.queue: deque[bytes] = deque()
        self.input: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self.exposed: tuple[Rect, ...] = ()
        self.size: tuple[int, int] | None = None  # as the server told it last
        self.mapped = False
        self.closed = False
        self.destroyed = False
        for code in (*_WINDOW_AT, _MAPPING):
            route = Route(code, self._is_ours)
            route.queue = self.queue
            connection.wire.add_route(route)

    @property
    def done(self) -> bool:
        """Whether there is something to sort: what a thread can wait for."""
        return bool(self.queue)

    def sort(self) -> None:
        """Put every event that has come where it belongs."""
        queue = self.queue
        while queue:
            message = queue[0]
            code = message[0] & ~_SENT
            if code in _INPUT:
                # Put and taken in one go: an event is not told twice, whenever a signal comes.
                self.input.extend(map(queue.__class__.popleft, (queue,)))
                continue
            if code == _EXPOSE:
                self.exposed = (*self.exposed, Rect(*_AREA.unpack_from(message)))
            elif code == _CONFIGURED:
                self.size = _SIZE.unpack_from(message)
            elif code == _MAPPED:
                self.mapped = True
            elif code == _UNMAPPED:
                self.mapped = False
            elif message[0] == _DESTROYED:  # not one that another client sent
                self.destroyed = True
            elif code == _MAPPING:
                self._keyboard.refresh()
            elif code == _CLIENT_MESSAGE and _MESSAGE.unpack_from(message) == self._close:
                self.closed = True
            del queue[0]

    def next_input(self) -> Key | Button | Motion | None:
        """Return the next key, button or motion, or None."""
        if not self.input:
            return None
        message = self.input[0]
        code = message[0] & ~_SENT
        detail, x, y, state = _POINTER.unpack_from(message)
        event: Key | Button | Motion = Motion(x, y, state)
        if code in (_KEY_PRESS, _KEY_RELEASE):
            event = Key(code == _KEY_PRESS, *self._keyboard.look_up(detail, state), detail, state, x, y)
        elif code in (_BUTTON_PRESS, _BUTTON_RELEASE):
            event = Button(code == _BUTTON_PRESS, detail, x, y, state)
        del self.input[0]
        return event

    def _is_ours(self, message: bytes) -> bool:
        code = message[0] & ~_SENT
        if code == _MAPPING:
            return True
        return bool(_WINDOW.unpack_from(message, _WINDOW_AT[code])[0] == self._window)
