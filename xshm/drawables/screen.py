"""Screen: the root window of a display, which is what most people use.

Opening one costs a connection and a few round trips; every grab after that costs one. It may be used from any number of
threads. Frames outlive it.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Self

from xshm import _arguments
from xshm.capture.session import Session
from xshm.drawables.drawable import Drawable
from xshm.errors import BadMatch, InvalidArgument, InvalidType, OutOfBounds, RootlessServer, ServerError
from xshm.geometry import Rect, as_rect
from xshm.shm import own_segments
from xshm.shm.segment import Pool
from xshm.shm.transport import choose
from xshm.system import limits
from xshm.system.deadlines import holding
from xshm.system.printable import printable, quoted
from xshm.x11.connection import Connection
from xshm.x11.protocol import core
from xshm.x11.server import randr
from xshm.x11.server.visuals import format_of, of_root

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from xshm.drawables.monitors import Monitor
    from xshm.drawables.pixmap import Pixmap
    from xshm.drawables.window import Window
    from xshm.drawables.window_list import WindowInfo
    from xshm.drawables.window_pixels import WindowContext
    from xshm.geometry import Region
    from xshm.image.cursor import CursorMode
    from xshm.image.frame import Frame
    from xshm.shm.segment import Kind
    from xshm.shm.transport import Transport
    from xshm.x11.display_name import Name
    from xshm.x11.protocol.requests import Request
    from xshm.x11.xlib_display import XlibDisplay

# Grabs beyond the limit that have a slot to land in at the same time; those of more threads come over the socket.
_LANDINGS = 4


class Screen(Drawable):
    """A display's screen.

    `display` is its name, as text, bytes or path (None or "": $DISPLAY), `transport` one of "auto", "sysv", "fd",
    "core", `xauthority` the path of an authority file, `timeout` the seconds that any one answer may take (None: no
    limit). `max_frames` is how many frames may be held at once in memory that is shared with the server; each more, and
    each that the kernel has no shared memory for, has memory of its own (`Frame.shared`), or, with `copies=False`, is
    PoolExhausted. Raises ConnectFailed, AccessDenied, TransportUnavailable; and, as any call may, ServerNonsense.

    Without `xauthority` the cookie comes from $XAUTHORITY or ~/.Xauthority, and goes only to a server that runs as
    root, as this user, or as the owner of that file; for another's it is UntrustedServer, before a byte is sent. To
    name the file is to say that the server is meant, whosever it is. Over TCP nobody can tell whose it is: the host
    that was named gets the cookie.
    """

    def __init__(
        self,
        display: Name | None = None,
        transport: str = "auto",
        xauthority: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = None,
        max_frames: int = 64,
        copies: bool = True,
    ) -> None:
        timeout = _checked(timeout, max_frames, copies)
        own_segments.look_once()
        connection = Connection(display, xauthority, timeout)
        connection.wire.keep_events(keep=False)  # until somebody can take them
        try:
            with connection.decoding("the set-up"):
                self._begin_on(connection, choose(connection, transport), max_frames, copies=copies)
        except BaseException:
            connection.close()
            raise
        self._xlib: XlibDisplay | None = None
        self._surroundings: WindowContext | None = None
        self._opening = Lock()
        connection.name_owner(repr(self))

    def _begin_on(self, connection: Connection, chosen: Transport, max_frames: int, *, copies: bool) -> None:
        pool = None
        if chosen.kind != "core":
            kind: Kind = "sysv" if chosen.kind == "sysv" else "memfd"
            pool = Pool(kind, chosen.attach, chosen.detach, max_frames, _LANDINGS if copies else 0)
        setup = connection.setup
        fmt = of_root(format_of(connection, setup.root_depth, setup.root_visual))
        whole = Rect(0, 0, setup.width_in_pixels, setup.height_in_pixels)
        session = Session(connection, chosen, pool, copies)
        super().__init__(session, setup.root.id, whole, fmt, setup.default_colormap.id)
        probe = connection.wire.send(core.ask_image(setup.root.id, 0, 0, 1, 1))
        self._resized = randr.watch(connection, setup.root.id)
        self._unavailable = self._rootless = _has_no_picture(connection, probe)

    @property
    def max_frames(self) -> int:
        """How many frames share memory with the server at most; 0 where none does (the core transport)."""
        return self._pool.limit if self._pool is not None else 0

    @property
    def copies(self) -> bool:
        """Whether a frame that there is no slot for is a copy in memory of its own; else it is PoolExhausted."""
        return self._session.copies

    @property
    def display(self) -> str:
        """The display's name as it was given."""
        return self._connection.display_name

    @property
    def connection(self) -> Connection:
        """The connection behind it."""
        return self._connection

    @property
    def xlib(self) -> XlibDisplay:
        """python-xlib's Display over the same connection, with all of its objects and extensions."""
        self._check_open()
        if self._xlib is None:
            with limits.loading():
                from xshm.x11.xlib_display import XlibDisplay  # noqa: PLC0415 - it loads every extension module

            with self._connection.decoding("python-xlib's Display"):
                self._xlib = XlibDisplay(self._connection)
        return self._xlib

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        """The monitors that make up the screen, as they are now; the primary one first. A few round trips."""
        with limits.loading():
            from xshm.drawables.monitors import monitors  # noqa: PLC0415 - a screenshot does not pay for what it does not use

        self._check_open()
        with self._connection.decoding("the monitors"):
            return monitors(self._connection)

    def monitor(self, which: int | str) -> Monitor:
        """Return one monitor: by its name ("HDMI-1"), its number from 0 in `monitors`, or "primary"; as it is now.

        A number may be a text, too. "primary" is the one that is marked so, or the only one. Raises MonitorNotFound,
        which lists what there is. Costs what `monitors` does.
        """
        with limits.loading():
            from xshm.drawables.monitors import find_monitor  # noqa: PLC0415 - as above

        return find_monitor(self.monitors, which)

    def windows(self) -> list[WindowInfo]:
        """List the mapped top-level windows, from the bottom of the stack to the top, each as it is now.

        With a window manager these are the programs' windows inside of the frames, too. Five round trips or fewer.
        """
        with limits.loading():
            from xshm.drawables.window_list import list_windows  # noqa: PLC0415 - as above

        around, extent = self._around(), self._query_extent()
        with self._connection.decoding("the windows"):
            return list_windows(around, extent)

    def window(self, which: int | str | re.Pattern[str] | WindowInfo) -> Window:
        """Open a window: its id, its whole title, an expression that is found in its title, or "active".

        Raises WindowNotFound (no window, or several; it lists what there is), WindowGone, WindowNotViewable. While it
        is open, the window is drawn off-screen as well, so that it is whole though others cover it.
        """
        with limits.loading():
            from xshm.drawables.window import Window  # noqa: PLC0415 - as above
            from xshm.drawables.window_list import WindowInfo, find_window, resource_id  # noqa: PLC0415

        around = self._around()
        if isinstance(which, WindowInfo):
            return Window(self._session, around, which.id)
        if isinstance(which, str | re.Pattern):
            return Window(self._session, around, find_window(around, which, self._query_extent()))
        return Window(self._session, around, resource_id("a window", which))

    def pixmap(self, pixmap: int) -> Pixmap:
        """Open a pixmap by its id. Raises WindowGone where there is none."""
        with limits.loading():
            from xshm.drawables.pixmap import Pixmap  # noqa: PLC0415 - as above
            from xshm.drawables.window_list import resource_id  # noqa: PLC0415

        self._check_open()
        return Pixmap(self._session, resource_id("a pixmap", pixmap))

    def close(self) -> None:
        """Close the connection, and the Windows. Frames, and views of them, stay valid. Closing twice is fine."""
        self._closed = self._unavailable = True
        if self._surroundings is not None:
            self._surroundings.close()
        self._connection.close()  # first: it ends what another thread waits for, with the pool's lock maybe
        if self._pool is not None:
            self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else self.transport.kind
        return f"<Screen {printable(self.display)} {self._extent.width}x{self._extent.height} {self._format}, {state}>"

    @property
    def _geometry_changed(self) -> bool:
        """Whether the server has told of a new size; no round trip."""
        return bool(self._resized.queue)

    def _name(self) -> str:
        return "the screen"

    def _as_rect(self, region: Region, whole: Callable[[], Rect]) -> Rect:
        return as_rect(region, whole)

    def _around(self) -> WindowContext:
        """Return what the Windows of this Screen share."""
        self._check_open()
        self._connection.check_for_error()  # after fork the lock may be held by a thread that only the parent has
        surroundings = self._surroundings or holding(self._opening, self._look_around)
        surroundings.tidy()
        return surroundings

    def _look_around(self) -> WindowContext:
        if self._surroundings is None:
            with limits.loading():
                from xshm.drawables.window_pixels import WindowContext  # noqa: PLC0415 - as above

            self._surroundings = WindowContext(self._connection)
        return self._surroundings

    def _query_extent(self) -> Rect:
        self._measure()
        return self._extent

    def _check_grabbable(self) -> None:
        self._check_open()
        if self._rootless:
            raise RootlessServer(
                f"the server at {self._connection.address} is rootless, as Xwayland is in a Wayland desktop: its "
                f"screen has no picture of its own; grab windows instead (Screen.windows, Screen.window)"
            )

    def _update_extent(self) -> Rect:
        if self._resized.queue:
            self._resized.queue.clear()
            self._measure()
        return self._extent

    def _measure(self) -> None:
        reply = self._connection.request(core.GetGeometry, drawable=self._drawable)
        if (reply.width, reply.height) != (self._extent.width, self._extent.height):
            self._extent = Rect(0, 0, reply.width, reply.height)

    def _explain_refusal(self, rect: Rect) -> None:
        # The size in the set-up block, or in the last event, may be behind the server's.
        self._measure()
        if not self._extent.contains(rect):
            raise OutOfBounds(
                f"region {rect} leaves the screen, which was resized to {self._extent.width}x{self._extent.height}"
            )


