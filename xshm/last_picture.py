"""The last picture of a screen on which there was a window.

When a program ends its windows go first, and a picture taken then shows a bare screen. So pictures are taken while it
draws, by a thread and over a connection of its own.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final, Self

from xshm.errors import Closed, DisplayGone, XshmError
from xshm.screen import Screen

if TYPE_CHECKING:
    import os

    from xshm.frame import Frame
    from xshm.stream import Stream

_A_SECOND: Final = 20


class LastPicture:
    """Watches a display from when it is made until it is closed; a context manager."""

    def __init__(self, display: str, xauthority: str | os.PathLike[str] | None) -> None:
        self._screen = Screen(display, xauthority=xauthority)
        self._kept: Frame | None = None
        self._thread = threading.Thread(target=self._watch, name="xshm last picture", daemon=True)
        self._thread.start()

    def take(self) -> Frame:
        """Return the screen as it is, or, where no window is left on it, as it was when there was one."""
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
            for picture in self._pictures():
                if self._screen.windows():  # asked afterwards: windows that are there now were there then
                    self._kept = picture

    def _pictures(self) -> Stream:
        try:
            return self._screen.stream(fps=_A_SECOND, on_change=True)
        except (Closed, DisplayGone):
            raise
        except XshmError:  # a server without DAMAGE or XFIXES: take all of them, whether something was drawn or not
            return self._screen.stream(fps=_A_SECOND)
