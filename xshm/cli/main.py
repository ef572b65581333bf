"""The command `xshm`: its parser, its exit codes, and how an error ends it.

Results go to standard output, one line per error to standard error. Exit codes: 0; 1 for a condition that is false;
2 for an error. `run` exits with its command's own code.

Always true: only the module of the command that was named is imported, since a screenshot takes less time than
the imports of all commands; and no exception leaves `main`, since Python's own exit code for one is 1, "false".

Defaults of options may come from XSHM_… variables (`shell.environment_defaults`).
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
    "live": (
        "Show a screen in a browser. The link is printed, and shows displays, monitors, regions or windows to whoever "
        "has it, on this machine alone unless --host is given; they can look, and do nothing. q, Ctrl-C, TERM or HUP "
        "end it; a display that ends is shown again when it is back. Needs websockets: pip install 'xshm[live]'."
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
    "doctor": (
        "Find out what is missing or wrong. Libraries, servers, the display, shared memory, limits; and whether a "
        "virtual display can be started, drawn on and read. Each with what mends it. Exit code 0: nothing is wrong, 1: "
        "something is."
    ),
    "completion": (
        'Print what completes the words of xshm in a shell. In ~/.bashrc: eval "$(xshm completion bash)"; in '
        '~/.zshrc, after compinit: eval "$(xshm completion zsh)"; in ~/.config/fish/config.fish: xshm completion fish '
        "| source. For tcsh, write it into a file, and source that in ~/.tcshrc."
    ),
}
_ELSEWHERE: Final = {
    "live": "xshm.cli.live.command",
    "doctor": "xshm.cli.doctor.command",
    "completion": "xshm.cli.shell.completion",
}
_ENVIRONMENT: Final = (
    "Defaults of options come from the environment: --max-edge of shot from XSHM_SHOT_MAX_EDGE, or from XSHM_MAX_EDGE "
    "for every command that has it; flags (1 or 0) from the first form alone, as XSHM_SHOT_CURSOR=1. Options of which "
    "one excludes another have none."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    standard_streams.open_missing()  # before any file of ours could get their numbers
    parser: argparse.ArgumentParser = _parser()
    chosen = None
    try:
        with standard_streams.whole_output():
            chosen = parser.parse_args(arguments)
            parser = chosen.parser  # the command's own: errors name its flags
            return int(chosen.run(chosen))
    # The library's errors, the system's, and what Python raises for values such as a path with a NUL byte in it.
    except (XshmError, OSError, ValueError, OverflowError) as error:
        line = error_line(error, parser)
        complain(f"xshm: {line}{parser.origin(line, chosen) if isinstance(parser, _Command) else ''}")
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

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help or version. From Python 3.12 on argparse's own drops the error of a full disk."""
        if message:
            (file or sys.stderr).write(message)


class _Command(_Parser):
    """The parser of one command; the command's module adds the arguments when the command is the one that was named."""

    def __init__(self, *args: Any, module: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.set_defaults(parser=self)  # so `main` can write errors in terms of this command's flags
        self._module = module
        self._from_environment: dict[str, str] = {}

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse. argparse calls this for the named command alone: the first call imports its module."""
        if self._module:
            self.fill()
            if any(name.startswith("XSHM_") for name in os.environ):
                from xshm.cli.shell import environment_defaults  # noqa: PLC0415 - most have no such variable

                self._from_environment = environment_defaults.apply(self)
            return self.parse_known_args(args, namespace)  # `run` has replaced it by one of its own
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # argparse would leave them to the parser above, whose --help does not describe this command
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def fill(self) -> None:
        """Import the command's module, once, and add its arguments."""
        if self._module:
            module, self._module = self._module, ""
            command = import_module(module)
            command.add_arguments(self)
            self.set_defaults(run=command.main)

    def origin(self, line: str, chosen: argparse.Namespace | None) -> str:
        """Return which options that an error's line names are from the environment, as the end of that line."""
        if not self._from_environment:
            return ""
        from xshm.cli.shell import environment_defaults  # noqa: PLC0415 - as above

        return environment_defaults.origin(line, self, chosen, self._from_environment)


def whole_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser with the arguments of all commands, and the commands' own by name. Imports all commands."""
    parser = _parser()
    commands = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction))  # noqa: SLF001 - argparse has no public list of them
    for command in commands.choices.values():
        command.fill()
    return parser, dict(commands.choices)


def _help(prog: str) -> argparse.HelpFormatter:
    """Return a formatter for help texts as wide as the terminal.

    argparse makes one for each flag that is added. By default it asks shutil for the width, and shutil imports all
    compressors, which takes longer than encoding a small screenshot.
    """
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and len(columns) <= 6 else 0  # noqa: PLR2004 - digits of a width
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
        epilog=f"{_ENVIRONMENT} Exit codes: 0; 1 for a condition that is false; 2 for an error.",
    )
    parser.add_argument("--version", action="version", version=f"xshm {__version__}")
    # Modules by name: `_Command` imports the one of the command that was named.
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Command)
    for name, text in _COMMANDS.items():
        summary = text[0].lower() + text[1:].partition(".")[0]
        module = _ELSEWHERE.get(name, f"xshm.cli.commands.{name}")
        more = f"Defaults of options may come from XSHM_{name.upper()}_… variables: see xshm --help."
        commands.add_parser(name, help=summary, description=text, epilog=more, module=module)
    return parser


if __name__ == "__main__":
    sys.exit(main())
