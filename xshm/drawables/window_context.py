"""WindowContext: what the Windows of one Screen share: atoms, event subscriptions, the set of open Windows."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from xshm._signal_safety import WeakRegistry
from xshm.errors import BadDrawable, BadWindow, WindowGone, WindowNotViewable
from xshm.pixels.bounding_shape import BoundingShape
from xshm.system.deadlines import holding
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.windows import properties, tree
from xshm.x11.windows.event_masks import EventMasks
from xshm.x11.windows.shape import ShapeEvents
from xshm.x11.windows.structure_events import subscribe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.drawables.drawable import Drawable
    from xshm.x11.connection import Connection
    from xshm.x11.windows.structure_events import Subscription


class WindowContext:
    """The state that all Windows of a connection share.

    Locking rules: `subscribe`, `unsubscribe` and the methods of `masks` are called under `lock`, which a thread holds
    while it waits for the server. So it is acquired by `holding`, which raises when the thread's deadline is over.
    Nothing else needs a lock.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.root: int = connection.setup.root.id
        self.atoms = properties.Atoms(connection)
        self.lock = Lock()
        self.open: WeakRegistry[Drawable] = WeakRegistry()  # weak: a dropped Window is not kept alive
        self.masks = EventMasks(connection)
        self._shapes = ShapeEvents(connection)

    def close(self) -> None:
        """Close all Windows. The connection is closed by then, so that nothing is sent for any of them."""
        for window in self.open.living():  # a copy: closing removes a Window from `open`
            window.close()

    def subscribe(self, windows: Sequence[int]) -> Subscription:
        """Subscribe to the events of a window, the first of `windows`, and of its ancestors; under the lock."""
        # Both fill one Subscription. Interrupted in between, it is dropped, and `collect_dropped` deselects.
        changes = subscribe(self.masks, windows)
        self._shapes.subscribe(changes)
        return changes

    def unsubscribe(self, changes: Subscription) -> None:
        """End a subscription; under the lock."""
        self._shapes.unsubscribe(changes)
        self.masks.release(changes, changes.windows)

    def collect_dropped(self) -> None:
        """Deselect the events of Windows that were dropped without `close`, or interrupted while they were opened."""
        # Sends the requests that finalizers have queued, such as the end of a redirection: they may send nothing.
        self.connection.wire.run_deferred()
        holding(self.lock, self._deselect_unwanted)

    def _deselect_unwanted(self) -> None:
        self._shapes.collect_dropped()
        self.masks.collect_dropped()

    def viewable_attributes(self, window: int) -> Any:
        """Return the reply to GetWindowAttributes; raises WindowGone, or WindowNotViewable where it has no pixels now.

        The reason why it has none is found in the same round trip, by WM_STATE.
        """
        # WM_STATE is requested whether needed or not: two round trips would be of two moments.
        attributes = Cookie(self.connection, core.GetWindowAttributes, window=window)
        state = self.atoms.get_property(window, self.atoms.state)
        try:
            found = attributes.reply()
        except (BadWindow, BadDrawable):
            raise WindowGone(f"no window has the id {window:#x}: it was destroyed, or never was") from None
        if found.win_class != tree.INPUT_OUTPUT:
            raise WindowNotViewable(f"the window {window:#x} is InputOnly: it takes clicks and keys and has no pixels")
        # A mapped window in an unmapped one is not viewable either: the server has no pixels of it.
        if found.map_state != tree.VIEWABLE:
            iconic = properties.window_state(state) == properties.ICONIC
            how = "iconified" if iconic else "unmapped" if found.map_state == tree.UNMAPPED else "in an unmapped window"
            raise WindowNotViewable(f"the window {window:#x} has no picture now: it is {how}")
        return found

    def shape(self, changes: Subscription, known: BoundingShape | None) -> BoundingShape | None:
        """Return a window's bounding shape (None: all of it); `known`, without a request, if it did not change.

        `changes.reshaped` is cleared before the server is asked, so that an event which comes meanwhile sets it again.
        """
        if not changes.reshaped:
            return known
        changes.reshaped = False
        try:
            rects = self._shapes.query(changes.windows[0])
        except (BadWindow, BadDrawable):
            raise destroyed(changes.windows[0]) from None
        return BoundingShape(rects) if rects is not None else None


def destroyed(window: int) -> WindowGone:
    """Return the error for a window that was destroyed."""
    return WindowGone(f"the window {window:#x} was destroyed")
