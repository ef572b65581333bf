"""What showing a picture in a window costs, in C and in Python's libraries, in one run: `python tests/bench/blit.py`.

The floor is a C loop that draws what is in shared memory, as `draw()` does; a second one copies a picture into it
first, as `show()` does. Each present is waited for. All windows lie one below the other on a high screen: a covered
window would cost nothing. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import rounds
from blitters import CONTESTANTS

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from servers import start  # noqa: E402 - the tests' own tools lie a folder higher

_SIZES = ("1920x1080", "3840x2160")
_HIGHEST = 32767


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument("--rounds", type=int, default=31, help="rounds for each size (%(default)s)")
    parser.add_argument("--only", nargs="*", default=list(CONTESTANTS), metavar="NAME", help="some of the contestants")
    parser.add_argument("--size", nargs="*", default=_SIZES, metavar="WxH", help="some of the sizes, or others")
    options = parser.parse_args()

    figures = {}
    for size in options.size:
        width, height = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            commands = _commands(options.only, Path(folder))
            for some in _portions(commands, _HIGHEST // height):
                results, absent = _compare(width, height, some, options.rounds)
                figures[f"{size}, {', '.join(some)}"] = rounds.as_json(results, absent)
                print(rounds.table(size.replace("x", "×"), results, absent), end="\n\n", flush=True)
    if options.json:
        rounds.write_json(options.json, figures)


def _commands(names: list[str], folder: Path) -> dict[str, list[str]]:
    """Return the contestants' command lines, in two parts: what goes before display, place and size, and behind."""
    floor = str(rounds.compile_c(_HERE / "put_floor.c", folder, "xcb", "xcb-shm"))
    ours = {name: [sys.executable, str(_HERE / "blitters.py"), name] for name in names}
    return {"C, xcb": [floor], "C, xcb, again": [floor], "C, xcb, copy": [floor]} | ours


def _portions(commands: dict[str, list[str]], most: int) -> list[dict[str, list[str]]]:
    """Cut into runs of as many windows as fit below each other; the floor is in each."""
    (floor, command), *others = commands.items()
    return [{floor: command} | dict(others[start : start + most - 1]) for start in range(0, len(others), most - 1)]


def _compare(
    width: int, height: int, commands: dict[str, list[str]], count: int
) -> tuple[list[rounds.Result], dict[str, str]]:
    with start("Xvfb", width, height * len(commands)) as server:
        complete = {}
        for index, (name, command) in enumerate(commands.items()):
            behind = ["copy"] if name.endswith("copy") else []
            complete[name] = [*command, server.name, str(height * index), str(width), str(height), *behind]
        return rounds.measure(complete, server.env(), rounds=count)


if __name__ == "__main__":
    main()
