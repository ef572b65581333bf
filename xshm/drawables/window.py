"""Window: the verbs of a Screen on one window, grabbed from its own pixmap (Composite).

So frames are whole though other windows cover it, part of it is off the screen, or it is larger than the screen. A
window that was destroyed or unmapped raises a typed error, in the middle of its use too, and never returns an old
picture.

Locking rules: `_locating` is held while the pixmap is located, so that of several threads one sends requests. The
result is stored under the lock, between `_relocating = True` and `= False`, the extent last (`capture.source`, 1), and
read without the lock.
"""

from __future__ import annotations

import contextlib
import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from xshm.drawables.operable import Operable
from xshm.drawables.window_context import destroyed
from xshm.drawables.window_pixels import RedirectedPixels, VisiblePixels
from xshm.errors import (
    BadDrawable,
    BadWindow,
    Closed,
    DisplayGone,
    InvalidArgument,
    OutOfBounds,
    RequestTimeout,
    XshmError,
)
from xshm.geometry import Rect
from xshm.system import limits
from xshm.system.deadlines import ENDS, holding, within
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server.visuals import format_of
from xshm.x11.windows import redirection
from xshm.x11.windows.client_pid import ClientPids
from xshm.x11.windows.properties import WindowProperties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.capture.session import Session
    from xshm.drawables.window_context import WindowContext
    from xshm.drawables.window_pixels import PixelLocation
    from xshm.image.frame import Frame
    from xshm.pixels.bounding_shape import BoundingShape
    from xshm.x11.windows.window_watch import WindowWatch


_CLOSING: Final = 0.5  # seconds that the server has to end a redirection, besides the grace that all replies have
_Found = TypeVar("_Found")


