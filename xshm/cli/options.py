"""Flags and values that several commands have: displays, windows, rectangles, seconds and numbers.

One parser for each kind of value. A value that is refused here is refused before anything is connected or started.
"""

from __future__ import annotations

import argparse
import re
import time
from typing import TYPE_CHECKING, Final, TypeVar

from xshm.errors import InvalidArgument, WindowGone, WindowNotFound
from xshm.system.deadlines import PATIENCE, within
from xshm.system.polling import LONGEST
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.drawables.screen import Screen
    from xshm.drawables.window import Window

_WINDOW_HELP: Final = (
    "a window: its id (decimal, or hexadecimal after 0x), 'active', its title or a part of it that no other title has, "
    "or /EXPRESSION/, a regular expression that is found in its title; a number that is no window's id is a title"
)
_XAUTHORITY_HELP: Final = (
    "the authority file (default: $XAUTHORITY, ~/.Xauthority); the cookie in one that is named here is sent to another "
    "user's server, too"
)
# Compiled at their first use: compiling all takes longer than parsing the arguments of a screenshot.
# An id has 29 bits, nine decimal digits; a larger number is refused as an id, and tried as a title.
_ID: Final = r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}"
# Slashes as in sed and less; the expression may span lines, as a title may.
_EXPRESSION: Final = r"(?s:/.+/)"
# What float(text) reads, but for signs, inf, nan, hexadecimal digits and underscores.
_NUMBER: Final = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_HIGHEST_PORT: Final = 65535

_Done = TypeVar("_Done")
_Number = TypeVar("_Number", int, float)


def add_display(parser: argparse.ArgumentParser) -> None:
    """Add --display, --xauthority and --transport."""
    parser.add_argument("--display", metavar="NAME", help="the X display, for example :0 (default: $DISPLAY)")
    parser.add_argument("--xauthority", metavar="FILE", help=_XAUTHORITY_HELP)
    parser.add_argument(
        "--transport",
        default="auto",
        choices=("auto", "sysv", "fd", "core"),
        help="how pixels get here; auto takes the best that works (default: %(default)s)",
    )


def add_window(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, what: str, *, is_repeatable: bool = False
) -> None:
    """Add -i/--window; `what` begins the help: the verb."""
    action, more = ("append", "; repeatable") if is_repeatable else ("store", "")
    text = f"{what} {_WINDOW_HELP}{more}"
    parser.add_argument("-i", "--window", action=action, type=named, metavar="WINDOW", help=text)


def add_monitor(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add -m/--monitor."""
    parser.add_argument("-m", "--monitor", metavar="NAME", help="a monitor: its name, its number from 0, 'primary'")


def add_place(parser: argparse.ArgumentParser, verb: str) -> argparse._MutuallyExclusiveGroup:
    """Add -i, -m and -s, of which one may be given, and return their group; `refuse_two_regions` reads them."""
    where = parser.add_mutually_exclusive_group()
    add_window(where, verb)
    add_monitor(where)
    where.add_argument("-s", "--select", action="store_true", help="let a person choose a region or window (asks slop)")
    return where


def refuse_two_regions(chosen: argparse.Namespace) -> None:
    """Raise InvalidArgument where -m or -s names a region, and -g another."""
    for flag, given in (("--monitor", chosen.monitor is not None), ("--select", chosen.select)):
        if given and chosen.geometry is not None:
            raise InvalidArgument(f"{flag} and --geometry both name a region; give one")


def add_framerate(parser: argparse.ArgumentParser, what: str, default: float = 30.0) -> None:
    """Add -r/--framerate; `what` begins the help."""
    parser.add_argument(
        "-r",
        "--framerate",
        type=rate,
        default=default,
        metavar="FPS",
        help=f"{what} (default: %(default)g)",
    )


def add_max_edge(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add --max-edge."""
    parser.add_argument(
        "--max-edge", type=positive_whole_number, metavar="PIXELS", help="make it smaller until no edge is longer"
    )


def add_geometry(parser: argparse.ArgumentParser, what: str) -> None:
    """Add -g/--geometry, a region; `what` is the help."""
    parser.add_argument("-g", "--geometry", type=geometry, metavar="WxH+X+Y", help=what)


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --json; `what` is the help."""
    parser.add_argument("--json", action="store_true", help=what)


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add --timeout to a command that waits for nothing but the server's replies."""
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help="give up when the server has not answered within this time (default: %(default)g)",
    )


def add_query(parser: argparse.ArgumentParser, json: str) -> None:
    """Add --json, whose help is `json`, and what names the display, to a command that asks the server something."""
    add_json(parser, json)
    add_display(parser)
    add_timeout(parser)


def open_screen(chosen: argparse.Namespace, timeout: float | None = None) -> Screen:
    """Open the screen that the flags name; `timeout` bounds the wait for each reply."""
    from xshm.drawables.screen import Screen  # noqa: PLC0415 - numpy and python-xlib are not needed for --help

    return Screen(chosen.display, chosen.transport, chosen.xauthority, timeout=timeout)


def in_time(chosen: argparse.Namespace, work: Callable[[], _Done]) -> _Done:
    """Call `work`; RequestTimeout if the server's replies take longer than --timeout, all together."""
    import xshm.drawables.screen  # noqa: F401, PLC0415 - before the time begins: the import is no wait for the server

    return within(time.monotonic() + chosen.timeout, work)


