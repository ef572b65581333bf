"""Locate a window's pixels: in its own pixmap by Composite (RedirectedPixels), or on the screen (VisiblePixels).

Both return a PixelLocation from `locate`, and have these invariants:
1. An event that makes a location invalid sets a flag of the subscription (`stale`, `reshaped`, `gone`). The flags are
   cleared before the server is asked, and set again when that fails; so a location is current if they are clear after
   the reply.
2. `gone` is never cleared: once the window was destroyed, its id may be given to another one. The server sends
   DestroyNotify before it replies to any later request, so a reply is about this window if `gone` is not set after it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from xshm.drawables.window_context import destroyed
from xshm.errors import BadDrawable, BadMatch, BadWindow, WindowNotViewable
from xshm.geometry import Rect
from xshm.system.deadlines import holding
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server import damage
from xshm.x11.server.damage import Damage
from xshm.x11.windows import tree
from xshm.x11.windows.redirection import Redirection, query_obscured

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.drawables.window_context import WindowContext
    from xshm.pixels.bounding_shape import BoundingShape
    from xshm.x11.connection import Extension
    from xshm.x11.windows.structure_events import Subscription

_TRIES: Final = 5  # times that a window may be mapped and unmapped while its pixmap is asked for
# Seconds that a client has to begin, and to end, painting what was obscured; and seconds without drawing after which it
# has ended: toolkits that paint once in a display's period (16.7 ms) pause for less.
_REPAINT, _PAUSE = 0.3, 0.05


@dataclass(frozen=True, slots=True)
class WindowSource:
    """Where a window's frames come from: `kind` is "pixmap" (all of it) or "screen" (what is visible); and why."""

    kind: Literal["pixmap", "screen"]
    reason: str


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """A drawable, and the part `rect` of it in the window's coordinates, whose corner is `border` pixels inside it.

    `shape` says which pixels are the window's own; None: all.
    """

    drawable: int
    border: int
    rect: Rect
    shape: BoundingShape | None


class _WindowPixels:
    """What both kinds have in common: the window, its shape, and the subscription to its events."""

    def __init__(self, context: WindowContext, window: int, changes: Subscription) -> None:
        self._context = context
        self._window = window
        self._changes = changes
        self._shape: BoundingShape | None = None

    @property
    def gone(self) -> bool:
        """Whether the window was destroyed (2)."""
        return self._changes.gone

    @property
    def events(self) -> object:
        """A value that is another one after each event that sets a flag, whether or not the flag was set before."""
        changes = self._changes
        return changes, changes.events

    def close(self) -> None:
        """End the subscription, as dropping this object does. Closing twice is fine."""
        if not self._context.connection.closed:
            holding(self._context.lock, self._context.unsubscribe, self._changes)

    def _unless_gone(self, ask: Callable[[], PixelLocation]) -> PixelLocation:
        """Return what `ask` finds by the window's id; WindowGone if the id may be another window's by now (2)."""
        try:
            location = ask()
        except WindowNotViewable:
            if self.gone:
                raise destroyed(self._window) from None
            raise
        if self.gone:
            raise destroyed(self._window)
        return location


