"""The parts that are programs of their own, since they measure more than time: run with short settings, and read.

    python tests/bench/record.py --help            # and trace.py, act.py, virtual_display.py, live.py, fleet.py

Each prints more by itself than is here, and can be told to take longer.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rounds
from figures import Part, Settings, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent


def _run(name: str, settings: Settings, *options: str) -> Any:
    """Run a program, and return what it wrote as JSON. Raises CanNotRun with the last line that it said."""
    told = settings.folder / f"{name}.json"
    command = [sys.executable, str(_HERE / f"{name}.py"), "--json", str(told), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not told.exists():
        raise rounds.CanNotRun((done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1])
    return json.loads(told.read_text())


def record(settings: Settings) -> Iterator[Sheet]:
    """Give the processor time and the bytes of recordings, beside x11grab's."""
    seconds = 2.0 if settings.quick else 6.0
    loads = ("still",) if settings.quick else ("still", "small", "quarter", "scroll", "video")
    options = [f"--seconds={seconds:g}", "--rounds=1", *(f"--workload={load}" for load in loads)]
    found = _run("record", settings, *options)
    rows = []
    for load, by in found.items():
        (floor, *_) = by["x11grab"] or [None]
        for name, some in by.items():
            for one in some:
                cpu = one["client"] + one["server"]
                ratios = ["–", "–"]
                if floor:
                    ratios = [
                        f"{cpu / (floor['client'] + floor['server']):.2f}",
                        f"{one['nbytes'] / floor['nbytes']:.2f}",
                    ]
                shares = [f"{100 * one[key] / seconds:.1f}" for key in ("client", "server")]
                label = name if name in {"x11grab", "mss"} else f"xshm, {name}" if name != "xshm" else name
                rows.append(
                    [
                        f"{label}, {load}",
                        *shares,
                        ratios[0],
                        str(one["frames"]),
                        f"{one['nbytes'] / 1024:,.0f}",
                        ratios[1],
                    ]
                )
    heads = ("its processor, % of a core", "server's, %", "both, × x11grab", "frames", "KiB", "× x11grab")
    yield Sheet("record", f"{seconds:g} s of 1920×1080 at 30 a second", heads, rows, _note("record"), found)


def trace(settings: Settings) -> Iterator[Sheet]:
    """Give what keeping everything costs, beside lossless video."""
    loads = ("caret",) if settings.quick else ("idle", "typing", "scroll", "video")
    options = [f"--seconds={2 if settings.quick else 5}", "--rounds=1", "--only=trace", "--only=x264rgb"]
    found = _run("trace", settings, *options, *(f"--workload={load}" for load in loads))
    found.pop("machine")
    rows = []
    for load, by in found.items():
        floor = by["x264rgb"]
        for name, one in by.items():
            shares = [one["client"], one["server"]]
            ratio = sum(shares) / max(1e-9, floor["client"] + floor["server"])
            label = "lossless video (x264rgb)" if name == "x264rgb" else f"xshm, {name}"
            figures = [f"{100 * share:.1f}" for share in shares]
            rows.append(
                [f"{label}, {load}", *figures, f"{ratio:.2f}", f"{one['nbytes'] / 1024:,.0f}", f"{one['fps']:.1f}"]
            )
    heads = ("its processor, % of a core", "server's, %", "both, × video", "KiB/s", "pictures/s")
    yield Sheet("trace", "Everything on a screen of 1920×1080", heads, rows, _note("trace"), found)


