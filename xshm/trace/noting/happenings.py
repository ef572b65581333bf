"""Happenings: what a trace notes besides pixels, from the X server: the windows, the pointer, the input made here.

Always true:

1. `look` and `state` are called by one thread, the trace's. Where nothing has happened, `look` sends no request.
2. Places are from the corner of the traced region, also where that is a window's: then a window that moves has all
   others elsewhere. What lies outside of the region is noted, too.
3. A request that fails since its window was destroyed is no error: the events of its end are on their way.

What does not work: motion that sends no event (`x11.server.pointer_events`), which is seen with the next that does.
"""

from __future__ import annotations

import re
import struct
import time
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import BadWindow, WindowGone
from xshm.input import names
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server.pointer_events import PointerEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.trace.noting.notes import Add
    from xshm.x11.protocol.requests import Waitable
    from xshm.x11.windows.window_watch import WindowWatch

    Clean = Callable[[str], str]
    Place = tuple[int, int, int, int]

# Keys that make a command of the others.
_COMMANDING: Final = {f"{name}_{side}" for name in ("Control", "Alt", "Meta", "Super", "Hyper") for side in "LR"}
_PARTS: Final = re.compile("dead_|Multi_key|KP_[0-9]")  # of the others, those that type something, or a part of it
_POSITION: Final = struct.Struct("=x?14xhhhh")  # in QueryPointer's reply: same_screen, root_x, root_y, win_x, win_y


class Happenings:
    """What happens on the screen of a source, from `begin` until `close`; `add` is called with each event.

    `region` is the part of the source that is traced. `also` is what a wait has to end with, besides the pixels.
    """

    def __init__(
        self, source: Source, region: Rect, started_ns: int, add: Add, clean: Clean, *, typed_text: bool
    ) -> None:
        self._add = add
        self._clean = clean
        self._started = started_ns
        self._typed_text = typed_text
        self._source = source
        self._session = source._session
        self._region = region
        self._windows: _Windows | None = None
        self._pointer: _Pointer | None = None
        self._origin = region.x, region.y  # the region's corner on the screen
        self.also: tuple[Waitable, ...] = ()

    def begin(self) -> None:
        """Look at how things are, without an event of it, and hear of what comes. `close` ends it, also half-way."""
        source, region = self._source, self._region
        watch = source._watch_windows(with_moves=True)
        if watch is None:  # a pixmap is nowhere on the screen
            return
        window = source._pointed_window()
        self._windows = _Windows(source, watch, window, region)
        self._pointer = _Pointer(source, window, region)
        self._windows.look(self._clean)
        self._pointer.look(everything=True)
        self._origin = self._windows.origin
        self.also = watch, self._pointer
        self._session.listeners.add(self)

    def look(self, *, everything: bool) -> None:
        """Note what is new; `everything`: also what no event has told yet."""
        windows, pointer = self._windows, self._pointer
        if windows is None or pointer is None:
            return
        if everything:
            self._session.connection.wire.sync()  # the events of all that was done before are here then
        if windows.look(self._clean):
            self._origin = windows.origin
            self._note("windows", windows=windows.listed)
        if pointer.look(everything=everything) and pointer.at is not None:
            self._note("pointer", x=pointer.at[0], y=pointer.at[1])

    def state(self) -> list[tuple[str, dict[str, Any]]]:
        """Return types and values of the events that say how things are, as of the last `look`."""
        found: list[tuple[str, dict[str, Any]]] = []
        if self._windows is not None:
            found.append(("windows", {"windows": self._windows.listed}))
        if self._pointer is not None and self._pointer.at is not None:
            found.append(("pointer", {"x": self._pointer.at[0], "y": self._pointer.at[1]}))
        return found

    def close(self) -> None:
        """Release what the server keeps, and hear of no more input. Twice is fine; where the server is gone, too."""
        self._session.listeners.discard(self)
        self.also = ()
        windows, self._windows, self._pointer = self._windows, None, None
        if windows is not None:
            windows.watch.close()

    def note_input(self, action: str, values: Mapping[str, Any]) -> None:
        """See `InputListener`."""
        noted = dict(values)
        for name, at in zip(("x", "y", "x2", "y2"), self._origin * 2, strict=True):
            if name in noted:
                noted[name] -= at
        text = noted.pop("text", None)
        if text is not None:
            noted["length"] = len(text)
            if self._typed_text:
                noted["text"] = self._clean(text)
        keys = noted.get("keys")
        if keys and not self._typed_text and (count := typed(keys)):
            noted["keys"], noted["length"] = "", count
        self._note("input", action=action, **noted)

    def _note(self, kind: str, **values: Any) -> None:
        self._add(time.monotonic_ns() - self._started, kind, values)


