"""Window: Screen's verbs on one window.

It is taken out of its own pixmap (Composite), so that it is whole whatever covers it, whatever part of it is off the
screen, and however large it is. One that was destroyed or unmapped is a typed error, in the middle of its use too,
and never an old picture.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from xshm.drawables.drawable import Drawable
from xshm.drawables.window_pixels import RedirectedPixels, VisiblePixels
from xshm.errors import (
    BadDrawable,
    BadMatch,
    BadWindow,
    DisplayGone,
    InvalidArgument,
    OutOfBounds,
    RequestTimeout,
    WindowGone,
    WindowNotViewable,
    XshmError,
)
from xshm.geometry import Rect
from xshm.system.deadlines import ENDS, holding, within
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.server.visuals import format_of
from xshm.x11.windows import redirection
from xshm.x11.windows.client_pid import ClientPids
from xshm.x11.windows.properties import WindowProperties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.capture.grab import PendingGrab
    from xshm.capture.session import Session
    from xshm.drawables.window_pixels import PixelLocation, WindowContext
    from xshm.geometry import Region
    from xshm.image.bounding_shape import BoundingShape
    from xshm.image.cursor import CursorMode
    from xshm.image.frame import Frame


_TRIES: Final = 20
_FAREWELL: Final = 0.5  # seconds for the server's part in a window's end, and the grace that all answers have
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class WindowSource:
    """Where a window's frames come from: `kind` is "pixmap" (all of it) or "screen" (what is seen of it); and why."""

    kind: Literal["pixmap", "screen"]
    reason: str


