"""The command line of mss: `python -m xshm.compat.mss -m 1 -o shot.png` saves monitors, or a region, as PNG files."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from xshm.compat.mss import MSS, ScreenShotError, __version__
from xshm.compat.mss.linux import BACKENDS
from xshm.compat.mss.tools import to_png

if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT: Final = "monitor-{mon}.png"
REGION_OUTPUT: Final = "sct-{top}x{left}_{width}x{height}.png"
USAGE_ERROR: Final = 2
_EDGES: Final = ("top", "left", "width", "height")


def main(*args: str) -> int:
    """Save what the arguments (none: those of the command line) name, print the paths; return the exit status."""
    parser = options_of("the part of the screen to capture: top,left,width,height", __version__)
    try:
        options = parser.parse_args(args or None)
        region = (
            dict(zip(_EDGES, map(int, options.coordinates.split(",")), strict=True)) if options.coordinates else None
        )
    except argparse.ArgumentError as error:
        parser.print_usage(sys.stderr)
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except ValueError:
        print("Coordinates syntax: " + ", ".join(_EDGES))
        return USAGE_ERROR
    try:
        with MSS(backend=options.backend, with_cursor=options.with_cursor) as sct:
            if region is None:
                sct.compression_level = options.level
                for name in sct.save(mon=options.monitor, output=options.output):
                    tell(name, quiet=options.quiet)
                return 0
            name = (REGION_OUTPUT if options.output == OUTPUT else options.output).format(**region)
            shot = sct.grab(region)
            to_png(shot.rgb, shot.size, level=options.level, output=name)
            tell(name, quiet=options.quiet)
    except ScreenShotError:
        if options.quiet:
            return 1
        raise
    return 0


def options_of(coordinates: str, version: str) -> argparse.ArgumentParser:
    """Return the parser; `coordinates` is the help on -c."""
    parser = argparse.ArgumentParser(prog="mss", exit_on_error=False)
    parser.add_argument("-c", "--coordinates", default="", help=coordinates)
    parser.add_argument("-l", "--level", default=6, type=int, choices=list(range(10)), help="zlib's level for the file")
    parser.add_argument("-m", "--monitor", default=0, type=int, help="the monitor's number; 0: each, -1: all in one")
    parser.add_argument("-o", "--output", default=OUTPUT, help="the name of the file (%(default)s)")
    parser.add_argument("--with-cursor", action="store_true", help="paint the pointer")
    parser.add_argument("-q", "--quiet", action="store_true", help="print neither names of files nor errors")
    parser.add_argument("-b", "--backend", default="default", choices=BACKENDS, help="how to take the picture")
    parser.add_argument("-v", "--version", action="version", version=version)
    return parser


def tell(name: str, *, quiet: bool) -> None:
    """Print where a file is."""
    if not quiet:
        print(os.path.realpath(name))


def run(command: Callable[[], int]) -> int:
    """Return the exit status of a command line; print the error of a screenshot that failed."""
    try:
        return command()
    except ScreenShotError as error:
        print("[ERROR]", error)
        return 1


if __name__ == "__main__":
    sys.exit(run(main))
