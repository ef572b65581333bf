"""Pointing: where a screen's pointer is, and what it looks like: beside the pixels, never in them.

What does not work: motion that sends no event (`x11.server.pointer_events`), which is seen with the next look that is
made without one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from xshm.errors import BadWindow, InvalidArgument, WindowGone
from xshm.x11.server.pointer_events import PointerEvents

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.image.cursor import Cursor
    from xshm.x11.server.pointer_events import Selection


class PointerState(NamedTuple):
    """Where the pointer is (its hot spot, from the picture's corner), and its image; None where none is shown."""

    x: int
    y: int
    image: Cursor | None

    @property
    def is_visible(self) -> bool:
        """Whether there is an image; its hot spot may be outside of the picture."""
        return self.image is not None


HIDDEN = PointerState(0, 0, None)


class Pointing:
    """The pointer over a part of a source, as a Waitable: `done` once an event has told that it may be another.

    For one thread. Its events are selected until `close`, or as long as it is referred to.
    """

    def __init__(self, source: Source, region: Rect) -> None:
        session = source._session
        self._source = source
        self._region = region
        self._pointer, self._window = source._pointer()
        if session.pointing is None:
            session.pointing = PointerEvents(session.connection)
        self._events = session.pointing
        self._selection: Selection | None = self._events.subscribe()
        self._seen = -1
        self.state = HIDDEN
        self.looked_at = 0.0

    @property
    def done(self) -> bool:
        """Whether it may be another one."""
        return self._events.count != self._seen

    def look(self, *, always: bool) -> bool:
        """Ask for it where it may be another one, or `always`; return whether it is. One round trip."""
        if not (always or self.done):
            return False
        self.looked_at = time.monotonic()
        self._seen = self._events.count  # first: what comes after the request counts
        try:
            cursor = self._pointer.wait_cursor(self._pointer.request(self._window))
        except (BadWindow, WindowGone):  # told by the pixels, too
            return False
        before, self.state = self.state, HIDDEN
        if cursor is not None:
            x, y = cursor.position
            self.state = PointerState(x - self._region.x, y - self._region.y, cursor)
        return not _is_same(before, self.state)

    def close(self) -> None:
        """Have the events selected no more."""
        self._selection = None


def open_pointing(source: Source, region: Rect) -> Pointing | None:
    """Return a Pointing; None for a pixmap, which no pointer is over."""
    try:
        return Pointing(source, region)
    except InvalidArgument:
        return None


def _is_same(one: PointerState, other: PointerState) -> bool:
    if one[:2] != other[:2] or one.is_visible is not other.is_visible:
        return False
    # A sprite is the same object while its bytes are the same (`capture.pointer`).
    return one.image is None or other.image is None or one.image.sprite is other.image.sprite