def on_screen(chosen: argparse.Namespace, work: Callable[[Screen], _Done]) -> _Done:
    """Open the screen that the flags name, and return what `work` returns for it, all within --timeout."""

    def with_screen() -> _Done:
        with open_screen(chosen) as screen:
            return work(screen)

    return in_time(chosen, with_screen)


def open_window(screen: Screen, text: str) -> Window:
    """Open the window that the user names; _WINDOW_HELP has the forms.

    Raises WindowNotFound (none, or several; it lists what there is), WindowNotViewable, InvalidArgument for what is no
    regular expression.
    """
    if text == "active":
        return screen.window(text)
    if re.fullmatch(_EXPRESSION, text):
        return screen.window(_expression(text[1:-1]))
    if re.fullmatch(_ID, text):
        try:  # as an id first, since scripts pass ids
            return _open_numbered(screen, int(text, 16 if text[:2] in ("0x", "0X") else 10))
        except WindowGone:
            pass  # no window's id, but perhaps a title: a clock that counts down, a document "2026"
    return _open_titled(screen, text)


def window_title(text: str) -> str | re.Pattern[str]:
    """Read a whole title, or a regular expression between slashes."""
    return _expression(text[1:-1]) if re.fullmatch(_EXPRESSION, text) else text


def window_number(text: str) -> int | None:
    """Read a window's id; None for what can't be one."""
    from xshm.drawables.window_list import IDS  # noqa: PLC0415 - python-xlib is not needed for --help

    if not re.fullmatch(_ID, text):
        return None
    number = int(text, 16 if text[:2] in ("0x", "0X") else 10)
    return number if number in IDS else None


def _open_numbered(screen: Screen, window: int) -> Window:
    from xshm.drawables.window_list import IDS  # noqa: PLC0415 - python-xlib is not needed for --help

    if window not in IDS:
        raise WindowGone(f"{window} is no window's id")
    return screen.window(window)


def _open_titled(screen: Screen, text: str) -> Window:
    """Open the window whose title this is, or else the one whose title this is a part of."""
    from xshm.drawables.window_list import not_found  # noqa: PLC0415 - as above

    # The whole title first: "xterm" names that window even where another one is called "xterm 2".
    for description in (text, re.compile(re.escape(text))):
        try:
            return screen.window(description)
        except WindowNotFound:
            continue
    listed = screen.windows()  # for the message: what there is instead
    wanted = f"{quoted(text)}, as a number or as a title" if re.fullmatch(_ID, text) else repr(text)
    raise not_found([info for info in listed if text in info.title], listed, wanted)


def _expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidArgument(f"/{text}/ is no regular expression: {error}") from error


def named(text: str) -> str:
    """Return a name; an empty one, from a shell variable that is not set, is refused."""
    if not text:
        raise argparse.ArgumentTypeError("an empty text names nothing")
    return text


def file_mode(text: str) -> int:
    """Read a file's mode as chmod(1) has it, in octal digits."""
    if not re.fullmatch(r"(0o)?[0-7]{1,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no mode in octal digits, for example 640")
    return int(text, 8)


def geometry(text: str) -> str:
    """Check a rectangle, WxH+X+Y, and return it as text: offsets from the far edges need the picture's size."""
    from xshm.geometry import Rect  # noqa: PLC0415 - not needed for --help

    try:
        Rect.parse(text, within=Rect(0, 0, 1, 1))  # any picture will do to check the notation by
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def number(text: str) -> float:
    """Read a number, 0 or more, in decimal notation."""
    value = float(text) if re.fullmatch(_NUMBER, text) else float("inf")
    if value == float("inf"):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number, 0 or more")
    return value


def whole_number(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not re.fullmatch(r"[0-9]{1,18}", text):  # not int(text), which takes "1_000", signs and other scripts' digits
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no whole number, 0 or more")
    return int(text)


def port(text: str) -> int:
    """Read a port's number; 0 is any that is free."""
    if (value := whole_number(text)) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port; they go up to {_HIGHEST_PORT}, and 0 is any that is free")
    return value


def seconds(text: str) -> float:
    """Read a number of seconds, 0 or more."""
    if not re.fullmatch(_NUMBER, text):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of seconds")
    # No infinity either: "1e999" is a number by its notation.
    if float(text) > LONGEST:
        raise argparse.ArgumentTypeError(f"{text} seconds are more than the longest time, {LONGEST:,}")
    return float(text)


def _above_zero(read: Callable[[str], _Number], what: str) -> Callable[[str], _Number]:
    """Return a reader of the numbers that `read` reads, but for 0."""

    def read_above_zero(text: str) -> _Number:
        value = read(text)
        if not value:
            raise argparse.ArgumentTypeError(f"{text} is no {what} above 0")
        return value

    return read_above_zero


def rate(text: str) -> float:
    """Read a number above 0 of pictures a second, in decimal notation or, as ffmpeg has it, a fraction: 30000/1001."""
    above, slash, below = text.partition("/")
    parts = (above, below) if slash else (above, "1")
    if not all(re.fullmatch(_NUMBER, each) and 0 < float(each) < float("inf") for each in parts):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number above 0; write 30, 29.97 or 30000/1001")
    return float(parts[0]) / float(parts[1])


positive_number: Final = _above_zero(number, "number")
positive_whole_number: Final = _above_zero(whole_number, "whole number")
positive_seconds: Final = _above_zero(seconds, "number of seconds")
