"""The programs that one display has started, until each has ended; and the wait for the window of one.

The lock is held for no wait: programs are started and waited for from several threads, and by signal handlers.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from xshm.errors import WaitTimeout
from xshm.system.deadlines import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.drawables.screen import Screen
    from xshm.virtual.programs.program import Program
    from xshm.virtual.programs.program_window import Title


class ProgramList:
    """The programs of one display; those that have ended are dropped, since a Program has its exit code."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._programs: list[Program] = []

    def add(self, program: Program) -> None:
        """Add a program that was just started."""
        with self._lock:
            self._programs = [*(each for each in self._programs if each.poll() is None), program]

    def wait_painted(self, program: Program, screen: Callable[[], Screen], title: Title, timeout: float) -> None:
        """Wait as `Program.wait_painted` does, on the display's `screen`; on any exception end the program."""
        try:
            within(time.monotonic() + timeout, lambda: program.wait_painted(screen(), title, timeout=timeout))
        except BaseException as error:
            program.end()
            with self._lock:  # else its standard error would be kept
                self._programs = [*(each for each in self._programs if each is not program)]
            if not isinstance(error, WaitTimeout):
                raise
            hint = "run() starts a program without waiting, and its wait_window() waits for no more than a window"
            raise WaitTimeout(f"{error}; {hint}", frame=error.frame) from None

    def reap(self) -> None:
        """Reap all programs, which were ended with the display."""
        for program in self._programs:
            program.reap()
