"""Wait for a window of a program: until it is shown, and until it is painted and at rest, as a person would see it.

A window that has just been mapped shows its background, which the server paints; a client's first stroke may come much
later (0.3 s to 2 s with a browser). So a window of one colour counts as painted only when it has stayed so for longer
than a window with a picture.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm._signal_safety import owned
from xshm.errors import ConnectFailed, InvalidType, WaitTimeout
from xshm.system import limits
from xshm.system.polling import readable
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from xshm.drawables.drawable import Drawable
    from xshm.drawables.screen import Screen
    from xshm.geometry import Rect
    from xshm.image.frame import Frame
    from xshm.x11.connection import Connection
    from xshm.x11.windows.window_watch import WindowWatch

    Title = str | re.Pattern[str] | None

QUIET: Final = 0.2  # seconds without a change, after which a picture is complete
BLANK: Final = 2.0  # seconds that a window of one colour stays so before it counts as painted
_TOO_SHORT: Final = f"has not been at rest for {QUIET:g} s"
_LEAST: Final = 0.001  # seconds: a wait that begins at the deadline still looks once


def check_wait(title: object, timeout: object) -> float:
    """Return a timeout in seconds; raise InvalidType, InvalidArgument unless both are arguments of a wait."""
    seconds = _arguments.seconds(timeout, "a timeout is a number of seconds, 0 or more")
    if not (title is None or isinstance(title, str | re.Pattern)):
        raise InvalidType(f"a title is a text or a compiled expression, not {type(title).__name__}: {quoted(title)}")
    return seconds


def describe(title: Title) -> str:
    """Return what is waited for, for an error's message."""
    if title is None:
        return "window"
    return f"window called {quoted(title if isinstance(title, str) else title.pattern)}"


def is_called(title: str, wanted: Title) -> bool:
    """Tell whether a window of this title is one that is waited for."""
    if isinstance(wanted, str):
        return title == wanted
    return wanted is None or wanted.search(title) is not None


def wait_new_window(screen: Screen, watch: WindowWatch, pid: int, deadline: float) -> bool:
    """Wait for a new window or a new title; return False at the deadline, or when the process has ended."""
    try:
        with limits.Explained(ConnectFailed, f"the process {pid} can't be waited for"):
            pidfd = owned(os.pidfd_open, pid)
    except ProcessLookupError:
        return False
    return wait_windows(screen.connection, watch, pidfd, deadline)


def wait_windows(connection: Connection, watch: WindowWatch, other: int, deadline: float) -> bool:
    """Wait until something has happened to windows, on a connection that no other thread uses; update the watch.

    Return False after the deadline (time.monotonic), or when the descriptor `other` is readable.
    """
    watched = (connection.fileno(), other)
    while not watch.done:
        fired = readable(watched, deadline - time.monotonic())
        if not fired or other in fired:
            return False
        connection.wire.pump()
        if time.monotonic() >= deadline and not watch.done:
            return False  # other events may arrive without end
    watch.update()
    return True


def wait_painted(screen: Screen, window: int, deadline: float) -> Frame:
    """Wait until the window `window` is painted and at rest; return its picture.

    `deadline` is of time.monotonic. Raises WaitTimeout, with the window's last picture; WindowGone, WindowNotViewable.
    """
    with screen.window(window) as shown:
        # Composite redirects the window into a pixmap: its own picture, whatever covers it.
        if shown.source.kind == "pixmap":
            return _wait_rest(shown, None, deadline)
        # Without Composite there are no events of a window's own pixels. Its place on the screen is watched instead,
        # and once more where the window has moved meanwhile: then that picture is of what is below it.
        watched = None
        while (place := shown.rect.moved(*shown.position)) != watched:
            watched, frame = place, _wait_rest(screen, place, deadline)
        return frame


def _wait_rest(source: Drawable, region: Rect | None, deadline: float) -> Frame:
    while True:
        left = max(deadline - time.monotonic(), _LEAST)
        try:
            # A program whose window shows a rhythm, such as a spinner, is still starting.
            frame = source.wait_stable(min(QUIET, left), left, region=region, rhythms="count").frame
        except WaitTimeout as error:
            why = "is still being drawn" if left >= QUIET else _TOO_SHORT
            raise WaitTimeout(why, frame=error.frame, moving=error.moving) from None
        if left < QUIET:  # too little time to tell, whatever was seen in it
            raise WaitTimeout(_TOO_SHORT, frame=frame)
        if not _is_blank(frame):
            return frame
        left = max(deadline - time.monotonic(), 0)
        try:
            source.wait_for(lambda frame: not _is_blank(frame), min(BLANK, left), region)
        except WaitTimeout as error:
            if left < BLANK:
                raise WaitTimeout("is of one colour still", frame=error.frame) from None
            return error.frame


def _is_blank(frame: Frame) -> bool:
    """Tell whether a picture is of one colour."""
    rgb = frame.rgb()
    return bool((rgb == rgb[0, 0]).all())
