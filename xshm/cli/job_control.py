"""Job control for `xshm run`: signals, and the terminal's foreground, go to the program's process group.

The program is in a process group of its own, so that it can be ended with all that it starts; a shell knows our group
alone. So what a shell or a terminal sends to us has to reach the program, and what stops the program has to stop us.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Final, Self

from xshm.virtual.processes import process_groups

if TYPE_CHECKING:
    from types import FrameType

    from xshm.virtual.programs.program import Program

_STDIN: Final = 0  # by its number: sys.stdin is None where it is closed
_ENDING: Final = (signal.SIGHUP, signal.SIGTERM)
_PASSED_ON: Final = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGALRM, signal.SIGWINCH),
)


class _Signalled(BaseException):
    """A signal that ends us."""


class UnwindingSignals:
    """Has a signal that ends us close what is open first, a context manager; it then ends us as it would have at once.

    A second one ends us there and then. What has a handler by now, or is ignored, is left alone; so is Ctrl-C, which is
    an exception already.
    """

    def __init__(self) -> None:
        self._came: int | None = None
        self._ours: list[signal.Signals] = []

    def __enter__(self) -> Self:
        for number in (*_ENDING, signal.SIGQUIT):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._unwind)
                self._ours.append(number)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
        if self._came is not None:
            signal.raise_signal(self._came)

    def _restore(self) -> None:
        while self._ours:
            number = self._ours.pop()
            if signal.getsignal(number) == self._unwind:
                signal.signal(number, signal.SIG_DFL)

    def _unwind(self, number: int, _: FrameType | None) -> None:
        self._came = number
        self._restore()
        raise _Signalled


class PassedOnSignals:
    """Passes signals on to the program's group, a context manager. Signals that come before the program does are kept.

    A signal that is ignored when we start (nohup) stays ignored, by the program too.
    """

    def __init__(self) -> None:
        self._program: Program | None = None
        self._waiting: list[int] = []
        self._before: dict[signal.Signals, Any] = {}

    def pass_on_to(self, program: Program) -> None:
        """Pass signals on to this program from now on, and those that were kept at once."""
        self._program = program
        while self._waiting:
            self._pass_on(self._waiting.pop(0))

    def __enter__(self) -> Self:
        for number in _PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, _: FrameType | None = None) -> None:
        if self._program is None:
            self._waiting.append(number)
        else:
            self._program.pass_on(number)
            if number in _ENDING:  # a shell sends these to stopped jobs, and a stopped program acts on none before CONT
                self._program.pass_on(signal.SIGCONT)


class Foreground:
    """Gives the terminal's foreground to a program's group while it runs, so that it can read and gets Ctrl-C.

    When the program is stopped (Ctrl-Z; reading in the background) we stop as well, and when the shell continues us we
    continue the program. Without a terminal, or where our job is not in its foreground, nothing is done.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._terminal = -1
        self._given = False
        self._before: Any = signal.SIG_DFL
        with contextlib.suppress(OSError):  # no terminal, or standard input is closed
            os.tcgetpgrp(_STDIN)
            self._terminal = _STDIN

    def __enter__(self) -> Self:
        if self._terminal >= 0:
            self._before = signal.signal(signal.SIGCHLD, self._child_changed)
            self._give()  # the program may have been stopped because it read before it had the foreground
            self._stop_with_it()
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal >= 0:
            signal.signal(signal.SIGCHLD, self._before)
            self._take_back()

    def _child_changed(self, number: int, frame: FrameType | None) -> None:
        self._stop_with_it()
        if callable(self._before):
            self._before(number, frame)

    def _stop_with_it(self) -> None:
        """Stop if the program was stopped, until the shell continues us. SIGCHLD's handler calls this, too."""
        try:
            stopped = os.waitid(os.P_PID, self._program.pid, os.WSTOPPED | os.WNOHANG)
        except ChildProcessError:  # the program has ended and was waited for
            return
        if stopped is None:
            return
        by_terminal = stopped.si_status in (signal.SIGTTIN, signal.SIGTTOU)
        if by_terminal and not self._given and not self._is_ours() and os.getsid(os.getppid()) != os.getsid(0):
            # As the kernel does where no shell is left to continue it.
            process_groups.signal_group(self._program.group, signal.SIGHUP)
        # A running job that a shell brings to the foreground gets no signal: nothing would continue us.
        elif not (by_terminal and self._is_ours()):
            self._take_back()
            os.kill(0, signal.SIGTSTP)
        self._give()

    def _is_ours(self) -> bool:
        with contextlib.suppress(OSError):  # a terminal that has hung up
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        return False

    def _give(self) -> None:
        with contextlib.suppress(OSError):  # a terminal that has hung up
            if self._is_ours():
                os.tcsetpgrp(self._terminal, self._program.group)
                self._given = True
        process_groups.signal_group(self._program.group, signal.SIGCONT)

    def _take_back(self) -> None:
        if self._given:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we are in the background now
            with contextlib.suppress(OSError):
                os.tcsetpgrp(self._terminal, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)
            self._given = False
