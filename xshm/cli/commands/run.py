"""`xshm run`: a command on a virtual display of its own, as xvfb-run does it, and a picture of the screen.

The exit code is the command's own, or 128 and the number of the signal that ended it, as shells have it. With the
command end the display and every process that the command has started, daemons too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

from xshm.cli.error_line import error_line
from xshm.cli.job_control import Foreground, PassedOnSignals, UnwindingSignals
from xshm.cli.run_options import add_run_options, spec
from xshm.cli.standard_streams import complain
from xshm.errors import DisplayGone, InvalidArgument, WaitTimeout, WindowNotFound, XshmError
from xshm.system.deadlines import PATIENCE, within
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from xshm.cli.last_picture import LastPicture
    from xshm.cli.orphans import Orphans
    from xshm.cli.recording.kept import Keeper, Keepers
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.programs.program import Program
    from xshm.virtual.spec import DisplaySpec

    Maker = Callable[[VirtualDisplay], Keeper]

FALSE: Final = 1
_ENDING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)  # of what no command is run on
_WINDOW_TIMEOUT: Final = 10.0  # seconds, as `program.wait_window` has them
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128  # as shells have it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_run_options(parser)


def main(args: argparse.Namespace) -> int:
    """Run the command, or without one keep a display until a signal comes; return the exit code."""
    from xshm.image.files.encode import by_suffix  # noqa: PLC0415 - the command line is read without numpy

    command = bare(args.command)
    if not command and (args.shot or args.shot_on_failure or args.wait_window):
        raise InvalidArgument("--shot, --shot-on-failure and --wait-window are about a command; name one after --")
    for path in filter(None, (args.shot, args.shot_on_failure)):
        by_suffix(str(path))  # a name that no picture can have is refused before anything is started
    makers = _makers(args, command)
    return on_display(spec(args), command, args, makers)


def bare(command: list[str]) -> list[str]:
    """Return a command's words without the -- before it."""
    return command[1:] if command[:1] == ["--"] else command


def on_display(
    description: DisplaySpec, command: list[str], args: argparse.Namespace, makers: Sequence[Maker] = ()
) -> int:
    """Run a command on a display of its own, or keep one; `makers` begin what is kept of it. Return the exit code."""
    from xshm.cli.orphans import Orphans  # noqa: PLC0415
    from xshm.virtual.display import VirtualDisplay  # noqa: PLC0415

    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # inherited, and the kernel would discard exit codes
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orphans = Orphans()
    environment = dict(os.environ)
    with UnwindingSignals(), _one_thread(makers), VirtualDisplay.from_spec(description) as display:
        kept = _keep(display, makers)
        if not command:
            return _hold(display, orphans, kept)
        return _run(display, command, environment, args, orphans, kept)


# -- with a command ----------------------------------------------------------------------------------------------------


def _run(
    display: VirtualDisplay,
    command: list[str],
    environment: dict[str, str],
    args: argparse.Namespace,
    orphans: Orphans,
    keep: contextlib.AbstractContextManager[Keepers | None],
) -> int:
    with keep as kept, _watch(display, args) as picture, PassedOnSignals() as signals, orphans:
        try:
            # Its standard input is ours, and so are descriptors that make or a shell has passed on.
            program = display.run(command, env=environment, stdin=None, close_fds=False)
        except OSError as error:
            if isinstance(error, XshmError) or error.filename is None:  # no error of execve(2) about the command
                raise
            if kept is not None:
                kept.drop_if_for_failures()
            return _not_started(command[0], error)
        signals.pass_on_to(program)
        orphans.reap(program.pid)
        with program, Foreground(program):  # the group ends first: processes that outlive it are then our children
            if kept is not None:
                kept.started(program)
            code = _wait_for_window(display, program, args) if args.wait_window else _exit_code(program.wait())
            for path in filter(None, (args.shot, args.shot_on_failure if code else None)):
                if picture is not None:
                    _save(picture, path, code)
            if kept is not None:
                _finish(kept, code, args)
    return code


def _watch(display: VirtualDisplay, args: argparse.Namespace) -> contextlib.AbstractContextManager[LastPicture | None]:
    """Watch the screen from now on, if a picture may be saved at the end."""
    if not (args.shot or args.shot_on_failure):
        return contextlib.nullcontext()
    from xshm.cli.last_picture import LastPicture  # noqa: PLC0415 - the command line is read without numpy

    limit = PATIENCE if args.timeout is None else args.timeout
    name = within(time.monotonic() + limit, lambda: display.screen.display)
    return LastPicture(name, display.xauthority, limit)