class Window(Drawable):
    """A window, whole, though it is covered, partly off the screen or larger than it; made by `Screen.window`.

    `id` is its number. Coordinates count from its own corner, inside the border. Its format is its own: a window of
    depth 32 has alpha. Where it has a shape (SHAPE), `Frame.bounding_shape` says which pixels are its own, and outside
    of that `rgba`, `image` and files are transparent; `pixels` and `rgb` are as the server has them.

    `source` says where frames come from: "pixmap" where the server has Composite, else "screen", which is what can be
    seen of it: `rect` is the part on the screen, and what others cover has undefined pixels (X.Org's servers make them
    black; on 8-bit screens they have no Composite).

    While it is open, the window is redirected off-screen. What was hidden when it was opened has to be painted by the
    program whose window it is; opening waits for that, at most 0.3 s, and not at all if nothing was hidden. A program
    that does not paint (it is busy, or stopped) leaves the window's background there, or, in a window without one, what
    was on the screen.

    Raises WindowGone once it was destroyed; WindowNotViewable while it is unmapped or iconified: mapped again, it can
    be grabbed again.
    """

    def __init__(self, session: Session, shared: WindowContext, window: int) -> None:
        connection = session.connection
        if window == shared.root:
            raise InvalidArgument(f"{window:#x} is the root window: that is the screen itself, and no window on it")
        self.id = window
        attributes = shared.look(window)
        try:
            depth = connection.request(core.GetGeometry, drawable=window).depth
        except BadDrawable:
            raise WindowGone(f"the window {window:#x} was destroyed") from None
        fmt = format_of(connection, depth, attributes.visual)
        colormap = attributes.colormap.id if attributes.colormap else 0
        super().__init__(session, window, Rect(0, 0, 1, 1), fmt, colormap)
        self._shared = shared
        self._binding = Lock()
        self._place: PixelLocation | None = None
        self._shape: BoundingShape | None = None
        extension = connection.extension(redirection.NAME)
        self._backing: RedirectedPixels | VisiblePixels
        if extension is not None:
            self._backing = RedirectedPixels(shared, extension, window)
            self.source = WindowSource("pixmap", "the server has Composite and keeps all of the window")
        else:
            self._backing = VisiblePixels(shared, window)
            self.source = WindowSource(
                "screen", "the server has no Composite: what others cover is black, what is off the screen is not there"
            )
        # Its callback runs in C: what a signal handler raised in one in Python would be swallowed.
        shared.open[id(self)] = weakref.ref(self, partial(shared.open.pop, id(self)))
        try:
            self._update_extent()
        except BaseException:
            self.close()
            raise

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """Its title as it is now, "" where it has none. A round trip."""
        return self._of_this(self._claims().title())

    @property
    def class_name(self) -> str:
        """The class of its WM_CLASS, as in "XTerm". A round trip."""
        return self._of_this(self._claims().class_names()[1])

    @property
    def pid(self) -> int | None:
        """The process whose it is, on this machine; None where nothing credible says so. A round trip."""
        claims = self._claims()
        return self._of_this(ClientPids(self._connection).of(self.id, claims))

    @property
    def position(self) -> tuple[int, int]:
        """Where its corner is on the screen now, inside of border and frame. A round trip."""
        self._check_open()
        root = self._shared.root
        try:
            at = self._connection.request(core.TranslateCoords, src_wid=self.id, dst_wid=root, src_x=0, src_y=0)
        except BadWindow:
            raise self._gone() from None
        return self._of_this((at.x, at.y))

    def close(self) -> None:
        """End the redirection. Frames stay valid. Closing twice is fine; closing the Screen closes its Windows.

        A server that does not answer is told within a second, and not waited for.
        """
        self._closed = self._unavailable = True
        self._shared.open.pop(id(self), None)
        with contextlib.suppress(DisplayGone, RequestTimeout):  # nobody is there to be told
            within(time.monotonic() + _FAREWELL, self._backing.close)  # again, where that was interrupted

    def forget(self) -> None:
        """Be closed without a word to the server, with which the connection ends."""
        self._closed = self._unavailable = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else self.source.kind
        return f"<Window {self.id:#x} {self._extent.width}x{self._extent.height} {self._format}, {state}>"

    # -- what streams are built on ------------------------------------------------------------------------------------

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
        """Whether the window was mapped, unmapped, resized or destroyed since it was looked at; no round trip."""
        return self._backing.stale

    # -- behind it -----------------------------------------------------------------------------------------------------

    def _name(self) -> str:
        return f"the window {self.id:#x}"

    def _gone(self) -> WindowGone:
        return WindowGone(f"the window {self.id:#x} was destroyed")

    def _of_this(self, found: _Found) -> _Found:
        """Return what was found out by the id; WindowGone where another window may have it by now."""
        if self._backing.gone:
            raise self._gone()
        return found

    def _claims(self) -> WindowProperties:
        self._check_open()
        there = Cookie(self._connection, core.GetGeometry, drawable=self.id)
        claims = WindowProperties(self._shared.atoms, self.id)
        try:
            there.reply()
        except (BadDrawable, BadWindow):
            raise self._gone() from None
        return claims

    def _update_extent(self) -> Rect:
        if ENDS:
            return holding(self._binding, self._bind)
        with self._binding:
            return self._bind()

    def _bind(self) -> Rect:
        place = self._backing.place(self._place)
        if place is not self._place:
            self._place = place
            self._border = place.inset
            self._shape = place.shape
            self._extent = place.rect
            self._drawable = place.drawable
        return self._extent

    # A frame is right if its pixmap was the window's at some moment of the call. So one that changed meanwhile is
    # followed and taken again, once: a window that somebody drags larger all the time can be grabbed too.

    def _grab_clipped(self, region: Region | None = None, *, clip: bool = False) -> Frame:
        followed = not self._backing.is_told
        if region is not None:
            self._check_grabbable()
            self._connection.wire.pump()
            followed = True
        if followed:
            self._update_extent()
        for _ in range(_TRIES):
            if self._unavailable:
                self._check_grabbable()
            place = self._place
            rect = self._extent if place is None else place.rect
            if region is not None:
                rect = self._part(region, rect, clip=clip)
            try:
                frame = self._once(rect)
            except (BadMatch, BadDrawable):
                self._backing.invalidate()
            else:
                if place is self._place and (not self._backing.stale or (followed and not self._backing.gone)):
                    return frame
            self._update_extent()
            followed = True
        raise WindowNotViewable(f"{self._name()} does not keep still for a single grab, in {_TRIES} tries")

    def _acquire(self, rect: Rect) -> Frame:
        drawable = self._drawable
        frame = self._once(rect)
        if drawable == self._drawable and not self._backing.stale:
            return frame
        self._fits_still(rect)
        return self._once(rect)

    def _receive_grab(self, pending: PendingGrab) -> Frame:
        frame = super()._receive_grab(pending)
        if pending.drawable == self._drawable and not self._backing.stale:
            return frame
        self._fits_still(pending.rect)
        return super()._receive_grab(self._send_grab(pending.rect))

    def _once(self, rect: Rect) -> Frame:
        """Take a frame of the pixmap that is known, without asking whether the window has another one by now."""
        if self._pool is None or self._colormap is not None or self._border:
            return super()._receive_grab(self._send_grab(rect))
        return super()._acquire(rect)

    def _frame(self, rect: Rect, owner: Any, colours: NDArray[Any] | None) -> Frame:
        frame = super()._frame(rect, owner, colours)
        if self._shape is not None:
            frame.bounding_shape = self._shape.within(rect)
        return frame

    def _fits_still(self, rect: Rect) -> None:
        whole = self._update_extent()
        if not whole.contains(rect):
            raise OutOfBounds(f"region {rect} leaves {self._name()}, which is {whole} now")

    def _explain_refusal(self, rect: Rect) -> None:
        self._backing.invalidate()
        self._fits_still(rect)

    def _pointed_window(self) -> int:
        return self.id

    def _grab_with_pointer(self, region: Region | None, cursor: CursorMode, *, clip: bool) -> Frame:
        try:
            return self._of_this(super()._grab_with_pointer(region, cursor, clip=clip))
        except BadWindow:
            raise self._gone() from None
