"""The command `xshm`: argparse over the public names.

Results go to standard output, one line per error to standard error. Exit codes: 0; 1 for a condition that is false;
2 for an error. `run` gives its command's own.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from xshm import __version__
from xshm.cli import standard_streams
from xshm.cli.error_line import error_line
from xshm.cli.options import add_display, add_timeout, on_screen, whole_number
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, XshmError
from xshm.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FALSE, ERROR = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    standard_streams.open_missing()
    parser: argparse.ArgumentParser = _parser()
    try:
        with standard_streams.whole_output():
            chosen = parser.parse_args(arguments)
            parser = chosen.parser
            return int(chosen.run(chosen))
    except (XshmError, OSError, ValueError, OverflowError) as error:
        complain(f"xshm: {error_line(error, parser)}")
        return ERROR
    except KeyboardInterrupt:
        complain("xshm: interrupted")
        return ERROR
    except Exception as error:  # noqa: BLE001 - a bug, told in full; Python's own exit code is 1, which means "false"
        sys.excepthook(type(error), error, error.__traceback__)
        return ERROR


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": _help} | options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is; exit with code 2."""
        told = self.prog.replace(" ", ": ", 1)
        complain(f"{told}: {printable(' '.join(message.split()))}; see {self.prog} --help")
        self.exit(ERROR)


class _Command(_Parser):
    """A command's parser, filled by the command's own module when it is the one that was named."""

    def __init__(self, *args: Any, module: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.set_defaults(parser=self)
        self._module = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; the first call is the one that says that the command was named."""
        if self._module:
            module, self._module = self._module, ""
            import_module(module).add_arguments(self)
            return self.parse_known_args(args, namespace)  # which the module may have replaced
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # said here, where it is known whose help to point to
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def _help(prog: str) -> argparse.HelpFormatter:
    """Make what writes help, as wide as the terminal.

    argparse makes one for each flag that is added. Left alone it asks shutil for the width, whose import of all
    compressors takes longer than to encode a small screenshot.
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Command)

    commands.add_parser(
        "shot", help="save a screenshot", description="Save a screenshot.", module="xshm.cli.commands.shot"
    )
    commands.add_parser(
        "wait",
        help="wait until something is seen",
        description="Wait until something is seen. Exit code 0: it was, 1: the time is over.",
        module="xshm.cli.commands.wait",
    )
    commands.add_parser(
        "diff",
        help="compare two pictures",
        description="Compare two pictures of the same size. Exit code 0: they are the same, 1: they differ.",
        module="xshm.cli.commands.diff",
    )
    virtual = commands.add_parser(
        "run",
        help="run a command on a virtual display",
        description="Run a command on a virtual display of its own, which ends with the command, as xvfb-run does. "
        "The exit code is the command's own.",
        module="xshm.cli.run_options",
    )
    virtual.set_defaults(run=_run)
    commands.add_parser(
        "view",
        help="show another display in a window",
        description="Show another display, a headless one perhaps, in a window of this one.",
        module="xshm.cli.commands.view",
    )
    commands.add_parser(
        "windows",
        help="list the windows of a display",
        description="List the windows that are mapped, from the bottom of the stack to the top.",
        module="xshm.cli.commands.windows",
    )
    commands.add_parser(
        "monitors",
        help="list the monitors of a display",
        description="List the monitors that make up the screen, the primary one first.",
        module="xshm.cli.commands.monitors",
    )

    info = commands.add_parser(
        "info",
        help="tell how a display can be read",
        description="Tell what the server is, how its pixels lie in memory, which transport was chosen and why.",
    )
    add_display(info)
    add_timeout(info)
    info.add_argument("--json", action="store_true", help="as JSON")
    info.set_defaults(run=_info)

    segments = commands.add_parser(
        "segments",
        help="list or remove System V shared memory segments",
        description="List the System V shared memory segments that the kernel has, as ipcs -m does. Those marked "
        "'ours' xshm made for this user and was killed before it removed them; the next Screen that is opened removes "
        "them once they are a minute old and their creator is known to have ended.",
    )
    segments.add_argument(
        "--remove",
        nargs="+",
        action="extend",
        type=whole_number,
        metavar="ID",
        help="remove these; which ones is yours to say, none is guessed",
    )
    segments.add_argument("--json", action="store_true", help="as JSON")
    segments.set_defaults(run=_segments)
    return parser


