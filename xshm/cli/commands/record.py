"""`xshm record`: a screen, a window, a monitor or a region as a video, to a file, standard output or a URL.

A recording that was begun ends properly by q, Ctrl-C, TERM or HUP, after --duration, and with its window: exit code 0.
What ends it against the user's will (a full disk, a dead server, a reader who leaves) is exit code 2, and a file has
all that came before.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from xshm.cli.error_line import error_line
from xshm.cli.job_control import UnwindingSignals
from xshm.cli.options import (
    add_display,
    add_framerate,
    add_geometry,
    add_json,
    add_max_edge,
    add_place,
    add_timeout,
    in_time,
    named,
    open_screen,
    open_window,
    positive_seconds,
    positive_whole_number,
    refuse_two_regions,
    seconds,
)
from xshm.cli.output import print_json
from xshm.cli.recording import destination
from xshm.cli.recording.destination import tell_name
from xshm.cli.recording.progress import numbers
from xshm.cli.recording.replay import Replay
from xshm.cli.selection import select
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, XshmError
from xshm.system.printable import printable, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xshm.drawables.drawable import Drawable
    from xshm.drawables.screen import Screen
    from xshm.record.recorder import Recorder
    from xshm.record.sinks.target import Target

OK, ERROR = 0, 2
_STDOUT: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags: those of wf-recorder and of `xshm shot` where they have one."""
    parser.add_argument(
        "file",
        nargs="?",
        type=named,
        metavar="FILE|URL|-",
        help="where to: the suffix names the container (mp4, mkv, webm, mov, ts, gif, apng, webp, y4m); a URL "
        "(rtmp, udp, tcp); '-' is standard output, for ffmpeg -i -; without it, an mp4 with date, time and size as its "
        "name",
    )
    _add_what(parser)
    _add_how(parser)
    parser.add_argument("-d", "--delay", type=seconds, default=0.0, metavar="SECONDS", help="wait before it begins")
    parser.add_argument(
        "--duration", type=positive_seconds, metavar="SECONDS", help="end after so long (default: by q or Ctrl-C)"
    )
    parser.add_argument(
        "--keep-last",
        type=positive_seconds,
        metavar="SECONDS",
        help="a replay buffer: keep the last seconds in memory, and write them at the end; SIGUSR1 writes those up to "
        "then to a file of their own, whose name is printed",
    )
    parser.add_argument(
        "--max-bytes", type=positive_whole_number, metavar="BYTES", help="of --keep-last: at most so much memory"
    )
    parser.add_argument("-y", "--overwrite", action="store_true", help="replace FILE if it exists")
    add_json(parser, "print the numbers at the end as JSON")
    add_display(parser)
    add_timeout(parser)


def _add_what(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "record")
    add_geometry(
        parser, "the region to record: 640x480+10+20, 640x480-0-0 (from the far edges) or slurp's '10,20 640x480'"
    )
    parser.add_argument("--cursor", action="store_true", help="draw the pointer in")


def _add_how(parser: argparse.ArgumentParser) -> None:
    add_framerate(parser, "at most so many frames a second, at changes of the screen")
    add_encoding(parser)
    add_max_edge(parser)


