"""The verbs on one drawable: what Screen, Window and Pixmap share, over the engine in `capture.source`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from xshm import _arguments
from xshm.capture.session import Stats
from xshm.capture.source import Source
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.capture.grab import PendingGrab
    from xshm.capture.stream import Stream
    from xshm.capture.waiting.template import Picture
    from xshm.capture.waiting.wait import Change, Found, Stability
    from xshm.geometry import Rect, Region
    from xshm.image.cursor import CursorMode
    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat
    from xshm.shm.transport import Transport
else:
    from xshm._numpy import np


class Drawable(Source):
    """A source of frames. `rect` is its whole, in its own coordinates; `format` the layout of its pixels."""

    _has_own_coordinates = True  # see `as_rect`

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def rect(self) -> Rect:
        """All that can be grabbed, in its own coordinates, as of now."""
        return self._pump_extent()

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
        return self._session.transport

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
            return self._grab_clipped()
        if clip is not False:
            _arguments.flag(clip, "clip")
            return self._grab_clipped(region, clip=True)
        plan = self._plan
        if plan is not None and plan.rect is region and plan.whole is self._extent:
            return self._grab_rect(plan.rect)  # which was found to be inside
        if isinstance(region, str):
            return self._grab_clipped(region)
        return self._grab_rect(self._resolve(region, clip=False))

    def grab_many(self, regions: Iterable[Region], *, clip: bool = False) -> list[Frame]:
        """Take several regions, one frame each: all requests are sent before the first reply is waited for."""
        _arguments.flag(clip, "clip")
        regions = _several(regions)
        wanted = [(region, self._resolve(region, clip=clip), self._extent) for region in regions]
        begun: deque[tuple[Region, Rect, PendingGrab]] = deque()
        frames: list[Frame] = []
        for region, rect, whole in wanted:
            begun.append((region, whole, self._send_grab(rect)))
            if begun[-1][2].copied:  # the memory that it lands in is wanted for the next
                self._finish_many(begun, frames, clip=clip)
        self._finish_many(begun, frames, clip=clip)
        return frames

    def grab_into(self, array: NDArray[Any], region: Region | None = None) -> None:
        """Take a region into `array`, of the shape and dtype that `frame.pixels` would have, with any strides.

        InvalidType or InvalidArgument say what is wrong with the array; it is unchanged then.
        """
        if not isinstance(array, np.ndarray):
            raise InvalidType(f"grab_into fills a numpy array, not {type(array).__name__}")
        with self.grab(region) as frame:
            _check_fits(array, frame)
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

    def _grab_with_pointer(self, region: Region | None, cursor: CursorMode, *, clip: bool) -> Frame:
        _arguments.cursor(cursor)
        _arguments.flag(clip, "clip")
        self._check_grabbable()
        rect = None if region is None else self._resolve(region, clip=clip)
        pointer, window = self._pointer()
        asked = pointer.ask(window)
        if rect is None or clip or isinstance(region, str):
            frame = self._grab_clipped(region, clip=clip)
        else:
            frame = self._grab_rect(rect)
        frame.cursor = pointer.read(asked)
        if cursor is True:
            pointer.draw(frame)
        return frame

    def _finish_many(self, begun: deque[tuple[Region, Rect, PendingGrab]], frames: list[Frame], *, clip: bool) -> None:
        while begun:
            region, whole, each = begun.popleft()
            is_sized = clip or isinstance(region, str)
            try:
                frame = self._finish_or_retry(each)
                resized = is_sized and self._update_extent() is not whole
            except OutOfBounds:
                if not is_sized:
                    raise
                resized = True
            if resized:
                frame = self._grab_clipped(region, clip=clip)
            frames.append(frame)


def _several(regions: Iterable[Region]) -> list[Region]:
    """Make a list of regions; InvalidType for one alone."""
    return _arguments.several(regions, "grab_many takes a list of regions", no_types=(str, Mapping))


def _check_fits(array: NDArray[Any], frame: Frame) -> None:
    """Raise InvalidArgument where an array can't take a frame's pixels, with all that is wrong with it."""
    pixels = frame.pixels
    wrong = []
    if array.shape != pixels.shape:
        wrong.append(f"its shape is {array.shape}, not {pixels.shape}")
    if array.dtype != pixels.dtype:
        wrong.append(f"its dtype is {array.dtype!r}, not {pixels.dtype!r}")
    if not array.flags.writeable:
        wrong.append("it is read-only")
    if any(stride == 0 and count > 1 for stride, count in zip(array.strides, array.shape, strict=True)):
        wrong.append(f"its elements share memory (strides {array.strides})")
    if wrong:
        raise InvalidArgument(f"the array can't take {frame.rect} of {frame.format}: {'; '.join(wrong)}")
