"""What showing a picture in a window costs, in C and in Python's libraries: `python tests/bench blit`.

The floor is a C loop that draws what is in shared memory, as `draw()` does; a second one copies a picture into it
first, as `show()` does. Each present is waited for. All windows lie one below the other on a high screen: a covered
window would cost nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rounds
import screens
from blitters import CONTESTANTS
from figures import Part, Settings, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
_SIZES = ((1920, 1080), (3840, 2160))
_HIGHEST = 32767


def blit(settings: Settings) -> Iterator[Table]:
    """Give a table for each size, and more where not all windows fit on one screen."""
    for width, height in _SIZES[:1] if settings.quick else _SIZES:
        commands = _commands(settings.folder)
        for number, some in enumerate(_portions(commands, _HIGHEST // height), start=1):
            yield _compare(width, height, some, settings, number)


def _commands(folder: Path) -> dict[str, list[str]]:
    """Return the contestants' command lines, without display, place and size."""
    floor = str(rounds.compile_c(_HERE / "put_floor.c", folder, "xcb", "xcb-shm"))
    ours = {name: [sys.executable, str(_HERE / "blitters.py"), name] for name in CONTESTANTS}
    return {"C, xcb": [floor], "C, xcb, again": [floor], "C, xcb, copy": [floor]} | ours


def _portions(commands: dict[str, list[str]], most: int) -> list[dict[str, list[str]]]:
    """Cut into runs of as many windows as fit below each other; the floor is in each."""
    (floor, command), *others = commands.items()
    return [{floor: command} | dict(others[start : start + most - 1]) for start in range(0, len(others), most - 1)]


def _compare(width: int, height: int, commands: dict[str, list[str]], settings: Settings, number: int) -> Table:
    with screens.start("Xvfb", width, height * len(commands)) as server:
        complete = {}
        for index, (name, command) in enumerate(commands.items()):
            behind = ["copy"] if name.endswith("copy") else []
            complete[name] = [*command, server.name, str(height * index), str(width), str(height), *behind]
        results, absent = rounds.measure(complete, server.env(), server=server.pid, **settings.turns)
    return Table(f"blit {width}x{height}, {number}", f"{width}×{height}, shown in a window", results, absent)


BLIT = Part("blit", "An array in a window", 1.7, blit)
