"""Source: the capture engine of one drawable: its state, and a grab from the request to the Frame over shared memory.

A grab is one round trip: one ShmGetImage of 32 bytes, by which the server copies pixels into shared memory, and its
reply. In the steady state no memory is allocated or copied on this side, and the request is already packed.

Invariants:
1. `_extent` becomes another object whenever the drawable, its border or its size is another one. It is stored last of
   these, and `_relocating` is True from before the first store until after the last. If `_relocating` is False and then
   `_extent is extent`, read in this order, all that was computed from `extent` is valid; equal values prove nothing.
2. A frame is returned only if, at some moment of the call, its drawable was the source's and had the extent that the
   frame was requested for. The first attempt uses the known state and costs one round trip. An error, or an event that
   came with the reply, leads to `_retry`: it updates the state first, and ignores what changes after that. So a window
   that is resized all the time can be grabbed.
3. Any number of threads grab from one source. They share no buffer: a slot has one owner from `acquire` until the last
   view of its frame is dropped; `_last` is replaced, never changed.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from xshm.capture.grab import FrameSize, GrabRequest, PendingGrab
from xshm.errors import (
    BadDrawable,
    BadMatch,
    BadWindow,
    Closed,
    InvalidType,
    OutOfBounds,
    PoolExhausted,
    UnsupportedFormat,
)
from xshm.geometry import Rect, as_rect, fit
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.mit_shm import pack_get_image
from xshm.x11.protocol.requests import Request
from xshm.x11.server.colormap import Colormap

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xshm.capture.pointer import CursorRequest, Pointer
    from xshm.capture.session import Session
    from xshm.geometry import Region
    from xshm.image.cursor import CursorMode
    from xshm.pixels.format import PixelFormat
    from xshm.shm.pool import Slot
    from xshm.x11.windows.window_watch import WindowWatch

    Fit = Callable[[Rect], Rect]  # returns the rectangle to grab for an extent; raises OutOfBounds

# Sizes that are remembered, at most: a program may grab regions of ever new sizes.
_MOST_SIZES: Final = 4096
# A window that another client resizes all the time is refused a few times, each time for its size of a moment ago.
_RETRIES: Final = 20


class _InBorderError(Exception):
    """The rectangle lies partly in the border that a window's pixmap has around it; never leaves this file."""


_REFUSALS: Final = (BadMatch, BadDrawable, _InBorderError)