def add_encoding(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the flags of codec and container, of which --constant is about the rate."""
    parser.add_argument(
        "--constant", action="store_true", help="exactly so many, repeated while nothing changes, for editors"
    )
    parser.add_argument(
        "-q",
        "--quality",
        choices=("screen", "small", "lossless"),
        default="screen",
        help="screen: colour in full resolution (4:4:4), for sharp text; small: 4:2:0, which every H.264 decoder "
        "takes; "
        "lossless: the exact pixels (default: %(default)s)",
    )
    parser.add_argument(
        "-c",
        "--codec",
        type=named,
        metavar="NAME",
        help="h264, h265, vp8, vp9, av1, ffv1, libx264rgb, … (default: the container's)",
    )
    parser.add_argument(
        "-p",
        "--option",
        dest="options",
        action="append",
        type=_option,
        default=[],
        metavar="KEY=VALUE",
        help="an option of the encoder: crf=18, preset=veryfast; repeatable",
    )
    parser.add_argument(
        "--format",
        type=named,
        metavar="NAME",
        help="the container, where FILE's suffix does not name it; for '-', y4m (the default) or bgr0",
    )


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no option; write KEY=VALUE")
    return key, value


def main(chosen: argparse.Namespace) -> int:
    """Record until the end; return 0, or 2 where something else has ended it."""
    from xshm.cli.recording import one_thread  # noqa: PLC0415 - not needed for --help

    # All that can be refused without a server is refused before the delay and the connection.
    _refuse_what_has_no_effect(chosen)
    target = destination.parse(chosen.file, chosen.format, overwrite=chosen.overwrite)
    _refuse_target(target, chosen)
    time.sleep(chosen.delay)
    with (
        UnwindingSignals(),
        one_thread.asked_for(),
        in_time(chosen, lambda: open_screen(chosen, chosen.timeout)) as screen,
        contextlib.ExitStack() as opened,
    ):
        # A person's choice takes as long as it takes.
        selected = select(screen) if chosen.select else None
        source, region = in_time(chosen, lambda: _source(screen, chosen, selected, opened))
        return _record(source, region, target, chosen)


def _refuse_what_has_no_effect(chosen: argparse.Namespace) -> None:
    refuse_two_regions(chosen)
    if chosen.max_bytes is not None and chosen.keep_last is None:
        raise InvalidArgument("--max-bytes is about --keep-last; a file may grow")


def _refuse_target(target: Target, chosen: argparse.Namespace) -> None:
    if chosen.keep_last is not None and target.kind != "file":
        raise InvalidArgument("--keep-last keeps pictures in memory and writes a file at the end; name a FILE")
    if target.number == _STDOUT:
        if chosen.json:
            raise InvalidArgument("--json writes the numbers to standard output, which has the video; leave it out")
        if sys.__stdout__ is None:
            raise XshmError("standard output is closed; name a FILE to write to")
        if os.isatty(_STDOUT):
            raise XshmError("standard output is a terminal, which shows no video; name a FILE, or pipe it on")


def _source(
    screen: Screen, chosen: argparse.Namespace, selected: tuple[int, int, int, int] | None, opened: contextlib.ExitStack
) -> tuple[Drawable, Any]:
    """Return what is to be recorded, and the region of it."""
    if chosen.window is not None:
        return opened.enter_context(open_window(screen, chosen.window)), chosen.geometry
    if chosen.monitor is not None:
        return screen, screen.monitor(chosen.monitor)
    if selected is not None:  # a window that was clicked may be partly off the screen
        from xshm.geometry import Rect, fit  # noqa: PLC0415 - not needed for --help

        return screen, fit(Rect(*selected), screen.rect, "the screen", clip=True)
    return screen, chosen.geometry


def _record(source: Drawable, region: Any, target: Target, chosen: argparse.Namespace) -> int:
    """Record to the target that was named; return the exit code."""
    settings: dict[str, Any] = {
        "fps": chosen.framerate,
        "constant": chosen.constant,
        "cursor": chosen.cursor,
        "quality": chosen.quality,
        "codec": chosen.codec,
        "options": dict(chosen.options),
        "format": target.container,
        "max_edge": chosen.max_edge,
    }
    size = _size(source, region) if chosen.file is None else None
    if chosen.keep_last is not None:
        describe = partial(error_line, parser=chosen.parser)
        ring = source.record(region=region, keep_last=chosen.keep_last, max_bytes=chosen.max_bytes, **settings)
        replay = Replay(ring, target, size, describe, overwrite=chosen.overwrite)
        failed = _run(ring, target, chosen, replay.save_meanwhile)
        name = replay.save_last()
        frames, length = ring._saved  # noqa: SLF001 - nothing for a program, which has the whole of the recording
        of_file = {"seconds": length, "frames": frames, "bytes": os.path.getsize(name)}  # noqa: PTH202 - as above
        return _report(ring, name, chosen, failed, of_file)
    if target.kind != "file" or (chosen.overwrite and size is None):
        recorder = source.record(target.path, region=region, **settings)
        failed = _run(recorder, target, chosen, None)
        return _report(recorder, target.name, chosen, failed)
    from xshm.cli.recording.opened import hold  # noqa: PLC0415 - not needed for --help

    with contextlib.ExitStack() as opened:
        names = [target.path] if size is None else destination.free_names(size, target.container)
        held, place = hold(names, target.container, opened)
        asked, to_held = held.name, cast("Any", place)  # a file that is open is no target of a program's
        recorder = source.record(to_held, region=region, **settings)
        failed = _run(recorder, target, chosen, None)
        tell_name(asked, held.name)
        return _report(recorder, held.name, chosen, failed)


def _size(source: Drawable, region: Any) -> tuple[int, int]:
    """Return the video's size, without a picture of it: the memory would be held as long as the recording."""
    from xshm.geometry import as_rect  # noqa: PLC0415 - not needed for --help

    rect = source.rect if region is None else as_rect(region, lambda: source.rect)
    return rect.width, rect.height


def _run(
    recorder: Recorder, target: Target, chosen: argparse.Namespace, save: Callable[[], None] | None
) -> Exception | None:
    """Record until the end; return the error that has ended it. Raises one before which nothing was recorded."""
    from xshm.cli.recording import attend  # noqa: PLC0415 - not needed for --help

    if chosen.duration is not None:
        recorder._end_at(chosen.duration)  # noqa: SLF001 - nothing for a program, which has `stop`
    try:
        begun = partial(_begun, recorder, target, chosen)
        attend.record(recorder, chosen.duration, begun, save, partial(numbers, recorder))
    except (XshmError, OSError) as error:
        if not recorder.frames:
            raise
        return error
    return None


def _begun(recorder: Recorder, target: Target, chosen: argparse.Namespace) -> None:
    """Say what was chosen, to a person at a terminal, or what the reader of bare pixels has to be told."""
    size = re.search(r"[0-9]+x[0-9]+", recorder.how)
    if target.container == "bgr0" and size is not None:
        layout = f"-f rawvideo -pixel_format bgr0 -video_size {size[0]} -framerate {chosen.framerate:g}"
        complain(f"xshm: for ffmpeg {layout} -i -")
    elif sys.stderr.isatty():
        complain(f"xshm: {recorder.how}")


def _report(
    recorder: Recorder,
    name: str,
    chosen: argparse.Namespace,
    failed: Exception | None,
    of_file: Mapping[str, float] | None = None,
) -> int:
    """Print the file's numbers where they were asked for, and why it has ended; return the exit code."""
    is_file = os.path.isfile(name)  # noqa: PTH113 - a text, as the user wrote it
    if chosen.json:
        print_json(
            {
                "file": name,
                "seconds": recorder.duration,
                "frames": recorder.frames,
                "dropped": recorder.dropped,
                "bytes": recorder.bytes,
                "how": recorder.how,
            }
            | dict(of_file or {}),
            indent=None,
        )
    elif chosen.file is None:
        print(name)
    why = failed or recorder.ended
    if why is not None:
        complain(f"xshm: {error_line(why, chosen.parser)}" + f"; {printable(name)} has all that came before" * is_file)
    elif not is_file and not sys.stderr.isatty():  # a terminal has had them all the time
        complain(f"xshm: {numbers(recorder)}")
    return OK if failed is None else ERROR
