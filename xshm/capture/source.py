"""The capture engine of one drawable: its state, and the way of a frame from the request to numpy's memory.

A grab is one round trip: one request of 32 bytes, by which the server copies into memory that we share, and its reply.
In the steady state no pixels are allocated or copied on our side.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from xshm.capture.grab import FrameSize, GrabRequest, PendingGrab
from xshm.errors import BadDrawable, BadMatch, Closed, InvalidType, OutOfBounds, PoolExhausted, UnsupportedFormat
from xshm.geometry import Rect, as_rect
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.mit_shm import pack_get_image
from xshm.x11.protocol.requests import Request
from xshm.x11.server.colormap import Colormap

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xshm.capture.session import Session
    from xshm.geometry import Region
    from xshm.image.cursor import Pointer
    from xshm.pixels.format import PixelFormat
    from xshm.shm.segment import Slot

_INT16: Final = range(-0x8000, 0x8000)
_CACHED_LAYOUTS: Final = 4096
_RETRIES: Final = 20  # a window that another client resizes without rest wants some


class Source:
    """What frames are captured from: a drawable, its extent, its format, and the session that it belongs to.

    Only `Drawable` and its kinds are built on it. All names have an underscore, so that users see the verbs alone;
    the packages `capture` and `drawables` call them.
    """

    def __init__(self, session: Session, drawable: int, rect: Rect, fmt: PixelFormat, colormap: int) -> None:
        self._session = session
        self._connection = session.connection
        self._call = session.connection.wire.call
        self._pool = session.pool
        self._opcode = session.transport.opcode
        self._drawable = drawable
        self._border = 0  # how far inside of the drawable our coordinates begin: a window's pixmap has its border too
        self._extent = rect
        self._layouts: dict[tuple[int, int], FrameSize] = {}
        self._plan: GrabRequest | None = None  # the last grab's: programs ask for the same again and again
        self._sequence = 0
        self._copies = 0
        self._closed = False
        self._unavailable = False  # nothing can be grabbed: `_check_grabbable` says why
        self._set_format(fmt, colormap)

    # -- what streams, trackers and waits call -------------------------------------------------------------------------

    @property
    def _location(self) -> tuple[int, int]:
        """The drawable on the server, and how far inside of it our coordinates begin, as of the last `_current`."""
        return self._drawable, self._border

    @property
    def _damage_target(self) -> int:
        """The drawable whose DAMAGE reports what is drawn on this source."""
        return self._drawable

    @property
    def _geometry_changed(self) -> bool:
        """Whether an event has arrived that `_current` has to act on; no round trip."""
        return False

    def _current(self) -> Rect:
        """Return `rect`, after all events that have arrived. Raises what any grab would: Closed, WindowGone."""
        self._check_grabbable()
        return self._update_extent()

    def _within(self, region: Region) -> Rect:
        """Return a region as a Rect that lies inside; raises OutOfBounds. For verbs that cut nothing."""
        self._check_grabbable()
        rect = self._as_rect(region, self._pump_extent)
        if self._extent.contains(rect):
            return rect
        extent = self._pump_extent()
        if extent.contains(rect):
            return rect
        raise OutOfBounds(f"region {rect} leaves {self._name()} {extent.width}x{extent.height}")

    def _explain_refusal(self, rect: Rect) -> None:
        """Find out why the server refused `rect`; raise if it will again."""
        raise OutOfBounds(f"the server refused the region {rect} of {self._name()} {self._extent}")

    def _pointer(self) -> tuple[Pointer, int]:
        """Return the pointer, and the window that its position is to be asked for in."""
        with limits.loading():
            from xshm.image.cursor import Pointer  # noqa: PLC0415 - a screenshot does not pay for it

        window = self._pointed_window()
        self._session.pointer = self._session.pointer or Pointer(self._connection)
        return self._session.pointer, window

    def _begin(self, region: Rect | None) -> PendingGrab:
        """Queue the requests for one frame; `_finish` waits for it."""
        self._check_grabbable()
        return self._send_grab(self._update_extent() if region is None else self._within(region))

    def _finish(self, pending: PendingGrab, region: Rect | None) -> Frame:
        """Wait for a frame that was begun for `region`, and take it again if the source has changed in between."""
        try:
            frame = self._finish_or_retry(pending)
        except OutOfBounds:
            if region is None:  # it was resized, maybe by now to what it was
                return self._grab_clipped()
            raise
        return self._grab_clipped() if region is None and pending.rect != self._update_extent() else frame

    def _make_frame(self, rect: Rect, owner: Any, *, copied: bool) -> Frame:
        """Make a frame of memory that holds the region `rect`; with `copied`, which it has to itself."""
        self._copies += copied
        colours = self._colormap.read(self._colormap.ask()) if self._colormap is not None else None
        return self._frame(rect, owner, colours)

    # -- the grab pipeline ---------------------------------------------------------------------------------------------

    def _pointed_window(self) -> int:
        """Return the window whose corner the drawable's coordinates count from; raise where there is none."""
        return self._drawable

    def _set_format(self, fmt: PixelFormat, colormap: int) -> None:
        self._format = fmt
        self._colormap = Colormap(self._connection, colormap, fmt) if fmt.needs_colormap and colormap else None
        self._layouts = {}
        self._plan = None

    def _grab_clipped(self, region: Region | None = None, *, clip: bool = False) -> Frame:
        """Take all of it, or a region that lies where its size says: one to be cut, or a text (from a far edge)."""
        while True:
            whole = rect = self._extent
            if region is not None:
                self._check_grabbable()
                whole = self._pump_extent()
                rect = self._part(region, whole, clip=clip)
            try:
                frame = self._grab_rect(rect)
            except OutOfBounds:
                if whole is self._extent:
                    raise
                continue  # it was resized in the meantime
            if whole is self._update_extent():
                return frame

    def _pump_extent(self) -> Rect:
        """Return `_extent` after all that has arrived; no round trip where no event reports a change."""
        if self._connection.closed:
            return self._extent
        self._connection.wire.pump()
        return self._update_extent()

    def _update_extent(self) -> Rect:
        """Return `_extent`, after what the server has told of its size by now."""
        return self._extent

    def _resolve(self, region: Region, *, clip: bool) -> Rect:
        """Check a region against what there is; raises OutOfBounds with the numbers and the way out."""
        self._check_grabbable()
        rect = region if type(region) is Rect else self._as_rect(region, self._pump_extent)
        return rect if self._extent.contains(rect) else self._part(rect, self._pump_extent(), clip=clip)

    def _as_rect(self, region: Region, whole: Callable[[], Rect]) -> Rect:
        if getattr(region, "_is_on_screen", False):
            raise InvalidType(
                f"a {type(region).__name__} lies on the screen, and {self._name()} counts from a corner of its own; "
                f"grab it from the Screen"
            )
        return as_rect(region, whole)

    def _part(self, region: Region, whole: Rect, *, clip: bool) -> Rect:
        """Return a region as a part of `whole`, which `_extent` is or was; raises OutOfBounds as above."""
        rect = self._as_rect(region, lambda: whole)
        if whole.contains(rect):
            return rect
        if rect.x not in _INT16 or rect.y not in _INT16 or rect.right > _INT16.stop or rect.bottom > _INT16.stop:
            raise OutOfBounds(f"region {rect} leaves what X can name: coordinates are -32768 to 32767")
        name = self._name()
        if not clip:
            raise OutOfBounds(f"region {rect} leaves {name} {whole.width}x{whole.height}; pass clip=True to cut it")
        cut = rect.intersect(whole)
        if cut is None:
            raise OutOfBounds(f"region {rect} lies wholly outside {name} {whole.width}x{whole.height}; nothing is left")
        return cut

    def _name(self) -> str:
        return "the picture"

    def _grab_rect(self, rect: Rect) -> Frame:
        if self._unavailable:
            self._check_grabbable()
        try:
            return self._acquire(rect)
        except (BadMatch, BadDrawable):
            return self._retry(rect)

    def _retry(self, rect: Rect) -> Frame:
        """Take a frame that the server has refused, once it is known why. What is going on may go on."""
        for _ in range(_RETRIES):
            self._check_grabbable()  # another thread may have closed it
            self._explain_refusal(rect)
            try:
                return self._acquire(rect)
            except (BadMatch, BadDrawable):
                continue
        raise OutOfBounds(f"the server refuses the region {rect} of {self._name()} {self._extent}, again and again")

    def _acquire(self, rect: Rect) -> Frame:
        """Take one frame: the hot path. `_send_grab` and `_receive_grab` in one, without the queue in between."""
        if self._pool is None or self._colormap is not None or self._border:
            return self._receive_grab(self._send_grab(rect))
        plan = self._plan
        if plan is None or plan.rect is not rect or plan.drawable != self._drawable:
            plan = self._make_plan(rect)
        try:
            owner, slot = self._pool.acquire(plan.layout.nbytes)
        except PoolExhausted:
            # Not by a Window's `_receive_grab`, which follows the window: what calls this does, too.
            return Source._receive_grab(self, self._send_grab(rect))
        pending = self._call(plan.head + slot.place, owner)
        reply = pending.reply
        if reply is None:
            raise self._connection.refusal(pending, "ShmGetImage")
        if not plan.layout.proven:
            self._verify_reply(plan.layout, reply)
        return self._frame(rect, owner, None)

    def _make_plan(self, rect: Rect) -> GrabRequest:
        layout = self._layouts.get((rect.width, rect.height)) or self._layout(rect.width, rect.height)
        self._plan = plan = GrabRequest(self._opcode, self._drawable, rect, self._extent, layout)
        return plan

    def _send_grab(self, rect: Rect) -> PendingGrab:
        """Queue the requests for one frame."""
        layout = self._layouts.get((rect.width, rect.height)) or self._layout(rect.width, rect.height)
        colours = self._colormap.ask() if self._colormap is not None else None
        drawable, inset = self._drawable, self._border
        where = (drawable, rect.x + inset, rect.y + inset, rect.width, rect.height)
        owner, slot, copied = self._slot_for(layout.nbytes)
        if slot is None:
            pending = core.ask_image(*where)
        else:
            pending = Request(pack_get_image(self._opcode, *where, slot.shmseg), owner)
        return PendingGrab(drawable, rect, layout, owner, pending, colours, self._connection, copied=copied)

    def _slot_for(self, nbytes: int) -> tuple[Any, Slot | None, bool]:
        """Return an owner and its slot, and whether the frame is to be copied out of it.

        Without a slot the picture comes over the socket: on the core transport, and where there is room for no slot.
        """
        if self._pool is None:
            return None, None, False
        try:
            return self._pool.acquire_or_land(nbytes)
        except PoolExhausted:
            if self._session.copies:
                return None, None, True
        self._connection.sync()  # requests that were given up hold their slots until the server has answered
        return *self._pool.acquire(nbytes), False

    def _receive_grab(self, pending: PendingGrab) -> Frame:
        """Wait for what was pending."""
        layout, owner = pending.layout, pending.owner
        pending.owner = None  # a landing slot goes home with this call, however long the caller holds what was pending
        reply = self._connection.wait_reply(pending.request, "ShmGetImage" if owner is not None else "GetImage")
        colours = self._colormap.read(pending.colours) if self._colormap and pending.colours else None
        if owner is None:
            owner = bytearray(core.unpack_image(reply, layout.nbytes))
        else:
            if not layout.proven:
                self._verify_reply(layout, reply)
            if pending.copied:
                owner = bytearray(memoryview(owner)[: layout.nbytes])
        if pending.copied:
            self._copies += 1
        return self._frame(pending.rect, owner, colours)

    def _finish_or_retry(self, pending: PendingGrab) -> Frame:
        try:
            return self._receive_grab(pending)
        except (BadMatch, BadDrawable):
            return self._retry(pending.rect)

    def _frame(self, rect: Rect, owner: Any, colours: NDArray[Any] | None) -> Frame:
        now = time.monotonic_ns()
        self._sequence = sequence = self._sequence + 1
        return Frame(None, rect, now, sequence, self._format, colours, owner)

    def _layout(self, width: int, height: int) -> FrameSize:
        if len(self._layouts) > _CACHED_LAYOUTS:
            self._layouts.clear()
        layout = self._layouts[width, height] = FrameSize(self._format, width, height)
        return layout

    def _verify_reply(self, layout: FrameSize, reply: bytes) -> None:
        """Compare depth and size with what the server says it wrote, once for each size."""
        depth, size = mit_shm.unpack_get_image(reply)
        if depth != self._format.depth or size != layout.nbytes:
            raise UnsupportedFormat(
                f"the server wrote {size} bytes of depth {depth} where {self._format} takes {layout.nbytes}"
            )
        layout.proven = True

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"{self._name()} was closed")

    def _check_grabbable(self) -> None:
        """Raise what stands in the way of any grab."""
        self._check_open()
