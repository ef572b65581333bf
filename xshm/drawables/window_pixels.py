"""Where a window's pixels can be read: in its own pixmap, followed as it changes; or on the screen, as far as seen."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import BadDrawable, BadMatch, BadWindow, WindowGone, WindowNotViewable
from xshm.geometry import Rect
from xshm.image.bounding_shape import BoundingShape
from xshm.system.deadlines import holding
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server import damage
from xshm.x11.server.damage import Damage
from xshm.x11.windows import properties, tree
from xshm.x11.windows.hidden import query_obscured
from xshm.x11.windows.redirection import Redirection
from xshm.x11.windows.shape import ShapeEvents
from xshm.x11.windows.structure_events import StructureEvents, Subscription

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Sequence

    from xshm.drawables.window import Window
    from xshm.x11.connection import Connection, Extension

_TRIES: Final = 5
# A client that is to paint what was hidden has so many seconds to begin and to end, and has ended after so many without
# a stroke: toolkits that paint once in a display's period pause for less.
_REPAINT, _PAUSE = 0.3, 0.05


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """A drawable, and the part `rect` of it in the window's coordinates, whose corner is `inset` pixels inside it.

    `shape` says which pixels are the window's own; None: all.
    """

    drawable: int
    inset: int
    rect: Rect
    shape: BoundingShape | None


class WindowContext:
    """What the Windows of one Screen share: names and subscriptions."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.root: int = connection.setup.root.id
        self.atoms = properties.Atoms(connection)
        self.structure = StructureEvents(connection)
        self.shapes = ShapeEvents(connection)
        self.lock = Lock()
        self.open: dict[int, weakref.ref[Window]] = {}  # by their ids in this process, not the server's

    def close(self) -> None:
        """Be done with all Windows; the server gives back what they held when the connection ends."""
        for reference in list(self.open.values()):
            window = reference()
            if window is not None:
                window.forget()

    def subscribe(self, windows: Sequence[int]) -> Subscription:
        """Under the lock: hear of what becomes of a window, the first, and of its ancestors."""
        changes = self.structure.subscribe(windows)
        self.shapes.subscribe(changes)
        return changes

    def unsubscribe(self, changes: Subscription) -> None:
        """Under the lock: take that back."""
        self.shapes.unsubscribe(changes)
        self.structure.unsubscribe(changes)

    def tidy(self) -> None:
        """Give back what was selected for Windows that were dropped unclosed, or interrupted as they were opened."""
        self.connection.wire.attend()
        holding(self.lock, self._deselect_unwanted)

    def _deselect_unwanted(self) -> None:
        self.shapes.tidy()
        self.structure.tidy()

    def look(self, window: int) -> Any:
        """Return a window's attributes; raises WindowGone, or WindowNotViewable where it has no pixels now."""
        connection = self.connection
        attributes = Cookie(connection, core.GetWindowAttributes, window=window)
        state = self.atoms.ask(window, self.atoms.state)
        try:
            found = attributes.reply()
        except (BadWindow, BadDrawable):
            raise WindowGone(f"no window has the id {window:#x}: it was destroyed, or never was") from None
        if found.win_class != tree.INPUT_OUTPUT:
            raise WindowNotViewable(f"the window {window:#x} is InputOnly: it takes clicks and keys and has no pixels")
        if found.map_state != tree.VIEWABLE:
            iconic = properties.state(state) == properties.ICONIC
            how = "iconified" if iconic else "unmapped" if found.map_state == tree.UNMAPPED else "in an unmapped window"
            raise WindowNotViewable(f"the window {window:#x} has no picture now: it is {how}")
        return found

    def shape(self, changes: Subscription, known: BoundingShape | None) -> BoundingShape | None:
        """Return a window's shape: `known`, without a request, where the server has told of no other."""
        if not changes.reshaped:
            return known
        changes.reshaped = False
        try:
            rects = self.shapes.ask(changes.windows[0])
        except (BadWindow, BadDrawable):
            raise _gone(changes.windows[0]) from None
        return BoundingShape(rects) if rects is not None else None


