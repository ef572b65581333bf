"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a header and rows of as many cells: columns as wide as their widest cell, two spaces apart."""
    lines = [header, *rows]
    # In characters, not columns of a terminal: a title in a wide script shifts its row.
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def print_json(value: object, indent: int | None = 2) -> None:
    """Print a value as JSON; without `indent`, in one line."""
    import json  # noqa: PLC0415 - its import takes 1.7 ms, and most runs print none

    print(json.dumps(value, indent=indent))


def rect_numbers(rect: Rect) -> list[int]:
    """Return a rectangle as JSON has it: [x, y, width, height]."""
    return [rect.x, rect.y, rect.width, rect.height]
