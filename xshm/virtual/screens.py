"""The connections to one display: a Screen for each screen number, opened when it is first used; and its server's pid.

When a server has ended, another one may take its display's number: a connection to another process than the display's
own, as the kernel reports it (`x11.peer_credentials`), is given up where that one has ended. Where it lives, it may be
what has started the server, such as a script of that name.

Locking rules: a Screen is connected without the lock, since that takes as long as the server does not reply, and
`close` must not wait for it. Where two threads connect to the same screen at once, the second one's Screen is closed
again; where `close` comes meanwhile, the new one. The lock is an RLock, since a signal handler may close the display.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from xshm._signal_safety import Descriptor, is_the_kernels, owned
from xshm.drawables.screen import Screen
from xshm.errors import Closed, ConnectFailed, DisplayGone, InvalidArgument
from xshm.system import limits
from xshm.system.deadlines import PATIENCE
from xshm.system.polling import is_readable
from xshm.x11 import peer_credentials
from xshm.x11.display_name import DisplayName

if TYPE_CHECKING:
    from xshm.virtual.xwd import LiveDump


class Screens:
    """The Screens of the display `name`; its server listens at `address`. `pid` is the server's, None while unknown."""

    def __init__(
        self, name: str, address: str, xauthority: str | os.PathLike[str] | None, pid: int | None = None
    ) -> None:
        self._name, self._address, self._xauthority = name, address, xauthority
        self.pid = pid
        self._lock = threading.RLock()
        self._opened: dict[int, Screen] = {}
        self._closed = False
        self.live: tuple[LiveDump | None, ...] = ()  # the memory of each screen, of a server of ours

    def screen(self, number: int) -> Screen:
        """Return the Screen of this number, a new one where the last was closed by its user.

        Raises Closed, ConnectFailed, AccessDenied, DisplayGone, RequestTimeout.
        """
        known = self._opened.get(number)
        if known is not None and not (self._closed or known._closed):  # noqa: SLF001 - as below; no lock: the common case
            return known
        self._check_open()
        screen = self._connect(DisplayName.parse(self._address).of_screen(number))
        # Where Xinerama joins the screens, there is more memory than there are root windows.
        live = self.live  # another thread may close the display meanwhile
        if number < len(live) == len(screen.connection.info.roots):
            screen._session.live = live[number]  # noqa: SLF001 - the hook for the owner of a server
        with self._lock:
            known = self._opened.get(number)
            if self._closed:
                known = None
            elif known is None or known._closed:  # noqa: SLF001 - it is the display's own
                self._opened[number] = known = screen
        if known is not screen:  # another thread has opened this screen, or closed the display
            screen.close()
            self._check_open()
        return known or screen

    def of_framebuffer(self, number: int) -> Screen:
        """Return the Screen that a framebuffer belongs to: its own, or the one that Xinerama joins all of them in."""
        # With Xinerama the server has one root window for all screens, and still one framebuffer for each. Screen 0,
        # which each display has, is not asked for.
        has_own = number and number < len(self.screen(0).connection.info.roots)
        return self.screen(number if has_own else 0)

    def connect(self) -> Screen:
        """Return a Screen over a further connection, which is the caller's to close."""
        return self._connect(self._address)

    def close(self) -> None:
        """Close all Screens; later ones are refused."""
        with self._lock:
            self._closed = True
        self.live = ()  # no memory is kept from here on
        for screen in self._opened.values():
            screen.close()
            screen._session.live = None  # noqa: SLF001 - as above

    def _connect(self, name: str) -> Screen:
        screen = Screen(name, xauthority=self._xauthority, timeout=PATIENCE)
        try:
            self._check_server(server_pid(screen))
        except BaseException:
            screen.close()
            raise
        return screen

    def _check_server(self, found: int | None) -> None:
        if self.pid and found and found != self.pid and _has_ended(self.pid):
            raise DisplayGone(
                f"the server of {self._name}, process {self.pid}, has ended, and process {found} has its number now"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"the display {self._name} was closed")


def server_pid(screen: Screen) -> int | None:
    """Return the process id of the server that a screen is connected to, None where it is in another PID namespace."""
    found = peer_credentials.credentials(screen.connection.wire.socket)
    return (found.pid or None) if found else None  # 0: it is in another PID namespace


def _has_ended(pid: int) -> bool:
    with limits.Explained(ConnectFailed, f"whether process {pid} lives can't be told"):
        try:
            descriptor = owned(os.pidfd_open, pid)
        except ProcessLookupError as error:
            if not is_the_kernels(error):
                raise
            return True
        return is_readable(descriptor, 0)  # one that was not waited for has ended, too


def open_server(display: str, pid: int | None) -> Descriptor:
    """Return a pidfd of the server of a display. Raises InvalidArgument, ConnectFailed."""
    with limits.Explained(ConnectFailed, f"the server of {display} can't be waited for"):
        try:
            return owned(os.pidfd_open, pid or 0)
        except OSError as error:
            if limits.explain(error) or not is_the_kernels(error):
                raise
            raise InvalidArgument(f"the server of {display} is no process that can be waited for: {error}") from error
