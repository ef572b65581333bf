"""What it costs to see what changed, and how late it is seen: `python tests/bench changes latency`.

Four questions. At 4K, a whole picture in hand after a change of so much of it, against a full ShmGetImage in C and in
mss. At 1080p, a loop that converts to RGB over a stream, against the same loop over grab(), with and without OpenCV;
client and server each on a core of its own, and again where the scheduler puts them: on one core more often than one
would think. From a client's draw to the picture in hand, by a stream and by mss 60 times a second, both watching the
same drawing at the same time; and by a stream and by acts, up to the frame that is the reaction.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rounds
import screens
from figures import Part, Settings, Sheet, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
_WORKER = [sys.executable, str(_HERE / "changers.py")]
PERCENT = ("0", "0.1", "1", "10", "100")
_FLOOR = "C, xcb, a full grab"
# Each pair watches the same drawing at the same time.
_WATCHERS = (
    {"xshm, stream on change": "seen_by_stream", "mss, 60 a second": "seen_by_mss"},
    {"xshm, stream on change": "seen_by_stream", "xshm, act, until it sees a reaction": "seen_by_act"},
)


def changes(settings: Settings) -> Iterator[Table]:
    """Give a table for each share of the screen that changes, then the loops."""
    floor = str(rounds.compile_c(_HERE / "shm_floor.c", settings.folder, "xcb", "xcb-shm"))
    for percent in ("1", "100") if settings.quick else PERCENT:
        # One after the other, each on a server of its own: what one draws would be a change to the other. So each of
        # these comparisons has but one contestant that watches.
        commands = {
            _FLOOR: [floor, "{}", "3840", "2160", "drawn", percent],
            "C, xcb, again": [floor, "{}", "3840", "2160", "drawn", percent],
            "xshm, on change": [*_WORKER, "after_a_change", "{}", percent],
            "mss": [*_WORKER, "mss_after_a_change", "{}", percent],
        }
        if percent == "100":
            commands["xshm, on change, the last one held"] = [*_WORKER, "after_a_change", "{}", percent, "held"]
        yield _compare(f"change of {percent} %", f"3840×2160, {percent} % drawn anew", (3840, 2160), commands, settings)
    loops = {"xshm, grab and rgb()": "grab_loop", "xshm, stream and rgb()": "stream_loop"}
    for title, before in (("base dependencies", ["without_opencv"]), ("OpenCV", [])):
        for pinned, where in ((True, "each on a core of its own"), (False, "where the scheduler puts them")):
            if not settings.quick:
                commands = {name: [*_WORKER, *before, worker, "{}"] for name, worker in loops.items()}
                key = f"1920×1080, {title}, client and server {where}"
                yield _compare(key, key, (1920, 1080), commands, settings, pinned=pinned, loops=True)


def latency(settings: Settings) -> Iterator[Sheet]:
    """Give what each pair of watchers saw, and how late."""
    for pair in _WATCHERS:
        yield _latency(50 if settings.quick else 200, pair)


def _compare(
    key: str,
    title: str,
    size: tuple[int, int],
    commands: dict[str, list[str]],
    settings: Settings,
    *,
    pinned: bool = False,
    loops: bool = False,
) -> Table:
    place = rounds.places()[-1] if pinned else rounds.ANYWHERE
    with screens.start("Xvfb", *size) as server, screens.Painter(server) as painter:
        painter.rectangles()
        complete = {name: [part.format(server.name) for part in command] for name, command in commands.items()}
        results, absent = rounds.measure(
            complete, server.env(), place=place, server=server.pid, overlapping=loops, **settings.turns
        )
    note = "Means: a stream asks for the next picture before this one is converted." if loops else ""
    return Table(key, title, results, absent, note)


def _latency(draws: int, pair: dict[str, str]) -> Sheet:
    """Let both watch the same drawing, and return what each saw, how late, and for how much processor time."""
    with screens.start("Xvfb", 1920, 1080) as server:
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
    figures: dict[str, Any] = {}
    for name, each in told.items():
        late = [(when - begun[int(number)]) / 1e3 for number, when in each["seen"].items() if int(number) in begun]
        figures[name] = {
            "median_us": statistics.median(late),
            "p99_us": statistics.quantiles(late, n=100)[98],
            "seen": len(late),
            "cpu_s": each["cpu"],
        }
    floor = next(iter(figures.values()))
    rows = [
        [
            name,
            *(f"{found[each]:,.0f}" for each in ("median_us", "p99_us")),
            f"{found['median_us'] / floor['median_us']:.2f}",
            f"{found['seen']} of {draws}",
            f"{1e3 * found['cpu_s'] / draws:.2f}",
        ]
        for name, found in figures.items()
    ]
    heads = ("median, µs", "99 %, µs", "× the first", "seen", "its processor, ms a draw")
    return Sheet(f"latency, {', '.join(pair)}", "1920×1080, from a draw to the picture", heads, rows, data=figures)


CHANGES = Part("changes", "A picture of the screen after a change", 1.5, changes)
LATENCY = Part("latency", "From a draw to the picture in hand", 0.8, latency)
