"""Signals to a recording: INT, TERM, HUP and QUIT end it, USR1 saves the last seconds, TSTP (Ctrl-Z) suspends it.

1. A handler only takes a note, and wakes the loop that looks at the notes: what the recording does about it is done
   between two waits, never in the middle of a call.
2. The second signal that ends gives up: it raises KeyboardInterrupt where the first is still being acted on. So does
   the first one while the recording is not begun: there is nothing to be ended, and who waits for the reader of a
   FIFO, or for a host that does not answer, waits for up to 10 s.
3. What is ignored when the command starts (nohup) stays ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_OTHERS: Final = (signal.SIGUSR1, signal.SIGTSTP)


class Endings:
    """Notes of the signals that have come, a context manager. `descriptor` is readable when one has."""

    def __init__(self) -> None:
        self.ended = False
        self._saves = self._suspended = self._raises = False
        self._before: dict[signal.Signals, Any] = {}
        self.descriptor, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = -1

    def __enter__(self) -> Self:
        # Python writes to it as soon as a signal has come, while a poll(2) that was interrupted begins anew.
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*_ENDING, *_OTHERS):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self.descriptor)
        os.close(self._writer)

    def take_save(self) -> bool:
        """Return whether a SIGUSR1 has come since the last call."""
        asked, self._saves = self._saves, False
        return asked

    def take_suspended(self) -> bool:
        """Return whether a SIGTSTP has come since the last call."""
        asked, self._suspended = self._suspended, False
        return asked

    def clear(self) -> None:
        """Empty the descriptor: to be called before the notes are looked at."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.descriptor, 64):
                pass

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at the first signal that ends, too."""
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def suspend(self) -> None:
        """Stop the process as Ctrl-Z does, until it is continued; where nothing could continue it, return at once."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            signal.raise_signal(signal.SIGTSTP)  # to this thread: it is stopped before the call returns
        finally:
            signal.signal(signal.SIGTSTP, self._note)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._saves = True
        elif number == signal.SIGTSTP:
            self._suspended = True
        elif self.ended or self._raises:
            raise KeyboardInterrupt
        else:
            self.ended = True
