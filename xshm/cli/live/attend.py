"""The loop of `xshm live`, from the link to the end: by q, a signal, or after the time that was set.

While nothing happens it wakes once a second, to see whether what is shown has ended, and who watches.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from xshm.cli.recording.endings import Endings
from xshm.cli.recording.keyboard import Keyboard
from xshm.cli.standard_streams import complain
from xshm.system import polling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm.cli.live.shown import Shown
    from xshm.live.web.view import LiveView

_TICK: Final = 1.0  # seconds


def show(live: LiveView, shown: Sequence[Shown], duration: float | None, begun: Callable[[], None]) -> None:
    """Run a live view from its start to its end; `begun` is called when its link can be opened."""
    with Endings() as endings, Keyboard() as keyboard:
        with endings.raising():
            live.start()
        try:
            begun()
            _Showing(live, shown, endings, keyboard).until_the_end(duration)
        finally:
            for each in shown:
                each.close()
            live.stop()


class _Showing:
    """One live view that has been started."""

    def __init__(self, live: LiveView, shown: Sequence[Shown], endings: Endings, keyboard: Keyboard) -> None:
        self._live, self._shown = live, shown
        self._endings, self._keyboard = endings, keyboard
        self._viewers = 0
        self._is_at_a_terminal = sys.stderr.isatty()

    def until_the_end(self, duration: float | None) -> None:
        """Return when it is to end."""
        end = None if duration is None else time.monotonic() + duration
        self._say_what_ends_it()
        while not self._endings.ended:
            left = _TICK if end is None else end - time.monotonic()
            if left <= 0:
                return
            self._look()
            keys = self._keyboard.attend()
            ready = polling.readable((self._endings.descriptor, *keys), min(_TICK, left))
            self._endings.clear()
            if self._endings.take_suspended():
                self._suspend()
            elif keys and keys[0] in ready and self._keyboard.wants_end():
                return

    def _look(self) -> None:
        for each in self._shown:
            each.look()
        viewers = self._live.viewers
        if viewers != self._viewers and self._is_at_a_terminal:
            complain(f"xshm: {viewers or 'no'} viewer{'s' * (viewers != 1)}")
        self._viewers = viewers

    def _suspend(self) -> None:
        """Let Ctrl-Z stop the process, viewers and all; the terminal is the shell's meanwhile."""
        self._keyboard.release()
        self._endings.suspend()
        self._say_what_ends_it()

    def _say_what_ends_it(self) -> None:
        if self._is_at_a_terminal and self._keyboard.attend():
            complain("xshm: q ends")
