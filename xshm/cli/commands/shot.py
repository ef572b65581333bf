"""`xshm shot`: one picture of a screen, a window, a monitor or a region, as a file."""

from __future__ import annotations

import os
import re
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from xshm.cli.error_line import error_line
from xshm.cli.options import (
    add_display,
    add_geometry,
    add_max_edge,
    add_place,
    add_timeout,
    in_time,
    named,
    open_screen,
    open_window,
    refuse_two_regions,
    seconds,
    whole_number,
)
from xshm.cli.output import dated_names
from xshm.cli.selection import select
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, XshmError
from xshm.system.atomic_write import create_file, replace_file
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse

    from xshm.drawables.screen import Screen
    from xshm.image.frame import Frame

_QUALITY, _BEST = 85, 100  # of JPEG, WebP and AVIF: the default, and the highest that Pillow takes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags: those of maim, scrot and grim where they have one."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="where to: the suffix names the kind; '-' is standard output; without it, a name with date, time and size",
    )
    where = add_place(parser, "take")
    where.add_argument(
        "--all-windows", type=named, metavar="DIR", help="every window that is mapped, each in a file of its own"
    )
    add_geometry(
        parser, "the region to take: 640x480+10+20, 640x480-0-0 (from the far edges) or slurp's '10,20 640x480'"
    )
    parser.add_argument(
        "--clip", action="store_true", help="cut what of the region, or of the monitor, leaves the picture"
    )
    parser.add_argument("-d", "--delay", type=seconds, default=0.0, metavar="SECONDS", help="wait before taking it")
    parser.add_argument("--cursor", action="store_true", help="draw the pointer in")
    parser.add_argument(
        "-t", "--type", metavar="KIND", help="png, jpeg or another that Pillow writes (default: by suffix)"
    )
    parser.add_argument(
        "-q", "--quality", type=whole_number, metavar="1-100", help="of JPEG, WebP and AVIF (default: 85)"
    )
    parser.add_argument(
        "--colours",
        choices=("auto", "rgb"),
        default="auto",
        help="rgb: always three channels, never a palette or gray; auto: what the picture needs (default: %(default)s)",
    )
    add_max_edge(parser)
    add_display(parser)
    add_timeout(parser)


def main(chosen: argparse.Namespace) -> int:
    """Take the picture and write it."""
    kind = _kind(chosen)  # first: a name that no picture can have is refused before the delay and the connection
    _refuse_what_has_no_effect(chosen)
    if chosen.file == "-" and sys.__stdout__ is None:
        raise XshmError("standard output is closed; name a FILE to write to")
    time.sleep(chosen.delay)
    # Each part that the server has to reply to has --timeout for itself: a person's choice, or many large pictures, may
    # take longer.
    with in_time(chosen, lambda: open_screen(chosen, chosen.timeout)) as screen:
        if chosen.all_windows is not None:
            return _all_windows(screen, chosen, kind)
        selected = select(screen) if chosen.select else None
        frame = in_time(chosen, lambda: _take(screen, chosen, selected))
    data = _encoded(frame, chosen, kind)
    # Encoded by now: a picture that can't be encoded leaves no file.
    if chosen.file is None:
        print(_write_new(data, f"{frame.width}x{frame.height}", _suffix(kind)))
    elif chosen.file == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        replace_file(chosen.file, data)
    return 0


def _refuse_what_has_no_effect(chosen: argparse.Namespace) -> None:
    if chosen.all_windows is not None and (chosen.file or chosen.geometry):
        raise InvalidArgument("--all-windows names its files itself and takes no FILE or --geometry")
    refuse_two_regions(chosen)
    if chosen.clip and chosen.geometry is None and chosen.monitor is None:
        raise InvalidArgument("--clip is about a region; name one with --geometry or --monitor")


def _write_new(data: bytes, size: str, suffix: str) -> str:
    """Write a file that was not there, named by date and time; a second one in the same second gets a number."""
    for name in dated_names(size, suffix):
        try:
            create_file(name, data)
        except FileExistsError:
            continue
        break
    return name


def _kind(chosen: argparse.Namespace) -> str:
    from xshm.image.files import encode  # noqa: PLC0415 - numpy and Pillow are not needed for --help

    if chosen.type is not None:
        kind = encode.known(chosen.type)
    else:
        kind = "PNG" if chosen.file in (None, "-") else encode.by_suffix(chosen.file)
    encode.check_colours(chosen.colours, kind)
    if chosen.quality is not None and not encode.has_quality(kind):
        raise InvalidArgument(f"--quality is for JPEG, WebP and AVIF; the picture is to be {kind}")
    if chosen.quality is not None and not 1 <= chosen.quality <= _BEST:
        raise InvalidArgument(f"--quality is 1 (smallest) to {_BEST} (best), not {chosen.quality}")
    return kind


def _suffix(kind: str) -> str:
    # Pillow's names are the suffix, but for those where another is usual.
    return {"JPEG": "jpg", "TIFF": "tif", "JPEG2000": "jp2"}.get(kind, kind.lower())


def _encoded(frame: Frame, chosen: argparse.Namespace, kind: str) -> bytes:
    quality = _QUALITY if chosen.quality is None else chosen.quality
    return frame.encode(kind, max_edge=chosen.max_edge, quality=quality, colours=chosen.colours).data


def _take(screen: Screen, chosen: argparse.Namespace, selected: tuple[int, int, int, int] | None) -> Frame:
    region: Any = chosen.geometry
    if chosen.window is not None:
        with open_window(screen, chosen.window) as window:
            return window.grab(region, chosen.cursor, chosen.clip)
    if chosen.monitor is not None:
        region = screen.monitor(chosen.monitor)
    if selected is not None:
        # A window that was clicked may be partly off the screen: what the person saw of it is taken.
        return screen.grab(selected, chosen.cursor, clip=True)
    return screen.grab(region, chosen.cursor, chosen.clip)


def _all_windows(screen: Screen, chosen: argparse.Namespace, kind: str) -> int:
    from pathlib import Path  # noqa: PLC0415 - as above

    directory = Path(chosen.all_windows)
    directory.mkdir(parents=True, exist_ok=True)
    failed = 0
    for info in in_time(chosen, screen.windows):
        title = re.sub(r"[^\w.-]+", "_", info.title or "untitled").strip("_")[:50]  # 4 bytes each at most, of 255
        name = directory / f"{info.id:#x}_{title}.{_suffix(kind)}"
        try:
            frame = in_time(chosen, partial(_of_window, screen, info.id, chosen))
        except XshmError as error:  # the window may be closed meanwhile; the others are still taken
            complain(f"xshm: {printable(name.name)}: {error_line(error, chosen.parser)}")
            failed += 1
            continue
        replace_file(name, _encoded(frame, chosen, kind))
        sys.stdout.flush()  # the text layer's, before bytes go past it
        sys.stdout.buffer.write(os.fsencode(name) + b"\n")  # unescaped: a program may open it
    return 2 if failed else 0


def _of_window(screen: Screen, window: int, chosen: argparse.Namespace) -> Frame:
    with screen.window(window) as opened:
        return opened.grab(None, chosen.cursor)
