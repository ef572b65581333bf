"""`xshm trace`: everything that is on a screen, in one HTML file; and such files made of others, or made videos.

A trace of $DISPLAY ends properly by q, Ctrl-C, TERM or HUP, after --duration, and with its window: exit code 0. What
ends it against the user's will is exit code 2, and the file has all that came before. A trace of a command ends with
that, and the exit code is the command's.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from xshm.cli.commands import record, run
from xshm.cli.error_line import error_line
from xshm.cli.job_control import UnwindingSignals
from xshm.cli.options import (
    add_display,
    add_geometry,
    add_max_edge,
    add_timeout,
    add_window,
    in_time,
    named,
    open_screen,
    open_window,
    positive_seconds,
    positive_whole_number,
    rate,
    whole_number,
)
from xshm.cli.recording.destination import Held
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, XshmError
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse

    from xshm.cli.recording.of_a_trace import AttendedTrace
    from xshm.drawables.drawable import Drawable
    from xshm.trace.reader import TraceReader

OK, ERROR = 0, 2
# What each way to use the command takes, beside the output and -y: flags by their destination.
_OF_VIDEOS: Final = ("framerate", "constant", "quality", "codec", "options", "format", "max_edge")
_OF_LIVE: Final = ("geometry", "window", "duration", "keep_last", "max_bytes", "redact", "title", "spill", "framerate")
_OF_COMMANDS: Final = (*_OF_LIVE, "size", "depth")
_OF_DISPLAYS: Final = (*_OF_LIVE, "display", "xauthority")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags: those of `xshm record` and `xshm run` where they have one."""
    parser.add_argument(
        "-o", "--output", type=named, metavar="FILE", help="the HTML file, or with --export the video; required"
    )
    add_window(parser, "trace")
    add_geometry(parser, "the region to trace: 640x480+10+20, 640x480-0-0 (from the far edges)")
    parser.add_argument(
        "--duration", type=positive_seconds, metavar="SECONDS", help="end after so long; a command goes on"
    )
    parser.add_argument(
        "--keep-last",
        type=positive_seconds,
        metavar="SECONDS",
        help="only the last seconds; without a command SIGUSR1 writes those up to then to a file of their own, whose "
        "name is printed",
    )
    parser.add_argument(
        "--max-bytes",
        type=positive_whole_number,
        metavar="BYTES",
        help="at most so much memory: of what does not fit the oldest goes (default: 64 MiB)",
    )
    parser.add_argument(
        "--redact",
        action="append",
        type=named,
        default=[],
        metavar="WHAT",
        help="keep secret: a region (WxH+X+Y), which is black, or a regular expression, whose matches in titles and "
        "logs are blotted out; repeatable",
    )
    parser.add_argument("--title", type=named, metavar="TEXT", help="what it is a trace of (default: the command)")
    parser.add_argument(
        "--spill",
        type=named,
        metavar="FILE",
        help="write all to this file as it comes, so that --recover has it after a kill; it is removed at the end",
    )
    parser.add_argument("-y", "--overwrite", action="store_true", help="replace FILE if it exists")
    _add_others(parser)
    parser.add_argument("--size", metavar="WxH", help="of the command's screen, in pixels (default: 1280x800)")
    parser.add_argument("--depth", type=whole_number, metavar="BITS", help="8, 15, 16, 24 or 30 (default: 24)")
    add_display(parser)
    add_timeout(parser)
    parser.add_argument(
        "command",
        nargs="...",  # REMAINDER: options behind the command's name are the command's
        metavar="-- COMMAND",
        help="what to run on a virtual display of its own, traced from before it starts until it has ended; with "
        "--window, from when it shows a window of this title",
    )
    # What `run.on_display` reads, and has no flag here.
    parser.set_defaults(shot=None, shot_on_failure=None, wait_window=False)


def _add_others(parser: argparse.ArgumentParser) -> None:
    others = parser.add_mutually_exclusive_group()
    others.add_argument(
        "--recover", type=named, metavar="SPILL", help="write what a killed trace has spilled, up to its last record"
    )
    others.add_argument(
        "--export", type=named, metavar="TRACE", help="write a trace's file as a video: mp4, mkv, webm, gif, apng, y4m"
    )
    parser.add_argument(
        "-r",
        "--framerate",
        type=rate,
        metavar="FPS",
        help="at most so many pictures a second (default: 30; of --export, each change)",
    )
    videos = parser.add_argument_group("of --export, as xshm record has them")
    record.add_encoding(videos)
    add_max_edge(videos)


def main(chosen: argparse.Namespace) -> int:
    """Trace, or write another file of a trace; return 0, the command's exit code, or 2 for what ended it early."""
    command = run.bare(chosen.command)
    if chosen.output is None:
        raise InvalidArgument("name the file to write: --output trace.html")
    if chosen.recover is not None:
        _refuse_flags(chosen, "--recover", (), command)
        return _recover(chosen)
    if chosen.export is not None:
        _refuse_flags(chosen, "--export", _OF_VIDEOS, command)
        return _export(chosen)
    from xshm.cli.recording.of_a_trace import check_page  # noqa: PLC0415 - not needed for --help

    check_page(chosen.output, overwrite=chosen.overwrite)
    if command:
        _refuse_flags(chosen, "a command's trace", _OF_COMMANDS, [])
        return _run(chosen, command)
    _refuse_flags(chosen, "a display's trace", _OF_DISPLAYS, [])
    return _attend(chosen)