def act(settings: Settings) -> Iterator[Sheet]:
    """Give how many steps each contestant judged rightly, how late, and what waiting costs."""
    options = [f"--steps={6 if settings.quick else 12}", "--rounds=5", f"--idle={2 if settings.quick else 5}"]
    found = _run("act", settings, *options)
    idle = found.pop("idle")
    found.pop("click")
    found.pop("machine", None)
    totals: dict[str, dict[str, Any]] = {}
    for by in found.values():
        for name, score in by.items():
            if name != "absent":
                total = totals.setdefault(name, {"right": 0, "steps": 0, "late": []})
                total["right"] += score["right"]
                total["steps"] += sum(score[key] for key in ("right", "early", "wrong", "gave_up"))
                total["late"] += score["late"]
    floor = statistics.median(next(iter(totals.values()))["late"] or [1])
    rows = []
    for name, total in totals.items():
        late = statistics.median(total["late"]) if total["late"] else None
        cells = ["–", "–"] if late is None else [f"{late * 1e3:.0f}", f"{late / floor:.1f}"]
        waiting = f"{100 * idle[name]:.2f}" if name in idle else "–"
        rows.append([name, f"{total['right']} of {total['steps']}", *cells, waiting])
    heads = ("right", "ms after the rest", "× the first", "processor, waiting, %")
    yield Sheet("act", "Acting, and waiting for what comes of it", heads, rows, _note("act"), found)


def live(settings: Settings) -> Iterator[Sheet]:
    """Give how late a screen is in a browser and what that costs, beside x11vnc with noVNC, and MJPEG."""
    seconds = 3 if settings.quick else 6
    loads = ("--workload=small",) if settings.quick else ()
    told = _run("live", settings, f"--seconds={seconds}", *loads)
    titles = told["titles"]
    heads = ("median, ms", "95 %, ms", "pictures/s", "KiB/s", "its processor, %", "server's, %", "page's, %")
    for load, by in told["runs"].items():
        rows = []
        for name, (one, *_) in by.items():
            delays = ["–" if one[key] is None else f"{one[key]:.1f}" for key in ("median", "p95")]
            pictures = f"{len(one['delays']) / one['seconds']:.1f}"
            sent = f"{one['nbytes'] / one['seconds'] / 1024:,.1f}"
            shares = [f"{100 * one[key]:.2f}" for key in ("cpu", "server", "page")]
            rows.append([name, *delays, pictures, sent, *shares])
        absent = "; ".join(f"{name} ({why})" for name, why in told["absent"].items())
        note = f"Absent: {absent}." if absent else ""
        yield Sheet(f"live_{load.replace(' ', '_')}", titles[load], heads, rows, note, by)


def fleet(settings: Settings) -> Iterator[Sheet]:
    """Give what displays cost on Ray, how fast their pictures come, and a plan for many."""
    options = ["--displays", "1", "4", "--seconds=1", "--items=300"] if settings.quick else []
    found = _run("fleet", settings, *options)
    rows = [
        [
            f"xshm, {name}",
            f"{one['start']:.1f}",
            f"{one['inside']:,.0f}",
            f"{one['shipped']:,.0f}",
            *(f"{one[part]:.1f}" for part in ("server", "supervisor", "worker")),
        ]
        for name, one in found["scale"].items()
    ]
    heads = (
        "start, s",
        "changes/s, beside them",
        "changes/s, to the driver",
        "server, MB",
        "supervisor, MB",
        "worker, MB",
    )
    counted, uncounted = found["capacity"]
    note = (
        f"What this node holds, where Ray is told of 8 CPUs:\n\n```\n{counted}\n```\n\n"
        f"And where it counts none:\n\n```\n{uncounted}\n```\n\n{_plan(found)}"
    )
    yield Sheet("fleet_scale", "Displays of 1280×800 at Ray's actors", heads, rows, note, found["scale"])
    rows = []
    for where, sizes in (("the same machine", found["store"]), ("another host", found["hosts"])):
        for size, ways in ({} if isinstance(sizes, str) else sizes).items():
            for way, took in ways.items():
                label = "memcpy" if way == "memcpy" else f"xshm, {way}"
                rows.append([f"{label}, {size}, {where}", f"{took:.2f}", f"{took / ways['memcpy']:.1f}"])
    absent = f"Absent: another host ({found['hosts']})." if isinstance(found["hosts"], str) else ""
    yield Sheet(
        "fleet_store", "A picture from a display to the driver", ("ms", "× memcpy"), rows, absent, found["store"]
    )
    (floor, *_) = found["calls"].values()
    rows = [[way, f"{took:,.0f}", f"{took / floor:.2f}"] for way, took in found["calls"].items()]
    yield Sheet(
        "fleet_calls", "An item of a function that does nothing", ("µs", "× the first"), rows, "", found["calls"]
    )


