"""`xshm view`: another display, live, in a window of this one. At its own size its frames are shown without a copy."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from xshm.cli.options import (
    add_display,
    add_framerate,
    add_geometry,
    add_timeout,
    add_window,
    in_time,
    open_screen,
    open_window,
    positive_number,
)
from xshm.errors import InvalidArgument

if TYPE_CHECKING:
    import argparse

    from xshm.drawables.drawable import Drawable
    from xshm.drawables.screen import Screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shown", nargs="?", metavar="DISPLAY", help="the display to show; the same as --display")
    parser.add_argument("--on", metavar="NAME", help="the display that the window is on (default: $DISPLAY)")
    parser.add_argument(
        "--scale",
        type=positive_number,
        default=1.0,
        metavar="FACTOR",
        help="show it larger or smaller (default: %(default)g)",
    )
    add_window(parser, "show")
    add_geometry(parser, "show a region, for example 640x480+10+20")
    add_framerate(parser, "at most so often")
    parser.add_argument("--cursor", action="store_true", help="show the pointer, too")
    add_display(parser)
    add_timeout(parser)
    parser.set_defaults(parser=parser)  # `main` asks it what the default of --display is


def main(chosen: argparse.Namespace) -> int:
    """Show frames until the window is closed, or q or Escape is pressed in it; return 0."""
    from xshm.cli.mirror import Mirror, scaled_size  # noqa: PLC0415 - numpy and python-xlib are not needed for --help
    from xshm.surface.surface import Surface  # noqa: PLC0415

    # By identity: one of the environment is the default, and gives way to what is on the command line.
    if chosen.shown is not None and chosen.display is not chosen.parser.get_default("display"):
        raise InvalidArgument("DISPLAY and --display both name the display to show; give one")
    chosen.display = chosen.shown if chosen.shown is not None else chosen.display  # for `open_screen`
    # Refused before anything is connected, though the window is opened last.
    if not chosen.on and not os.environ.get("DISPLAY"):
        raise InvalidArgument("$DISPLAY names no display to put the window on; name it with --on")
    # --timeout bounds the start as a whole, and then each reply: a view may last for days.
    with in_time(chosen, lambda: open_screen(chosen, chosen.timeout)) as screen:
        source = in_time(chosen, lambda: _source(screen, chosen))
        size = scaled_size(source.grab(chosen.geometry), chosen.scale)
        with (
            source.stream(chosen.geometry, fps=chosen.framerate, on_change=True, cursor=chosen.cursor) as stream,
            Surface(*size, title=f"{screen.display} – xshm", display=chosen.on, timeout=chosen.timeout) as surface,
        ):
            Mirror(screen, stream, surface, chosen.scale).run()
    return 0


def _source(screen: Screen, chosen: argparse.Namespace) -> Drawable:
    if chosen.window is not None:  # pixels of its own: the view does not appear in what it shows
        return open_window(screen, chosen.window)
    from xshm.x11.connection import Connection  # noqa: PLC0415 - as above
    from xshm.x11.same_server import is_same_server  # noqa: PLC0415

    # By connecting, since names do not show it: ":0", "unix:0" and "host:0" may be one server.
    with contextlib.closing(Connection(chosen.on, None, None)) as target:
        if target.setup.root.id == screen.connection.setup.root.id and is_same_server(target, screen.connection):
            raise InvalidArgument(
                f"the window would be on {target.display_name}, the display that it shows, and mirror itself; "
                "name another to show as DISPLAY, or to put the window on with --on, or show one window with --window"
            )
    return screen
