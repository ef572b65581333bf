"""The command `xshm`: its parser, its exit codes, and how an error ends it.

Results go to standard output, one line per error to standard error. Exit codes: 0; 1 for a condition that is false;
2 for an error. `run` exits with its command's own code.

Always true: only the module of the command that was named is imported, since a screenshot takes less time than
the imports of all commands; and no exception leaves `main`, since Python's own exit code for one is 1, "false".
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

from xshm import __version__
from xshm.cli import standard_streams
from xshm.cli.error_line import error_line
from xshm.cli.standard_streams import complain
from xshm.errors import XshmError
from xshm.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FALSE, ERROR = 0, 1, 2  # as diff(1), cmp(1) and test(1) have them
# In the order of `xshm --help`, which has the first sentence; the command's own --help has all.
_COMMANDS: Final = {
    "shot": "Save a screenshot.",
    "record": (
        "Record a video. Of a screen, a window, a monitor or a region; q, Ctrl-C, TERM or HUP end it properly. While "
        "nothing changes, nothing is captured or encoded. Needs PyAV for all but apng, gif, webp, y4m and bgr0: pip "
        "install 'xshm[video]'."
    ),
    "trace": (
        "Keep everything that is on a screen, in one HTML file. Each change without loss, windows, pointer, with their "
        "times: a browser shows any instant. Of a command on a virtual display of its own, whose exit code is the "
        "command's; without one of $DISPLAY, until q, Ctrl-C, TERM or HUP. Or make such a file of what a killed trace "
        "has spilled (--recover), or a video of one (--export)."
    ),
    "wait": "Wait until something is seen. Exit code 0: it was, 1: the time is over.",
    "diff": "Compare two pictures of the same size. Exit code 0: they are the same, 1: they differ.",
    "run": (
        "Run a command on a virtual display. The display is the command's own and ends with it, as with xvfb-run; so "
        "is the exit code."
    ),
    "view": "Show another display in a window. That may be a headless one; the window is one of this display.",
    "windows": "List the windows of a display. Those that are mapped, from the bottom of the stack to the top.",
    "monitors": "List the monitors of a display. They make up its screen; the primary one comes first.",
    "info": (
        "Tell how a display can be read. What the server is, how its pixels lie in memory, which transport was chosen "
        "and why."
    ),
    "segments": (
        "List or remove System V shared memory segments. The list has all that the kernel has, as ipcs -m does. Those "
        "marked 'ours' xshm made for this user and was killed before it removed them; the next Screen that is opened "
        "removes them once they are a minute old and their creator is known to have ended."
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    standard_streams.open_missing()  # before any file of ours could get their numbers
    parser: argparse.ArgumentParser = _parser()
    try:
        with standard_streams.whole_output():
            chosen = parser.parse_args(arguments)
            parser = chosen.parser  # the command's own: errors name its flags
            return int(chosen.run(chosen))
    # The library's errors, the system's, and what Python raises for values such as a path with a NUL byte in it.
    except (XshmError, OSError, ValueError, OverflowError) as error:
        complain(f"xshm: {error_line(error, parser)}")
        return ERROR
    except KeyboardInterrupt:
        complain("xshm: interrupted")
        return ERROR
    except Exception as error:  # noqa: BLE001 - a bug of ours: its traceback, and exit code 2
        sys.excepthook(type(error), error, error.__traceback__)
        return ERROR


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as those of the library are."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": _help} | options)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is; exit with code 2."""
        name = self.prog.replace(" ", ": ", 1)  # "xshm shot" → "xshm: shot", as errors of the library begin
        complain(f"{name}: {printable(' '.join(message.split()))}; see {self.prog} --help")
        self.exit(ERROR)


class _Command(_Parser):
    """The parser of one command; the command's module adds the arguments when the command is the one that was named."""

    def __init__(self, *args: Any, module: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.set_defaults(parser=self)  # so `main` can write errors in terms of this command's flags
        self._module = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse. argparse calls this for the named command alone: the first call imports its module."""
        if self._module:
            module, self._module = self._module, ""
            command = import_module(module)
            command.add_arguments(self)
            self.set_defaults(run=command.main)
            return self.parse_known_args(args, namespace)  # `run` has replaced it by one of its own
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # argparse would leave them to the parser above, whose --help does not describe this command
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def _help(prog: str) -> argparse.HelpFormatter:
    """Return a formatter for help texts as wide as the terminal.

    argparse makes one for each flag that is added. By default it asks shutil for the width, and shutil imports all
    compressors, which takes longer than encoding a small screenshot.
    """
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() else 0
    if not width:
        try:
            width = os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else 0
        except (OSError, ValueError):
            width = 0
    return argparse.HelpFormatter(prog, width=(width or 80) - 2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="xshm",
        description="Read X11 screens through shared memory.",
        epilog="Exit codes: 0; 1 for a condition that is false; 2 for an error.",
    )
    parser.add_argument("--version", action="version", version=f"xshm {__version__}")
    # Modules by name: `_Command` imports the one of the command that was named.
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Command)
    for name, text in _COMMANDS.items():
        summary = text[0].lower() + text[1:].partition(".")[0]
        commands.add_parser(name, help=summary, description=text, module=f"xshm.cli.commands.{name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