def _makers(args: argparse.Namespace, command: list[str]) -> list[Maker]:
    """Return what begins a recording, a trace and a live view, where they were asked for; refuse what can't be."""
    makers: list[Maker] = []
    if args.record is not None or args.record_on_failure is not None:
        from xshm.cli.recording import of_a_run  # noqa: PLC0415 - as above

        target = of_a_run.check(args, has_command=bool(command))
        makers.append(lambda display: of_a_run.RunRecording(display, target, args))
    if args.trace is not None or args.trace_on_failure is not None:
        from xshm.cli.recording import of_a_trace  # noqa: PLC0415 - as above

        wanted = of_a_trace.of_run(args, command)
        makers.append(lambda display: of_a_trace.RunTrace(display, wanted))
    if not makers:
        for flag, given in (("--framerate", args.framerate is not None), ("--overwrite", args.overwrite)):
            if given:
                raise InvalidArgument(f"{flag} is about a recording or a trace; name its file with --record or --trace")
    if args.port is not None and not args.live:
        raise InvalidArgument("--port is about a live view; add --live, or leave it out")
    if args.live:
        from xshm.cli.live import of_a_run as live  # noqa: PLC0415 - as above

        choices = live.choices(args, command)
        makers.insert(0, lambda display: live.RunLive(display, choices))  # it is the last one to end
    return makers


def _one_thread(makers: Sequence[Maker]) -> contextlib.AbstractContextManager[None]:
    """Keep the libraries that a recording needs from starting threads."""
    if not makers:
        return contextlib.nullcontext()
    from xshm.cli.recording import one_thread  # noqa: PLC0415 - as above

    return one_thread.asked_for()


def _keep(display: VirtualDisplay, makers: Sequence[Maker]) -> contextlib.AbstractContextManager[Keepers | None]:
    """Record the screen from now on, if that was asked for."""
    if not makers:
        return contextlib.nullcontext()
    from xshm.cli.recording.kept import Keepers  # noqa: PLC0415 - as above

    return Keepers(display, makers)


def _finish(kept: Keepers, code: int, args: argparse.Namespace) -> None:
    """End what is kept; where that fails, a command that has failed keeps its exit code."""
    try:
        kept.finish(code)
    except (OSError, XshmError) as error:
        if not code:
            raise
        complain(f"xshm: {error_line(error, args.parser)}")


def _not_started(name: str, error: OSError) -> int:
    """Print why a command was not executed; return the exit code that a shell has for it."""
    if error.errno != errno.ENOENT:
        _print_error(f"{name} can't be executed: {error.strerror}")
        return _NOT_EXECUTABLE
    name = name or repr(name)
    _print_error(
        f"{name} has a first line (#!) whose program was not found" if shutil.which(name) else f"{name} was not found"
    )
    return _NOT_FOUND


def _print_error(text: str) -> None:
    """Write a line to standard error; a failure to write it does not change the exit code."""
    complain(f"xshm: {printable(text)}")


def _save(picture: LastPicture, path: Path, code: int) -> None:
    """Save a picture; where that fails, a command that has failed keeps its exit code."""
    try:
        picture.take().save(path)
    except (OSError, XshmError) as error:
        if not code:
            raise
        _print_error(f"{path} could not be written: {getattr(error, 'strerror', None) or error}")


def _wait_for_window(display: VirtualDisplay, program: Program, args: argparse.Namespace) -> int:
    """Wait for a window that is painted and at rest; return the exit code."""
    timeout = _WINDOW_TIMEOUT if args.timeout is None else args.timeout
    try:
        within(time.monotonic() + timeout, lambda: program.wait_painted(display.screen, timeout=timeout))
    except (WindowNotFound, WaitTimeout) as error:
        _print_error(str(error))
        return _exit_code(program.returncode) if program.returncode else FALSE
    return 0


def _exit_code(code: int) -> int:
    return code if code >= 0 else _BY_SIGNAL - code


# -- without -----------------------------------------------------------------------------------------------------------


class _Signalled(Exception):
    pass


def _hold(display: VirtualDisplay, orphans: Orphans, kept: contextlib.AbstractContextManager[Keepers | None]) -> int:
    """Print the display's name and authority file; keep the display until a signal comes or its server ends."""

    def stop(*_: object) -> None:
        raise _Signalled

    numbers = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]  # nohup
    for number in numbers:
        signal.signal(number, stop)
    try:
        sys.stdout.write(f"DISPLAY={display.name}\nXAUTHORITY={display.xauthority}\n")
        sys.stdout.flush()
        with kept, orphans:
            orphans.reap()
            try:
                display.wait()
            except _Signalled:
                for number in numbers:
                    signal.signal(number, signal.SIG_IGN)  # the recording is ended by now
                raise
    except _Signalled:
        return 0
    raise DisplayGone(
        f"the server of {display.name} has ended; it said: {' '.join(display.said().split()) or 'nothing'}"
    )
