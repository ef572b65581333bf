"""`xshm run`: a command on a virtual display of its own, which ends with the command. What xvfb-run does, and pictures.

The exit code is the command's own, or 128 and the number of the signal that ended it. Whatever it has started ends with
it, daemons too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, Self

from xshm.errors import DisplayGone, InvalidArgument, WaitTimeout, WindowNotFound, XshmError
from xshm.run_arguments import add_arguments, spec

if TYPE_CHECKING:
    import argparse
    from pathlib import Path
    from types import FrameType

    from xshm.last_picture import LastPicture
    from xshm.orphans import Orphans
    from xshm.program import Program
    from xshm.virtual_display import VirtualDisplay

__all__ = ["add_arguments", "main"]

FALSE: Final = 1
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128  # as shells have it
_STDIN: Final = 0  # by its number: sys.stdin is None where it is closed
_PASSED_ON: Final = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGALRM, signal.SIGWINCH),
)


def main(args: argparse.Namespace) -> int:
    """Run what the arguments say, and return the exit code."""
    from xshm.encode import by_suffix  # noqa: PLC0415 - the command line is read without numpy
    from xshm.orphans import Orphans  # noqa: PLC0415
    from xshm.virtual_display import VirtualDisplay  # noqa: PLC0415

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command and (args.shot or args.shot_on_failure or args.wait_window):
        raise InvalidArgument("--shot, --shot-on-failure and --wait-window are about a command; name one after --")
    for path in filter(None, (args.shot, args.shot_on_failure)):
        by_suffix(str(path))  # before anything is started
    description = spec(args)
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # inherited; the kernel would throw exit codes away
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orphans = Orphans()
    with VirtualDisplay.from_spec(description) as display:
        return _run(display, command, args, orphans) if command else _hold(display, orphans)


# -- with a command ----------------------------------------------------------------------------------------------------


def _run(display: VirtualDisplay, command: list[str], args: argparse.Namespace, orphans: Orphans) -> int:
    from xshm.last_picture import LastPicture  # noqa: PLC0415 - the command line is read without numpy

    with LastPicture(display.screen.display, display.xauthority) as picture, Signals() as signals, orphans:
        try:
            program = display.run(command, stdin=None)
        except OSError as error:
            if isinstance(error, XshmError) or error.filename is None:  # not what execve(2) said of the command
                raise
            return _not_started(command[0], error)
        signals.pass_on_to(program)
        orphans.reap(program.pid)
        with program, Foreground(program) as terminal:  # its group ends first, so that what is left comes to us
            code = _wait_for_window(display, program, args.timeout) if args.wait_window else terminal.wait()
            for path in filter(None, (args.shot, args.shot_on_failure if code else None)):
                _save(picture, path, code)
    return code


def _not_started(name: str, error: OSError) -> int:
    """Say why a command was not executed, and return the exit code that a shell would give."""
    if error.errno != errno.ENOENT:
        _say(f"{name} can't be executed: {error.strerror}")
        return _NOT_EXECUTABLE
    name = name or repr(name)
    _say(f"{name} has a first line (#!) whose program was not found" if shutil.which(name) else f"{name} was not found")
    return _NOT_FOUND


def _say(text: str) -> None:
    """Write a line to standard error, if there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"xshm: {text}\n")


def _save(picture: LastPicture, path: Path, code: int) -> None:
    """Save a picture; where that fails, a command that has failed keeps its exit code."""
    try:
        picture.take().save(path)
    except (OSError, XshmError) as error:
        if not code:
            raise
        _say(f"{path} could not be written: {getattr(error, 'strerror', None) or error}")


def _wait_for_window(display: VirtualDisplay, program: Program, timeout: float) -> int:
    """Wait for a window that is painted and at rest; return the exit code."""
    try:
        program.wait_painted(display.screen, timeout=timeout)
    except (WindowNotFound, WaitTimeout) as error:
        _say(str(error))
        return _exit_code(program.returncode) if program.returncode else FALSE
    return 0


class Signals:
    """Signals that come to us are passed on to the program's group; those that come before there is one wait for it.

    What is ignored when we start (nohup) stays so, for the program too.
    """

    def __init__(self) -> None:
        self._program: Program | None = None
        self._waiting: list[int] = []
        self._before: dict[signal.Signals, Any] = {}

    def pass_on_to(self, program: Program) -> None:
        """From now on, and what has come so far."""
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
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._program.group, number)


class Foreground:
    """The terminal's foreground, if we have it: lent to a program's group, so that it can read and hears Ctrl-C.

    Without a terminal, or in the background, nothing is done.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._terminal = -1
        with contextlib.suppress(OSError):  # no terminal, or standard input is closed
            if os.tcgetpgrp(_STDIN) == os.getpgrp():
                self._terminal = _STDIN

    def __enter__(self) -> Self:
        self._lend()
        return self

    def __exit__(self, *_: object) -> None:
        self._take_back()

    def wait(self) -> int:
        """Wait for the program and return its exit code; when it is stopped by Ctrl-Z, stop with it."""
        while self._terminal >= 0:
            state = os.waitid(os.P_PID, self._program.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            if state is None or state.si_code != os.CLD_STOPPED:
                break
            os.waitid(os.P_PID, self._program.pid, os.WSTOPPED)
            self._take_back()
            os.kill(0, signal.SIGTSTP)  # the shell sees our group stop, and continues it later
            self._lend()
        return _exit_code(self._program.wait())

    def _lend(self) -> None:
        if self._terminal >= 0:
            with contextlib.suppress(OSError):
                os.tcsetpgrp(self._terminal, self._program.group)
            # It may have been stopped for reading too early.
            os.killpg(self._program.group, signal.SIGCONT)

    def _take_back(self) -> None:
        if self._terminal >= 0:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we are in the background now
            with contextlib.suppress(OSError):
                os.tcsetpgrp(self._terminal, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)


def _exit_code(code: int) -> int:
    return code if code >= 0 else _BY_SIGNAL - code


# -- without -----------------------------------------------------------------------------------------------------------


class _Signalled(Exception):
    pass


def _hold(display: VirtualDisplay, orphans: Orphans) -> int:
    """Tell where the display is, and keep it until a signal comes or the server ends."""

    def stop(*_: object) -> None:
        raise _Signalled

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        if sys.stdout is not None:
            sys.stdout.write(f"DISPLAY={display.name}\nXAUTHORITY={display.xauthority}\n")
            sys.stdout.flush()
        with orphans:
            orphans.reap()
            display.wait()
    except _Signalled:
        return 0
    raise DisplayGone(
        f"the server of {display.name} has ended; it said: {' '.join(display.said().split()) or 'nothing'}"
    )
