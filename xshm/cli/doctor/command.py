"""`xshm doctor`: what is missing or wrong, with what mends it; and a virtual display that is drawn on and read.

Needed, so wrong where it is not there: python-xlib, numpy, Pillow; a server for virtual displays; room for a 4K screen
in memory; a display that DISPLAY names. Everything else that is not there is only missing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from xshm.cli.doctor import display, libraries, limits, report
from xshm.cli.doctor.fact import examine
from xshm.cli.options import add_json, positive_seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from xshm.cli.doctor.fact import Fact

_PATIENCE = 5.0  # seconds that the display has to answer
_FALSE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_json(parser, "as JSON: ok, and facts with group, name, value, state (ok, note, missing, wrong), remedy")
    parser.add_argument("--display", metavar="NAME", help="the display to look at (default: $DISPLAY)")
    parser.add_argument("--xauthority", metavar="FILE", help="its authority file (default: $XAUTHORITY, ~/.Xauthority)")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=_PATIENCE,
        metavar="SECONDS",
        help="give the display up when it has not answered within this time (default: %(default)g)",
    )


def main(chosen: argparse.Namespace) -> int:
    """Examine all groups, print what was found; return 1 where something is wrong, else 0."""
    wanted = display.Wanted(chosen.display, chosen.xauthority, chosen.timeout)
    # First what a Screen, the display's or the proof's, would remove.
    left = examine("left segments", limits.left_segments)
    groups = {
        "Libraries": examine("Python", libraries.libraries),
        "Servers of virtual displays": examine("VirtualDisplay", _servers),
        "Shared memory": [*examine("/dev/shm", limits.memory), *left],  # noqa: S108 - a fact's name
        "Limits and directories": examine("limits", limits.others),
        "Display": examine("DISPLAY", partial(display.display, wanted)),
        "Environment": examine("XSHM_*", _variables),
        "Proof": examine("virtual display", _proof),
    }
    if chosen.json:
        report.print_as_json(groups)
    else:
        report.print_report(groups)
    return _FALSE if report.wrong(groups) else 0


# Imported in the group, so that what can't be imported is a fact of that group.


def _servers() -> Iterator[Fact]:
    from xshm.cli.doctor.servers import servers  # noqa: PLC0415

    return servers()


def _variables() -> Iterator[Fact]:
    from xshm.cli.doctor.variables import variables_set  # noqa: PLC0415

    return variables_set()


def _proof() -> Iterator[Fact]:
    from xshm.cli.doctor.proof import proof  # noqa: PLC0415

    return proof()