class Window(Operable):
    """A window, whole even if it is covered, partly off the screen or larger than it; opened by `Screen.window`.

    What it is: `id` (its number on the server), title, class_name, pid, position; rect, width, height, format;
    `source`, transport. Frames, waits, input, stats and close are those of a Screen.

    Coordinates count from its own corner, inside the border. Its format is its own: a window of depth 32 has alpha.
    If it has a shape (SHAPE), `Frame.bounding_shape` says which pixels are its own, and outside of them `rgba`, `image`
    and files are transparent; `pixels` and `rgb` are as the server has them.

    `source` says where frames come from: "pixmap" if the server has Composite, else "screen", which is what is visible
    of the window: `rect` is the part on the screen, and what others cover has undefined pixels (X.Org's servers make
    them black; on 8-bit screens they have no Composite).

    While it is open, the window is redirected off-screen. What was obscured when it was opened has to be painted by its
    client. Opening waits for that, at most 0.3 s, and not at all if nothing was obscured. A client that does not paint
    (it is busy, or stopped) leaves the window's background there, or, in a window without one, what was on the screen.

    Raises WindowGone once it was destroyed; WindowNotViewable while it is unmapped or iconified: mapped again, it can
    be grabbed again.
    """

    def __init__(self, session: Session, context: WindowContext, window: int) -> None:
        connection = session.connection
        if window == context.root:
            raise InvalidArgument(f"{window:#x} is the root window: that is the screen itself, and no window on it")
        self.id = window
        attributes = context.viewable_attributes(window)
        try:
            depth = connection.request(core.GetGeometry, drawable=window).depth
        except BadDrawable:
            raise destroyed(window) from None
        fmt = format_of(connection, depth, attributes.visual)
        colormap = attributes.colormap.id if attributes.colormap else 0
        # Drawable and extent are placeholders until `_update_extent` below has located the pixmap.
        super().__init__(session, window, Rect(0, 0, 1, 1), fmt, colormap)
        self._context = context
        self._locating = Lock()
        self._pixel_location: PixelLocation | None = None
        self._shape: BoundingShape | None = None
        self._pixels: RedirectedPixels | VisiblePixels
        extension = connection.negotiate(redirection.NAME)
        if extension is not None:
            self._pixels = RedirectedPixels(context, extension, window)
        else:
            self._pixels = VisiblePixels(context, window)
        self.source = self._pixels.source
        self._changes_drawable = True
        self._notified = self._pixels.notified
        context.open.add(self)
        try:
            self._update_extent()
        except BaseException:
            self.close()
            raise

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """Its title as it is now, "" where it has none. A round trip."""
        return self._unless_gone(self._properties().title())

    @property
    def class_name(self) -> str:
        """The class of its WM_CLASS, as in "XTerm". A round trip."""
        return self._unless_gone(self._properties().class_names()[1])

    @property
    def pid(self) -> int | None:
        """The id of the process that made it, on this machine; None where no credible source has it. A round trip."""
        found = self._properties()
        return self._unless_gone(ClientPids(self._connection).pid_of(self.id, found))

    @property
    def position(self) -> tuple[int, int]:
        """Where its corner, inside of border and frame, is on the screen now. A round trip."""
        self._check_open()
        root = self._context.root
        try:
            at = self._connection.request(core.TranslateCoords, src_wid=self.id, dst_wid=root, src_x=0, src_y=0)
        except BadWindow:
            raise destroyed(self.id) from None
        return self._unless_gone((at.x, at.y))

    def close(self) -> None:
        """End the redirection. Frames stay valid. Closing twice is fine; closing the Screen closes its Windows.

        Waits at most a second for a server that does not reply.
        """
        self._closed = self._unavailable = True  # first: other threads send nothing more for it
        self._context.open.discard(self)
        # The server has ended the redirection, with the connection that another thread has closed too, or can't now.
        with contextlib.suppress(Closed, DisplayGone, RequestTimeout):
            within(time.monotonic() + _CLOSING, self._pixels.close)

    def __repr__(self) -> str:
        state = "closed" if self._closed else self.source.kind
        return f"<Window {self.id:#x} {self._extent.width}x{self._extent.height} {self._format}, {state}>"

    # -- as a Source -------------------------------------------------------------------------------------------------

    @property
    def _damage_target(self) -> int:
        """The window itself: DAMAGE follows it from pixmap to pixmap."""
        if self.source.kind != "pixmap":
            raise XshmError(
                "telling what changed in a window needs its own pixmap, which a server without Composite does not "
                "keep; watch the region of the Screen where the window is"
            )
        return self.id

    @property
    def _geometry_changed(self) -> bool:
        """Whether the window was mapped, unmapped, resized or destroyed since it was located; no round trip."""
        return self._pixels.stale or self._relocating

    @property
    def _geometry_events(self) -> object:
        return self._pixels.events

    def _update_extent(self) -> Rect:
        if ENDS:  # some verb has a time limit, which may be this thread's
            return holding(self._locating, self._locate)
        with self._locating:
            return self._locate()

    def _query_extent(self) -> Rect:
        self._pixels.invalidate()
        return self._update_extent()

    def _locate(self) -> Rect:
        try:
            location = self._pixels.locate(self._pixel_location)
            if location is not self._pixel_location:
                self._relocating = True
                self._drawable = location.drawable
                self._border = location.border
                self._shape = location.shape
                self._extent = location.rect  # last of the four: the engine's first invariant
                self._relocating = False
                self._pixel_location = location
        except BaseException:
            self._pixel_location = None  # a signal handler may have raised between two stores: all are done anew
            raise
        return self._extent

    def _check_grabbable(self) -> None:
        self._check_open()
        # Known without a round trip. Even where a later window has the same id, this one stays gone.
        if self._pixels.gone:
            raise destroyed(self.id)

    def _frame(self, rect: Rect, owner: Any, colours: NDArray[Any] | None) -> Frame:
        frame = super()._frame(rect, owner, colours)
        if self._shape is not None:
            frame.bounding_shape = self._shape.within(rect)
        return frame

    def _pointed_window(self) -> int:
        return self.id

    def _name(self) -> str:
        return f"the window {self.id:#x}"

    def _watch_windows(self, *, with_moves: bool = False) -> WindowWatch:
        with limits.loading():
            from xshm.x11.windows.window_watch import WindowWatch  # noqa: PLC0415 - an act alone needs it

        return WindowWatch(self._context, with_moves=with_moves)

    def _to_root(self, x: int, y: int) -> tuple[int, int]:
        root = self._context.root
        there = Cookie(self._connection, core.TranslateCoords, src_wid=self.id, dst_wid=root, src_x=x, src_y=y)
        screen = Cookie(self._connection, core.GetGeometry, drawable=root).reply()
        try:
            at = there.reply()
        except BadWindow:
            raise destroyed(self.id) from None
        if not (0 <= at.x < screen.width and 0 <= at.y < screen.height):
            raise OutOfBounds(
                f"the point {x}, {y} of {self._name()} is at {at.x}, {at.y}, which is off the screen "
                f"{screen.width}x{screen.height}"
            )
        return self._unless_gone((at.x, at.y))

    # -- queries by its id -------------------------------------------------------------------------------------------

    def _properties(self) -> WindowProperties:
        self._check_open()
        # GetProperty of a window that was destroyed is BadWindow, which WindowProperties treats as "not set"; so
        # GetGeometry is sent with it.
        there = Cookie(self._connection, core.GetGeometry, drawable=self.id)
        found = WindowProperties(self._context.atoms, self.id)
        try:
            there.reply()
        except (BadDrawable, BadWindow):
            raise destroyed(self.id) from None
        return found

    def _unless_gone(self, found: _Found) -> _Found:
        """Return what was found by the id; raise WindowGone where another window may have that id by now."""
        if self._pixels.gone:
            raise destroyed(self.id)
        return found
