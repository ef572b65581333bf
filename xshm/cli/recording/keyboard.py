"""The keys of the terminal that a recording is started from: q ends it.

1. Keys are read one by one, without their echo, only while the terminal's foreground is ours; a job in the background
   neither reads nor changes its modes.
2. The terminal has the modes that it had whenever we are not there to read: after the end, and while we are stopped.
3. What is no terminal is not read at all: a script that is read from standard input loses no line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from typing import Any, Final, Self

_STDIN: Final = 0  # by its number: sys.stdin is None where it is closed
_MODES: Final = 3  # the index of the local modes in what tcgetattr returns


class Keyboard:
    """The terminal of standard input, if that is one; a context manager."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None  # its modes, while ours are set
        self._has_read = False
        self._over = not os.isatty(_STDIN)
        self._reading: Any = signal.SIG_DFL

    def __enter__(self) -> Self:
        # The foreground may go between our look and our read; the read is then an error, and does not stop us.
        self._reading = signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        self.attend()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        signal.signal(signal.SIGTTIN, self._reading)

    def attend(self) -> tuple[int, ...]:
        """Read single keys if the terminal's foreground is ours by now; return the descriptor to wait for, if any."""
        if self._over or not self.is_foreground():
            return ()
        if self._before is None:
            try:
                before = termios.tcgetattr(_STDIN)
                modes = [*before[:_MODES], before[_MODES] & ~(termios.ICANON | termios.ECHO), *before[_MODES + 1 :]]
                # What was typed before is no key to this recording: a q during --delay, or a line for the shell.
                when = termios.TCSADRAIN if self._has_read else termios.TCSAFLUSH
                termios.tcsetattr(_STDIN, when, modes)
            except termios.error:  # it has hung up
                self._over = True
                return ()
            self._before, self._has_read = before, True
        return (_STDIN,)

    def release(self) -> None:
        """Give the terminal the modes that it had before."""
        before, self._before = self._before, None
        if before is not None and self.is_foreground():
            with contextlib.suppress(termios.error):  # it has hung up
                termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)

    def wants_end(self) -> bool:
        """Read the keys that were pressed; return whether q was among them."""
        try:
            keys = os.read(_STDIN, 256)
        except OSError:  # the foreground is another's, or the terminal has hung up
            keys = b""
            self._over = self.is_foreground() or not os.isatty(_STDIN)
        else:
            self._over = not keys
        return b"q" in keys.lower()

    def is_foreground(self) -> bool:
        """Return whether the terminal's foreground is our process group."""
        with contextlib.suppress(OSError):  # none, or one that has hung up
            return os.tcgetpgrp(_STDIN) == os.getpgrp()
        return False
