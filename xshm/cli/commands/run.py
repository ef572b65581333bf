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
from xshm.cli.job_control import Foreground, PassedOnSignals
from xshm.cli.run_options import add_run_options, spec
from xshm.cli.standard_streams import complain
from xshm.errors import DisplayGone, InvalidArgument, WaitTimeout, WindowNotFound, XshmError
from xshm.system.deadlines import PATIENCE, within
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from xshm.cli.last_picture import LastPicture
    from xshm.cli.orphans import Orphans
    from xshm.cli.recording.of_a_run import RunRecording
    from xshm.record.sinks.target import Target
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.programs.program import Program

    Recorded = contextlib.AbstractContextManager[RunRecording | None]

FALSE: Final = 1
_WINDOW_TIMEOUT: Final = 10.0  # seconds, as `program.wait_window` has them
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128  # as shells have it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_run_options(parser)


def main(args: argparse.Namespace) -> int:
    """Run the command, or without one keep a display until a signal comes; return the exit code."""
    from xshm.cli.orphans import Orphans  # noqa: PLC0415
    from xshm.image.files.encode import by_suffix  # noqa: PLC0415 - the command line is read without numpy
    from xshm.virtual.display import VirtualDisplay  # noqa: PLC0415

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command and (args.shot or args.shot_on_failure or args.wait_window):
        raise InvalidArgument("--shot, --shot-on-failure and --wait-window are about a command; name one after --")
    for path in filter(None, (args.shot, args.shot_on_failure)):
        by_suffix(str(path))  # a name that no picture can have is refused before anything is started
    recorded = _recorded(args, has_command=bool(command))
    description = spec(args)
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # inherited, and the kernel would discard exit codes
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orphans = Orphans()
    environment = dict(os.environ)
    with _one_thread(recorded), VirtualDisplay.from_spec(description) as display:
        recording = _record(display, recorded, args)
        if not command:
            return _hold(display, orphans, recording)
        return _run(display, command, environment, args, orphans, recording)


# -- with a command ----------------------------------------------------------------------------------------------------


def _run(
    display: VirtualDisplay,
    command: list[str],
    environment: dict[str, str],
    args: argparse.Namespace,
    orphans: Orphans,
    recorded: Recorded,
) -> int:
    with recorded as recording, _watch(display, args) as picture, PassedOnSignals() as signals, orphans:
        try:
            # Its standard input is ours, and so are descriptors that make or a shell has passed on.
            program = display.run(command, env=environment, stdin=None, close_fds=False)
        except OSError as error:
            if isinstance(error, XshmError) or error.filename is None:  # no error of execve(2) about the command
                raise
            if recording is not None:
                recording.drop_if_for_failures()
            return _not_started(command[0], error)
        signals.pass_on_to(program)
        orphans.reap(program.pid)
        with program, Foreground(program):  # the group ends first: processes that outlive it are then our children
            code = _wait_for_window(display, program, args) if args.wait_window else _exit_code(program.wait())
            for path in filter(None, (args.shot, args.shot_on_failure if code else None)):
                if picture is not None:
                    _save(picture, path, code)
            if recording is not None:
                _finish(recording, code, args)
    return code


def _watch(display: VirtualDisplay, args: argparse.Namespace) -> contextlib.AbstractContextManager[LastPicture | None]:
    """Watch the screen from now on, if a picture may be saved at the end."""
    if not (args.shot or args.shot_on_failure):
        return contextlib.nullcontext()
    from xshm.cli.last_picture import LastPicture  # noqa: PLC0415 - the command line is read without numpy

    limit = PATIENCE if args.timeout is None else args.timeout
    name = within(time.monotonic() + limit, lambda: display.screen.display)
    return LastPicture(name, display.xauthority, limit)


def _recorded(args: argparse.Namespace, *, has_command: bool) -> Target | None:
    """Return what the display is to be recorded to, if that was asked for; refuse what can't be."""
    if args.record is None and args.record_on_failure is None:
        for flag, given in (("--framerate", args.framerate is not None), ("--overwrite", args.overwrite)):
            if given:
                raise InvalidArgument(f"{flag} is about a recording; name its file with --record")
        return None
    from xshm.cli.recording import of_a_run  # noqa: PLC0415 - as above

    return of_a_run.check(args, has_command=has_command)


def _one_thread(target: Target | None) -> contextlib.AbstractContextManager[None]:
    """Keep the libraries that a recording needs from starting threads."""
    if target is None:
        return contextlib.nullcontext()
    from xshm.cli.recording import one_thread  # noqa: PLC0415 - as above

    return one_thread.asked_for()


def _record(display: VirtualDisplay, target: Target | None, args: argparse.Namespace) -> Recorded:
    """Record the screen from now on, if that was asked for."""
    if target is None:
        return contextlib.nullcontext()
    from xshm.cli.recording.of_a_run import RunRecording  # noqa: PLC0415 - as above

    return RunRecording(display, target, args)


def _finish(recording: RunRecording, code: int, args: argparse.Namespace) -> None:
    """End a recording; where that fails, a command that has failed keeps its exit code."""
    try:
        recording.finish(code)
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


def _hold(display: VirtualDisplay, orphans: Orphans, recorded: Recorded) -> int:
    """Print the display's name and authority file; keep the display until a signal comes or its server ends."""

    def stop(*_: object) -> None:
        raise _Signalled

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        sys.stdout.write(f"DISPLAY={display.name}\nXAUTHORITY={display.xauthority}\n")
        sys.stdout.flush()
        with recorded, orphans:
            orphans.reap()
            try:
                display.wait()
            except _Signalled:
                for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)  # the recording is ended by now
                raise
    except _Signalled:
        return 0
    raise DisplayGone(
        f"the server of {display.name} has ended; it said: {' '.join(display.said().split()) or 'nothing'}"
    )
