"""The command line of mss 11: `python -m xshm.compat.mss11 -m 1 -c 640x480-0-0` saves that corner of monitor 1.

A region counts from the corner of the monitor, and is cut to what is on the screen. Negative offsets count from the far
edges: TOP,LEFT,WIDTH,HEIGHT, or WIDTHxHEIGHT+LEFT+TOP as X tools write it.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import Final

from xshm.compat.mss.__main__ import OUTPUT, REGION_OUTPUT, USAGE_ERROR, options_of, run, tell
from xshm.compat.mss11 import MSS, ScreenShotError, __version__
from xshm.compat.mss11.tools import to_png
from xshm.errors import InvalidArgument
from xshm.geometry import Rect, fit

_SYNTAX: Final = "TOP,LEFT,WIDTH,HEIGHT or WIDTHxHEIGHT+LEFT+TOP"
_COMMAS: Final = re.compile(r"\s*(-?)([0-9]{1,9})\s*,\s*(-?)([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*")


def main(*args: str) -> int:
    """Save what the arguments (none: those of the command line) name, print the paths; return the exit status."""
    parser = options_of(
        f"the part of the monitor to capture: {_SYNTAX}; negative offsets are from the far edges", __version__
    )
    try:
        options = parser.parse_args(args or None)
        if options.coordinates:
            part_of(options.coordinates, Rect(0, 0, 1, 1))  # whether it can be read at all, before a server is asked
    except argparse.ArgumentError as error:
        parser.print_usage(sys.stderr)
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except InvalidArgument:
        print(f"Coordinates syntax: {_SYNTAX}")
        return USAGE_ERROR
    try:
        with MSS(backend=options.backend, with_cursor=options.with_cursor, compression_level=options.level) as sct:
            if not options.coordinates:
                for name in sct.save(mon=options.monitor, output=options.output):
                    tell(name, quiet=options.quiet)
                return 0
            _save_part(sct, options)
    except ScreenShotError:
        if options.quiet:
            return 1
        raise
    return 0


def part_of(text: str, monitor: Rect) -> Rect:
    """Return the region that `text` names, in the screen's coordinates. Raises InvalidArgument."""
    if commas := _COMMAS.fullmatch(text):
        from_bottom, top, from_right, left, width, height = commas.groups()
        text = f"{width}x{height}{from_right or '+'}{left}{from_bottom or '+'}{top}"
    here = Rect(0, 0, monitor.width, monitor.height)
    return Rect.parse("".join(text.split()), here).moved(monitor.x, monitor.y)


def _save_part(sct: MSS, options: argparse.Namespace) -> None:
    everything, *each = ((one.left, one.top, one.width, one.height) for one in sct.monitors)
    if not -1 <= options.monitor <= len(each):
        raise ScreenShotError(f"there is no monitor {options.monitor}: they are numbered from 1 to {len(each)}")
    monitor = Rect(*[everything, *each][max(options.monitor, 0)])
    try:
        part = fit(part_of(options.coordinates, monitor), Rect(*everything), "the screen", clip=True)
    except InvalidArgument as error:
        raise ScreenShotError(str(error)) from error
    place = {"top": part.y, "left": part.x, "width": part.width, "height": part.height}
    name = (REGION_OUTPUT if options.output == OUTPUT else options.output).format(**place)
    shot = sct.grab(place)
    to_png(shot.rgb, shot.size, level=sct.compression_level, output=name)
    tell(name, quiet=options.quiet)


if __name__ == "__main__":
    sys.exit(run(main))
