"""`xshm wait`: until something changes, comes to rest, or is seen. Exit code 0, or 1 when the time is over."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from xshm.cli.error_line import error_line
from xshm.cli.options import (
    add_display,
    add_window,
    geometry,
    in_time,
    named,
    number,
    open_screen,
    open_window,
    seconds,
)
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, WaitTimeout
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import argparse

    from xshm.drawables.drawable import Drawable
    from xshm.geometry import Rect

SEEN, TIME_OVER = 0, 1
_QUIET = 0.3  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--change", action="store_true", help="until the picture differs from what it is now")
    what.add_argument("--stable", action="store_true", help="until nothing has changed for --quiet seconds")
    what.add_argument("--pixel", metavar="X,Y,COLOUR", help="until a pixel has a colour, for example 10,20,#ff0000")
    what.add_argument(
        "--image", type=named, metavar="FILE", help="until a picture is seen, but for what is transparent in it"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="give up after this long, be it that the server does not answer (default: %(default)s)",
    )
    parser.add_argument("--quiet", type=seconds, metavar="SECONDS", help="for --stable (default: 0.3)")
    parser.add_argument(
        "--threshold",
        type=number,
        metavar="RATIO",
        help="how much may differ, 0 to 1: of all pixels, or for --image of full brightness (default: 0)",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        type=geometry,
        default=[],
        metavar="WxH+X+Y",
        help="for --stable: leave out a clock; repeatable",
    )
    add_window(parser, "look at")
    parser.add_argument(
        "-g",
        "--geometry",
        type=geometry,
        metavar="WxH+X+Y",
        help="look at a region: 640x480+10+20, or 640x480-0-0 from the far edges",
    )
    parser.add_argument("--json", action="store_true", help="tell the result as JSON")
    add_display(parser)
    parser.set_defaults(run=main)


def main(chosen: argparse.Namespace) -> int:
    """Wait; return 0 if it came, 1 if the time is over."""
    pixel = _pixel(chosen.pixel) if chosen.pixel is not None else None
    _refuse_what_has_no_effect(chosen)
    told = in_time(chosen, lambda: _look(chosen, pixel))
    if told is None:
        if chosen.json:
            print(json.dumps({"seen": False}))
        return TIME_OVER
    if chosen.json:
        print(json.dumps({"seen": True} | told))
    return SEEN


def _refuse_what_has_no_effect(chosen: argparse.Namespace) -> None:
    if chosen.pixel is not None and chosen.geometry is not None:
        raise InvalidArgument("--pixel names its place itself and takes no --geometry")
    if chosen.pixel is not None and chosen.threshold is not None:
        raise InvalidArgument("--pixel waits for one colour exactly and takes no --threshold")
    for flag, value in (("--ignore", chosen.ignore or None), ("--quiet", chosen.quiet)):
        if value is not None and not chosen.stable:
            raise InvalidArgument(f"{flag} goes with --stable")


def _look(chosen: argparse.Namespace, pixel: tuple[int, int, str] | None) -> dict[str, Any] | None:
    with open_screen(chosen) as screen, contextlib.ExitStack() as opened:
        source: Drawable = screen
        if chosen.window is not None:
            source = opened.enter_context(open_window(screen, chosen.window))
        return _wait(source, chosen, pixel)


def _wait(source: Drawable, chosen: argparse.Namespace, pixel: tuple[int, int, str] | None) -> dict[str, Any] | None:
    """Wait for what was chosen; return what there is to tell, or None when the time is over."""
    region, timeout = chosen.geometry, chosen.timeout
    threshold = 0.0 if chosen.threshold is None else chosen.threshold
    if chosen.change:
        change = source.wait_change(timeout, region, threshold)
        if change is None:
            return None
        return {"seconds": change.seconds, "ratio": change.ratio, "rects": [_numbers(each) for each in change.rects]}
    if chosen.stable:
        quiet = _QUIET if chosen.quiet is None else chosen.quiet
        calm = source.wait_stable(quiet, timeout, threshold, chosen.ignore, region)
        return {"seconds": calm.seconds} if calm else None
    try:
        if pixel is not None:
            source.wait_pixel(*pixel, timeout=timeout)
            return {}
        found = source.wait_image(chosen.image, region, threshold, timeout)
    except WaitTimeout as over:
        complain(f"xshm: {error_line(over, chosen.parser)}")  # what is there instead
        return None
    return {"rect": _numbers(found.rect), "difference": found.difference}


def _pixel(text: str) -> tuple[int, int, str]:
    match = re.fullmatch(r"([0-9]{1,9}),([0-9]{1,9}),(.+)", text)
    if match is None:
        raise InvalidArgument(f"--pixel {quoted(text)}: write X,Y,COLOUR, for example 10,20,#ff0000 or 10,20,red")
    return int(match[1]), int(match[2]), match[3]


def _numbers(rect: Rect) -> list[int]:
    return [rect.x, rect.y, rect.width, rect.height]
