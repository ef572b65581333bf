"""The last picture of a screen on which there was a window.

When a program ends its windows go first, and a picture taken then shows a bare screen. So pictures are taken while it
draws, by a thread and over a connection of its own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from xshm.drawables.screen import Screen
from xshm.errors import Closed, DisplayGone, RequestTimeout, XshmError
from xshm.system.deadlines import PATIENCE, within

if TYPE_CHECKING:
    import os

    from xshm.capture.stream import Stream
    from xshm.image.frame import Frame

_A_SECOND: Final = 20


class LastPicture:
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
        """Return the screen as it is, or, where no window is left on it, as it was when there was one."""
        return within(time.monotonic() + self._timeout, self._take)

    def _take(self) -> Frame:
        now = self._screen.grab()
        return now if self._screen.windows() else self._kept or now

    def close(self) -> None:
        """Stop watching."""
        self._screen.close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        with contextlib.suppress(Closed, DisplayGone):  # the end
            while True:
                with contextlib.suppress(RequestTimeout):  # a server that is stopped, or grabbed, may go on
                    self._keep_pictures()

    def _keep_pictures(self) -> None:
        for picture in self._pictures():
            if self._screen.windows():  # asked afterwards: windows that are there now were there then
                self._kept = picture

    def _pictures(self) -> Stream:
        try:
            return self._screen.stream(fps=_A_SECOND, on_change=True)
        except (Closed, DisplayGone, RequestTimeout):
            raise
        except XshmError:  # a server without DAMAGE or XFIXES: take all of them, whether something was drawn or not
            return self._screen.stream(fps=_A_SECOND)
