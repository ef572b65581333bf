"""`xshm live`: screens, monitors, regions or windows in a browser, by a link, until q, Ctrl-C, TERM or HUP.

The link is one line on standard output, when it can be opened; all else is said on standard error. What is shown has to
be there at the start; what ends later is waited for, and its page says so.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from xshm.cli.live.place import places
from xshm.cli.live.settings import add_settings, of_settings
from xshm.cli.options import (
    add_display,
    add_framerate,
    add_geometry,
    add_monitor,
    add_timeout,
    add_window,
    named,
    positive_seconds,
)
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument
from xshm.system.printable import printable

if TYPE_CHECKING:
    from xshm.live.web.view import LiveView

OK = 0
_FPS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _let_displays_stand_anywhere(parser)
    parser.add_argument(
        "shown", nargs="*", type=named, metavar="DISPLAY", help="what to show; of several, each is a tile of the page"
    )
    where = parser.add_mutually_exclusive_group()
    add_window(where, "show", is_repeatable=True)
    add_monitor(where)
    add_geometry(parser, "show a region: 640x480+10+20, 640x480-0-0 (from the far edges)")
    add_framerate(parser, "look at most so often", _FPS)
    add_settings(parser)
    parser.add_argument("--duration", type=positive_seconds, metavar="SECONDS", help="end after so long")
    add_display(parser)
    add_timeout(parser)


def _let_displays_stand_anywhere(parser: argparse.ArgumentParser) -> None:
    """Take displays behind options as well, which argparse would not take for those that it has found before."""
    parse = argparse.ArgumentParser.parse_known_args

    def parse_known_args(args: Any = None, namespace: Any = None) -> Any:
        found, unknown = parse(parser, args, namespace)
        if wrong := [word for word in unknown if word.startswith("-")]:
            parser.error(f"unrecognized arguments: {' '.join(wrong)}")
        if not all(unknown):
            parser.error("argument DISPLAY: an empty text names nothing")
        found.shown = [*found.shown, *unknown]
        return found, []

    parser.parse_known_args = parse_known_args  # type: ignore[method-assign]


def main(chosen: argparse.Namespace) -> int:
    """Show it until the end; return 0."""
    # By identity: one of the environment is the default, and gives way to what is on the command line.
    if chosen.shown and chosen.display is not chosen.parser.get_default("display"):
        raise InvalidArgument("DISPLAY and --display both name the display to show; give one")
    if chosen.monitor is not None and chosen.geometry is not None:
        raise InvalidArgument("--monitor and --geometry both name a region; give one")
    choices = of_settings(chosen)
    from xshm.cli.live.attend import show  # noqa: PLC0415 - not needed for --help
    from xshm.cli.live.shown import Shown  # noqa: PLC0415
    from xshm.cli.recording import one_thread  # noqa: PLC0415
    from xshm.live.web.view import LiveView  # noqa: PLC0415

    with one_thread.asked_for(), contextlib.ExitStack() as stack:
        live = LiveView(fps=chosen.framerate, **choices)  # what can't be is refused before anything is connected
        shown = []
        for place in places(chosen.shown, chosen):
            screen = place.connect()
            stack.callback(screen.close)
            opened = place.open(screen)
            stack.callback(opened.close)
            number = live.add(opened.source, title=opened.title, region=opened.region)
            shown.append(Shown(place, opened, live._shown[number].channel))  # noqa: SLF001 - a program has no use for it
        show(live, shown, chosen.duration, partial(_say, live, chosen))
    return OK


def _say(live: LiveView, chosen: argparse.Namespace) -> None:
    """Print the link, and to a person at a terminal how it is shown."""
    print(live.url)
    sys.stdout.flush()
    if live.vnc is not None:
        host, port = live.vnc
        password = live.vnc_password if chosen.vnc_password_file is None else "of --vnc-password-file"
        complain(f"xshm: for VNC viewers: {host}::{port}, password {password}")
    if sys.stderr.isatty():
        for line in live.how.splitlines():
            complain(f"xshm: {printable(line)}")