def _run(chosen: argparse.Namespace) -> int:
    return int(import_module("xshm.cli.commands.run").main(chosen))


# -- info ------------------------------------------------------------------------------------------------------------


def _info(chosen: argparse.Namespace) -> int:
    facts = on_screen(chosen, _facts)
    if chosen.json:
        _print_json(facts)
        return OK
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):{width}}  {_told(value)}")
    return OK


def _facts(screen: Any) -> dict[str, Any]:
    connection, transport, fmt = screen.connection, screen.transport, screen.format
    return {
        "display": screen.display,
        "address": connection.address,
        "server": f"{connection.info.vendor}, release {connection.info.release_number}",
        "screen": f"{screen.rect.width}x{screen.rect.height}",
        "depth": fmt.depth,
        "bits_per_pixel": fmt.bits_per_pixel,
        "format": str(fmt),
        "stride": fmt.stride(screen.rect.width),
        "transport": transport.kind,
        "reason": transport.reason,
        "mit_shm": f"{transport.version[0]}.{transport.version[1]}" if transport.version else None,
        "shared_pixmaps": transport.shared_pixmaps,
        "max_frames": screen.max_frames,
        "longest_request": 4 * connection.info.max_request_length,
        "converter": import_module("xshm.pixels.to_rgb").converters(),
    }


def _print_json(value: object) -> None:
    import json  # noqa: PLC0415 - a screenshot does not pay for it

    print(json.dumps(value, indent=2))


def _told(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_told(each)}" for name, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else printable(str(value))


# -- segments --------------------------------------------------------------------------------------------------------


def _segments(chosen: argparse.Namespace) -> int:
    from xshm import sysv  # noqa: PLC0415 - the other commands do not need it at once

    if chosen.remove and chosen.json:
        raise InvalidArgument("--remove lists nothing, and takes no --json")
    if chosen.remove:
        for shmid in chosen.remove:
            sysv.stat(shmid)  # one that is not there keeps all of them
        for shmid in chosen.remove:
            sysv.remove(shmid)
        return OK
    rows = [_row(segment) for segment in sysv.segments()]
    if chosen.json:
        _print_json(rows)
        return OK
    print(f"{'id':>10} {'bytes':>14} {'mode':>5} {'owner':>7} {'attached':>8} {'creator pid':>11} {'creator':<16}")
    for row in rows:
        gone = "(gone)" if row["creator_pid"] else "(elsewhere)"  # in a pid namespace of which we see nothing
        marks = "".join(f" {mark}" for mark in ("removed", "ours") if row[mark])
        print(
            f"{row['id']:>10} {row['bytes']:>14,} {row['mode']:>5} {row['owner']:>7} {row['attached']:>8} "
            f"{row['creator_pid']:>11} {printable(row['creator'] or gone):<16}{marks}".rstrip()
        )
    return OK


def _row(segment: Any) -> dict[str, Any]:
    from xshm.shm import own_segments  # noqa: PLC0415 - as above

    try:
        with open(f"/proc/{segment.cpid}/comm", "rb") as file:  # noqa: PTH123 - a screenshot needs no pathlib
            # What a program calls itself may be no text, and have line ends, of which only the last is the kernel's.
            creator = file.read().removesuffix(b"\n").decode("utf-8", "backslashreplace")
    except OSError:
        creator = None  # it has ended
    return {
        "id": segment.shmid,
        "bytes": segment.size,
        "mode": f"{segment.mode & 0o777:03o}",
        "owner": segment.uid,
        "attached": segment.nattch,
        "creator_pid": segment.cpid,
        "creator": creator,
        "removed": bool(segment.mode & 0o1000),
        "ours": own_segments.is_own(segment),
    }


if __name__ == "__main__":
    sys.exit(main())