class RedirectedPixels:
    """A window's own pixmap, which holds all of it. Opening it waits for the client to paint what was hidden."""

    is_told: Final = True  # of every change: where the pixels are need not be asked before each grab

    def __init__(self, shared: WindowContext, extension: Extension, window: int) -> None:
        self._shared = shared
        self._window = window
        self._shape: BoundingShape | None = None
        self._changes = self._subscribe()
        hidden = query_obscured(shared.connection, extension, window)
        self._redirection = Redirection(shared.connection, extension, window, self._changes)
        try:
            self._wait_for_repaint(hidden)
        except BaseException:
            self.close()
            raise

    @property
    def stale(self) -> bool:
        """Whether the window has got another pixmap, or lost its own, since `place` was asked last."""
        return self._changes.due

    @property
    def gone(self) -> bool:
        """Whether the server has told of the window's end; its id may be another window's."""
        return self._changes.gone

    def invalidate(self) -> None:
        """Have the next `place` look again, whatever is known."""
        self._changes.due = True

    def place(self, known: PixelLocation | None) -> PixelLocation:
        """Return where the pixels are: `known` where nothing has changed. Raises WindowGone, WindowNotViewable."""
        if known is not None and not self._changes.due:
            return known
        if self.gone:
            raise _gone(self._window)
        self._changes.due = False
        try:
            if self._changes.reparented:
                self._resubscribe()
            return _of_the_same(self, self._window, self._name)
        except BaseException:
            # So that the next call raises too, or finds the window mapped again.
            self._changes.due = self._changes.reshaped = True
            raise

    def close(self) -> None:
        """End the redirection and stop listening, as when this goes. Closing twice is fine."""
        if not self._shared.connection.closed:
            self._redirection.close()
            self._unsubscribe(self._changes)

    def _name(self) -> PixelLocation:
        self._shape = self._shared.shape(self._changes, self._shape)
        for _ in range(_TRIES):
            try:
                backing = self._redirection.name()
            except (BadWindow, BadDrawable):
                raise _gone(self._window) from None
            except BadMatch:
                # It was not viewable. If it is now, it has been mapped again in the meantime.
                self._shared.look(self._window)
            else:
                whole = Rect(0, 0, backing.width, backing.height)
                return PixelLocation(backing.pixmap, backing.border, whole, self._shape)
        raise WindowNotViewable(f"the window {self._window:#x} is being mapped and unmapped all the time")

    def _subscribe(self) -> Subscription:
        shared = self._shared
        try:
            windows = [self._window, *tree.ancestors(shared.connection, self._window)]
        except (BadWindow, BadDrawable):
            raise _gone(self._window) from None
        return holding(shared.lock, shared.subscribe, windows)

    def _unsubscribe(self, changes: Subscription) -> None:
        holding(self._shared.lock, self._shared.unsubscribe, changes)

    def _resubscribe(self) -> None:
        former, self._changes = self._changes, self._subscribe()
        self._changes.due = False
        if former.gone:
            self._changes.gone = True
        self._redirection.follow(self._changes)
        self._unsubscribe(former)

    def _wait_for_repaint(self, hidden: Cookie | None) -> None:
        """Wait, within bounds, until the client has painted what nobody could see before the window was redirected."""
        connection = self._shared.connection
        extension = connection.extension(damage.NAME)
        strokes = Damage(connection, extension, self._window) if extension else None
        if strokes is not None:
            strokes.forget()
        try:
            try:
                had_pixmap = self._redirection.check()
            except (BadWindow, BadDrawable):
                raise _gone(self._window) from None
            if had_pixmap or (hidden is not None and not hidden.reply().rectangles):
                return
            deadline = time.monotonic() + _REPAINT
            if strokes is None:
                time.sleep(_REPAINT)
            elif strokes.wait(_REPAINT):
                while (left := deadline - time.monotonic()) > 0 and strokes.wait(min(_PAUSE, left)):
                    pass
        finally:
            if strokes is not None and not connection.closed:
                strokes.close()


class VisiblePixels:
    """The part of a window that lies on the screen: for servers without Composite. What covers it leaves it black."""

    is_told: Final = False  # a frame that moves, with the window in it, is not told of

    def __init__(self, shared: WindowContext, window: int) -> None:
        self._shared = shared
        self._window = window
        self._shape: BoundingShape | None = None
        self._changes = holding(shared.lock, shared.subscribe, (window,))

    @property
    def stale(self) -> bool:
        """Whether the window is gone, or has got another shape, since `place` was asked last."""
        return self._changes.gone or self._changes.reshaped

    @property
    def gone(self) -> bool:
        """Whether the server has told of the window's end; its id may be another window's."""
        return self._changes.gone

    def invalidate(self) -> None:
        """Do nothing: `place` looks again each time."""

    def place(self, known: PixelLocation | None) -> PixelLocation:
        """Return where the pixels are: `known` where nothing has changed. Raises WindowGone, WindowNotViewable."""
        place = _of_the_same(self, self._window, self._look)
        return known if known == place and known is not None else place

    def close(self) -> None:
        """Stop listening, as when this goes. Closing twice is fine."""
        if not self._shared.connection.closed:
            holding(self._shared.lock, self._shared.unsubscribe, self._changes)

    def _look(self) -> PixelLocation:
        connection, root = self._shared.connection, self._shared.root
        size = Cookie(connection, core.GetGeometry, drawable=self._window)
        screen = Cookie(connection, core.GetGeometry, drawable=root)
        corner = Cookie(connection, core.TranslateCoords, src_wid=self._window, dst_wid=root, src_x=0, src_y=0)
        self._shared.look(self._window)
        try:
            inside, whole, at = size.reply(), screen.reply(), corner.reply()
        except (BadWindow, BadDrawable):
            raise _gone(self._window) from None
        seen = Rect(-at.x, -at.y, whole.width, whole.height).intersect(Rect(0, 0, inside.width, inside.height))
        if seen is None:
            raise WindowNotViewable(
                f"the window {self._window:#x} lies wholly off the screen, and the server has no Composite to keep it"
            )
        try:
            self._shape = self._shared.shape(self._changes, self._shape)
        except BaseException:
            self._changes.reshaped = True
            raise
        return PixelLocation(self._window, 0, seen, self._shape)


def _of_the_same(
    backing: RedirectedPixels | VisiblePixels, window: int, look: Callable[[], PixelLocation]
) -> PixelLocation:
    """Return what `look` finds; WindowGone where that can be of another window, which has got the id since.

    The server tells of the end before it answers what was asked after that.
    """
    try:
        place = look()
    except WindowNotViewable:
        if backing.gone:
            raise _gone(window) from None
        raise
    if backing.gone:
        raise _gone(window)
    return place


def _gone(window: int) -> WindowGone:
    return WindowGone(f"the window {window:#x} was destroyed")
