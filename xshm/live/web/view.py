"""LiveView: screens in a browser, from `start` to `stop`; what `live` returns.

Its states are new, running, over. The work is the Hub's, of which a LiveView has one from `start` on. In a process that
was forked from that of the view it does nothing.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, Self

from xshm import _arguments
from xshm.errors import Closed, InvalidArgument, InvalidType, LiveViewFailed, MissingExtra
from xshm.live.rfb.password import check_installed
from xshm.live.settings import LiveSettings
from xshm.live.video import why_not
from xshm.system import limits, logs
from xshm.system.printable import printable, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from xshm.capture.source import Source
    from xshm.geometry import Region
    from xshm.live.settings import Name
    from xshm.live.web.audience import Shown
    from xshm.live.web.hub import Hub

_MOST_CHANNELS: Final = 255
_PATROL: Final = 2.0  # seconds

_running: weakref.WeakSet[LiveView] = weakref.WeakSet()


class Viewable(Protocol):
    """What has a picture that can be shown: a Screen, a Window, a Pixmap, a VirtualDisplay."""

    def _recorded(self) -> Source: ...


class LiveView:
    """Screens in a browser, at a link. `with` starts and stops it; so do `start` and `stop`.

        with screen.live() as live:
            print(live.url)                            # http://127.0.0.1:41123/#TOKEN
        with LiveView(one, other) as wall:             # several on one page

    Who has the link sees the screen, and can do nothing to it, unless `allow_input`. While nobody looks nothing is
    captured. What becomes of a screen is said on the page: the server has ended, the window is hidden or closed; the
    view goes on until `stop`.

    It is served to this machine alone, unless `host` says otherwise. Any thread may call `add`, `remove` and `stop`.

    A LiveView that is dropped stops, and what runs at the interpreter's end is stopped.
    """

    def __init__(
        self,
        *what: Viewable,
        port: int = 0,
        host: str = "127.0.0.1",
        region: Region | None = None,
        fps: float = 60,
        title: str | None = None,
        allow_input: bool = False,
        video: bool = True,
        token: str | None = None,
        vnc_port: int | None = None,
        vnc_password: str | None = None,
        tls_cert: Name | None = None,
        tls_key: Name | None = None,
        unencrypted: bool = False,
        allowed_hosts: Iterable[str] = (),
        max_viewers: int = 32,
    ) -> None:
        """Prepare a view of what is to be shown; the arguments are those of `Screen.live`.

        Raises InvalidArgument and InvalidType for what can't be, with the way out, and MissingExtra.
        """
        self._hub: Hub | None = None
        self._is_over = False
        self._process = os.getpid()
        self._lock = threading.RLock()  # over `_shown`; the collector may interrupt its owner by a finalizer
        self._shown: Mapping[int, Shown] = {}
        self._settings = LiveSettings(
            port=port,
            host=host,
            fps=fps,
            allow_input=allow_input,
            video=video,
            token=token,
            vnc_port=vnc_port,
            vnc_password=vnc_password,
            tls_cert=tls_cert,
            tls_key=tls_key,
            unencrypted=unencrypted,
            allowed_hosts=allowed_hosts,
            max_viewers=max_viewers,
        )
        _check_installed()
        if self._settings.vnc_password is not None:
            check_installed()
        if title is not None:
            _arguments.text(title, "a live view's title")
        if region is not None and len(what) != 1:
            raise InvalidArgument(
                f"region is a part of what is shown, and these are {len(what)}: add each with its own"
            )
        sources = [_source(each) for each in what]
        self._title = title
        for source in sources:
            self._add(source, title if len(sources) == 1 else None, region)

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The link. What follows the "#" is the token, which browsers send nowhere: who has the link, sees all."""
        return f"{self._running().address}/#{self._settings.token}"

    @property
    def frame_url(self) -> str:
        """Where a program gets the picture of now, as a PNG; `&channel=2` for another screen.

        Instead of the `token` in it the header "Authorization: Bearer TOKEN" will do.
        """
        return f"{self._running().address}/frame.png?token={self._settings.token}"

    @property
    def stream_url(self) -> str:
        """Where a program, or an <img>, gets JPEGs one after another; as `frame_url`."""
        return f"{self._running().address}/stream.mjpeg?token={self._settings.token}"

    @property
    def viewers(self) -> int:
        """How many look at present."""
        return 0 if self._hub is None or self._is_elsewhere() else self._hub.viewers

    @property
    def bytes(self) -> int:
        """How many bytes were sent to viewers so far."""
        return 0 if self._hub is None else self._hub.nbytes

    @property
    def vnc(self) -> tuple[str, int] | None:
        """Host and port for VNC clients; None without `vnc_port`, or before the start."""
        if self._settings.vnc_port is None or self._hub is None:
            return None
        return self._hub.host, self._hub.vnc_port

    @property
    def vnc_password(self) -> str | None:
        """What a VNC client asks for; None where there are to be none."""
        return self._settings.vnc_password

    @property
    def how(self) -> str:
        """How pixels are read, and what is left out, and why so; a line for each screen."""
        lines = [f"{each.channel.title}: {each.channel.how}" for each in self._shown.values()]
        if self._settings.video and (reason := why_not()):
            lines.append(reason)
        return "\n".join(lines)

    @property
    def is_running(self) -> bool:
        """Whether it is served: started, and not stopped."""
        return self._hub is not None and not self._is_over and not self._is_elsewhere() and self._hub.is_running

    # -- its course ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the port, and serve, in threads of its own. Raises LiveViewFailed where that can't be."""
        if self._is_elsewhere():
            return
        if self._is_over:
            raise Closed("this live view has ended; begin a new one with live()")
        if self._hub is not None:
            raise LiveViewFailed("this live view was started already; begin another one with live()")
        with limits.loading():
            from xshm.live.web.hub import Hub  # noqa: PLC0415 - loads asyncio and websockets

        hub = Hub(self._settings, self._page_title(), self._shown)
        try:
            hub.start()
        except BaseException:  # not only Exception: Ctrl-C must leave nothing open
            hub.abandon()
            raise
        self._hub = hub
        _running.add(self)
        with self._lock:
            hub.show(self._shown)  # another thread may have added one
        logs.info("live", "serving at %s", hub.address)

    def stop(self) -> None:
        """End it: all viewers are told, and the port is closed. Twice is fine."""
        if self._is_elsewhere():
            return
        self._is_over = True
        if self._hub is not None:
            self._hub.stop()
        for shown in self._shown.values():
            shown.channel.close()
        _running.discard(self)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, or for so many seconds; return whether it has. Ctrl-C raises as it does anywhere."""
        seconds = _arguments.timeout(timeout)
        hub = self._running()
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = _PATROL if until is None else min(_PATROL, until - time.monotonic())
            if hub.wait(max(left, 0.0)):
                return True
            if left <= 0:
                return False

    def add(self, other: Viewable, *, title: str | None = None, region: Region | None = None) -> int:
        """Show another screen on the page, too; return its number. Raises what it refuses, and InvalidArgument."""
        if title is not None:
            _arguments.text(title, "a screen's title")
        source = _source(other)
        if self._is_elsewhere():
            return 0
        if self._is_over:
            raise Closed("this live view has ended; begin a new one with live()")
        return self._add(source, title, region)

    def remove(self, number: int) -> None:
        """Show the screen of that number no more. Raises InvalidArgument for a number that is not there."""
        _arguments.integer(number, "a screen's number is a whole number")
        if self._is_elsewhere():
            return
        with self._lock:
            shown = self._shown.get(number)
            if shown is None:
                raise InvalidArgument(f"no screen has the number {number}; there are {[*self._shown]}")
            left = dict(self._shown)
            del left[number]
            self._show(left)
        shown.channel.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __del__(self) -> None:
        hub = getattr(self, "_hub", None)
        if hub is not None and not self._is_elsewhere():
            # Without a wait, nor a request: this may be any thread, in the middle of anything. Also after `stop`, which
            # may have been interrupted before it did anything.
            hub.abandon()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a LiveView belongs to its process; send its url")

    def __repr__(self) -> str:
        # Without the token: it may go to a log.
        state = "over" if self._is_over else "new" if self._hub is None else f"at {self._hub.address}"
        return f"<LiveView of {len(self._shown)}, {state}, {self.viewers} viewers>"

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _add(self, source: Source, title: str | None, region: Region | None) -> int:
        with limits.loading():
            from xshm.live.channel import Channel  # noqa: PLC0415 - as above
            from xshm.live.web.audience import Shown  # noqa: PLC0415 - as above

        rect = None if region is None else source._within(region)
        name = f"{source._name()} of {source._session.connection.display_name}" if title is None else title
        with self._lock:
            number = next((each for each in range(1, _MOST_CHANNELS + 1) if each not in self._shown), None)
            if number is None:
                raise InvalidArgument(f"a live view has at most {_MOST_CHANNELS} screens; remove one, or begin another")
            channel = Channel(number, printable(name), source, rect, fps=self._settings.fps)
            self._show({**self._shown, number: Shown(channel)})
        return number

    def _show(self, shown: Mapping[int, Shown]) -> None:
        self._shown = shown
        if self._hub is not None:
            self._hub.show(shown)

    def _page_title(self) -> str:
        if self._title is not None:
            return printable(self._title)
        titles = [each.channel.title for each in self._shown.values()]
        return titles[0] if len(titles) == 1 else f"{len(titles)} screens"

    def _running(self) -> Hub:
        if self._hub is None:
            raise LiveViewFailed("this live view was not started yet; start() does, or `with`")
        return self._hub

    def _is_elsewhere(self) -> bool:
        """Return whether this is a process that was forked: the view is the other one's."""
        return os.getpid() != self._process


def _source(what: object) -> Source:
    recorded = getattr(what, "_recorded", None)
    if recorded is None or isinstance(what, type):
        raise InvalidType(
            f"what is shown is a Screen, a Window, a Pixmap or a VirtualDisplay, not {type(what).__name__}: "
            f"{quoted(what)}"
        )
    source: Source = recorded()
    source._check_open()
    return source


def _check_installed() -> None:
    try:
        with limits.loading():
            import websockets  # noqa: F401, PLC0415 - an extra; this loads nothing else of it
    except ImportError as error:
        raise MissingExtra("a live view needs the library websockets: pip install 'xshm[live]'") from error


def _stop_all() -> None:
    """Stop all views, when the interpreter ends."""
    for view in [each for each in _running if not each._is_elsewhere()]:
        with suppress(Exception):  # nobody is there to whom it could be told
            view.stop()


atexit.register(_stop_all)
