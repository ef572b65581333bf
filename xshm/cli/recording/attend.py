"""The loop of `xshm record` and `xshm trace`, from the first picture to the last.

Keys, signals and the time that was set end it; the numbers are shown meanwhile.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final, Protocol

from xshm.cli.recording.endings import Endings
from xshm.cli.recording.keyboard import Keyboard
from xshm.cli.recording.progress import Progress
from xshm.system import polling

if TYPE_CHECKING:
    from collections.abc import Callable

_TICK: Final = 0.2  # seconds between two looks at the recording, and between two lines of numbers


class Attended(Protocol):
    """A recording, or a trace: what is attended to."""

    @property
    def duration(self) -> float:
        """Seconds so far."""

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End, and raise what has ended it before."""

    def pause(self) -> None:
        """Let its time stand still."""

    def resume(self) -> None:
        """Go on after a pause."""

    def _give_up(self) -> None:
        """End where `stop` was interrupted."""


def record(
    recorder: Attended,
    duration: float | None,
    begun: Callable[[], None],
    save: Callable[[], None] | None,
    describe: Callable[[], str],
) -> None:
    """Run a recording from its start to its end, by q, a signal, after `duration` recorded seconds, or by itself.

    `begun` is called when it has its first picture; `save` writes the last seconds, at SIGUSR1; `describe` returns its
    numbers in words. Raises what has ended the recording early.
    """
    with Endings() as endings, Keyboard() as keyboard:
        progress = Progress(duration, hint="  q ends" if keyboard.attend() else "", describe=describe)
        try:
            with endings.raising():
                recorder.start()
            try:
                begun()
                _Attendant(recorder, endings, keyboard, progress, save).until_the_end(duration)
            finally:
                try:
                    recorder.stop()
                except KeyboardInterrupt:  # the second signal
                    recorder._give_up()  # noqa: SLF001 - nothing for a program, which has `stop`
                    raise
                progress.update(recorder.duration)
        finally:
            progress.close()
            # The interpreter's end would look at every object of numpy and PyAV, for 0.04 s of CPU.
            gc.freeze()


class _Attendant:
    """Attends to one recording that has been started. `save` writes the last seconds, at SIGUSR1."""

    def __init__(
        self,
        recorder: Attended,
        endings: Endings,
        keyboard: Keyboard,
        progress: Progress,
        save: Callable[[], None] | None,
    ) -> None:
        self._recorder = recorder
        self._endings, self._keyboard, self._progress = endings, keyboard, progress
        self._save = save

    def until_the_end(self, duration: float | None) -> None:
        """Return when the recording has ended, or is to end: by q, a signal, or after `duration` recorded seconds."""
        while self._recorder.is_running and not self._endings.ended:
            left = _TICK if duration is None else duration - self._recorder.duration
            if left <= 0:
                return
            self._progress.update(self._recorder.duration)
            keys = self._keyboard.attend()
            ready = polling.readable((self._endings.descriptor, *keys), min(_TICK, left))
            self._endings.clear()
            if self._endings.take_suspended():
                self._suspend()
            elif keys and keys[0] in ready and self._keyboard.wants_end():
                return
            if self._endings.take_save() and self._save is not None:
                self._progress.clear()
                self._save()

    def _suspend(self) -> None:
        """Let Ctrl-Z stop the process; the recording pauses meanwhile, and the terminal is the shell's."""
        self._progress.clear()
        self._recorder.pause()
        self._keyboard.release()
        try:
            self._endings.suspend()
        finally:
            self._recorder.resume()
