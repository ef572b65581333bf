"""The arguments of `xshm run`, xvfb-run's among them, and the DisplaySpec that they describe.

Options of xvfb-run that a display can't honour are accepted where they change nothing, and refused where they would.
Arguments of Xvfb that a display has a parameter for (`--server-args "-screen 0 640x480x24"`) become that parameter.
"""

from __future__ import annotations

import getopt
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from xshm.cli.options import file_mode, named, port, rate, seconds, whole_number
from xshm.errors import InvalidArgument
from xshm.system.printable import quoted
from xshm.virtual.spec import DisplaySpec, ScreenSpec, Server

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

_FRAMEBUFFERS: Final = ("auto", "file", "sysv", "none")
# Fields of a DisplaySpec that an option of the same name sets.
_FIELDS: Final = ("depth", "framebuffer", "framebuffer_mode", "timeout", "log", "server")
# The names of the only authorization protocol that a display has; xauth(1) abbreviates it to a dot.
_COOKIE_NAMES: Final = (".", "MIT-MAGIC-COOKIE-1")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `xshm run`."""
    # argparse has no hook before it sorts words into options and values, so the parser's own method is replaced.
    parse = parser.parse_known_args

    def parse_known_args(args: Any = None, namespace: Any = None) -> Any:
        return parse(_join_values(sys.argv[1:] if args is None else args, parser), namespace)

    parser.parse_known_args = parse_known_args  # type: ignore[method-assign]
    parser.add_argument("--size", metavar="WxH", help="the screen's size in pixels (default: 1280x800)")
    parser.add_argument("--depth", type=whole_number, metavar="BITS", help="8, 15, 16, 24 or 30 (default: 24)")
    parser.add_argument(
        "-s", "--server-args", default="", metavar="ARGS", help="further arguments for the server, in one word"
    )
    parser.add_argument(
        "--server",
        choices=get_args(Server),
        metavar="KIND",
        help="the X server: xvfb, xvnc, xwayland, or auto, the first of them that is installed (default: auto)",
    )
    parser.add_argument("-l", "--listen-tcp", action="store_true", help="let the server listen on TCP as well")
    parser.add_argument(
        "-e",
        "--error-file",
        dest="log",
        type=_path,
        metavar="FILE",
        help="append the server's messages to it; /dev/stderr too",
    )
    _add_xvfb_run_options(parser)
    parser.add_argument(
        "--framebuffer",
        type=_framebuffer,
        metavar="KIND",
        help="file, sysv, none, or a directory in which the screen's file stays for other readers (default: file where "
        "the server has one)",
    )
    parser.add_argument(
        "--framebuffer-mode",
        type=file_mode,
        metavar="MODE",
        help="who can open the file in that directory, as chmod has it: 600, this user alone; 640, 644 (default: 600)",
    )
    parser.add_argument("--shot", type=_path, metavar="FILE", help="save a picture of the screen at the end")
    parser.add_argument(
        "--shot-on-failure",
        type=_path,
        metavar="FILE",
        help="the same, if the exit code is not 0: the screen at the end, after the last of several tests",
    )
    _add_recording(parser)
    parser.add_argument(
        "--live",
        action="store_true",
        help="show the screen in a browser; the link, for this machine alone, is printed on standard error",
    )
    parser.add_argument(
        "--port", type=port, metavar="PORT", help="of --live: the link's (default: 0, any that is free)"
    )
    parser.add_argument(
        "--wait-window",
        action="store_true",
        help="the end is when the command has shown a window and what it draws has come to rest; then it is ended",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="for the start, and for the window (default: 10); and for the server to answer where a picture is asked "
        "for (default: 30)",
    )
    parser.add_argument(
        "command",
        nargs="...",  # REMAINDER: options behind the command's name are the command's
        metavar="-- COMMAND",
        help="what to run, and to end with all that it has started, daemons too; without it, the display's name is "
        "printed, and it is there until a signal comes",
    )


def _add_recording(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record",
        type=named,
        metavar="FILE|URL",
        help="record the screen, from before the command starts until it has ended: mp4, mkv, webm, gif, apng, …",
    )
    parser.add_argument(
        "--record-on-failure",
        type=named,
        metavar="FILE",
        help="the same, but the file is there only if the exit code is not 0",
    )
    parser.add_argument(
        "--trace",
        type=named,
        metavar="FILE",
        help="keep everything that is on the screen, in one HTML file: each change without loss, windows, pointer; see "
        "xshm trace",
    )
    parser.add_argument(
        "--trace-on-failure",
        type=named,
        metavar="FILE",
        help="the same, but the file is there only if the exit code is not 0, which is a failure in it",
    )
    parser.add_argument(
        "-r",
        "--framerate",
        type=rate,
        metavar="FPS",
        help="of recording and trace: at most so many frames a second (default: 30)",
    )
    parser.add_argument("-y", "--overwrite", action="store_true", help="replace the file of recording or trace")


def _path(text: str) -> Path:
    return Path(named(text))


def _framebuffer(text: str) -> str | Path:
    return text if text in _FRAMEBUFFERS else _path(text)


def _add_xvfb_run_options(parser: argparse.ArgumentParser) -> None:
    """Add those of xvfb-run's options whose purpose a display serves by itself."""
    parser.add_argument(
        "-a", "--auto-servernum", action="store_true", help="as with xvfb-run; the server always finds a free number"
    )
    parser.add_argument(
        "-n", "--server-num", metavar="NUMBER", help="as with xvfb-run, and only with -a: any free number will do"
    )
    parser.add_argument("-f", "--auth-file", metavar="FILE", help="refused: XAUTHORITY names the display's own file")
    parser.add_argument("-p", "--xauth-protocol", metavar="NAME", help="MIT-MAGIC-COOKIE-1, or . for the same")
    parser.add_argument(
        "-w", "--wait", metavar="SECONDS", help="as with xvfb-run; the display is ready when the command starts"
    )


