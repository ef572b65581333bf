"""`xshm monitors`: the monitors that a display's screen is shown on, as a table or as JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from xshm.cli.options import add_query, on_screen
from xshm.cli.output import print_json, print_table, rect_numbers
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse

    from xshm.drawables.monitors import Monitor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_query(parser, "as JSON: a list of objects, rect is [x, y, width, height]")


def main(chosen: argparse.Namespace) -> int:
    """Print one row a monitor, the primary one first, numbered as `xshm shot -m` counts them; return 0."""
    monitors = on_screen(chosen, lambda screen: screen.monitors)
    if chosen.json:
        print_json([_facts(monitor) for monitor in monitors])
    else:
        rows = [(str(number), *_row(monitor)) for number, monitor in enumerate(monitors)]
        print_table(
            ("NUMBER", "NAME", "GEOMETRY", "PRIMARY", "MILLIMETRES", "HERTZ", "OUTPUTS", "MODEL", "SERIAL"), rows
        )
    return 0


def _facts(monitor: Monitor) -> dict[str, Any]:
    # The fields of Monitor are the names of JSON: a program may depend on them.
    return dataclasses.asdict(monitor) | {"rect": rect_numbers(monitor.rect)}


def _row(monitor: Monitor) -> tuple[str, ...]:
    # Many virtual outputs have no size, model or serial number.
    sized = monitor.width_mm is not None and monitor.height_mm is not None
    return (
        printable(monitor.name),
        str(monitor.rect),
        "yes" if monitor.primary else "no",
        f"{monitor.width_mm}x{monitor.height_mm}" if sized else "-",
        "-" if monitor.refresh is None else f"{monitor.refresh:.2f}",
        printable(",".join(monitor.outputs)) or "-",
        printable(monitor.model or "-"),
        printable(monitor.serial or "-"),
    )