class Source:
    """What frames are captured from: a drawable, its extent, its format, and the session that it belongs to.

    Every member has an underscore, since a Source is always a Screen, Window or Pixmap, whose plain names are public;
    the files of `capture` and `drawables` use these members nevertheless. Subclasses override `_update_extent` and
    `_query_extent`, which bring the state up to date, and `_name`, for error messages.
    """

    def __init__(self, session: Session, drawable: int, extent: Rect, fmt: PixelFormat, colormap: int) -> None:
        self._session = session
        self._connection = session.connection
        self._call = session.connection.wire.call
        self._pool = session.pool
        self._opcode = session.transport.opcode
        self._drawable = drawable
        self._border = 0  # pixels from the drawable's corner to that of the extent: a window's pixmap has its border
        self._extent = extent
        self._relocating = False  # (1); by Windows, all others keep their drawable
        self._format = fmt
        self._colormap = Colormap(self._connection, colormap, fmt) if fmt.needs_colormap and colormap else None
        self._sizes: dict[tuple[int, int], FrameSize] = {}
        self._last: GrabRequest | None = None  # packed for the next grab: programs repeat one in a loop
        self._sequence = 0
        self._copies = 0
        self._closed = False
        self._unavailable = False  # no grab can succeed: `_check_grabbable` raises why
        # A Window has another pixmap after each resize, so that a reply without an error may be of the wrong drawable.
        self._changes_drawable = False
        # False: no event reports a change of the extent; `_update_extent` queries it, before each grab of the whole.
        self._notified = True
        self._rhythms: tuple[Any, ...] = ()  # what waits remember (`waiting.rhythm.Known`): replaced, never changed

    # -- for streams, trackers and waits -------------------------------------------------------------------------------

    @property
    def _location(self) -> tuple[int, int]:
        """The drawable on the server and its `_border`, as of the last `_current`."""
        return self._drawable, self._border

    @property
    def _damage_target(self) -> int:
        """The drawable whose DAMAGE reports what is drawn on this source."""
        return self._drawable

    @property
    def _geometry_changed(self) -> bool:
        """Whether an event has arrived that `_update_extent` has to act on; no round trip."""
        return False

    @property
    def _geometry_events(self) -> object:
        """A value that is another one after each event about the extent, also while there is no picture."""
        return ()

    def _current(self) -> Rect:
        """Return the extent after all events that have arrived. Raises as any grab does: Closed, WindowGone."""
        self._check_grabbable()
        return self._update_extent()

    def _within(self, region: Region, *, clip: bool | None = None) -> Rect:
        """Return a region as a Rect inside the extent; raises OutOfBounds, which names `clip` unless it is None."""
        self._check_grabbable()
        rect = region if type(region) is Rect else self._as_rect(region, self._pump_extent)
        return rect if self._extent.contains(rect) else self._part(rect, self._pump_extent(), clip=clip)

    def _explain_refusal(self, rect: Rect) -> None:
        """Query the extent after the server has refused `rect`; raise if it would refuse it again."""
        self._fit(rect, self._query_extent())

    def _pointer(self) -> tuple[Pointer, int]:
        """Return the pointer, and the window in whose coordinates its position is requested."""
        with limits.loading():
            from xshm.capture.pointer import Pointer  # noqa: PLC0415 - a screenshot does not pay for it

        window = self._pointed_window()
        self._session.pointer = self._session.pointer or Pointer(self._connection)
        return self._session.pointer, window

    def _add_cursor(self, frame: Frame, pointer: Pointer, request: CursorRequest, cursor: CursorMode) -> None:
        """Wait for the pointer that was requested with a frame's grab, and draw it where `cursor` is True."""
        try:
            frame.cursor = pointer.wait_cursor(request)
        except BadWindow:  # of QueryPointer: raise why, WindowGone or WindowNotViewable
            self._explain_refusal(frame.rect)
            raise
        if cursor is True:
            pointer.draw(frame)

    def _begin(self, region: Rect | None) -> PendingGrab:
        """Queue the requests for one frame of `region` (None: all); `_finish` waits for it."""
        return self._send_grab(self._current() if region is None else self._within(region))

    def _finish(self, pending: PendingGrab, region: Rect | None) -> Frame:
        """Wait for a frame of `_begin`; grab it again if the source has changed in between."""
        if region is None:
            return self._finish_sized(pending, _whole)
        return self._finish_grab(pending, partial(self._fit, region))

    def _make_frame(self, rect: Rect, owner: Any, *, copied: bool) -> Frame:
        """Make a frame over memory with the pixels of `rect`; `copied`: the memory is the frame's own, not a slot."""
        self._copies += copied
        colours = self._colormap.read(self._colormap.query()) if self._colormap is not None else None
        return self._frame(rect, owner, colours)

    # -- overridden by the kinds of drawables --------------------------------------------------------------------------

    def _update_extent(self) -> Rect:
        """Process the events that have arrived, and return `_extent`."""
        return self._extent

    def _query_extent(self) -> Rect:
        """Query the extent even if no event has reported a change, and return it; called after a refusal."""
        return self._extent

    def _check_grabbable(self) -> None:
        """Raise if no grab can succeed."""
        self._check_open()

    def _pointed_window(self) -> int:
        """Return the window whose corner the drawable's coordinates count from; raise where there is none."""
        return self._drawable

    def _watch_windows(self, *, with_moves: bool = False) -> WindowWatch | None:  # noqa: ARG002 - for those that have
        """Return a watch of the screen's windows; None for what has nothing to do with them."""
        return None

    def _name(self) -> str:
        """Return the source's name for error messages."""
        return "the picture"

    # -- regions -------------------------------------------------------------------------------------------------------

    def _pump_extent(self) -> Rect:
        """Read what has arrived, without waiting, and return the extent; after the Screen was closed, the last one."""
        if self._connection.closed:
            return self._extent
        self._connection.wire.pump()
        return self._update_extent()

    def _as_rect(self, region: Region, extent: Callable[[], Rect]) -> Rect:
        """Return a region as a Rect; raise InvalidType for a Monitor or WindowInfo, in the screen's coordinates."""
        if getattr(region, "_is_on_screen", False):
            raise InvalidType(
                f"a {type(region).__name__} lies on the screen, and {self._name()} counts from a corner of its own; "
                f"grab it from the Screen"
            )
        return as_rect(region, extent)

    def _part(self, region: Region, extent: Rect, *, clip: bool | None) -> Rect:
        """Return a region as a Rect inside `extent`, cut to it with `clip`; raises OutOfBounds."""
        return fit(self._as_rect(region, lambda: extent), extent, self._name(), clip=clip)

    def _fit(self, rect: Rect, extent: Rect) -> Rect:
        """Return `rect`, which was inside the extent when it was requested; raises OutOfBounds if it no longer is."""
        if extent.contains(rect):
            return rect
        raise OutOfBounds(f"region {rect} leaves {self._name()}, which was resized to {extent.width}x{extent.height}")

    # -- one frame, though the source may change meanwhile (2) ---------------------------------------------------------

    def _grab_rect(self, rect: Rect, request: GrabRequest | None = None) -> Frame:
        """Grab a rectangle that lies inside `_extent`; `request` is the last one, where that was for it."""
        if self._unavailable:
            self._check_grabbable()
        extent = self._extent if request is None else request.extent  # which another thread may have changed since
        try:
            frame = self._acquire(rect, request)
        except _REFUSALS:
            return self._retry(partial(self._fit, rect), refused=True)
        if self._changes_drawable and (self._geometry_changed or extent is not self._extent):
            return self._retry(partial(self._fit, rect))
        return frame

    def _grab_whole(self) -> Frame:
        """Grab the whole extent, in its size at that moment."""
        if self._unavailable:
            self._check_grabbable()
        if not self._notified:
            return self._retry(_whole)
        extent = self._extent
        try:
            frame = self._acquire(extent)
        except _REFUSALS:
            return self._retry(_whole, refused=True)
        if self._geometry_changed or extent is not self._extent:
            return self._retry(_whole)
        return frame

    def _grab_clipped(self, region: Region, *, clip: bool) -> Frame:
        """Grab a region whose place depends on the extent: one to be cut, or a text that counts from a far edge."""
        self._check_grabbable()
        self._connection.wire.pump()
        return self._retry(partial(self._part, region, clip=clip))

    def _finish_grab(self, pending: PendingGrab, fit: Fit) -> Frame:
        """Wait for a frame; grab what `fit` returns if the drawable has changed since, or the server has refused."""
        try:
            frame = self._receive_grab(pending)
        except _REFUSALS:
            return self._retry(fit, refused=True)
        if self._changes_drawable and (self._geometry_changed or pending.extent is not self._extent):
            return self._retry(fit)
        return frame

    def _finish_sized(self, pending: PendingGrab, fit: Fit) -> Frame:
        """Wait for a frame whose place depends on the extent."""
        frame = self._finish_grab(pending, fit)
        return frame if frame.rect == fit(self._update_extent()) else self._retry(fit)

    def _retry(self, fit: Fit, *, refused: bool = False) -> Frame:
        """Update the state and grab again, until the server does not refuse: the retry loop of all grabs."""
        for _ in range(_RETRIES):
            self._check_grabbable()  # another thread may have closed the source
            extent = self._query_extent() if refused else self._update_extent()
            rect = fit(extent)
            try:
                frame = self._acquire(rect)
            except _REFUSALS:
                refused = True
                continue
            # Else another thread has updated the state, and the frame may be of the former drawable or the present one.
            if not self._relocating and extent is self._extent:
                self._check_grabbable()  # a destroyed window's id may be another window's, and the frame of that
                return frame
        raise OutOfBounds(f"the server refuses the region {rect} of {self._name()} {self._extent}, again and again")

    # -- one request and its reply -------------------------------------------------------------------------------------

    def _acquire(self, rect: Rect, request: GrabRequest | None = None) -> Frame:
        """Grab `rect` of the known drawable, once. The hot path: `_send_grab` and `_receive_grab` in one call."""
        if request is None and (last := self._last) and last.rect is rect and last.extent is self._extent:
            request = last
        if request is None:
            extent = self._extent  # before drawable and border, which another thread stores before it (1)
            if self._pool is None or self._colormap is not None or self._border:
                return self._receive_grab(self._send_grab(rect))
            request = GrabRequest(self._opcode, self._drawable, rect, extent, self._size(rect), self._pool)
            self._last = request
        try:
            owner, slot = request.pool.acquire(request.size.nbytes)
        except PoolExhausted:
            return self._receive_grab(self._send_grab(rect))
        call = self._call(request.head + slot.place, owner)
        reply = call.reply
        if reply is None:
            raise self._connection.refusal(call, "ShmGetImage")
        if not request.size.verified:
            self._verify_reply(request.size, reply)
        return self._frame(rect, owner, None)

    def _send_grab(self, rect: Rect) -> PendingGrab:
        """Queue the requests for one frame, into a slot, or over the socket where there is none."""
        extent, drawable, border, size = self._extent, self._drawable, self._border, self._size(rect)
        colours = self._colormap.query() if self._colormap is not None else None
        place = (drawable, rect.x + border, rect.y + border, rect.width, rect.height)
        owner, slot, copied = self._slot_for(size.nbytes)
        if slot is None:
            request = core.image_request(*place)
        else:
            request = Request(pack_get_image(self._opcode, *place, slot.shmseg), owner)
        self._connection.wire.send(request)
        return PendingGrab(extent, rect, size, owner, request, colours, copied=copied)

    def _slot_for(self, nbytes: int) -> tuple[Any, Slot | None, bool]:
        """Return the owner of a slot's memory, the slot, and whether the frame is to be copied out of it (staging).

        No slot, so that pixels come over the socket: on the core transport, and where the pool has none left.
        """
        if self._pool is None:
            return None, None, False
        try:
            return self._pool.acquire_or_stage(nbytes)
        except PoolExhausted:
            if self._session.copies:
                return None, None, True
        self._connection.sync()  # interrupted requests hold their slots until the server has answered
        return *self._pool.acquire(nbytes), False

    def _receive_grab(self, pending: PendingGrab) -> Frame:
        """Wait for the reply to a grab that was sent."""
        size, owner = pending.size, pending.owner
        pending.owner = None  # a staging slot is free after this call, however long the caller keeps `pending`
        # The server does not refuse what lies in the border: the border belongs to the pixmap.
        if self._border and not pending.extent.contains(pending.rect):
            raise _InBorderError
        reply = self._connection.wait_reply(pending.request, "ShmGetImage" if owner is not None else "GetImage")
        colours = self._colormap.read(pending.colours) if self._colormap and pending.colours else None
        if owner is None:
            owner = bytearray(core.unpack_image(reply, size.nbytes))
        else:
            if not size.verified:
                self._verify_reply(size, reply)
            if pending.copied:
                owner = bytearray(memoryview(owner)[: size.nbytes])
        self._copies += pending.copied
        return self._frame(pending.rect, owner, colours)

    def _frame(self, rect: Rect, owner: Any, colours: NDArray[Any] | None) -> Frame:
        now = time.monotonic_ns()
        self._sequence = sequence = self._sequence + 1
        return Frame(None, rect, now, sequence, self._format, colours, owner)

    def _size(self, rect: Rect) -> FrameSize:
        """Return the memory of frames of that width and height: one object for each, since it remembers a check."""
        key = rect.width, rect.height
        size = self._sizes.get(key)
        if size is None:
            if len(self._sizes) > _MOST_SIZES:
                self._sizes.clear()
            size = self._sizes[key] = FrameSize(self._format.nbytes(*key))
        return size

    def _verify_reply(self, size: FrameSize, reply: bytes) -> None:
        """Compare the reply's depth and size with the format's, once for each size."""
        depth, nbytes = mit_shm.unpack_get_image(reply)
        if depth != self._format.depth or nbytes != size.nbytes:
            raise UnsupportedFormat(
                f"the server wrote {nbytes} bytes of depth {depth} where {self._format} takes {size.nbytes}"
            )
        size.verified = True

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"{self._name()} was closed")


def _whole(extent: Rect) -> Rect:
    """Return the extent itself: a Fit for the whole source."""
    return extent