def _join_values(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Write options as "--name=value", by getopt(3)'s rules, and the command after "--".

    argparse takes a value that begins with a hyphen for an option: of `-s "-screen 0 640x480x24"` it makes -s without
    a value, and -s once more with the value "creen 0 640x480x24".
    """
    options = {flag: option for option in parser._actions for flag in option.option_strings}  # noqa: SLF001 - no public list
    valued = [flag for flag, option in options.items() if option.nargs is None]
    letters = "".join(flag[1] + ":" * (flag in valued) for flag in options if flag[1] != "-")
    names = [flag[2:] + "=" * (flag in valued) for flag in options if flag[1] == "-"]
    try:
        found, command = getopt.getopt(list(words), letters, names)
    except getopt.GetoptError as error:
        flag = error.msg.split()[1]  # "option --shot requires argument": `opt` has no hyphens to tell -s from --s by
        if flag not in valued:
            starts = [each for each in options if each.startswith(flag)] if flag[:2] == "--" else []
            unknown = f"ambiguous option: {flag} could match {', '.join(starts)}"
            parser.error(error.msg if flag in options else unknown if starts else f"unrecognized arguments: {flag}")
        found, command = [(flag, "--")], []
    joined = []
    for flag, value in found:
        name = options[flag].option_strings[-1]
        if value == "--":  # the end of the options
            parser.error(f"argument {name}: expected one argument")
        joined.append(f"{name}={value}" if flag in valued else name)
    return [*joined, "--", *command]


def spec(args: argparse.Namespace) -> DisplaySpec:
    """Return the DisplaySpec that the arguments describe; --server-args are xvfb-run's way to describe one."""
    _refuse_xvfb_run_options(args)
    try:
        words = shlex.split(args.server_args)
    except ValueError as error:
        raise InvalidArgument(f"--server-args can't be split into words ({error}): {args.server_args}") from None
    options = _read_server_args(words)  # first, so that our own options have the last word
    # Only what was given is set: DisplaySpec has the defaults, and refuses what does not go together.
    options |= {name: value for name in _FIELDS if (value := getattr(args, name)) is not None}
    if args.listen_tcp:
        options["args"] += ("-listen", "tcp")
    return DisplaySpec(**options | _size(args.size))


def screen_spec(size: str | None, depth: int | None) -> DisplaySpec:
    """Return the DisplaySpec of a screen of this size, WxH, and depth; None: the usual one."""
    return DisplaySpec(**_size(size) | ({} if depth is None else {"depth": depth}))


def _size(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    size = re.fullmatch(r"([0-9]+)x([0-9]+)", text)
    if size is None:
        raise InvalidArgument(f"--size is WIDTHxHEIGHT, for example 1280x800, not {quoted(text)}")
    return {"width": int(size[1]), "height": int(size[2])}


def _refuse_xvfb_run_options(args: argparse.Namespace) -> None:
    if args.server_num is not None and not args.auto_servernum:
        raise InvalidArgument(
            f"-n {args.server_num} can't be had: the server finds a free number by itself, and DISPLAY tells the "
            "command; leave -n out, or add -a, which lets any number do"
        )
    if args.auth_file is not None:
        raise InvalidArgument(
            f"-f {args.auth_file} can't be had: a display has a cookie file of its own, which XAUTHORITY names; leave "
            "-f out"
        )
    if args.xauth_protocol not in (None, *_COOKIE_NAMES):
        raise InvalidArgument(
            f"-p is MIT-MAGIC-COOKIE-1, the only protocol here, not {args.xauth_protocol}; leave it out"
        )


def _read_server_args(words: list[str]) -> dict[str, Any]:
    """Return the display's parameters that Xvfb's arguments stand for; among them, `args`, all other arguments."""
    options: dict[str, Any] = {}
    rest, screens = [], {}
    remaining = iter(words)
    for word in remaining:
        match word:
            case "-screen":
                number = _value(word, remaining).removesuffix(",")  # Xvfb reads it with atoi(3), which stops there
                screens[number] = _screen(_value(word, remaining))
            case "-dpi":
                options["dpi"] = _dpi(_value(word, remaining))
            case "-fp":
                options["fonts"] = tuple(_value(word, remaining).split(","))
            case "-fbdir":
                options["framebuffer"] = _directory(_value(word, remaining))
            case "-shmem":
                options["framebuffer"] = "sysv"
            case "-nocursor":
                options["cursor"] = False
            case _:
                rest.append(word)
    options["args"] = tuple(rest)
    if screens:
        numbers = [str(number) for number in range(len(screens))]
        if screens.keys() != set(numbers):
            raise InvalidArgument(f"--server-args has the screens {', '.join(screens)}; they count from 0 without gaps")
        first, *further = (screens[number] for number in numbers)
        options |= {"width": first.width, "height": first.height, "depth": first.depth, "screens": tuple(further)}
    return options


def _value(word: str, remaining: Iterator[str]) -> str:
    value = next(remaining, None)
    if value is None:
        raise InvalidArgument(f"--server-args ends after {word}, which has a value")
    return value


def _directory(text: str) -> Path:
    if not text:
        raise InvalidArgument("--server-args has -fbdir without a directory")
    return Path(text)


def _dpi(text: str) -> int:
    # Xvfb reads it with atoi(3), which makes 96 of "96.5" and 0 of a word.
    if not re.fullmatch(r"0*[1-9][0-9]{0,4}(?:\.0*)?", text):
        raise InvalidArgument(f"--server-args has -dpi {text}; it is a whole number of dots per inch, for example 96")
    return int(text.partition(".")[0])


def _screen(text: str) -> ScreenSpec:
    # WIDTHxHEIGHT[xDEPTH[+FBPP]], as Xvfb(1) has it.
    match = re.fullmatch(r"([0-9]+)x([0-9]+)(?:x([0-9]+)(?:\+([0-9]+))?)?", text)
    if match is None:
        raise InvalidArgument(
            f"--server-args has a screen of {quoted(text)}; it is WIDTHxHEIGHTxDEPTH, for example 1280x800x24"
        )
    screen = ScreenSpec(int(match[1]), int(match[2]), int(match[3] or 24))
    # "+32" is Xvfb's fbpp, bits per pixel: a display always has the usual ones of its depth.
    if match[4] and int(match[4]) != screen.bits_per_pixel:
        raise InvalidArgument(
            f"--server-args has a screen of {text!r}; at depth {screen.depth} Xvfb has {screen.bits_per_pixel} bits "
            f"per pixel, not {match[4]}"
        )
    return screen
