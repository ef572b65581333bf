"""What a picture of the screen costs, in C and in Python's libraries, in one run: `python tests/bench/grab.py`.

The C loop runs twice, to show what a ratio is worth on this machine. At 1×1 a grab is nothing but its round trip:
client and server are pinned to one core there, since across cores the scheduler decides what it costs. Takes about
a minute.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import rounds
from grabbers import CONTESTANTS

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from painter import Painter  # noqa: E402 - the tests' own tools lie a folder higher
from servers import start  # noqa: E402

_SIZES = ("1x1", "640x480", "1920x1080", "3840x2160")
_FLOOR, _CONTROL = "C, xcb", "C, xcb, again"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument("--rounds", type=int, default=31, help="rounds for each size (%(default)s)")
    parser.add_argument("--only", nargs="*", default=list(CONTESTANTS), metavar="NAME", help="some of the contestants")
    parser.add_argument("--size", nargs="*", default=_SIZES, metavar="WxH", help="some of the sizes, or others")
    parser.add_argument("--one-core", action="store_true", help="pin client and server to one core at every size")
    options = parser.parse_args()

    figures = {}
    for size in options.size:
        width, height = map(int, size.split("x"))
        one_core = options.one_core or width * height == 1
        with tempfile.TemporaryDirectory() as folder:
            results, absent = _compare(width, height, _commands(options.only, Path(folder)), options.rounds, one_core)
        figures[size] = rounds.as_json(results, absent)
        print(rounds.table(size.replace("x", "×"), results, absent), end="\n\n", flush=True)
    if options.json:
        rounds.write_json(options.json, figures)


def _commands(names: list[str], folder: Path) -> dict[str, list[str]]:
    """Return the contestants' command lines, which the display and the size are added to; the C loop's come first."""
    commands = {name: [sys.executable, str(_HERE / "grabbers.py"), name] for name in names}
    try:
        floor = [str(rounds.compile_c(_HERE / "shm_floor.c", folder, "xcb", "xcb-shm"))]
    except rounds.CanNotRun as reason:
        print(f"no {_FLOOR}: {reason}; the ratios are to the first that runs", file=sys.stderr)
        return commands
    return {_FLOOR: floor, _CONTROL: floor} | commands


def _compare(
    width: int, height: int, commands: dict[str, list[str]], count: int, one_core: bool
) -> tuple[list[rounds.Result], dict[str, str]]:
    core = max(os.sched_getaffinity(0)) if one_core else None
    with start("Xvfb", max(width, 640), max(height, 480)) as server, Painter(server) as painter:
        painter.rectangles()
        if core is not None:
            os.sched_setaffinity(server.pid, {core})
        where = [server.name, str(width), str(height)]
        complete = {name: [*command, *where] for name, command in commands.items()}
        return rounds.measure(complete, server.env(), core=core, rounds=count)


if __name__ == "__main__":
    main()
