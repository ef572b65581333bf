"""What commands print: tables for people, JSON for programs; and the names of files that the user did not name."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


def dated_names(what: str = "", suffix: str = "") -> Iterator[str]:
    """Yield names of files by the user's own clock and `what` it is of: plain, then with 2, 3 and so on."""
    words = [time.strftime("%Y-%m-%d-%H%M%S"), *([what, "xshm"] if what else [])]
    for number in itertools.count(1):
        yield "_".join(words + [str(number)] * (number > 1)) + (f".{suffix}" if suffix else "")