def _plan(found: Any) -> str:
    """Say what ten thousand displays would take, by what was measured of the most that ran at once."""
    alone = [one for name, one in found["scale"].items() if name.endswith(" 1 a worker")][-1]
    shared = [one for name, one in found["scale"].items() if name.endswith(" 4 a worker")][-1]
    count = 10_000
    started = max(int(name.split()[0]) for name in found["scale"]) / alone["start"]
    each, less = (sum(one[part] for part in ("server", "supervisor", "worker")) for one in (alone, shared))
    kept = max(one["shipped"] for one in found["scale"].values()) / (os.cpu_count() or 1)
    inside = max(one["inside"] for one in found["scale"].values())
    small = 200 * 100 * 4 / 1e6
    by_one, by_four = (f"{count * mb / 1e6:,.2f}" for mb in (each, less))
    many, few = (math.ceil(count * mb / 200e3) for mb in (each, less))
    return (
        f"Ten thousand such displays, by these figures: {by_one} TB of memory with one in each worker, {by_four} with "
        f"four, without the programs on them, which mostly take more. Of nodes with 256 GB, 200 of which are given "
        f"to this, {many} or {few} hold them, as far as memory goes. Four displays a CPU, as the pool counts, are "
        f"{count / 4:,.0f} CPUs, which {many} nodes seldom have: CPUs end it first, and what the programs do. "
        f"The cores of this machine started {started:.1f} a second: {count / started / 60 / many:,.0f} minutes, if "
        f"each of {many} nodes is no faster. "
        f"A driver that looks on took {kept:,.0f} changes a second at best for each core of this machine, which drew "
        f"them, too: at one change a second and display {count / kept:,.0f} cores, and {count * small:,.0f} MB/s "
        f"({count * small * 8 / 1e3:.1f} Gbit/s) for changes of 200×100. "
        f"So several drivers share a wall of all, or look seldom, and functions look at their displays themselves, "
        f"where up to {inside:,.0f} changes a second were seen on the {os.cpu_count()} cores of this machine."
    )


def leftovers(settings: Settings) -> Iterator[Sheet]:
    """Give what is left of displays whose owner was killed, and what becomes of ten at once."""
    found = _run("virtual_display", settings, "--rounds=3")
    found.pop("machine", None)
    floor = statistics.median(next(iter(found.values()))["start"])
    rows = []
    for name, one in found.items():
        start, end = statistics.median(one["start"]), statistics.median(one["end"])
        rows.append([name, f"{start:.0f}", f"{start / floor:.2f}", f"{end:.0f}", one["left"], one["at_once"]])
    heads = ("to a first picture, ms", "× the first", "end, ms", "left after kill -9", "ten at once")
    yield Sheet("leftovers", "1280×800", heads, rows, _note("virtual_display"), found)


def _note(name: str) -> str:
    return f"`python tests/bench/{name}.py` measures longer, and tells how."


RECORD = Part("record", "Recordings, beside ffmpeg's x11grab", 4, record)
TRACE = Part("trace", "Traces, beside lossless video", 2, trace)
ACT = Part("act", "Acting, and waiting for what comes of it", 3, act)
LIVE = Part("live", "A screen in a browser, from a draw to the pixel in the page", 6, live)
FLEET = Part("fleet", "Displays on many machines, by Ray", 4, fleet)
LEFTOVERS = Part("leftovers", "What a killed owner of a display leaves (as root)", 1, leftovers)
