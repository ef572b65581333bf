"""`xshm windows`: the mapped windows of a display, as a table or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.cli.options import add_query, on_screen
from xshm.cli.output import print_json, print_table, rect_numbers
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse

    from xshm.drawables.window_list import WindowInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_query(parser, "as JSON: a list of objects, rect is [x, y, width, height]")


def main(chosen: argparse.Namespace) -> int:
    """Print one row a window, from the bottom of the stack to the top; return 0."""
    windows = on_screen(chosen, lambda screen: screen.windows())
    if chosen.json:
        print_json([_facts(info) for info in windows])
    else:
        print_table(("ID", "GEOMETRY", "PID", "VISIBLE", "CLASS", "TITLE"), [_row(info) for info in windows])
    return 0


def _facts(info: WindowInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "title": info.title,
        "class": info.class_name,
        "instance": info.instance,
        "pid": info.pid,
        "rect": rect_numbers(info.rect),
        "visible": info.visible,
    }


def _row(info: WindowInfo) -> tuple[str, ...]:
    return (
        f"{info.id:#x}",  # as xwininfo and xdotool print ids
        str(info.rect),
        "-" if info.pid is None else str(info.pid),
        "yes" if info.visible else "no",
        printable(info.class_name) or "-",  # another client's text: without its control characters
        printable(info.title),
    )
