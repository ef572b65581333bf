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
import time
from typing import TYPE_CHECKING, Any, Final, Self

from xshm.cli.run_options import add_arguments, spec
from xshm.cli.standard_streams import complain
from xshm.errors import DisplayGone, InvalidArgument, WaitTimeout, WindowNotFound, XshmError
from xshm.system.deadlines import PATIENCE, within
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse
    from pathlib import Path
    from types import FrameType

    from xshm.cli.last_picture import LastPicture
    from xshm.cli.orphans import Orphans
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.program import Program

__all__ = ["add_arguments", "main"]

FALSE: Final = 1
_WINDOW: Final = 10.0  # seconds for one to come
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128  # as shells have it
_ENDING: Final = (signal.SIGHUP, signal.SIGTERM)
_STDIN: Final = 0  # by its number: sys.stdin is None where it is closed
_PASSED_ON: Final = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGALRM, signal.SIGWINCH),
)


def main(args: argparse.Namespace) -> int:
    """Run what the arguments say, and return the exit code."""
    from xshm.cli.orphans import Orphans  # noqa: PLC0415
    from xshm.image.files.encode import by_suffix  # noqa: PLC0415 - the command line is read without numpy
    from xshm.virtual.display import VirtualDisplay  # noqa: PLC0415

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
    with _watch(display, args) as picture, Signals() as signals, orphans:
        try:
            program = display.run(
                command, stdin=None, close_fds=False
            )  # descriptors that make or a shell has handed on
        except OSError as error:
            if isinstance(error, XshmError) or error.filename is None:  # not what execve(2) said of the command
                raise
            return _not_started(command[0], error)
        signals.pass_on_to(program)
        orphans.reap(program.pid)
        with program, Foreground(program):  # its group ends first, so that what is left comes to us
            code = _wait_for_window(display, program, args) if args.wait_window else _exit_code(program.wait())
            for path in filter(None, (args.shot, args.shot_on_failure if code else None)):
                if picture is not None:
                    _save(picture, path, code)
    return code


def _watch(display: VirtualDisplay, args: argparse.Namespace) -> contextlib.AbstractContextManager[LastPicture | None]:
    """Begin to watch the screen where a picture may be asked for."""
    if not (args.shot or args.shot_on_failure):
        return contextlib.nullcontext()
    from xshm.cli.last_picture import LastPicture  # noqa: PLC0415 - the command line is read without numpy

    limit = PATIENCE if args.timeout is None else args.timeout
    name = within(time.monotonic() + limit, lambda: display.screen.display)
    return LastPicture(name, display.xauthority, limit)


def _not_started(name: str, error: OSError) -> int:
    """Say why a command was not executed, and return the exit code that a shell would give."""
    if error.errno != errno.ENOENT:
        _say(f"{name} can't be executed: {error.strerror}")
        return _NOT_EXECUTABLE
    name = name or repr(name)
    _say(f"{name} has a first line (#!) whose program was not found" if shutil.which(name) else f"{name} was not found")
    return _NOT_FOUND


def _say(text: str) -> None:
    """Write a line to standard error; where that fails, the exit code is the command's all the same."""
    complain(f"xshm: {printable(text)}")


def _save(picture: LastPicture, path: Path, code: int) -> None:
    """Save a picture; where that fails, a command that has failed keeps its exit code."""
    try:
        picture.take().save(path)
    except (OSError, XshmError) as error:
        if not code:
            raise
        _say(f"{path} could not be written: {getattr(error, 'strerror', None) or error}")


def _wait_for_window(display: VirtualDisplay, program: Program, args: argparse.Namespace) -> int:
    """Wait for a window that is painted and at rest; return the exit code."""
    timeout = _WINDOW if args.timeout is None else args.timeout
    try:
        within(time.monotonic() + timeout, lambda: program.wait_painted(display.screen, timeout=timeout))
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
            self._program.pass_on(number)
            if number in _ENDING:  # a stopped program hears them only then, and a shell sends them to stopped jobs
                self._program.pass_on(signal.SIGCONT)


class Foreground:
    """The terminal's foreground, where our job has it: lent to a program's group, so that it reads and hears Ctrl-C.

    The shell knows our group alone. So when the program is stopped (Ctrl-Z; reading in the background) we stop with it,
    and when the shell continues us we continue the program. Without a terminal nothing is done.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._terminal = -1
        self._lent = False
        self._before: Any = signal.SIG_DFL
        with contextlib.suppress(OSError):  # no terminal, or standard input is closed
            os.tcgetpgrp(_STDIN)
            self._terminal = _STDIN

    def __enter__(self) -> Self:
        if self._terminal >= 0:
            self._before = signal.signal(signal.SIGCHLD, self._child_changed)
            self._lend()  # the program may have been stopped for reading too early
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
        """Stop if the program was stopped, until the shell continues us; in a handler, so whatever we wait for."""
        try:
            stopped = os.waitid(os.P_PID, self._program.pid, os.WSTOPPED | os.WNOHANG)
        except ChildProcessError:  # it was waited for
            return
        if stopped is None:
            return
        by_terminal = stopped.si_status in (signal.SIGTTIN, signal.SIGTTOU)
        if by_terminal and not self._lent and not self._is_ours() and os.getsid(os.getppid()) != os.getsid(0):
            with contextlib.suppress(ProcessLookupError):  # as the kernel does where no shell is left to continue it
                os.killpg(self._program.group, signal.SIGHUP)
        elif not (by_terminal and self._is_ours()):  # a running job that a shell brings to the foreground is not told
            self._take_back()
            os.kill(0, signal.SIGTSTP)
        self._lend()

    def _is_ours(self) -> bool:
        with contextlib.suppress(OSError):  # a terminal that has hung up
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        return False

    def _lend(self) -> None:
        with contextlib.suppress(OSError):  # a terminal that has hung up
            if self._is_ours():
                os.tcsetpgrp(self._terminal, self._program.group)
                self._lent = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._program.group, signal.SIGCONT)

    def _take_back(self) -> None:
        if self._lent:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we are in the background now
            with contextlib.suppress(OSError):
                os.tcsetpgrp(self._terminal, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)
            self._lent = False


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
