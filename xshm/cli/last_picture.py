"""The last picture of a screen that has a window on it.

When a program ends, its windows are destroyed first, and a picture taken then shows a bare screen. So a thread takes
pictures while the program draws, over a connection of its own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import leave_signals
from xshm.drawables.screen import Screen
from xshm.errors import Closed, DisplayGone, RequestTimeout, XshmError
from xshm.system.closing import Closing
from xshm.system.deadlines import PATIENCE, within

if TYPE_CHECKING:
    import os

    from xshm.capture.stream import Stream
    from xshm.image.frame import Frame

_PICTURES_PER_SECOND: Final = 20  # at most: a window that is open for less than 50 ms may be missed


class LastPicture(Closing):
    """Watches a display from when it is made until it is closed; a context manager.

    What takes the server longer than `timeout` seconds is RequestTimeout.
    """

    def __init__(self, display: str, xauthority: str | os.PathLike[str] | None, timeout: float = PATIENCE) -> None:
        self._timeout = timeout
        self._screen = Screen(display, xauthority=xauthority, timeout=timeout)
        self._kept: Frame | None = None
        self._thread = threading.Thread(target=self._watch, name="xshm last picture", daemon=True)
        self._thread.start()

    def take(self) -> Frame:
        """Return the screen as it is, or as it last was with a window on it, if there is none any more."""
        return within(time.monotonic() + self._timeout, self._take)

    def _take(self) -> Frame:
        now = self._screen.grab()
        return now if self._screen.windows() else self._kept or now

    def close(self) -> None:
        """Stop watching."""
        self._screen.close()
        self._thread.join()

    def _watch(self) -> None:
        leave_signals()
        with contextlib.suppress(Closed, DisplayGone):  # `close`, or the server's end
            while True:
                # A server that is stopped, or grabbed by a client, may reply later.
                with contextlib.suppress(RequestTimeout):
                    self._keep_pictures()

    def _keep_pictures(self) -> None:
        for picture in self._pictures():
            if self._screen.windows():  # asked after the grab: these windows were there when the picture was taken
                self._kept = picture

    def _pictures(self) -> Stream:
        try:
            return self._screen.stream(fps=_PICTURES_PER_SECOND, on_change=True)
        except (Closed, DisplayGone, RequestTimeout):
            raise
        except XshmError:  # a server without DAMAGE or XFIXES: take all of them, whether something was drawn or not
            return self._screen.stream(fps=_PICTURES_PER_SECOND)
