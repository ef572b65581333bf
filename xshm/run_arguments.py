"""The arguments of `xshm run`, and the display that they describe: ours, and xvfb-run's way of giving them."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from xshm.display_spec import DisplaySpec, ScreenSpec
from xshm.errors import InvalidArgument

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

_WITH_VALUE: Final = (
    *("--size", "--depth", "-e", "--error-file", "--framebuffer"),
    *("--shot", "--shot-on-failure", "--timeout"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `xshm run`."""
    # To argparse "-screen 0 640x480x24" after -s is no value of it, but -s once more, with the value "creen 0 ...".
    parse = parser.parse_known_args

    def parse_known_args(args: Any = None, namespace: Any = None) -> Any:
        return parse(_with_server_args_glued(sys.argv[1:] if args is None else args), namespace)

    parser.parse_known_args = parse_known_args  # type: ignore[method-assign]
    parser.add_argument("--size", metavar="WxH", help="the screen's size in pixels (default: 1280x800)")
    parser.add_argument("--depth", type=int, metavar="BITS", help="8, 15, 16, 24 or 30 (default: 24)")
    parser.add_argument(
        "-s", "--server-args", default="", metavar="ARGS", help="further arguments for Xvfb, in one word"
    )
    parser.add_argument(
        "-a", "--auto-servernum", action="store_true", help="as with xvfb-run; the server always finds a free number"
    )
    parser.add_argument("-e", "--error-file", type=Path, metavar="FILE", help="append to it what the server says")
    parser.add_argument(
        "--framebuffer",
        metavar="KIND",
        help="file, sysv, none, or a directory in which the screen's file stays for other readers (default: file)",
    )
    parser.add_argument("--shot", type=Path, metavar="FILE", help="save a picture of the screen at the end")
    parser.add_argument("--shot-on-failure", type=Path, metavar="FILE", help="the same, if the command fails")
    parser.add_argument(
        "--wait-window",
        action="store_true",
        help="the end is when the command has shown a window and what it draws has come to rest; then it is ended",
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="for the start, and for the window (default: 10)"
    )
    parser.add_argument(
        "command",
        nargs="...",
        metavar="-- COMMAND",
        help="what to run; without it, the display's name is printed, and it is there until a signal comes",
    )


def _with_server_args_glued(words: Sequence[str]) -> list[str]:
    """Write "-s ARGS" as "--server-args=ARGS", as far as the words are ours and not the command's."""
    glued, remaining = [], iter(words)
    for word in remaining:
        if word in ("-s", "--server-args"):
            glued.append(f"--server-args={next(remaining, '')}")
        elif word in _WITH_VALUE:
            glued += [word, *itertools.islice(remaining, 1)]
        elif word.startswith("-") and word != "--":
            glued.append(word)
        else:
            return [*glued, word, *remaining]
    return glued


def spec(args: argparse.Namespace) -> DisplaySpec:
    """Make a DisplaySpec of the arguments, xvfb-run's way of giving them (--server-args) included."""
    options: dict[str, Any] = {"timeout": args.timeout, "log": args.error_file}
    _read_server_args(shlex.split(args.server_args), options)
    if args.size is not None:
        size = re.fullmatch(r"(\d+)x(\d+)", args.size)
        if size is None:
            raise InvalidArgument(f"--size is WIDTHxHEIGHT, for example 1280x800, not {args.size!r}")
        options |= {"width": int(size[1]), "height": int(size[2])}
    if args.depth is not None:
        options["depth"] = args.depth
    if args.framebuffer is not None:
        kind = args.framebuffer
        options["framebuffer"] = kind if kind in ("file", "sysv", "none") else Path(kind)
    return DisplaySpec(**options)


def _read_server_args(words: list[str], options: dict[str, Any]) -> None:
    """Take from Xvfb's arguments those that a display has parameters for, and leave it the others."""
    rest, screens = [], {}
    remaining = iter(words)
    for word in remaining:
        match word:
            case "-screen":
                number = _value(word, remaining)
                screens[number] = _screen(_value(word, remaining))
            case "-dpi":
                options["dpi"] = int(_value(word, remaining))
            case "-fp":
                options["fonts"] = tuple(_value(word, remaining).split(","))
            case "-fbdir":
                options["framebuffer"] = Path(_value(word, remaining))
            case "-shmem":
                options["framebuffer"] = "sysv"
            case "-nocursor":
                options["cursor"] = False
            case _:
                rest.append(word)
    options["args"] = tuple(rest)
    if screens:
        if sorted(screens) != [str(number) for number in range(len(screens))]:
            raise InvalidArgument(f"--server-args has the screens {', '.join(screens)}; they count from 0 without gaps")
        first, *further = (screens[number] for number in sorted(screens))
        options |= {"width": first.width, "height": first.height, "depth": first.depth, "screens": tuple(further)}


def _value(word: str, remaining: Iterator[str]) -> str:
    value = next(remaining, None)
    if value is None:
        raise InvalidArgument(f"--server-args ends after {word}, which has a value")
    return value


def _screen(text: str) -> ScreenSpec:
    match = re.fullmatch(r"(\d+)x(\d+)(?:x(\d+))?", text)
    if match is None:
        raise InvalidArgument(
            f"--server-args has a screen of {text!r}; it is WIDTHxHEIGHTxDEPTH, for example 1280x800x24"
        )
    return ScreenSpec(int(match[1]), int(match[2]), int(match[3] or 24))