def typed(keys: str) -> int:
    """Return how many characters keys type: "a", "shift+1", "exclam" and "KP_1" one; "ctrl+a" and "Return" none."""
    chord = names.chord(keys, "a key")
    if any(each.name in _COMMANDING for each in chord):
        return 0
    return sum(
        (each.character != "" and each.character.isprintable()) or _PARTS.match(each.name) is not None for each in chord
    )


class _Windows:
    """The windows that are open, where they are, and what they are called."""

    def __init__(self, source: Source, watch: WindowWatch, window: int, region: Rect) -> None:
        self.watch = watch
        self.origin = region.x, region.y
        self.listed: list[tuple[int, str, int, int, int, int]] = []
        self._connection = source._session.connection
        self._root: int = self._connection.setup.root.id
        self._window = window  # whose corner the region counts from
        self._region = region
        self._places: dict[int, Place] = {}  # of the screen
        self._is_first = True

    def look(self, clean: Clean) -> bool:
        """Bring `listed` up to date, and return whether it has changed."""
        if not (self.watch.done or self._is_first):
            return False
        self._is_first = False
        self.watch.update()
        titles, stack = self.watch.windows, self.watch.stack
        moved = self.watch.take_moved()
        former = self._places
        self._places = {each: former[each] for each in stack if each in former and each not in moved}
        self._query([each for each in stack if each not in self._places], is_elsewhere=self._window in moved)
        before, (left, top) = self.listed, self.origin
        self.listed = []
        for each in stack:
            if each in self._places:
                x, y, width, height = self._places[each]
                self.listed.append((each, clean(titles.get(each, "")), x - left, y - top, width, height))
        return self.listed != before

    def _query(self, windows: list[int], *, is_elsewhere: bool) -> None:
        """Ask where windows are; those that are gone by now have no place."""
        connection, root = self._connection, self._root
        asked = [
            (
                each,
                Cookie(connection, core.GetGeometry, drawable=each),
                Cookie(connection, core.TranslateCoords, src_wid=each, dst_wid=root, src_x=0, src_y=0),
            )
            for each in windows
        ]
        own = None
        if self._window != root and (is_elsewhere or windows):
            own = Cookie(connection, core.TranslateCoords, src_wid=self._window, dst_wid=root, src_x=0, src_y=0)
        for each, size, place in asked:
            extent, corner = size.reply_or_none(), place.reply_or_none()
            if extent is not None and corner is not None:
                self._places[each] = corner.x, corner.y, extent.width, extent.height
        corner = None if own is None else own.reply_or_none()
        if corner is not None:
            self.origin = corner.x + self._region.x, corner.y + self._region.y


class _Pointer:
    """The pointer's position, as a Waitable: `done` once an event has told that it may be elsewhere."""

    def __init__(self, source: Source, window: int, region: Rect) -> None:
        self.at: tuple[int, int] | None = None  # None: on another screen, or not known yet
        session = source._session
        self._connection = session.connection
        self._window = window
        self._region = region
        if session.pointing is None:
            session.pointing = PointerEvents(session.connection)
        self._events = session.pointing
        self._selection = self._events.subscribe()
        self._seen = -1

    @property
    def done(self) -> bool:
        """Whether it may be elsewhere."""
        return self._events.count != self._seen

    def look(self, *, everything: bool) -> bool:
        """Ask where it is, if it may be elsewhere; return whether it is, and where is known."""
        if not (everything or self.done):
            return False
        self._seen = self._events.count  # first: what comes after the query counts
        pending = self._connection.send(core.QueryPointer, window=self._window)
        try:
            reply = self._connection.wait_reply(pending, "QueryPointer")
        except (BadWindow, WindowGone):
            return False
        same_screen, _, _, x, y = _POSITION.unpack_from(reply)
        before, self.at = self.at, (x - self._region.x, y - self._region.y) if same_screen else None
        return self.at is not None and self.at != before
