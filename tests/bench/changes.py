"""What it costs to see what changed, and how late it is seen: `python tests/bench/changes.py`.

Three questions. At 4K, a whole picture in hand after a change, against a full ShmGetImage in C. At 1080p, a loop that
converts to RGB over a stream, against the same loop over grab(), with and without OpenCV; client and server each on a
core of its own, and again where the scheduler puts them: on one core more often than one would think. From a client's
draw to the picture in hand, by a stream and by mss 60 times a second, both watching the same drawing at the same time;
and by a stream and by acts, up to the frame that is the reaction. Takes about a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import rounds

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from painter import Painter  # noqa: E402 - the tests' own tools lie a folder higher
from servers import start  # noqa: E402

_WORKER = [sys.executable, str(_HERE / "changers.py")]
# Each pair watches the same drawing at the same time.
_WATCHERS = (
    {"stream, on change": "seen_by_stream", "mss, 60 a second": "seen_by_mss"},
    {"stream, on change": "seen_by_stream", "act, until it sees a reaction": "seen_by_act"},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument("--rounds", type=int, default=31, help="rounds of each comparison (%(default)s)")
    parser.add_argument("--draws", type=int, default=200, help="draws whose latency is measured (%(default)s)")
    options = parser.parse_args()

    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        floor = str(rounds.compile_c(_HERE / "shm_floor.c", Path(folder), "xcb", "xcb-shm"))
        # One after the other, each on a server of its own: what one draws would be a change to the other.
        for title, workers in (
            ("100×100", {"whole picture in hand": "small"}),
            ("all of it", {"whole picture in hand": "full", "the same, and the last one": "full_held"}),
        ):
            drawn = (
                {"C, xcb, all drawn anew": [floor, "{}", "3840", "2160", "drawn"]} if "full" in workers.values() else {}
            )
            figures[f"change of {title} at 4K"] = _compare(
                f"3840×2160, after a change of {title}",
                (3840, 2160),
                {
                    "C, xcb": [floor, "{}", "3840", "2160"],
                    "C, xcb, again": [floor, "{}", "3840", "2160"],
                    **drawn,
                    **{name: [*_WORKER, worker, "{}"] for name, worker in workers.items()},
                },
                options.rounds,
            )
    loops = {"grab and rgb()": "grab_loop", "stream and rgb()": "stream_loop"}
    for title, before in (("base dependencies", ["without_opencv"]), ("OpenCV", [])):
        for pinned, where in ((True, "each on a core of its own"), (False, "where the scheduler puts them")):
            figures[f"loop, {title}, {where}"] = _compare(
                f"1920×1080, {title}, client and server {where}",
                (1920, 1080),
                {name: [*_WORKER, *before, worker, "{}"] for name, worker in loops.items()},
                options.rounds,
                pinned=pinned,
            )
    figures["latency"] = [_latency(options.draws, pair) for pair in _WATCHERS]
    if options.json:
        rounds.write_json(options.json, figures)


def _compare(
    title: str, size: tuple[int, int], commands: dict[str, list[str]], count: int, *, pinned: bool = False
) -> dict[str, Any]:
    cores = os.sched_getaffinity(0)
    with start("Xvfb", *size) as server, Painter(server) as painter:
        painter.rectangles()
        if pinned:
            os.sched_setaffinity(server.pid, {min(cores)})
        complete = {name: [part.format(server.name) for part in command] for name, command in commands.items()}
        core = max(cores) if pinned else None
        results, absent = rounds.measure(complete, server.env(), core=core, rounds=count)
    print(rounds.table(title, results, absent), end="\n\n", flush=True)
    return rounds.as_json(results, absent)


def _latency(draws: int, pair: dict[str, str]) -> dict[str, Any]:
    """Let both watch the same drawing, and return what each saw, how late, and for how much processor time."""
    with start("Xvfb", 1920, 1080) as server:
        watchers = {}
        for name, worker in pair.items():
            command = [*_WORKER, worker, server.name, str(draws)]
            watchers[name] = subprocess.Popen(command, env=server.env(), stdout=subprocess.PIPE, text=True)
        try:
            for watcher in watchers.values():
                assert watcher.stdout
                if watcher.stdout.readline() != "ready\n":
                    raise rounds.CanNotRun("a watcher did not start")
            run = subprocess.run(
                [*_WORKER, "drawer", server.name, str(draws)],
                env=server.env(),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            begun = dict(enumerate(json.loads(run.stdout), start=1))
            told = {name: json.loads(watcher.communicate(timeout=20)[0]) for name, watcher in watchers.items()}
        finally:
            for watcher in watchers.values():
                watcher.kill()
                watcher.wait()
    print("| draw to picture in hand, 1920×1080 | median µs | 99 % µs | seen | CPU s |\n|---|---:|---:|---:|---:|")
    figures = {}
    for name, each in told.items():
        late = [(when - begun[int(number)]) / 1e3 for number, when in each["seen"].items() if int(number) in begun]
        figures[name] = {
            "median_us": statistics.median(late),
            "p99_us": statistics.quantiles(late, n=100)[98],
            "seen": len(late),
            "cpu_s": each["cpu"],
        }
        median, p99, cpu = figures[name]["median_us"], figures[name]["p99_us"], each["cpu"]
        print(f"| {name} | {median:,.0f} | {p99:,.0f} | {len(late)}/{draws} | {cpu:.2f} |")
    print()
    return figures


if __name__ == "__main__":
    main()