def _checked(timeout: object, max_frames: object, copies: object) -> float | None:
    """Return the timeout; raise InvalidType or InvalidArgument for what is wrong with any of these."""
    seconds = _arguments.answer_timeout(timeout)
    if isinstance(max_frames, bool) or not isinstance(max_frames, int):
        raise InvalidType(f"max_frames is a whole number, not {quoted(max_frames)}")
    if max_frames < 1:
        raise InvalidArgument(f"max_frames is at least 1, not {quoted(max_frames)}")
    _arguments.flag(copies, "copies")
    return seconds


def grab(region: Region | None = None, *, display: Name | None = None, cursor: CursorMode = False) -> Frame:
    """Take one frame of a display (None: $DISPLAY). For more than one, keep a Screen: this opens and closes one."""
    with Screen(display) as screen:
        return screen.grab(region, cursor=cursor)


def _has_no_picture(connection: Connection, probe: Request) -> bool:
    """Tell from a core GetImage of the root window's first pixel whether there is anything to be grabbed.

    A rootless Xwayland keeps a root pixmap of 0x0, and core GetImage, which looks at the pixmap, is BadMatch; on no
    other server that was tried. ShmGetImage looks at the screen's nominal size, and gives black (seen with 22.1).
    """
    try:
        connection.wait_reply(probe, "GetImage")
    except BadMatch:
        return True
    except ServerError:
        pass  # the grab will say it
    return False
