"""Screen: the verbs on the root window of a display; it opens Windows and Pixmaps, and lists monitors and windows.

Opening a Screen costs a connection and a few round trips; every grab after that costs one. Any number of threads may
use it. Frames outlive it.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.capture.session import Session
from xshm.drawables.operable import Operable
from xshm.errors import BadMatch, InvalidArgument, RootlessServer, ServerError
from xshm.geometry import Rect, as_rect
from xshm.shm import own_segments
from xshm.shm.pool import Pool
from xshm.shm.probe import choose
from xshm.system import limits
from xshm.system.deadlines import holding
from xshm.system.printable import printable, quoted
from xshm.x11.connection import Connection
from xshm.x11.protocol import core
from xshm.x11.server.screen_size import watch_screen_size
from xshm.x11.server.visuals import format_of, of_root

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from xshm.drawables.monitors import Monitor
    from xshm.drawables.pixmap import Pixmap
    from xshm.drawables.window import Window
    from xshm.drawables.window_context import WindowContext
    from xshm.drawables.window_list import WindowInfo
    from xshm.geometry import Region
    from xshm.image.cursor import CursorMode
    from xshm.image.frame import Frame
    from xshm.shm.transport import Transport
    from xshm.x11.display_name import Name
    from xshm.x11.protocol.requests import Request
    from xshm.x11.windows.window_watch import WindowWatch
    from xshm.x11.xlib_display import XlibDisplay

# Staging slots, besides `max_frames`, out of which frames beyond the limit are copied: as many threads can grab such
# frames at the same time; those of more threads come over the socket.
_STAGING_SLOTS: Final = 4


class Screen(Operable):
    """The screen of an X display: take frames of it, watch it change, open its windows.

        with xshm.Screen() as screen:
            frame = screen.grab((0, 0, 640, 480))
            frame.save("corner.png")

    What it is: rect, width, height, format, monitors, monitor; display, transport, max_frames, copies.
    Frames: grab, grab_many, grab_into, stream; stats counts them. Videos: record. Everything, exactly: trace.
    In a browser: live.
    Waits: wait_change, wait_stable, wait_for, wait_pixel, wait_image; act waits for what comes of an action.
    Input: move, click, drag, scroll, button_down, button_up; press, type, key_down, key_up.
    Windows: windows lists them, window opens one, wait_window and wait_window_gone wait for one; pixmap opens a pixmap.
    They have the same frames and waits; a Window has the same input.
    The connection: connection, xlib; close ends it, as does the end of `with`.

    `display` is its name, as text, bytes or path (None or "": $DISPLAY), `transport` one of "auto", "sysv", "fd",
    "core", `xauthority` the path of an authority file, `timeout` the seconds that any one reply may take (None: no
    limit). `max_frames` is how many frames at once may be in memory that is shared with the server. Each further one,
    and each that the kernel has no shared memory for, has memory of its own (`Frame.shared` is False), or, with
    `copies=False`, is PoolExhausted. Raises ConnectFailed, AccessDenied, TransportUnavailable; and, as any call may,
    ServerNonsense.

    Without `xauthority` the cookie comes from $XAUTHORITY or ~/.Xauthority. It is sent only to a server that runs as
    root, as this user, or as the owner of that file; for any other it is UntrustedServer, before a byte is sent. With
    `xauthority` the cookie is sent to the server of that display, whoever runs it. Over TCP nothing shows who runs a
    server: the host that was named gets the cookie.
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
        timeout = _arguments.reply_timeout(timeout)
        max_frames = _arguments.integer(max_frames, "max_frames is a whole number")
        if max_frames < 1:
            raise InvalidArgument(f"max_frames is at least 1, not {quoted(max_frames)}")
        _arguments.flag(copies, "copies")
        # Before the first segment of this process: segments that killed processes have left are removed.
        own_segments.look_once()
        connection = Connection(display, xauthority, timeout)
        connection.wire.keep_events(keep=False)  # until `xlib` is opened nothing reads them, and they would pile up
        try:
            with connection.decoding("the set-up"):
                self._open_on(connection, choose(connection, transport), max_frames, copies=copies)
        except BaseException:
            connection.close()
            raise
        self._xlib: XlibDisplay | None = None
        self._windows: WindowContext | None = None
        self._opening = Lock()
        connection.name_owner(repr(self))

    def _open_on(self, connection: Connection, chosen: Transport, max_frames: int, *, copies: bool) -> None:
        pool = None
        if chosen.kind != "core":
            staging = _STAGING_SLOTS if copies else 0
            pool = Pool(chosen.segment_kind, chosen.attach, chosen.detach, max_frames, staging)
        setup = connection.setup
        # The top byte of a root window of depth 32 is not alpha: nothing is behind a screen.
        fmt = of_root(format_of(connection, setup.root_depth, setup.root_visual))
        whole = Rect(0, 0, setup.width_in_pixels, setup.height_in_pixels)
        session = Session(connection, chosen, pool, copies)
        super().__init__(session, setup.root.id, whole, fmt, setup.default_colormap.id)
        # Its reply comes in the round trip that `watch_screen_size` makes anyway.
        probe = connection.wire.send(core.image_request(setup.root.id, 0, 0, 1, 1))
        self._resized = watch_screen_size(connection, setup.root.id)
        self._unavailable = self._rootless = _has_no_picture(connection, probe)

    @property
    def max_frames(self) -> int:
        """How many frames share memory with the server at most; 0 if none does (the core transport)."""
        return self._pool.limit if self._pool is not None else 0

    @property
    def copies(self) -> bool:
        """Whether a frame beyond `max_frames` is a copy in memory of its own; else it is PoolExhausted."""
        return self._session.copies

    @property
    def display(self) -> str:
        """The name of the display, as it was given."""
        return self._connection.display_name

    @property
    def connection(self) -> Connection:
        """The X connection, for programs that send requests of their own."""
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
            from xshm.drawables.monitors import monitors  # noqa: PLC0415 - a screenshot does not pay for it

        self._check_open()
        with self._connection.decoding("the monitors"):
            return monitors(self._connection)

    def monitor(self, which: int | str) -> Monitor:
        """Return one monitor: by its name ("HDMI-1"), its number from 0 in `monitors`, or "primary"; as it is now.

        A number may be a text, too. "primary" is the one that RandR marks so, or the only one. Raises MonitorNotFound,
        which lists the monitors there are. Costs what `monitors` does.
        """
        with limits.loading():
            from xshm.drawables.monitors import find_monitor  # noqa: PLC0415 - as above

        return find_monitor(self.monitors, which)

    def windows(self) -> list[WindowInfo]:
        """List the mapped top-level windows, from the bottom of the stack to the top, each as it is now.

        Under a window manager, too, these are the programs' own windows, not the frames around them. At most five round
        trips.
        """
        with limits.loading():
            from xshm.drawables.window_list import list_windows  # noqa: PLC0415 - as above

        # The size is queried: `visible` depends on it, and without RandR no event reports a new one.
        context, extent = self._window_context(), self._query_extent()
        with self._connection.decoding("the windows"):
            return list_windows(context, extent)

    def window(self, which: int | str | re.Pattern[str] | WindowInfo) -> Window:
        """Open a window, named by its id, its whole title, a regular expression found in its title, or "active".

        Raises WindowNotFound (none or several; it lists the windows there are), WindowGone, WindowNotViewable. While it
        is open, the server also draws the window off-screen, so that its frames are whole though others cover it.
        """
        with limits.loading():
            from xshm.drawables.window import Window  # noqa: PLC0415 - as above
            from xshm.drawables.window_list import WindowInfo, find_window, resource_id  # noqa: PLC0415

        context = self._window_context()
        if isinstance(which, WindowInfo):  # of a list: if the window was destroyed since, the constructor raises
            return Window(self._session, context, which.id)
        if isinstance(which, str | re.Pattern):
            return Window(self._session, context, find_window(context, which, self._query_extent()))
        rule = "a window is named by its id, its title, a compiled regular expression or 'active'"
        return Window(self._session, context, resource_id(which, "a window", rule))

    def wait_window(
        self,
        which: str | re.Pattern[str] | Callable[[WindowInfo], object] | None = None,
        pid: int | None = None,
        timeout: float | None = 10,
    ) -> Window:
        """Wait until a window is shown, and open it: `with screen.wait_window("Save as") as dialog:`.

        It is named by its whole title, a regular expression found in its title, or a predicate of its WindowInfo; with
        `pid`, it is that process's; with `pid` alone, it is any window of it. A window that is there already is opened
        at once. It has a picture then, though it may still have to be painted: `window.wait_stable()`.

        Raises WindowNotFound as soon as several answer to that; WaitTimeout, which lists the windows there are, with
        the picture of the screen (None on a rootless server, whose screen has none).
        """
        with limits.loading():
            from xshm.drawables import window_waits  # noqa: PLC0415 - as above

        return window_waits.wait_window(self, which, pid, timeout)

    def wait_window_gone(
        self,
        which: str | re.Pattern[str] | Callable[[WindowInfo], object] | int | WindowInfo | Window | None = None,
        pid: int | None = None,
        timeout: float | None = 10,
    ) -> None:
        """Wait until a window is destroyed or unmapped (closed, iconified), by its id, its WindowInfo or its Window.

        Or, named as for `wait_window`, until there is none of that name: windows that share it have to go all. Where
        there is none from the beginning, it returns at once. Raises WaitTimeout, which lists those that are left.
        """
        with limits.loading():
            from xshm.drawables import window_waits  # noqa: PLC0415 - as above

        window_waits.wait_window_gone(self, which, pid, timeout)

    def pixmap(self, pixmap: int) -> Pixmap:
        """Open a pixmap by its id. Raises WindowGone if there is none."""
        with limits.loading():
            from xshm.drawables.pixmap import Pixmap  # noqa: PLC0415 - as above
            from xshm.drawables.window_list import resource_id  # noqa: PLC0415

        self._check_open()
        return Pixmap(self._session, resource_id(pixmap, "a pixmap", "a pixmap is named by its id"))

    def close(self) -> None:
        """Close the connection and the Windows. Frames, and views of them, stay valid. Closing twice is fine.

        Keys and buttons that are held are released. After `type` has lent keycodes it waits until they may be given
        back: half a second, and more after a long text.
        """
        self._closed = self._unavailable = True
        if self._session.input is not None:
            self._session.input.close()
        # First: it ends the waits of other threads, one of which may hold the pool's lock; and closing the Windows then
        # sends nothing.
        self._connection.close()
        if self._windows is not None:
            self._windows.close()
        if self._pool is not None:
            self._pool.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else self.transport.kind
        return f"<Screen {printable(self.display)} {self._extent.width}x{self._extent.height} {self._format}, {state}>"

    # -- as a Source -------------------------------------------------------------------------------------------------

    @property
    def _geometry_changed(self) -> bool:
        """Whether an event has reported a new size; no round trip."""
        return bool(self._resized.queue)

    def _update_extent(self) -> Rect:
        if self._resized.queue:
            self._resized.queue.clear()  # before the request: an event that comes after it counts
            self._query_extent()
        return self._extent

    def _query_extent(self) -> Rect:
        """Query the size: that of the setup, or of the last event, may be older than the server's."""
        reply = self._connection.request(core.GetGeometry, drawable=self._drawable)
        if (reply.width, reply.height) != (self._extent.width, self._extent.height):
            self._extent = Rect(0, 0, reply.width, reply.height)
        return self._extent

    def _check_grabbable(self) -> None:
        self._check_open()
        if self._rootless:
            raise RootlessServer(
                f"the server at {self._connection.address} is rootless, as Xwayland is in a Wayland desktop: its "
                f"screen has no picture of its own; grab windows instead (Screen.windows, Screen.window)"
            )

    def _to_root(self, x: int, y: int) -> tuple[int, int]:
        return x, y

    def _as_rect(self, region: Region, extent: Callable[[], Rect]) -> Rect:
        return as_rect(region, extent)  # a Monitor or WindowInfo has the screen's coordinates

    def _name(self) -> str:
        return "the screen"

    def _watch_windows(self, *, with_moves: bool = False) -> WindowWatch:
        with limits.loading():
            from xshm.x11.windows.window_watch import WindowWatch  # noqa: PLC0415 - as above

        return WindowWatch(self._window_context(), with_moves=with_moves)

    # -- what its Windows share --------------------------------------------------------------------------------------

    def _window_context(self) -> WindowContext:
        self._check_open()
        self._connection.check_for_error()  # raises after fork, where a thread of the parent may hold the lock forever
        context = self._windows or holding(self._opening, self._open_context)
        context.collect_dropped()
        return context

    def _open_context(self) -> WindowContext:
        if self._windows is None:
            with limits.loading():
                from xshm.drawables.window_context import WindowContext  # noqa: PLC0415 - as above

            self._windows = WindowContext(self._connection)
        return self._windows


def grab(region: Region | None = None, *, display: Name | None = None, cursor: CursorMode = False) -> Frame:
    """Return one frame of a display (None: $DISPLAY). For more than one, keep a Screen: this opens and closes one."""
    with Screen(display) as screen:
        return screen.grab(region, cursor=cursor)


def _has_no_picture(connection: Connection, probe: Request) -> bool:
    """Return whether a core GetImage of the root window's first pixel, `probe`, shows that the server is rootless.

    A rootless Xwayland has a root pixmap of 0x0. Core GetImage, which checks the pixmap's size, is BadMatch there, and
    on no other server that was tried; ShmGetImage checks the screen's nominal size, and gives black (seen with 22.1).
    """
    try:
        connection.wait_reply(probe, "GetImage")
    except BadMatch:
        return True
    except ServerError:
        pass  # the first grab will raise it
    return False
