"""What happens to a surface's window: keys, buttons, motion, its size, its end; and the inbox that sorts it.

The inbox keeps what its owner acts on by itself (exposed parts, the size, the end) apart from what its user is told.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm.geometry import Rect
from xshm.x11.protocol.requests import EventRoute
from xshm.x11.server.keyboard import Keyboard
from xshm.x11.windows.properties import atom

if TYPE_CHECKING:
    from collections.abc import Callable

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
_EVERYWHERE: Final = Rect(0, 0, 0x8000, 0x8000)


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
    """Events of one window. `sort` looks at what has come; it may be cut short by a signal handler, and done again.

    What has come waits in queues that do not grow without end, whoever looks there: of keys, buttons and motion the
    last 4096 are kept, of sizes, of whether it is mapped and of its end the last, of exposed parts 4096, after which
    all of it counts as exposed. Other keyboard mappings are taken note of at once.
    """

    def __init__(self, connection: Connection, window: int) -> None:
        self._connection = connection
        self._window = window
        self._keyboard = Keyboard(connection)
        self._close = (atom(connection, "WM_PROTOCOLS"), atom(connection, "WM_DELETE_WINDOW"))
        self.exposed: tuple[Rect, ...] = ()
        self.size: tuple[int, int] | None = None  # as the server told it last
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
        self._listen(_DESTROYED, self._ends_it, self._ends)
        self._listen(_DESTROYED, self._is_ours, deque(maxlen=0))
        self._listen(_CLIENT_MESSAGE, self._closes_it, self._closes)
        self._listen(_CLIENT_MESSAGE, self._is_ours, deque(maxlen=0))
        self._listen(_MAPPING, self._is_other_keyboard, deque(maxlen=0))

    @property
    def done(self) -> bool:
        """Whether there is something to sort: what a thread can wait for."""
        return bool(self._exposures or self._sizes or self._mappings or self._ends or self._closes)

    def sort(self) -> None:
        """Put every event that has come where it belongs."""
        exposures = self._exposures
        if len(exposures) == _MOST_WAITING:  # there may have been more
            self.exposed = (_EVERYWHERE,)
            exposures.clear()
        while exposures:
            message = exposures[0]
            exposed = _area(message)
            self.exposed = (*self.exposed, exposed) if exposed is not None else self.exposed
            _forget(exposures, message)
        while self._sizes:
            message = self._sizes[0]
            self.size = _SIZE.unpack_from(message)
            _forget(self._sizes, message)
        while self._mappings:
            message = self._mappings[0]
            self.mapped = message[0] & ~_SENT == _MAPPED
            _forget(self._mappings, message)
        while self._ends:
            self.destroyed = True
            self._ends.clear()
        while self._closes:
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
            event = Key(code == _KEY_PRESS, *self._keyboard.look_up(detail, state), detail, state, x, y)
        elif code in (_BUTTON_PRESS, _BUTTON_RELEASE):
            event = Button(code == _BUTTON_PRESS, detail, x, y, state)
        del self.input[0]
        return event

    def _listen(self, code: int, wants: Callable[[bytes], bool], queue: deque[bytes]) -> None:
        route = EventRoute(code, wants)
        route.queue = queue
        self._connection.wire.add_route(route)

    # Called by the reader.

    def _is_ours(self, message: bytes) -> bool:
        return bool(_WINDOW.unpack_from(message, _WINDOW_AT[message[0] & ~_SENT])[0] == self._window)

    def _ends_it(self, message: bytes) -> bool:
        return message[0] == _DESTROYED and self._is_ours(message)  # not one that another client sent

    def _closes_it(self, message: bytes) -> bool:
        return self._is_ours(message) and _MESSAGE.unpack_from(message) == self._close

    def _is_other_keyboard(self, _message: bytes) -> bool:
        self._keyboard.refresh()
        return True


def _area(message: bytes) -> Rect | None:
    x, y, width, height = _AREA.unpack_from(message)
    return Rect(x, y, width, height) if width and height else None


def _forget(queue: deque[bytes], message: bytes) -> None:
    """Take a message out of a queue that holds the last one, unless the reader has put another there meanwhile."""
    if queue[0] is message:
        del queue[0]
