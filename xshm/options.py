"""What the commands of the command line share: naming a display, a number of seconds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm.screen import Screen


def add_display(parser: argparse.ArgumentParser) -> None:
    """Add --display, --xauthority and --transport."""
    parser.add_argument("--display", metavar="NAME", help="the X display, for example :0 (default: $DISPLAY)")
    parser.add_argument("--xauthority", metavar="FILE", help="the authority file (default: $XAUTHORITY, ~/.Xauthority)")
    parser.add_argument(
        "--transport",
        default="auto",
        choices=("auto", "sysv", "fd", "core"),
        help="how pixels get here; auto takes the best that works (default: %(default)s)",
    )


def open_screen(chosen: argparse.Namespace) -> Screen:
    """Open the screen that these name."""
    from xshm.screen import Screen  # noqa: PLC0415 - numpy and python-xlib are not needed for --help

    return Screen(chosen.display, chosen.transport, chosen.xauthority)


def seconds(text: str) -> float:
    """Read a number of seconds, 0 or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value
