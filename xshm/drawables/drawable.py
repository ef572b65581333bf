"""The grab verbs on one drawable: what Screen, Window and Pixmap share.

A grab is one round trip: one request of 32 bytes, by which the server copies into memory that we share, and its reply.
In the steady state no pixels are allocated or copied on our side.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NoReturn

from xshm import _arguments
from xshm.capture.session import FrameSize, GrabRequest, PendingGrab, Stats, check_fits, several
from xshm.errors import (
    BadDrawable,
    BadMatch,
    Closed,
    InvalidType,
    OutOfBounds,
    PoolExhausted,
    UnsupportedFormat,
)
from xshm.geometry import Rect, as_rect
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.mit_shm import pack_get_image
from xshm.x11.protocol.requests import Request
from xshm.x11.server.colormap import Colormap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.capture.session import Session
    from xshm.capture.stream import Stream
    from xshm.capture.waiting.template import Picture
    from xshm.capture.waiting.wait import Change, Found, Stability
    from xshm.geometry import Region
    from xshm.image.cursor import CursorMode, Pointer
    from xshm.pixels.format import PixelFormat
    from xshm.shm.segment import Slot
    from xshm.shm.transport import Transport
else:
    from xshm._numpy import np

_INT16: Final = range(-0x8000, 0x8000)
_CACHED_LAYOUTS: Final = 4096
_RETRIES: Final = 20  # a window that another client resizes without rest wants some


class Drawable:
    """A source of frames. `rect` is its whole, in its own coordinates; `format` the layout of its pixels."""

    _has_own_coordinates = True  # see `as_rect`

    def __init__(self, link: Session, drawable: int, rect: Rect, fmt: PixelFormat, colormap: int) -> None:
        self._link = link
        self._connection = link.connection
        self._call = link.connection.wire.call
        self._pool = link.pool
        self._opcode = link.transport.opcode
        self._drawable = drawable
        self._inset = 0  # how far inside of the drawable our coordinates begin: a window's pixmap has its border too
        self._whole = rect
        self._layouts: dict[tuple[int, int], FrameSize] = {}
        self._plan: GrabRequest | None = None  # the last grab's: programs ask for the same again and again
        self._sequence = 0
        self._copies = 0
        self._closed = False
        self._barred = False  # nothing can be grabbed: `_check_grabbable` says why
        self._set_format(fmt, colormap)

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def rect(self) -> Rect:
        """All that can be grabbed, in its own coordinates, as of now."""
        if self._connection.closed:
            return self._whole
        self._connection.wire.pump()
        return self._current()

    @property
    def width(self) -> int:
        """Pixels in a row of `rect`, as of now."""
        return self.rect.width

    @property
    def height(self) -> int:
        """Rows of `rect`, as of now."""
        return self.rect.height

    @property
    def format(self) -> PixelFormat:
        """The layout of its pixels."""
        return self._format

    @property
    def transport(self) -> Transport:
        """How frames come from the server: `kind` and `reason`."""
        return self._link.transport

    def stats(self) -> Stats:
        """Count frames taken, slots in use, and the frames that there was no slot for."""
        return Stats(self._sequence, self._pool.stats() if self._pool else None, self._copies)

    def __reduce__(self) -> NoReturn:
        raise InvalidType(
            f"a {type(self).__name__} belongs to its connection; send its Frames, which pickle by value, or the "
            f"display's name, and open a Screen there"
        )

    # -- grabbing ----------------------------------------------------------------------------------------------------

    def grab(self, region: Region | None = None, cursor: CursorMode = False, clip: bool = False) -> Frame:
        """Take one frame of `region` (None: all of it), in one round trip (MIT-SHM 1.2, ShmGetImage).

        A region is a Rect, a Monitor, (x, y, width, height), a dict of left, top, width and height, or a text as
        `Rect.parse` reads it, "640x480-0-0" too. One that leaves the source is OutOfBounds; with `clip` the part inside
        is taken, and `frame.rect` says which. The frame is valid while anyone holds it or a view of its pixels. While
        `Screen.max_frames` frames are held, each more is a copy in memory of its own (`frame.shared` is False,
        `stats().copies` counts it).

        With `cursor` the pointer is drawn into it, and `frame.cursor` tells of it; `cursor="layer"` tells of it and
        draws nothing. It is drawn where it points, though on the screen another window may be on top there.
        """
        if cursor is not False:
            return self._grab_with_pointer(region, cursor, clip=clip)
        if region is None:
            return self._take_whole()
        if clip is not False:
            _arguments.flag(clip, "clip")
            return self._take_whole(region, clip=True)
        plan = self._plan
        if plan is not None and plan.rect is region and plan.whole is self._whole:
            return self._take(plan.rect)  # which was found to be inside
        if isinstance(region, str):
            return self._take_whole(region)
        return self._take(self._within(region, clip=False))

    def grab_many(self, regions: Iterable[Region], *, clip: bool = False) -> list[Frame]:
        """Take several regions, one frame each: all requests are sent before the first reply is waited for."""
        _arguments.flag(clip, "clip")
        regions = several(regions)
        wanted = [(region, self._within(region, clip=clip), self._whole) for region in regions]
        begun: deque[tuple[Region, Rect, PendingGrab]] = deque()
        frames: list[Frame] = []
        for region, rect, whole in wanted:
            begun.append((region, whole, self._begin(rect)))
            if begun[-1][2].copied:  # the memory that it lands in is wanted for the next
                self._finish_many(begun, frames, clip=clip)
        self._finish_many(begun, frames, clip=clip)
        return frames

    def _finish_many(self, begun: deque[tuple[Region, Rect, PendingGrab]], frames: list[Frame], *, clip: bool) -> None:
        while begun:
            region, whole, each = begun.popleft()
            is_sized = clip or isinstance(region, str)
            try:
                frame = self._finish_or_retry(each)
                resized = is_sized and self._current() is not whole
            except OutOfBounds:
                if not is_sized:
                    raise
                resized = True
            if resized:
                frame = self._take_whole(region, clip=clip)
            frames.append(frame)

    def grab_into(self, array: NDArray[Any], region: Region | None = None) -> None:
        """Take a region into `array`, of the shape and dtype that `frame.pixels` would have, with any strides.

        InvalidType or InvalidArgument say what is wrong with the array; it is unchanged then.
        """
        if not isinstance(array, np.ndarray):
            raise InvalidType(f"grab_into fills a numpy array, not {type(array).__name__}")
        with self.grab(region) as frame:
            check_fits(array, frame)
            np.copyto(array, frame.pixels)

    # -- watching ----------------------------------------------------------------------------------------------------

    def stream(
        self,
        region: Region | None = None,
        fps: float | None = None,
        on_change: bool = False,
        cursor: CursorMode = False,
    ) -> Stream:
        """Return an iterator of frames, also for `async for`: as fast as they are used, or `fps` a second.

        With `on_change` the first comes at once, and each other when something was drawn (with `cursor` also when the
        pointer moved), at most `fps` a second; `frame.changed` says where, and `frame.pixels` is read-only: the next
        frames are built on it (by DLPack it is exported as a copy, since PyTorch ignores that an array is read-only).
        `region` None follows the source's size; a text that counts from a far edge is read once, as the stream begins.
        Needs DAMAGE and XFIXES for `on_change`.
        """
        with limits.loading():
            from xshm.capture.stream import Stream  # noqa: PLC0415 - a screenshot does not pay for it

        return Stream(self, region, fps, on_change=on_change, cursor=cursor)

    def wait_change(
        self,
        timeout: float | None = None,
        region: Region | None = None,
        threshold: float = 0.0,
        *,
        since: Frame | None = None,
    ) -> Change | None:
        """Wait until the picture differs in more than `threshold` (a ratio of its pixels); None when time is over.

        It is compared with what is seen when the call begins, or with the frame `since`, taken of the same region.

        Of this and the other waits: a server that has not answered at all when the time (in seconds) is over is
        RequestTimeout, half a second later; so is one that takes longer for an answer than the Screen's `timeout`. Who
        waits for a change and nothing else waits as long as he said, or without a limit (None).
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_change(self, timeout, region, threshold, since)

    def wait_stable(
        self,
        quiet: float = 0.3,
        timeout: float | None = 10,
        threshold: float = 0.0,
        ignore: Iterable[Region] = (),
        region: Region | None = None,
    ) -> Stability:
        """Wait until, for `quiet` seconds, not more than `threshold` (a ratio of all pixels) has changed.

        What changes inside of the regions in `ignore`, a clock or a caret, does not count. The result is true if that
        came within `timeout` seconds, and has the last frame either way.
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_stable(self, quiet, timeout, threshold, ignore, region)

    def wait_for(
        self, predicate: Callable[[Frame], object], timeout: float | None = 10, region: Region | None = None
    ) -> Frame:
        """Wait until `predicate(frame)` is true, and return that frame; asked at once, and after each change.

        Raises WaitTimeout, which has the last frame.
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_for(self, predicate, timeout, region)

    def wait_pixel(
        self,
        x: int,
        y: int,
        colour: str | tuple[int, int, int],
        timeout: float | None = 10,
        tolerance: int = 0,
    ) -> Frame:
        """Wait until the pixel at x, y has a colour: (red, green, blue), "#rrggbb" or a name. Returns the frame.

        `tolerance` is how far each channel may be off, of 255. On screens of fewer bits, or of 30, a colour is met by
        what it becomes there, cut or rounded. Raises WaitTimeout, which names what is there, and has the last frame.
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_pixel(self, x, y, colour, timeout, tolerance)

    def wait_image(
        self,
        picture: Picture,
        region: Region | None = None,
        threshold: float = 0.0,
        timeout: float | None = 10,
    ) -> Found:
        """Wait until a picture (a path, a Pillow image, a Frame, an array) is seen, and say where.

        Arrays are (h, w, 3) uint8 R G B, or (h, w, 4) R G B A. A pixel that is not fully opaque may be anything: what
        shows through it is not known. With threshold 0.0 each other pixel has to be the same; above, the root mean
        square of the difference may be so much of full brightness, which needs OpenCV (MissingExtra). Files are PNG,
        JPEG, WebP, GIF, BMP, TIFF or PPM, of one picture, which is turned as its EXIF block says; of 16 bits a channel
        the upper 8 count. Raises InvalidArgument for a picture that is broken, larger than the region, or transparent
        all over, OSError for a file that can't be read, WaitTimeout, which has the last frame.
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_image(self, picture, region, threshold, timeout)

    # -- what streams are built on -----------------------------------------------------------------------------------

    @property
    def link(self) -> Session:
        """What all drawables of one Screen share."""
        return self._link

    @property
    def place(self) -> tuple[int, int]:
        """The drawable on the server, and how far inside of it our coordinates begin, as of the last `current`."""
        return self._drawable, self._inset

    @property
    def watched(self) -> int:
        """The drawable whose drawing is this one's (DAMAGE)."""
        return self._drawable

    @property
    def moved(self) -> bool:
        """Whether the server has told of something that `current` has to look into; no round trip."""
        return False

    def current(self) -> Rect:
        """Return `rect`, after what the server has told by now. Raises what any grab would: Closed, WindowGone."""
        self._check_grabbable()
        return self._current()

    def within(self, region: Region) -> Rect:
        """Return a region as a Rect that lies inside; raises OutOfBounds. For verbs that cut nothing."""
        self._check_grabbable()
        rect = self._as_rect(region, lambda: self.rect)
        if self._whole.contains(rect):
            return rect
        whole = self.rect
        if whole.contains(rect):
            return rect
        raise OutOfBounds(f"region {rect} leaves {self._name()} {whole.width}x{whole.height}")

    def refused(self, rect: Rect) -> None:
        """Find out why the server refused something; raise if it will again."""
        self._after_refusal(rect)

    def pointer(self) -> tuple[Pointer, int]:
        """Return the pointer, and the window that its place is to be asked for in."""
        with limits.loading():
            from xshm.image.cursor import Pointer  # noqa: PLC0415 - as above

        window = self._pointed_window()
        self._link.pointer = self._link.pointer or Pointer(self._connection)
        return self._link.pointer, window

    def begin(self, region: Rect | None) -> PendingGrab:
        """Queue the requests for one frame; `finish` waits for it."""
        self._check_grabbable()
        return self._begin(self._current() if region is None else self.within(region))

    def finish(self, begun: PendingGrab, region: Rect | None) -> Frame:
        """Wait for what was begun for `region`, and take it again if the source has changed in between."""
        try:
            frame = self._finish_or_retry(begun)
        except OutOfBounds:
            if region is None:  # it was resized, maybe by now to what it was
                return self._take_whole()
            raise
        return self._take_whole() if region is None and begun.rect != self._current() else frame

    def frame_over(self, rect: Rect, owner: Any, *, copied: bool) -> Frame:
        """Make a frame of memory that holds the region `rect`; with `copied`, which it has to itself."""
        self._copies += copied
        colours = self._colormap.read(self._colormap.ask()) if self._colormap is not None else None
        return self._frame(rect, owner, colours)

    # -- behind it -----------------------------------------------------------------------------------------------------

    def _grab_with_pointer(self, region: Region | None, cursor: CursorMode, *, clip: bool) -> Frame:
        _arguments.cursor(cursor)
        _arguments.flag(clip, "clip")
        self._check_grabbable()
        rect = None if region is None else self._within(region, clip=clip)
        pointer, window = self.pointer()
        asked = pointer.ask(window)
        if rect is None or clip or isinstance(region, str):
            frame = self._take_whole(region, clip=clip)
        else:
            frame = self._take(rect)
        frame.cursor = pointer.read(asked)
        if cursor is True:
            pointer.draw(frame)
        return frame

    def _pointed_window(self) -> int:
        """Return the window whose corner the drawable's coordinates count from; raise where there is none."""
        return self._drawable

    def _set_format(self, fmt: PixelFormat, colormap: int) -> None:
        self._format = fmt
        self._colormap = Colormap(self._connection, colormap, fmt) if fmt.needs_colormap and colormap else None
        self._layouts = {}
        self._plan = None

    def _take_whole(self, region: Region | None = None, *, clip: bool = False) -> Frame:
        """Take all of it, or a region that lies where its size says: one to be cut, or a text (from a far edge)."""
        while True:
            whole = rect = self._whole
            if region is not None:
                self._check_grabbable()
                whole = self.rect
                rect = self._part(region, whole, clip=clip)
            try:
                frame = self._take(rect)
            except OutOfBounds:
                if whole is self._whole:
                    raise
                continue  # it was resized in the meantime
            if whole is self._current():
                return frame

    def _current(self) -> Rect:
        """Return `_whole`, after what the server has told of its size by now."""
        return self._whole

    def _within(self, region: Region, *, clip: bool) -> Rect:
        """Check a region against what there is; raises OutOfBounds with the numbers and the way out."""
        self._check_grabbable()
        rect = region if type(region) is Rect else self._as_rect(region, lambda: self.rect)
        return rect if self._whole.contains(rect) else self._part(rect, self.rect, clip=clip)

    def _as_rect(self, region: Region, whole: Callable[[], Rect]) -> Rect:
        if getattr(region, "_is_on_screen", False):
            raise InvalidType(
                f"a {type(region).__name__} lies on the screen, and {self._name()} counts from a corner of its own; "
                f"grab it from the Screen"
            )
        return as_rect(region, whole)

    def _part(self, region: Region, whole: Rect, *, clip: bool) -> Rect:
        """Return a region as a part of `whole`, which `_whole` is or was; raises OutOfBounds as above."""
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

    def _take(self, rect: Rect) -> Frame:
        if self._barred:
            self._check_grabbable()
        try:
            return self._copy(rect)
        except (BadMatch, BadDrawable):
            return self._retake(rect)

    def _retake(self, rect: Rect) -> Frame:
        """Take a frame that the server has refused, once it is known why. What is going on may go on."""
        for _ in range(_RETRIES):
            self._check_grabbable()  # another thread may have closed it
            self._after_refusal(rect)
            try:
                return self._copy(rect)
            except (BadMatch, BadDrawable):
                continue
        raise OutOfBounds(f"the server refuses the region {rect} of {self._name()} {self._whole}, again and again")

    def _after_refusal(self, rect: Rect) -> None:
        """Find out why the server refused; raise if it will again."""
        raise OutOfBounds(f"the server refused the region {rect} of {self._name()} {self._whole}")

    def _copy(self, rect: Rect) -> Frame:
        """Take one frame: the hot path. `_begin` and `_finish` in one, without the queue in between."""
        if self._pool is None or self._colormap is not None or self._inset:
            return self._finish(self._begin(rect))
        plan = self._plan
        if plan is None or plan.rect is not rect or plan.drawable != self._drawable:
            plan = self._make_plan(rect)
        try:
            owner, slot = self._pool.acquire(plan.layout.nbytes)
        except PoolExhausted:
            # Not by a Window's `_finish`, which follows the window: what calls this does, too.
            return Drawable._finish(self, self._begin(rect))
        pending = self._call(plan.head + slot.place, owner)
        reply = pending.reply
        if reply is None:
            raise self._connection.refusal(pending, "ShmGetImage")
        if not plan.layout.proven:
            self._prove(plan.layout, reply)
        return self._frame(rect, owner, None)

    def _make_plan(self, rect: Rect) -> GrabRequest:
        layout = self._layouts.get((rect.width, rect.height)) or self._layout(rect.width, rect.height)
        self._plan = plan = GrabRequest(self._opcode, self._drawable, rect, self._whole, layout)
        return plan

    def _begin(self, rect: Rect) -> PendingGrab:
        """Queue the requests for one frame."""
        layout = self._layouts.get((rect.width, rect.height)) or self._layout(rect.width, rect.height)
        colours = self._colormap.ask() if self._colormap is not None else None
        drawable, inset = self._drawable, self._inset
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
            if self._link.copies:
                return None, None, True
        self._connection.sync()  # requests that were given up hold their slots until the server has answered
        return *self._pool.acquire(nbytes), False

    def _finish(self, begun: PendingGrab) -> Frame:
        """Wait for what was begun."""
        layout, owner = begun.layout, begun.owner
        begun.owner = None  # a landing slot goes home with this call, however long the caller holds what was begun
        reply = self._connection.wait_reply(begun.pending, "ShmGetImage" if owner is not None else "GetImage")
        colours = self._colormap.read(begun.colours) if self._colormap and begun.colours else None
        if owner is None:
            owner = bytearray(core.unpack_image(reply, layout.nbytes))
        else:
            if not layout.proven:
                self._prove(layout, reply)
            if begun.copied:
                owner = bytearray(memoryview(owner)[: layout.nbytes])
        if begun.copied:
            self._copies += 1
        return self._frame(begun.rect, owner, colours)

    def _finish_or_retry(self, begun: PendingGrab) -> Frame:
        try:
            return self._finish(begun)
        except (BadMatch, BadDrawable):
            return self._retake(begun.rect)

    def _frame(self, rect: Rect, owner: Any, colours: NDArray[Any] | None) -> Frame:
        now = time.monotonic_ns()
        self._sequence = sequence = self._sequence + 1
        return Frame(None, rect, now, sequence, self._format, colours, owner)

    def _layout(self, width: int, height: int) -> FrameSize:
        if len(self._layouts) > _CACHED_LAYOUTS:
            self._layouts.clear()
        layout = self._layouts[width, height] = FrameSize(self._format, width, height)
        return layout

    def _prove(self, layout: FrameSize, reply: bytes) -> None:
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
