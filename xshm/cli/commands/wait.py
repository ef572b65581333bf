"""`xshm wait`: until a screen changes, is at rest, or shows a colour, a picture or a window. Exit code 1: timed out."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from xshm.cli.error_line import error_line
from xshm.cli.options import (
    add_display,
    add_geometry,
    add_json,
    add_window,
    geometry,
    in_time,
    named,
    number,
    open_screen,
    open_window,
    seconds,
    window_number,
    window_title,
)
from xshm.cli.output import print_json, rect_numbers
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, WaitTimeout
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import argparse

    from xshm.capture.waiting.results import Moving
    from xshm.capture.waiting.wait import Rhythms
    from xshm.drawables.drawable import Drawable
    from xshm.drawables.screen import Screen

SEEN, TIMED_OUT = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--change", action="store_true", help="until the picture differs from what it is now")
    what.add_argument("--stable", action="store_true", help="until nothing has changed for --quiet seconds")
    what.add_argument("--pixel", metavar="X,Y,COLOUR", help="until a pixel has a colour, for example 10,20,#ff0000")
    what.add_argument(
        "--image", type=named, metavar="FILE", help="until a picture is seen, but for what is transparent in it"
    )
    what.add_argument(
        "--window-appears",
        type=named,
        metavar="TITLE",
        help="until a window has this title, all of it, or /EXPRESSION/, which is found in its title",
    )
    what.add_argument(
        "--window-gone",
        type=named,
        metavar="WINDOW",
        help="until no window has this id or title, or /EXPRESSION/; one that is closed or iconified is gone",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="give up after this long, be it that the server does not answer (default: %(default)s)",
    )
    parser.add_argument(
        "--quiet", type=seconds, metavar="SECONDS", help="for --stable (default: 0.3, or half of a shorter --timeout)"
    )
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
    parser.add_argument(
        "--rhythms",
        choices=("ignore", "count"),
        help="for --stable: whether what changes in a steady rhythm, such as a caret, counts (default: ignore)",
    )
    add_window(parser, "look at")
    add_geometry(parser, "look at a region: 640x480+10+20, or 640x480-0-0 from the far edges")
    add_json(parser, "print the result as JSON")
    add_display(parser)
    parser.set_defaults(run=main)


def main(chosen: argparse.Namespace) -> int:
    """Wait; return 0 if what was waited for came, 1 if the time was over first."""
    # All that can be refused without a server is refused before connecting.
    pixel = _pixel(chosen.pixel) if chosen.pixel is not None else None
    _refuse_what_has_no_effect(chosen)
    result = in_time(chosen, lambda: _look(chosen, pixel))
    if result is None:
        if chosen.json:
            print_json({"seen": False}, indent=None)
        return TIMED_OUT
    if chosen.json:
        print_json({"seen": True} | result, indent=None)
    return SEEN


def _refuse_what_has_no_effect(chosen: argparse.Namespace) -> None:
    if chosen.pixel is not None and chosen.geometry is not None:
        raise InvalidArgument("--pixel names its place itself and takes no --geometry")
    if chosen.pixel is not None and chosen.threshold is not None:
        raise InvalidArgument("--pixel waits for one colour exactly and takes no --threshold")
    stable = (("--ignore", chosen.ignore or None), ("--quiet", chosen.quiet), ("--rhythms", chosen.rhythms))
    for flag, value in stable:
        if value is not None and not chosen.stable:
            raise InvalidArgument(f"{flag} goes with --stable")
    pixels = (("--geometry", chosen.geometry), ("--threshold", chosen.threshold), ("--window", chosen.window))
    for wait, title in (("--window-appears", chosen.window_appears), ("--window-gone", chosen.window_gone)):
        for flag, value in pixels:
            if title is not None and value is not None:
                raise InvalidArgument(f"{wait} waits for a window, not for pixels, and takes no {flag}")
        if title is not None:
            window_title(title)  # raises for what is no regular expression


def _look(chosen: argparse.Namespace, pixel: tuple[int, int, str] | None) -> dict[str, Any] | None:
    # A window that was opened here has a pixmap on the server, and is closed before the connection.
    with open_screen(chosen) as screen, contextlib.ExitStack() as opened:
        source: Drawable = screen
        if chosen.window is not None:
            source = opened.enter_context(open_window(screen, chosen.window))
        try:
            if chosen.window_appears is not None:
                return _wait_window(screen, chosen.window_appears, chosen.timeout)
            if chosen.window_gone is not None:
                return _wait_window_gone(screen, chosen.window_gone, chosen.timeout)
            return _wait(source, chosen, pixel)
        except WaitTimeout as over:
            complain(f"xshm: {error_line(over, chosen.parser)}")  # the message has what was there instead
            return None


def _wait_window(screen: Screen, title: str, timeout: float) -> dict[str, Any]:
    with screen.wait_window(window_title(title), timeout=timeout) as window:
        return {
            "id": window.id,
            "title": window.title,
            "class": window.class_name,
            "pid": window.pid,
            "rect": rect_numbers(window.rect.moved(*window.position)),
        }


def _wait_window_gone(screen: Screen, named: str, timeout: float) -> dict[str, Any]:
    # As an id first, then as a title: what is no window's id, or is none any more, may be one.
    number = window_number(named)
    if number is not None:
        screen.wait_window_gone(number, timeout=timeout)
    screen.wait_window_gone(window_title(named), timeout=timeout)
    return {}


def _wait(source: Drawable, chosen: argparse.Namespace, pixel: tuple[int, int, str] | None) -> dict[str, Any]:
    """Wait for what the flags name; return the result as JSON has it. Raises WaitTimeout."""
    region, timeout = chosen.geometry, chosen.timeout
    # None where the flag was not given: a threshold of 0 with --pixel is refused, no threshold is not.
    threshold = 0.0 if chosen.threshold is None else chosen.threshold
    if chosen.change:
        change = source.wait_change(timeout, region, threshold)
        rects = [rect_numbers(each) for each in change.rects]
        return {"seconds": change.seconds, "ratio": change.ratio, "rects": rects}
    if chosen.stable:
        rhythms: Rhythms = "count" if chosen.rhythms == "count" else "ignore"
        stability = source.wait_stable(chosen.quiet, timeout, threshold, chosen.ignore, region, rhythms)
        return {"seconds": stability.seconds, "moving": [_place(each) for each in stability.moving]}
    if pixel is not None:
        source.wait_pixel(*pixel, timeout=timeout)
        return {}
    found = source.wait_image(chosen.image, region, threshold, timeout)
    return {"rect": rect_numbers(found.rect), "difference": found.difference}


def _place(moving: Moving) -> dict[str, Any]:
    return {"rect": rect_numbers(moving.rect), "period": moving.period, "rhythm": moving.rhythm}


def _pixel(text: str) -> tuple[int, int, str]:
    # Up to nine digits: what is beyond the screen is OutOfBounds, with the screen's size.
    match = re.fullmatch(r"([0-9]{1,9}),([0-9]{1,9}),(.+)", text)
    if match is None:
        raise InvalidArgument(f"--pixel {quoted(text)}: write X,Y,COLOUR, for example 10,20,#ff0000 or 10,20,red")
    return int(match[1]), int(match[2]), match[3]
