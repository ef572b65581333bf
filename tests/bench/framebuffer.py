"""What a look at Xvfb's own framebuffer costs, beside asking for the picture: `python tests/bench/framebuffer.py`.

Client and server are pinned to one core, since across cores the scheduler decides what a round trip costs. A look is a
round trip, after which all that was asked for is drawn, and the array with one pixel read from it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import rounds

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from painter import Painter  # noqa: E402 - the tests' own tools lie a folder higher

from xshm.virtual.display import VirtualDisplay  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZES = ((1920, 1080), (3840, 2160))
_FLOOR = "C, xcb, ShmGetImage"


def look(display: VirtualDisplay) -> Callable[[], object]:
    framebuffer = display.framebuffer

    def once() -> object:
        framebuffer.sync()
        return framebuffer.pixels[0, 0, 0]

    return once


def grab_framebuffer(display: VirtualDisplay) -> Callable[[], object]:
    return display.framebuffer.grab


def grab_screen(display: VirtualDisplay) -> Callable[[], object]:
    return display.screen.grab


_WAYS = {
    "framebuffer, sync and look": look,
    "framebuffer.grab": grab_framebuffer,
    "screen.grab": grab_screen,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument("--rounds", type=int, default=21, help="rounds for each size (%(default)s)")
    parser.add_argument("--worker", nargs=3, metavar=("WAY", "DISPLAY", "XAUTHORITY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        way, name, authority = options.worker
        with VirtualDisplay.attach(name, authority) as display:
            rounds.serve(_WAYS[way](display))
        return
    figures = {}
    for width, height in _SIZES:
        with tempfile.TemporaryDirectory() as folder:
            results, absent = _compare(width, height, Path(folder), options.rounds)
        figures[f"{width}x{height}"] = rounds.as_json(results, absent)
        print(rounds.table(f"{width}×{height}", results, absent), end="\n\n")
        print(f"{results[1].name}: 1/{1 / results[1].ratio:.0f} of {_FLOOR}\n", flush=True)
    if options.json:
        rounds.write_json(options.json, figures)


def _compare(width: int, height: int, folder: Path, count: int) -> tuple[list[rounds.Result], dict[str, str]]:
    core = max(os.sched_getaffinity(0))
    with VirtualDisplay(width, height) as display:
        assert display.pid is not None
        os.sched_setaffinity(display.pid, {core})
        where = [display.name, str(display.xauthority)]
        floor = rounds.compile_c(_HERE / "shm_floor.c", folder, "xcb", "xcb-shm")
        commands = {_FLOOR: [str(floor), display.name, str(width), str(height)]}
        commands |= {way: [sys.executable, __file__, "--worker", way, *where] for way in _WAYS}
        commands["C, xcb, 1×1: a round trip"] = [str(floor), display.name, "1", "1"]
        with Painter(SimpleNamespace(name=display.name, authority=display.xauthority)) as painter:  # type: ignore[arg-type]
            painter.rectangles()
            return rounds.measure(commands, display.env(), core=core, rounds=count)


if __name__ == "__main__":
    main()
