"""`xshm view`: another display, live, in a window of this one. At its own size its frames are shown without a copy."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from xshm.options import add_display, open_screen

if TYPE_CHECKING:
    from xshm.drawable import Drawable
    from xshm.screen import Screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("--on", metavar="NAME", help="the display that the window is on (default: $DISPLAY)")
    parser.add_argument(
        "--scale", type=_factor, default=1.0, metavar="FACTOR", help="show it larger or smaller (default: %(default)g)"
    )
    parser.add_argument("-i", "--window", metavar="WINDOW", help="show a window: its id, its title, or 'active'")
    parser.add_argument("-g", "--geometry", metavar="WxH+X+Y", help="show a region, for example 640x480+10+20")
    parser.add_argument(
        "-r", "--framerate", type=_factor, default=30.0, metavar="FPS", help="at most so often (default: %(default)g)"
    )
    parser.add_argument("--cursor", action="store_true", help="show the pointer, too")
    add_display(parser)
    parser.set_defaults(run=main)


def main(chosen: argparse.Namespace) -> int:
    """Show frames until the window is closed, or q or Escape is pressed in it; return 0."""
    from xshm.mirror import Mirror, scaled_size  # noqa: PLC0415 - numpy and python-xlib are not needed for --help
    from xshm.surface import Surface  # noqa: PLC0415

    with open_screen(chosen) as screen:
        source = _source(screen, chosen.window)
        size = scaled_size(source.grab(chosen.geometry), chosen.scale)
        with (
            source.stream(chosen.geometry, fps=chosen.framerate, on_change=True, cursor=chosen.cursor) as stream,
            Surface(*size, title=f"{screen.display} – xshm", display=chosen.on) as surface,
        ):
            Mirror(screen, stream, surface, chosen.scale).run()
    return 0


def _source(screen: Screen, window: str | None) -> Drawable:
    if window is None:
        return screen
    try:
        return screen.window(int(window, 0))
    except ValueError:
        return screen.window(window)


def _factor(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return value
