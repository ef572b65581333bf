"""Surface: arrays drawn into X through shared memory. What is written is on the screen after one request.

No memory is lent while the server reads it. What was shown last stays in memory, and what of it was exposed is drawn
again whenever the surface is called, or waits for events.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds, RequestTimeout
from xshm.events import Close, Event, Inbox, Resize
from xshm.geometry import Rect, as_rect
from xshm.image.bounding_shape import clear_outside
from xshm.image.frame import Frame
from xshm.pixels import from_rgb, to_rgb
from xshm.pixels.alpha import premultiply
from xshm.shm.transport import Transport, choose
from xshm.surface.blit_path import BlitPath, check_path, choose_path
from xshm.surface.swapchain import Drawing, Swapchain
from xshm.surface.target import Target, open_target
from xshm.system import limits
from xshm.system.deadlines import holding, within
from xshm.system.printable import printable, quoted
from xshm.x11.connection import Connection
from xshm.x11.windows.own_window import resize_window, set_title

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from xshm.geometry import Region
    from xshm.pixels.format import PixelFormat
    from xshm.x11.display_name import Name
    from xshm.x11.xlib_display import XlibDisplay


class Surface:
    """A window of its own, of `width` times `height` pixels, or the window or pixmap `on`, drawn from numpy arrays.

    `on` is an id, or a Window or Pixmap of an open Screen. `display` is the display's name (None: that of `on`, or
    $DISPLAY), `position` where the window shall be, `transport` one of "auto", "sysv", "fd", "core", `way` how pixels
    get from shared memory into the drawable: "pixmap" (CopyArea from a shared pixmap), "put" (ShmPutImage), or "auto",
    the faster that there is, measured where it matters (`way_reason`). `xauthority` and `timeout` are as in Screen.

    A surface has a connection of its own, and is a context manager. One thread may draw while another waits for events.
    Raises ConnectFailed, TransportUnavailable, WindowGone, UnsupportedFormat (depths 1 and 4).
    """

    _has_own_coordinates = True  # see `as_rect`

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        *,
        on: Any = None,
        title: str = "xshm",
        display: Name | None = None,
        position: tuple[int, int] | None = None,
        resizable: bool = False,
        transport: str = "auto",
        way: str = "auto",
        xauthority: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> None:
        timeout = _arguments.answer_timeout(timeout)
        target = Target.wanted(width, height, on, display, position, title, resizable=resizable)
        self._connection = connection = Connection(target.display, xauthority, timeout)
        connection.wire.keep_events(keep=False)  # until somebody can take them
        try:
            self._transport = choose(connection, transport)
            check_path(self._transport, way)
            with connection.decoding("the drawable"):
                self._opened = opened = open_target(connection, target)
                self._way = choose_path(connection, self._transport, opened, way)
                self._paint = from_rgb.PixelWriter(opened.fmt, opened.cells)
                self._presenter = Swapchain(connection, self._transport, opened, self._way.way)
        except BaseException:
            connection.close()
            raise
        self._like = opened.fmt
        self._resizable = resizable
        self._told_close = False
        self._closed = False
        self._xlib: XlibDisplay | None = None
        connection.name_owner(repr(self))

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def rect(self) -> Rect:
        """All of it, in its own coordinates: corner 0, 0. It changes with the Resize event, not before."""
        return self._presenter.whole

    @property
    def width(self) -> int:
        """Pixels in a row of `rect`."""
        return self.rect.width

    @property
    def height(self) -> int:
        """Rows of `rect`."""
        return self.rect.height

    @property
    def id(self) -> int:
        """The X id of the window or pixmap."""
        return self._opened.drawable

    @property
    def format(self) -> PixelFormat:
        """The layout of its pixels."""
        return self._opened.fmt

    @property
    def transport(self) -> Transport:
        """How pixels reach the server: `kind` and `reason`."""
        return self._transport

    @property
    def way(self) -> BlitPath:
        """How they get into the drawable: "pixmap", "put" or "core"."""
        return self._way.way

    @property
    def way_reason(self) -> str:
        """Why that way: a sentence."""
        return self._way.reason

    @property
    def age(self) -> int:
        """How old the content of the memory was when it was lent last.

        1: it was what the last present had shown, 2: the one before, and so on; 0: it was undefined.
        """
        return self._presenter.age

    @property
    def is_open(self) -> bool:
        """Whether it can still be drawn on: not closed by its user, by `close`, or with its window."""
        if self._closed:
            return False
        inbox = self._opened.inbox
        self._connection.wire.pump()
        if inbox is None:
            return True
        with self._presenter.lock:
            inbox.sort()
        return not (inbox.closed or inbox.destroyed)

    @property
    def xlib(self) -> XlibDisplay:
        """python-xlib's Display over the same connection, with all of its objects and extensions."""
        self._presenter.check_open()
        if self._xlib is None:
            with limits.loading():
                from xshm.x11.xlib_display import XlibDisplay  # noqa: PLC0415 - it loads every extension module

            with self._connection.decoding("python-xlib's Display"):
                self._xlib = XlibDisplay(self._connection)
        return self._xlib

    def set_title(self, title: str) -> None:
        """Name the window."""
        _arguments.text(title, "a title")
        self._presenter.check_open()
        set_title(self._connection, self.id, title)
        self._connection.flush()

    def resize(self, width: int, height: int) -> None:
        """Ask for another size of its own window; the Resize event tells when it has come, and which."""
        self._presenter.check_open()
        if not self._opened.own:
            raise InvalidArgument(f"the drawable {self.id:#x} is not the surface's own to resize")
        size = Target.window_size(width, height)
        resize_window(self._connection, self.id, *size, resizable=self._resizable)
        self._connection.flush()

    # -- drawing ---------------------------------------------------------------------------------------------------

    def show(
        self, array: NDArray[np.uint8], at: tuple[int, int] = (0, 0), order: str = "rgb", clip: bool = False
    ) -> None:
        """Convert an array into shared memory, and present it with its corner at `at`.

        `array` is (height, width, 3), (height, width, 4) or (height, width) uint8, with any strides; it may be changed
        once this returns. A fourth channel is alpha where the surface has it (depth 32): straight, as `Frame.rgba`
        returns it, and multiplied into the colours on the way, as X keeps them; elsewhere it is of no account. What
        lies outside is OutOfBounds; with `clip` it is left out.
        """
        height, width = from_rgb.check(array, order)
        place, part = self._place(at, width, height, clip=clip)
        if part is None:
            return
        colours = array[part.moved(-place.x, -place.y).slices]
        if self.format.alpha_mask and colours.shape[2:] == (4,):
            colours = premultiply(colours, to_rgb.row_bands(part.height, part.width))
        loan = self._presenter.acquire(part)
        if np.may_share_memory(colours, loan.pixels):  # it is a view of what was lent before
            colours = colours.copy()
        self._paint.fill(loan.pixels, colours, order)
        self._presenter.present(loan)

    def show_frame(self, frame: Frame, at: tuple[int, int] = (0, 0), clip: bool = False) -> None:
        """Present a frame straight from its own memory, which is held until the server has read it, and is shown.

        Writing to the frame's pixels meanwhile may show. Where the server can't read that memory (`frame_memory`), or
        the frame's format is not the surface's, it is copied, or converted: with its alpha where the surface has one,
        which is 0 outside of the shape of the frame's window, else over black.
        """
        if not isinstance(frame, Frame):
            raise InvalidType(f"show_frame takes a Frame, not {type(frame).__name__}; arrays go to show()")
        pixels = frame.pixels
        place, part = self._place(at, frame.width, frame.height, clip=clip)
        if part is None:
            return
        same = self._is_like(frame)
        if same and self._presenter.present_frame(pixels, place, part):
            return
        inside = part.moved(-place.x, -place.y).slices
        if same:
            loan = self._presenter.acquire(part)
            np.copyto(loan.pixels, pixels[inside])
        else:
            colours = self._colours(frame)[inside]
            loan = self._presenter.acquire(part)
            self._paint.fill(loan.pixels, colours, "rgb")
        self._presenter.present(loan)

    def draw(self, rect: Region | None = None) -> Drawing:
        """Lend shared memory for the whole surface, or for `rect`, to a with block, and present that on leaving it.

        The array is laid out as `format` says: (height, width, 4) uint8, B G R X, at depth 24; B G R A at depth 32,
        colours multiplied by alpha. What is in it tells `age`. It is read-only once it was given back. An exception
        inside presents nothing, and is passed on.
        """
        whole = part = self.rect
        if rect is not None:
            part = as_rect(rect, lambda: whole)
            if not whole.contains(part):
                raise OutOfBounds(f"{part} leaves the surface {whole.width}x{whole.height}")
        return Drawing(self._presenter, part)

    def wait(self, timeout: float | None = None) -> None:
        """Return when the server has read all that was presented, and what it has told of as exposed is drawn again.

        RequestTimeout when `timeout` seconds have passed, or those that the surface has for any answer, if these are
        less. Errors of what was presented are raised here.
        """
        self._presenter.wait(_seconds(timeout))

    # -- what happens to it ----------------------------------------------------------------------------------------

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Yield keys, buttons, motion, sizes and the end of the window: Key, Button, Motion, Resize, Close.

        It waits for each, and ends after Close. With `timeout` it ends when none has come for so many seconds; 0 gives
        those that are there. A Resize has changed the surface when it is yielded. Of those that nobody asks for, the
        last 4096 are kept.
        """
        seconds = _seconds(timeout)
        while (event := self._next_event(seconds)) is not None:
            yield event

    def close(self) -> None:
        """Close the connection, and with it a window of its own. Closing twice is fine."""
        self._closed = True
        self._connection.close()
        self._presenter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Surface belongs to its connection; send its id, and open Surface(on=id) there")

    def __repr__(self) -> str:
        size = f"{self.rect.width}x{self.rect.height}"
        state = "closed" if self._closed else f"{self._transport.kind}, {self.way}"
        return f"<Surface {printable(self._connection.display_name)} {self.id:#x} {size} {self.format}, {state}>"

    # -- behind it ---------------------------------------------------------------------------------------------------

    def _place(self, at: tuple[int, int], width: int, height: int, *, clip: bool) -> tuple[Rect, Rect | None]:
        """Return where a picture goes, and the part of it that is inside: None, with `clip`, where there is none."""
        self._presenter.check_open()
        place, whole = Rect(*_arguments.point(at, "at= is"), width, height), self.rect
        if place == whole:
            return whole, whole
        if whole.contains(place):
            return place, place
        if not clip:
            raise OutOfBounds(
                f"a picture at {place} leaves the surface {whole.width}x{whole.height}; pass clip=True to cut it"
            )
        return place, place.intersect(whole)

    def _colours(self, frame: Frame) -> NDArray[np.uint8]:
        """Return a frame's colours as `PixelWriter.fill` takes them."""
        if not self.format.alpha_mask:
            return frame.rgb()
        found = to_rgb.premultiplied(frame.pixels, frame.format, colormap=frame.colormap, width=frame.width)
        if frame.bounding_shape is not None:
            clear_outside(found, frame.bounding_shape)
        return found

    def _is_like(self, frame: Frame) -> bool:
        """Tell whether a frame's pixels mean on this surface what they mean in the frame."""
        if frame.bounding_shape is not None and self.format.alpha_mask:
            return False
        if frame.format is not self._like:
            if frame.format != self.format:
                return False
            self._like = frame.format  # so that the next of the same source is not compared field by field
        cells = self._opened.cells
        return cells is None or (frame.colormap is not None and np.array_equal(frame.colormap, cells.colours))

    def _next_event(self, timeout: float | None) -> Event | None:
        inbox = self._opened.inbox
        if inbox is None:
            raise InvalidArgument(f"the pixmap {self.id:#x} has no events")
        wire = self._connection.wire
        deadline = None if timeout is None else time.monotonic() + timeout
        end = math.inf if deadline is None else deadline
        is_last = False
        while not self._told_close:
            try:
                event = within(end, holding, self._presenter.lock, self._attended, inbox)
            except RequestTimeout:  # what is to be drawn again can't be sent
                if time.monotonic() < end:
                    raise
                return None
            if event is not None:
                return event
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                wire.pump()
                if is_last or not (inbox.done or inbox.input):
                    return None
                is_last = True  # what comes after it comes too late, be it without end
                continue
            try:
                wire.wait_for(_Arrival(inbox), left)
            except RequestTimeout:
                deadline = time.monotonic()
        return None

    def _attended(self, inbox: Inbox) -> Event | None:
        self._presenter.service()
        return self._tell(inbox)

    def _tell(self, inbox: Inbox) -> Event | None:
        event = inbox.next_input()
        if event is not None:
            return event
        size = inbox.size
        if size is not None and size != (self.rect.width, self.rect.height):
            self._presenter.resize(Rect(0, 0, *size))
            return Resize(*size)
        if inbox.closed:
            self._told_close = True
            return Close()
        return None


class _Arrival:
    """Waiting for an event that a surface's user is told, or that it acts on by itself."""

    __slots__ = ("_inbox",)

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    @property
    def done(self) -> bool:
        return self._inbox.done or bool(self._inbox.input)


def _seconds(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    seconds = _arguments.number(timeout, "a timeout is a number of seconds, or None")
    if not seconds >= 0:
        raise InvalidArgument(
            f"a timeout is a number of seconds from 0 on, or None for no limit; not {quoted(timeout)}"
        )
    return seconds