class RedirectedPixels(_WindowPixels):
    """A window's own pixmap, all of it (Composite). The constructor waits for the client to paint what was obscured."""

    source: Final = WindowSource("pixmap", "the server has Composite and keeps all of the window")
    notified: Final = True  # an event reports each change of the location

    def __init__(self, context: WindowContext, extension: Extension, window: int) -> None:
        super().__init__(context, window, _subscribe(context, window))
        context.connection.negotiate(damage.NAME)  # now: a round trip after the redirection could miss what is painted
        # Before the redirection, after which nothing of the window is obscured.
        obscured = query_obscured(context.connection, extension, window)
        # After the subscription, by which Redirection knows of a destroyed window, which needs no UnredirectWindow.
        self._redirection = Redirection(context.connection, extension, window, self._changes)
        try:
            self._wait_for_repaint(obscured)
        except BaseException:
            self.close()
            raise

    @property
    def stale(self) -> bool:
        """Whether the window has got another pixmap, or lost its own, since `locate` was called last."""
        return self._changes.stale

    def invalidate(self) -> None:
        """Make the next `locate` ask the server, even without an event."""
        self._changes.stale = True

    def locate(self, known: PixelLocation | None) -> PixelLocation:
        """Return where the pixels are: `known` if nothing has changed. Raises WindowGone, WindowNotViewable."""
        if known is not None and not self._changes.stale:
            return known
        if self.gone:
            raise destroyed(self._window)
        self._changes.stale = False
        try:
            if self._changes.reparented:
                self._resubscribe()
            return self._unless_gone(self._name_pixmap)
        except BaseException:
            self._changes.stale = self._changes.reshaped = True
            raise

    def close(self) -> None:
        """End the redirection and the subscription, as dropping this object does. Closing twice is fine."""
        if not self._context.connection.closed:
            self._redirection.close()
        super().close()

    def _name_pixmap(self) -> PixelLocation:
        self._shape = self._context.shape(self._changes, self._shape)
        for _ in range(_TRIES):
            try:
                backing = self._redirection.name_pixmap()
            except (BadWindow, BadDrawable):
                raise destroyed(self._window) from None
            except BadMatch:
                # It was not viewable. If it is now, it was mapped again in the meantime.
                self._context.viewable_attributes(self._window)
            else:
                whole = Rect(0, 0, backing.width, backing.height)
                return PixelLocation(backing.pixmap, backing.border, whole, self._shape)
        raise WindowNotViewable(f"the window {self._window:#x} is being mapped and unmapped all the time")

    def _resubscribe(self) -> None:
        """Follow the ancestors that the window has now; the new subscription begins before the former one ends."""
        former, self._changes = self._changes, _subscribe(self._context, self._window)
        self._changes.stale = False
        if former.gone:
            self._changes.gone = True
        self._redirection.follow(self._changes)
        holding(self._context.lock, self._context.unsubscribe, former)

    def _wait_for_repaint(self, obscured: Cookie | None) -> None:
        """Wait, at most `_REPAINT` seconds, until the client has painted what was obscured before the redirection."""
        connection = self._context.connection
        extension = connection.negotiate(damage.NAME)
        drawing = Damage(connection, extension, self._window) if extension else None
        if drawing is not None:
            drawing.discard_pending()  # reports of what was drawn before the redirection
        try:
            try:
                had_pixmap = self._redirection.check()
            except (BadWindow, BadDrawable):
                raise destroyed(self._window) from None
            # A window that was redirected already, by a compositor for one, has a painted pixmap; and what was not
            # obscured the server has copied from the screen.
            if had_pixmap or (obscured is not None and not obscured.reply().rectangles):
                return
            deadline = time.monotonic() + _REPAINT
            if drawing is None:
                time.sleep(_REPAINT)
            elif drawing.wait(_REPAINT):
                while (left := deadline - time.monotonic()) > 0 and drawing.wait(min(_PAUSE, left)):
                    pass
        finally:
            if drawing is not None and not connection.closed:
                drawing.close()


class VisiblePixels(_WindowPixels):
    """The part of a window that lies on the screen, for servers without Composite. Obscured pixels are undefined."""

    source: Final = WindowSource(
        "screen", "the server has no Composite: what others cover is black, what is off the screen is not there"
    )
    notified: Final = False  # no event reports that an ancestor, a window manager's frame for one, was moved

    def __init__(self, context: WindowContext, window: int) -> None:
        super().__init__(context, window, holding(context.lock, context.subscribe, (window,)))

    @property
    def stale(self) -> bool:
        """Whether the window is gone, or has got another shape, since `locate` was called last."""
        return self._changes.gone or self._changes.reshaped

    def invalidate(self) -> None:
        """Do nothing: `locate` asks the server each time."""

    def locate(self, known: PixelLocation | None) -> PixelLocation:
        """Return where the pixels are: `known` if that is the same. Raises WindowGone, WindowNotViewable."""
        location = self._unless_gone(self._intersect_screen)
        return known if known == location and known is not None else location

    def _intersect_screen(self) -> PixelLocation:
        connection, root = self._context.connection, self._context.root
        # All in one round trip: the replies are of one moment as nearly as the protocol allows.
        size = Cookie(connection, core.GetGeometry, drawable=self._window)
        screen = Cookie(connection, core.GetGeometry, drawable=root)
        corner = Cookie(connection, core.TranslateCoords, src_wid=self._window, dst_wid=root, src_x=0, src_y=0)
        self._context.viewable_attributes(self._window)
        try:
            inside, whole, at = size.reply(), screen.reply(), corner.reply()
        except (BadWindow, BadDrawable):
            raise destroyed(self._window) from None
        visible = Rect(-at.x, -at.y, whole.width, whole.height).intersect(Rect(0, 0, inside.width, inside.height))
        if visible is None:
            raise WindowNotViewable(
                f"the window {self._window:#x} lies wholly off the screen, and the server has no Composite to keep it"
            )
        try:
            self._shape = self._context.shape(self._changes, self._shape)
        except BaseException:
            self._changes.reshaped = True
            raise
        return PixelLocation(self._window, 0, visible, self._shape)


def _subscribe(context: WindowContext, window: int) -> Subscription:
    """Subscribe to the events of a window and its ancestors: if one of those is unmapped, the window has no event."""
    try:
        windows = [window, *tree.ancestors(context.connection, window)]
    except (BadWindow, BadDrawable):
        raise destroyed(window) from None
    return holding(context.lock, context.subscribe, windows)