def _refuse_flags(chosen: argparse.Namespace, what: str, taken: tuple[str, ...], command: list[str]) -> None:
    """Raise InvalidArgument for what would have no effect."""
    if command:
        raise InvalidArgument(f"{what} reads a file, and runs nothing; leave {printable(command[0])} out")
    for action in chosen.parser._actions:  # noqa: SLF001 - argparse has no public list of them
        name = action.dest
        if name in (*_OF_VIDEOS, *_OF_COMMANDS, *_OF_DISPLAYS) and name not in taken:
            given = getattr(chosen, name)
            if given != action.default:
                raise InvalidArgument(f"{action.option_strings[-1]} has no effect on {what}; leave it out")


# -- of a display ------------------------------------------------------------------------------------------------------


def _choices(chosen: argparse.Namespace, title: str | None) -> dict[str, Any]:
    """Return what was chosen as `trace` takes it."""
    return {
        "fps": 30.0 if chosen.framerate is None else chosen.framerate,
        "keep_last": chosen.keep_last,
        "max_bytes": chosen.max_bytes,
        "redact": chosen.redact,
        "spill": chosen.spill,
        "title": title if chosen.title is None else chosen.title,
    }


def _run(chosen: argparse.Namespace, command: list[str]) -> int:
    """Trace a command on a display of its own; return its exit code."""
    from xshm.cli.recording.of_a_trace import RunTrace, Wanted  # noqa: PLC0415 - not needed for --help
    from xshm.cli.run_options import screen_spec  # noqa: PLC0415

    words = printable(shlex.join(command))  # an argument may be no text
    wanted = Wanted(
        chosen.output,
        words,
        overwrite=chosen.overwrite,
        region=chosen.geometry,
        window=chosen.window,
        duration=chosen.duration,
        choices=_choices(chosen, words),
    ).check()
    return run.on_display(
        screen_spec(chosen.size, chosen.depth), command, chosen, [lambda display: RunTrace(display, wanted)]
    )


def _attend(chosen: argparse.Namespace) -> int:
    """Trace $DISPLAY until the end."""
    from xshm.cli.recording import one_thread  # noqa: PLC0415 - not needed for --help
    from xshm.cli.recording.of_a_trace import AttendedTrace  # noqa: PLC0415

    with (
        UnwindingSignals(),
        one_thread.asked_for(),
        in_time(chosen, lambda: open_screen(chosen, chosen.timeout)) as screen,
        contextlib.ExitStack() as opened,
    ):
        source: Drawable = screen
        if chosen.window is not None:
            source = opened.enter_context(in_time(chosen, lambda: open_window(screen, chosen.window)))
        trace = source.trace(chosen.output, region=chosen.geometry, **_choices(chosen, None))
        held = None if chosen.overwrite else opened.enter_context(Held([chosen.output]))
        return _until_the_end(AttendedTrace(trace, chosen.output, held), chosen)


def _until_the_end(attended: AttendedTrace, chosen: argparse.Namespace) -> int:
    """Trace until the end, say why that came by itself, and return the exit code."""
    from xshm.cli.recording import attend  # noqa: PLC0415 - not needed for --help

    failed: Exception | None = None
    save = partial(_save_meanwhile, attended, chosen) if chosen.keep_last is not None else None
    try:
        attend.record(attended, chosen.duration, partial(_begun, attended), save, attended.numbers)
    except (XshmError, OSError) as error:
        if not attended.trace.how:  # it has not begun
            raise
        failed = error
    why = failed or attended.trace.ended
    if why is not None:
        complain(f"xshm: {error_line(why, chosen.parser)}; {printable(attended.name)} has all that came before")
    return OK if failed is None else ERROR


def _begun(attended: AttendedTrace) -> None:
    """Say how pixels are read, to a person at a terminal."""
    if sys.stderr.isatty():
        complain(f"xshm: {attended.trace.how}")


def _save_meanwhile(attended: AttendedTrace, chosen: argparse.Namespace) -> None:
    """Write a file of its own, and print its name; what is wrong with that is said, and the trace goes on."""
    try:
        name = attended.save_meanwhile()
    except (XshmError, OSError) as error:
        complain(f"xshm: {error_line(error, chosen.parser)}")
        return
    print(name)
    sys.stdout.flush()


# -- of a file ---------------------------------------------------------------------------------------------------------


def _open(path: str) -> TraceReader:
    """Open a trace; say so where it was cut off."""
    from xshm.trace.reader import TraceReader  # noqa: PLC0415 - not needed for --help

    reader = TraceReader.open(path)
    if reader.ended:
        complain(f"xshm: {printable(path)}: {printable(reader.ended)}")
    return reader


def _recover(chosen: argparse.Namespace) -> int:
    from xshm.cli.recording.of_a_trace import check_page  # noqa: PLC0415 - not needed for --help

    check_page(chosen.output, overwrite=chosen.overwrite)
    with UnwindingSignals(), _open(chosen.recover) as reader, _held(chosen):
        reader.save(chosen.output)
    return OK


def _export(chosen: argparse.Namespace) -> int:
    from xshm.cli.recording import destination, one_thread  # noqa: PLC0415 - not needed for --help

    target = destination.parse(chosen.output, chosen.format, overwrite=chosen.overwrite)
    if target.kind != "file":
        raise InvalidArgument(f"a trace is exported to a file, not to {target.name}")
    with UnwindingSignals(), one_thread.asked_for(), _open(chosen.export) as reader, _held(chosen):
        reader.export(
            chosen.output,
            chosen.framerate,
            constant=chosen.constant,
            quality=chosen.quality,
            codec=chosen.codec,
            options=dict(chosen.options),
            format=target.container,
            max_edge=chosen.max_edge,
        )
    return OK


def _held(chosen: argparse.Namespace) -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext() if chosen.overwrite else Held([chosen.output])
