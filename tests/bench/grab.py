"""What a picture of the screen costs, in C and in Python's libraries: to an array, to RGB, to a PNG's bytes.

`python tests/bench grab rgb png`. The C loop runs twice, to show what a ratio is worth on this machine. Up to 64×64
it is nothing but its round trip, and which cores the scheduler gives to the two sides decides what that costs: client
and server are pinned there, to one core, and then each to a core of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rounds
from figures import Part, Settings, Table
from grabbers import CONTESTANTS
from screens import load, page, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_HERE = Path(__file__).parent
SIZES = ((1, 1), (64, 64), (640, 480), (1920, 1080), (3840, 2160), (7680, 4320))
_QUICK = ((1, 1), (1920, 1080))
_SMALL = 64 * 64
_SYSTEM_PYTHON = "/usr/bin/python3"  # which Debian's python3-gi is of


def commands(product: str, folder: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the command lines that display and size are added to, the C loop's first; and why C is absent."""
    ours: dict[str, list[str]] = {}
    for name, (_, products) in CONTESTANTS.items():
        if product in products:
            python = _SYSTEM_PYTHON if name.startswith("GStreamer") else sys.executable
            ours[name] = [python, str(_HERE / "grabbers.py"), name, product]
    try:
        floor = [str(rounds.compile_c(_HERE / "shm_floor.c", folder, "xcb", "xcb-shm"))]
    except rounds.CanNotRun as reason:
        return ours, {"C, xcb": str(reason)}
    controls = {"C, xcb, again": floor, "memcpy": floor} if product == "array" else {}
    return {"C, xcb": floor} | controls | ours, {}


def _compare(
    product: str,
    width: int,
    height: int,
    picture: NDArray[np.uint8] | None,
    settings: Settings,
    place: rounds.Place = rounds.ANYWHERE,
) -> Table:
    some, absent = commands(product, settings.folder)
    with screen(width, height, picture) as server:
        where = [server.name, str(width), str(height)]
        complete = {
            name: [*command, *where, *(["memcpy"] if name == "memcpy" else [])] for name, command in some.items()
        }
        results, missing = rounds.measure(
            complete, server.env(), place=place, server=server.pid, starts=3, **settings.turns
        )
    still = [result.name for result in results if result.is_still and result.name != "memcpy"]
    kind = {"array": "grab", "rgb": "to RGB", "png": "to PNG bytes"}[product]
    return Table(
        f"{product} {width}x{height}{place.key}",
        f"{width}×{height}, {kind}{place.title}",
        results,
        absent | missing,
        f"Saw no change while the counter ran: {', '.join(still)}." if still else "",
    )


def arrays(settings: Settings) -> Iterator[Table]:
    """Give a table for each size."""
    for width, height in _QUICK if settings.quick else SIZES:
        for place in rounds.places() if width * height <= _SMALL else [rounds.ANYWHERE]:
            yield _compare("array", width, height, None, settings, place)


def rgb(settings: Settings) -> Iterator[Table]:
    """Give the tables of RGB."""
    for width, height in SIZES[3:4] if settings.quick else SIZES[3:5]:
        yield _compare("rgb", width, height, load(page(settings.folder)), settings)


def png(settings: Settings) -> Iterator[Table]:
    """Give the tables of PNG, of a page in a browser."""
    for width, height in SIZES[3:4] if settings.quick else SIZES[3:5]:
        yield _compare("png", width, height, load(page(settings.folder)), settings)


GRAB = Part("grab", "A picture of the screen in hand", 3, arrays)
RGB = Part("rgb", "A picture of the screen, as RGB", 0.7, rgb)
PNG = Part("png", "A picture of the screen, as a PNG's bytes", 1.2, png)
