"""Surface: numpy arrays shown in an X window or pixmap, through memory that is shared with the server.

This is the public face of the package. The pixels go through a `swapchain` of buffers, so that no memory is written
while the server reads it; a window's events come from an `event_reader`. What was shown last stays in memory, and is
redrawn when it is exposed, as often as the surface is called or waits for events.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.geometry import Rect, Sized, as_rect, fit
from xshm.image.frame import Frame
from xshm.pixels import from_rgb
from xshm.pixels.alpha import premultiply
from xshm.shm.probe import choose
from xshm.surface.blit_path import BlitPath, check_path, choose_path
from xshm.surface.event_reader import EventReader
from xshm.surface.frame_colours import FrameColours
from xshm.surface.swapchain import Drawing, Swapchain
from xshm.surface.target import TargetArguments, open_target, window_size
from xshm.system import limits, logs
from xshm.system.closing import Closing
from xshm.system.deadlines import ENDS, within
from xshm.system.printable import printable
from xshm.x11.connection import Connection
from xshm.x11.windows.own_window import resize_window, set_title

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from xshm.events import Event
    from xshm.geometry import Region
    from xshm.pixels.format import PixelFormat
    from xshm.shm.transport import Transport
    from xshm.x11.display_name import Name
    from xshm.x11.xlib_display import XlibDisplay


class Surface(Sized, Closing):
    """A window of `width` times `height` pixels, or an existing window or pixmap (`on`), to show numpy arrays in.

        with xshm.Surface(640, 480) as surface:
            surface.show(array)                        # any uint8 array, converted into shared memory
            surface.show_frame(frame)                  # a Frame, from its own memory
            with surface.draw() as pixels:             # shared memory to write, in the surface's own format
                pixels[...] = 0
            surface.wait()                             # until the server has read it
            for event in surface.events():             # keys, buttons, motion, sizes, the end
                print(event)

    `on` is an id, or a Window or Pixmap of an open Screen. `display` is the display's name (None: that of `on`, or
    $DISPLAY). For a window of its own, `title` names it, `position` is where it shall be, and `resizable` whether its
    user may change its size.

    `transport` is one of "auto", "sysv", "fd", "core", as in Screen. `way` is how pixels get from shared memory into
    the drawable: "pixmap" (CopyArea from a shared pixmap), "put" (ShmPutImage), or "auto", the faster one of those that
    the server has, measured where it matters (`way_reason`). `xauthority` and `timeout` are as in Screen.

    A surface has a connection of its own, and is a context manager. One thread may draw while another waits for events.

    Raises ConnectFailed, TransportUnavailable, WindowGone, UnsupportedFormat (depths 1 and 4). Errors of what was
    presented are raised by a later call: by `wait`, or by what presents next.
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
        timeout = _arguments.reply_timeout(timeout)
        target = TargetArguments(width, height, on, display, position, title, resizable)
        self._connection = connection = Connection(target.display, xauthority, timeout)
        connection.wire.keep_events(keep=False)  # nothing but `xlib` reads events that have no route
        try:
            self._transport = choose(connection, transport)
            check_path(self._transport, way)  # before a window is created: no window flashes up for an error
            with connection.decoding("the drawable"):
                self._opened = opened = open_target(connection, target)
                self._way = choose_path(connection, self._transport, opened, way)
                self._writer = from_rgb.PixelWriter(opened.fmt, opened.palette)
                self._swapchain = Swapchain(connection, self._transport, opened, self._way.way)
            logs.info("surface", "%s: %s", self._way.way, self._way.reason)
        except BaseException:  # not only Exception: Ctrl-C must not leave the window open
            connection.close()
            raise
        inbox = opened.inbox
        self._events = None if inbox is None else EventReader(connection.wire, self._swapchain, inbox)
        self._frame_colours = FrameColours(opened.fmt, opened.palette)
        self._resizable = resizable
        self._closed = False
        self._xlib: XlibDisplay | None = None
        connection.name_owner(repr(self))

    # -- its properties ----------------------------------------------------------------------------------------------

    @property
    def rect(self) -> Rect:
        """Its size as a rectangle: corner 0, 0, in pixels. It changes with the Resize event, not before."""
        return self._swapchain.extent

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
        """How pixels get into the drawable: "pixmap" (CopyArea), "put" (ShmPutImage) or "core" (PutImage)."""
        return self._way.way

    @property
    def way_reason(self) -> str:
        """Why this `way` was chosen, with the times where they were measured: a sentence."""
        return self._way.reason

    @property
    def age(self) -> int:
        """The buffer age of the memory of the last `draw` or `show`, as in EGL_EXT_buffer_age.

        1: it held what the last present had shown, 2: what the one before had, and so on; 0: it was undefined.
        """
        return self._swapchain.age

    @property
    def is_open(self) -> bool:
        """Whether it can be drawn on: not closed by `close`, the window not closed by its user nor destroyed."""
        if self._closed:
            return False
        inbox = self._opened.inbox
        self._connection.wire.pump()
        if inbox is None:  # a pixmap: no event reports its end, and the next present raises
            return True
        with self._swapchain.lock:
            inbox.sort()
        return not (inbox.closed or inbox.destroyed)

    @property
    def xlib(self) -> XlibDisplay:
        """python-xlib's Display over the same connection, with all of its objects and extensions."""
        self._swapchain.check_open()
        if self._xlib is None:
            with limits.loading():
                from xshm.x11.xlib_display import XlibDisplay  # noqa: PLC0415 - it loads every extension module

            with self._connection.decoding("python-xlib's Display"):
                self._xlib = XlibDisplay(self._connection)
        return self._xlib

    def set_title(self, title: str) -> None:
        """Change the window's title."""
        _arguments.text(title, "a title")
        self._swapchain.check_open()
        set_title(self._connection, self.id, title)
        self._connection.flush()

    def resize(self, width: int, height: int) -> None:
        """Request another size, in pixels, of its own window. A Resize event reports the size that it got."""
        self._swapchain.check_open()
        if not self._opened.own:
            raise InvalidArgument(f"the drawable {self.id:#x} is not the surface's own to resize")
        size = window_size(width, height)
        resize_window(self._connection, self.id, *size, resizable=self._resizable)
        self._connection.flush()

    # -- drawing ---------------------------------------------------------------------------------------------------

    def show(
        self, array: NDArray[np.uint8], at: tuple[int, int] = (0, 0), order: str = "rgb", clip: bool = False
    ) -> None:
        """Convert an array into shared memory, and present it with its upper left corner at `at`.

        `array` is (height, width, 3), (height, width, 4) or (height, width) uint8, with any strides; it may be changed
        once this returns. A fourth channel is alpha where the surface has it (depth 32): straight, as `Frame.rgba`
        returns it, and multiplied into the colours when it is shown, as X keeps them; elsewhere it is ignored. A part
        that lies outside of the surface is OutOfBounds; with `clip` it is left out.
        """
        height, width = from_rgb.check(array, order)
        place, part = self._place(at, width, height, clip=clip)
        if part is None:
            return
        # All that can raise because of the array comes before a buffer is acquired.
        colours = array[part.moved(-place.x, -place.y).slices]
        if self.format.alpha_mask and colours.shape[2:] == (4,):
            colours = premultiply(colours)
        back = self._swapchain.acquire(part)
        if np.may_share_memory(colours, back[1]):  # the array is a view of memory that an earlier draw() returned
            colours = colours.copy()
        self._writer.fill(back[1], colours, order)
        self._swapchain.present(back, part)

    def show_frame(self, frame: Frame, at: tuple[int, int] = (0, 0), clip: bool = False) -> None:
        """Present a frame straight from its own memory, which is held while the server reads it and while it is shown.

        Writing to the frame's pixels meanwhile may show. Memory that the server can't read, since the frame or the
        surface is not of transport "sysv", is copied. A frame whose format is not the surface's is converted: with its
        alpha where the surface has alpha, which is 0 outside of the shape of the frame's window, else over black. `at`
        and `clip` are as in `show`.
        """
        if not isinstance(frame, Frame):
            raise InvalidType(f"show_frame takes a Frame, not {type(frame).__name__}; arrays go to show()")
        pixels = frame.pixels  # raises if the frame was released
        place, part = self._place(at, frame.width, frame.height, clip=clip)
        if part is None:
            return
        # By rising cost: the server reads the frame's own memory; a copy of it; a conversion.
        same = self._frame_colours.is_native(frame)
        if same and self._swapchain.present_frame(pixels, place, part):
            return
        inside = part.moved(-place.x, -place.y).slices
        if same:
            back = self._swapchain.acquire(part)
            np.copyto(back[1], pixels[inside])
        else:
            colours = self._frame_colours.colours(frame)[inside]
            back = self._swapchain.acquire(part)
            self._writer.fill(back[1], colours, "rgb")
        self._swapchain.present(back, part)

    def draw(self, rect: Region | None = None) -> Drawing:
        """Return a context manager: the surface's shared memory, or that of `rect`, to write; presented on leaving.

        The array is laid out as `format` says: (height, width, 4) uint8, B G R X, at depth 24; B G R A at depth 32,
        colours multiplied by alpha. `age` says what it holds. It is read-only after the block. An exception inside
        presents nothing, and is passed on. Up to three blocks may be open at once.
        """
        whole = part = self._swapchain.extent  # the very object means all of it, to the swapchain
        if rect is not None:
            part = as_rect(rect, lambda: whole)
            if not whole.contains(part):
                raise OutOfBounds(f"{part} leaves the surface {whole.width}x{whole.height}")
        return Drawing(self._swapchain, part)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the server has read all that was presented, and what it has exposed by then is redrawn.

        RequestTimeout after `timeout` seconds, or the surface's own `timeout`, if that is less. Errors of what was
        presented are raised here.
        """
        if timeout is None and not ENDS:  # mostly
            self._swapchain.wait(None)
            return
        seconds = _arguments.timeout(timeout)
        deadline = None if seconds is None else time.monotonic() + seconds
        within(math.inf if deadline is None else deadline, self._swapchain.wait, deadline)

    # -- events, and the end --------------------------------------------------------------------------------------

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Yield keys, buttons, motion, sizes and the end of the window: Key, Button, Motion, Resize, Close.

        It waits for each, and ends after Close. With `timeout` it ends when none has come for so many seconds; 0 gives
        those that are there. A Resize has changed the surface when it is yielded. Of keys, buttons and motion that are
        not asked for the last 4096 are kept. A pixmap has no events: InvalidArgument.
        """
        seconds = _arguments.timeout(timeout)
        if self._events is None:
            raise InvalidArgument(f"the pixmap {self.id:#x} has no events")
        while (event := self._events.next_event(seconds)) is not None:
            yield event

    def close(self) -> None:
        """Close the connection, and with it a window of its own. Closing twice is fine."""
        self._closed = True
        self._connection.close()  # first: it wakes the threads that wait, which may hold the swapchain's lock
        self._swapchain.close()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Surface belongs to its connection; send its id, and open Surface(on=id) there")

    def __repr__(self) -> str:
        size = f"{self.rect.width}x{self.rect.height}"
        state = "closed" if self._closed else f"{self._transport.kind}, {self.way}"
        return f"<Surface {printable(self._connection.display_name)} {self.id:#x} {size} {self.format}, {state}>"

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _place(self, at: tuple[int, int], width: int, height: int, *, clip: bool) -> tuple[Rect, Rect | None]:
        """Return where a picture goes, and the part of it that is inside: None, with `clip`, where there is none."""
        self._swapchain.check_open()
        place, whole = Rect(*_arguments.point(at, "at= is"), width, height), self.rect
        if place == whole:
            return whole, whole  # this very object: the swapchain tests for it
        _arguments.flag(clip, "clip")
        return place, place.intersect(whole) if clip else fit(place, whole, "the surface", clip=False)
