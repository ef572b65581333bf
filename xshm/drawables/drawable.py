"""Drawable: the public methods that Screen, Window and Pixmap share, over the engine in `capture.source`.

A method checks its arguments here, and other files do the work: the engine for grabs, `capture.stream` and
`capture.waiting`, which are imported when they are first needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, overload

from xshm import _arguments
from xshm.capture.session import Stats
from xshm.capture.source import Source
from xshm.drawables.recordable import Recordable
from xshm.errors import InvalidArgument, InvalidType
from xshm.geometry import Sized
from xshm.pixels.raster import why_unfit
from xshm.system import limits
from xshm.system.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.capture.grab import PendingGrab
    from xshm.capture.stream import Stream
    from xshm.capture.waiting.act import Act
    from xshm.capture.waiting.results import Change, Found, Outcome, Stability
    from xshm.capture.waiting.template import Picture
    from xshm.capture.waiting.wait import Rhythms
    from xshm.geometry import Rect, Region
    from xshm.image.cursor import CursorMode
    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat
    from xshm.shm.transport import Transport
else:
    from xshm._numpy import np


class Drawable(Sized, Closing, Recordable, Source):
    """Something on the X server that can be grabbed: a Screen, a Window or a Pixmap.

    `rect` is all of it, in its own coordinates; `format` the layout of its pixels.
    """

    _has_own_coordinates = True  # so `as_rect` refuses a drawable as a region of another one: their corners differ

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def rect(self) -> Rect:
        """All that can be grabbed, as a Rect in its own coordinates, as of now. No round trip if nothing changed."""
        return self._pump_extent()

    @property
    def format(self) -> PixelFormat:
        """The layout of its pixels: depth, bits per pixel, and which bits are red, green and blue."""
        return self._format

    @property
    def transport(self) -> Transport:
        """How frames come from the server: `kind` ("sysv", "fd" or "core") and `reason`."""
        return self._session.transport

    # -- frames ------------------------------------------------------------------------------------------------------

    def grab(self, region: Region | None = None, cursor: CursorMode = False, clip: bool = False) -> Frame:
        """Return one frame of `region` (None: all of it), in one round trip (MIT-SHM 1.2, ShmGetImage).

        A region is a Rect, a Monitor, (x, y, width, height), a dict of left, top, width and height, or a text as
        `Rect.parse` reads it, "640x480-0-0" too. One that leaves the drawable is OutOfBounds; with `clip` it is cut to
        what is inside, and `frame.rect` says where that is.

        The frame is valid as long as it, or a view of its pixels, is referenced. While `Screen.max_frames` frames are
        in use, each further frame is a copy in memory of its own (`frame.shared` is False, `stats().copies` counts
        them).

        With `cursor=True` the pointer is drawn into the frame, and `frame.cursor` has its image and position; with
        `cursor="layer"` only the latter. The pointer is drawn even where another window covers this one.
        """
        # The hot path: the grabs that programs repeat in a loop, of all or of the same Rect, are recognized by a few
        # comparisons of objects. All checks of arguments come after that.
        if cursor is not False:
            return self._grab_with_pointer(region, cursor, clip=clip)
        if region is None:
            return self._grab_whole()
        if clip is not False:
            _arguments.flag(clip, "clip")
            return self._grab_clipped(region, clip=True)
        last = self._last
        if last is not None and last.rect is region and last.extent is self._extent:
            return self._grab_rect(last.rect, last)  # the last grab found that it lies inside this extent
        if isinstance(region, str):
            return self._grab_clipped(region, clip=False)
        return self._grab_rect(self._within(region, clip=False))

    def grab_many(self, regions: Iterable[Region], *, clip: bool = False) -> list[Frame]:
        """Return one frame of each region: all requests are sent before the first reply is waited for."""
        _arguments.flag(clip, "clip")
        regions = _arguments.several(regions, "grab_many takes a list of regions", no_types=(str, Mapping))
        # All are checked before the first is sent: a region that is wrong costs no requests.
        rects = [(region, self._within(region, clip=clip)) for region in regions]
        pending: deque[tuple[Region, PendingGrab]] = deque()
        frames: list[Frame] = []
        for region, rect in rects:
            pending.append((region, self._send_grab(rect)))
            if pending[-1][1].copied:  # the next grab needs the slot that this one is copied out of
                self._finish_many(pending, frames, clip=clip)
        self._finish_many(pending, frames, clip=clip)
        return frames

    def grab_into(self, array: NDArray[Any], region: Region | None = None) -> None:
        """Fill `array` with a region; it has the shape and dtype that `frame.pixels` would have, and any strides.

        Raises InvalidType or InvalidArgument for an array that does not fit, which stays unchanged.
        """
        if not isinstance(array, np.ndarray):
            raise InvalidType(f"grab_into fills a numpy array, not {type(array).__name__}")
        # By a slot and a copy: the server writes at its own stride, and only to memory that was attached before.
        with self.grab(region) as frame:
            if wrong := why_unfit(array, frame.pixels.shape, frame.pixels.dtype):
                raise InvalidArgument(f"the array can't take {frame.rect} of {frame.format}: {wrong}")
            np.copyto(array, frame.pixels)

    def stream(
        self,
        region: Region | None = None,
        fps: float | None = None,
        on_change: bool = False,
        cursor: CursorMode = False,
    ) -> Stream:
        """Return an iterator of frames, also for `async for`: as fast as they are used, or `fps` a second.

        With `on_change` the first frame comes at once, and each other one when something was drawn (with `cursor` also
        when the pointer moved), at most `fps` a second. `frame.changed` says where, and `frame.pixels` is read-only:
        the next frames are built on it. (DLPack exports a copy, since PyTorch ignores that an array is read-only.)
        Needs the extensions DAMAGE and XFIXES.

        `region` None follows the size of the drawable. A text that counts from a far edge is read once, when the stream
        begins.
        """
        with limits.loading():
            from xshm.capture.stream import Stream  # noqa: PLC0415 - a screenshot does not pay for it

        return Stream(self, region, fps, on_change=on_change, cursor=cursor)

    def stats(self) -> Stats:
        """Return how many frames were grabbed and copied, and how many slots of shared memory are in use."""
        # The pool is the session's: the frames of all drawables of the Screen count.
        return Stats(self._sequence, self._pool.stats() if self._pool else None, self._copies)

    # -- waits -------------------------------------------------------------------------------------------------------

    def wait_change(
        self,
        timeout: float | None = None,
        region: Region | None = None,
        threshold: float = 0.0,
        *,
        since: Frame | None = None,
    ) -> Change:
        """Wait until more than `threshold` (a ratio of all pixels) has changed. Raises WaitTimeout.

        The picture is compared with the one at the beginning of the call, or with the frame `since`, which is of the
        same region.

        For this and all other waits: they return what was waited for. WaitTimeout is raised after `timeout` seconds,
        with the last frame; None is forever. A server that does not reply at all is RequestTimeout, half a second after
        `timeout`, or when one reply takes longer than the Screen's `timeout`.
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_change(self, timeout, region, threshold, since)

    def wait_stable(
        self,
        quiet: float | None = None,
        timeout: float | None = 10,
        threshold: float = 0.0,
        ignore: Iterable[Region] = (),
        region: Region | None = None,
        rhythms: Rhythms = "ignore",
    ) -> Stability:
        """Wait until, for `quiet` seconds, no more than `threshold` (a ratio of all pixels) has changed.

        `quiet` None is 0.3 seconds, or half of a shorter timeout. Changes inside the regions in `ignore` do not count.

        Nor, unless `rhythms` is "count", do those that are proven to be a steady rhythm: a caret that blinks, a
        spinner, a clock, a video. Proof takes some of its changes (two seconds of a video), and all of them are in the
        result's `moving`. What changes once is never a rhythm, and a rhythm that stops is a change again.

        Raises WaitTimeout, whose `moving` has what was last seen to move.
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_stable(self, quiet, timeout, threshold, ignore, region, rhythms)

    def wait_for(
        self, predicate: Callable[[Frame], object], timeout: float | None = 10, region: Region | None = None
    ) -> Frame:
        """Wait until `predicate(frame)` is true, and return that frame. It is called at once, and after each change.

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
        """Wait until the pixel at x, y has a colour: (red, green, blue), "#rrggbb" or a name. Return the frame.

        `tolerance` is how far each channel may be off, of 255. On screens of fewer bits, or of 30, the pixel has to be
        what the colour becomes there, cut or rounded. Raises WaitTimeout, which names the colour that is there, and has
        the last frame.
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
        scales: Iterable[float] = (1.0,),
    ) -> Found:
        """Wait until a picture (a path, a Pillow image, a Frame, an array) appears, and return where.

        Arrays are (h, w, 3) uint8 R G B, or (h, w, 4) R G B A. A pixel that is not fully opaque matches anything, since
        what shows through it is not known. With threshold 0.0 all other pixels have to be equal; above, the root mean
        square of the difference may be that ratio of full brightness, which needs OpenCV (MissingExtra).

        `scales` are the sizes to look for, as factors: (1, 1.25, 1.5, 2) finds a picture on screens of more dots an
        inch too. Each takes a search of its own, and interpolated pixels are hardly ever equal: give a threshold, such
        as 0.1. The result is the closest of all, and has its `scale`; a size larger than the region is left out.

        Files are PNG, JPEG, WebP, GIF, BMP, TIFF or PPM, of one picture, turned as its EXIF block says; of 16 bits a
        channel the upper 8 count. Raises InvalidArgument for a picture that is broken, larger than the region, or
        transparent all over, OSError for a file that can't be read, WaitTimeout, which has the last frame, and says how
        close the best match came and where.
        """
        with limits.loading():
            from xshm.capture.waiting import wait  # noqa: PLC0415 - as above

        return wait.wait_image(self, picture, region, threshold, timeout, scales)

    # -- actions -----------------------------------------------------------------------------------------------------

    @overload
    def act(
        self,
        function: None = None,
        /,
        *,
        quiet: float | None = None,
        timeout: float | None = 10,
        reaction: float = 1.0,
        region: Region | None = None,
        ignore: Iterable[Region] = (),
    ) -> Act: ...

    @overload
    def act(
        self,
        function: Callable[..., object],
        /,
        *args: object,
        quiet: float | None = None,
        timeout: float | None = 10,
        reaction: float = 1.0,
        region: Region | None = None,
        ignore: Iterable[Region] = (),
    ) -> Outcome: ...

    def act(
        self,
        function: Callable[..., object] | None = None,
        /,
        *args: object,
        quiet: float | None = None,
        timeout: float | None = 10,
        reaction: float = 1.0,
        region: Region | None = None,
        ignore: Iterable[Region] = (),
    ) -> Act | Outcome:
        """Act, and wait for what comes of it: `with screen.act() as act: …`, then `act.outcome`.

        With a function, call it with `args` and return the Outcome at once.

        What is there when the block is entered is the picture before. On leaving, the reaction is waited for, at most
        `reaction` seconds, and then until nothing has changed for `quiet` seconds (None: as `wait_stable`), at most
        `timeout` seconds in all. Time that is over is no error: the outcome tells. Steady rhythms, such as a caret, are
        no reaction, and are not waited for. `region` is what is watched, and `ignore` is left out.

        If the block raises, nothing is waited for. A window that the action closes has reacted, and is at rest.
        """
        with limits.loading():
            from xshm.capture.waiting import act  # noqa: PLC0415 - as above

        begun = act.Act(self, self._watch_windows, quiet, timeout, reaction, region, ignore)
        return begun if function is None else act.call(begun, function, args)

    # -- shared by several of them -----------------------------------------------------------------------------------

    def _recorded(self) -> Source:
        return self

    def __reduce__(self) -> NoReturn:
        raise InvalidType(
            f"a {type(self).__name__} belongs to its connection; send its Frames, which pickle by value, or the "
            f"display's name, and open a Screen there"
        )

    def _grab_with_pointer(self, region: Region | None, cursor: CursorMode, *, clip: bool) -> Frame:
        _arguments.cursor(cursor)
        _arguments.flag(clip, "clip")
        self._check_grabbable()
        if region is not None:
            self._within(region, clip=clip)  # raises before anything is sent
        pointer, window = self._pointer()
        request = pointer.request(window)  # before the grab, in the same packet: the pointer of that moment
        frame = self.grab(region, clip=clip)
        self._add_cursor(frame, pointer, request, cursor)
        return frame

    def _finish_many(self, pending: deque[tuple[Region, PendingGrab]], frames: list[Frame], *, clip: bool) -> None:
        """Wait for all pending grabs, and append their frames."""
        while pending:
            region, grab = pending.popleft()
            if clip or isinstance(region, str):  # its place depends on the drawable's size
                frames.append(self._finish_sized(grab, partial(self._part, region, clip=clip)))
            else:
                frames.append(self._finish_grab(grab, partial(self._fit, grab.rect)))
