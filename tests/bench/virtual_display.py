"""xshm's virtual display beside PyVirtualDisplay and xvfbwrapper, in one run: `python tests/bench/virtual_display.py`.

Time to a usable display, from the call that starts it to a first picture in hand (taken by the same code for all), and
to its end; what is left when the process is killed; what becomes of ten that are started at once. Needs root, for
namespaces in which what is left can be counted, and the packages PyVirtualDisplay and xvfbwrapper.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rounds

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

import namespaces

from xshm import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

    Display = Any

_SIZE = (1280, 800)
_AT_ONCE = 10


def ours(*args: str) -> Display:
    from xshm import VirtualDisplay  # noqa: PLC0415 - a contestant loads only its own library

    return VirtualDisplay(*_SIZE, args=args)


def ours_without_glx() -> Display:
    return ours("-extension", "GLX")


def pyvirtualdisplay() -> Display:
    return import_module("pyvirtualdisplay").Display(size=_SIZE, color_depth=24).start()


def xvfbwrapper() -> Display:
    display = import_module("xvfbwrapper").Xvfb(*_SIZE, colordepth=24)
    display.start()
    return display


CONTESTANTS: dict[str, Callable[[], Display]] = {
    "xshm": ours,
    "xshm, -extension GLX": ours_without_glx,
    "PyVirtualDisplay": pyvirtualdisplay,
    "xvfbwrapper": xvfbwrapper,
}


def first_picture(display: Display) -> None:
    """Take a picture of what was just started: of our display, or of the one that $DISPLAY was set to."""
    name, authority = getattr(display, "name", None), getattr(display, "xauthority", None)
    with Screen(name, xauthority=authority, timeout=20) as screen:
        assert screen.grab().pixels.shape[:2] == _SIZE[::-1]


def stop(display: Display) -> None:
    (display.close if hasattr(display, "close") else display.stop)()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument("--rounds", type=int, default=15, help="starts of each (%(default)s)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs=2, metavar=("ROLE", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _ROLES[options.worker[0]](CONTESTANTS[options.worker[1]])
    elif options.inside:
        _compare(options.rounds, options.json)
    else:
        again = [sys.executable, __file__, "--inside", "--rounds", str(options.rounds)]
        again += ["--json", str(options.json.absolute())] if options.json else []
        sys.exit(namespaces.run_in(again).returncode)


def _compare(count: int, json_file: Path | None) -> None:
    print(", ".join(f"{name} {version(name)}" for name in ("xshm", "PyVirtualDisplay", "xvfbwrapper")), end="\n\n")
    figures: dict[str, dict[str, Any]] = {name: {"start": [], "end": []} for name in CONTESTANTS}
    for _ in range(count):
        for name, found in figures.items():
            start, end = _worker("time", name).split()
            found["start"].append(float(start))
            found["end"].append(float(end))
    for name, found in figures.items():
        found["left"] = _left_after_a_kill(name)
        found["at_once"] = _ten_at_once(name)
    print("| | start to first picture, ms | end, ms | left after kill -9 | ten at once |")
    print("|---|---:|---:|---|---|")
    for name, found in figures.items():
        start, end = (
            f"{statistics.median(found[what]):.0f} ({min(found[what]):.0f} – {max(found[what]):.0f})"
            for what in ("start", "end")
        )
        print(f"| {name} | {start} | {end} | {found['left']} | {found['at_once']} |")
    if json_file:
        rounds.write_json(json_file, figures)


def _worker(role: str, name: str) -> str:
    command = [sys.executable, __file__, "--worker", role, name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _left_after_a_kill(name: str) -> str:
    """Kill a process that has a display with a program on it, and tell what is there two seconds later."""
    before = namespaces.present()
    command = [sys.executable, __file__, "--worker", "hold", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        time.sleep(0.5)
        owner.kill()
    time.sleep(2)
    left = namespaces.difference(before)
    namespaces.end_all(before)
    return ", ".join(f"{len(what)} {kind}" for kind, what in left.items()) or "nothing"


def _ten_at_once(name: str) -> str:
    """Start ten processes that start a display each at the same moment; tell how many got one of their own."""
    before = namespaces.present()
    command = [sys.executable, __file__, "--worker", "at-once", name]
    pipe = subprocess.PIPE
    owners = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        for _ in range(_AT_ONCE)
    ]
    for owner in owners:
        assert owner.stdout is not None
        owner.stdout.readline()
    start = time.monotonic()
    for owner in owners:
        assert owner.stdin is not None
        owner.stdin.write("go\n")
        owner.stdin.flush()
    names = [owner.stdout.readline().strip() for owner in owners if owner.stdout]
    took = time.monotonic() - start
    for owner in owners:
        owner.communicate("end\n")
    own = len(set(names) - {""})
    namespaces.end_all(before)
    return f"{own} displays, {names.count('')} failures, {took:.1f} s"


def _time(contestant: Callable[[], Display]) -> None:
    stop(contestant())  # imports, and files into the cache
    start = time.perf_counter()
    display = contestant()
    first_picture(display)
    up = time.perf_counter()
    stop(display)
    print((up - start) * 1e3, (time.perf_counter() - up) * 1e3)


def _hold(contestant: Callable[[], Display]) -> None:
    display = contestant()
    first_picture(display)
    command = ["xclock"]
    if hasattr(display, "run"):
        display.run(command)
    else:
        subprocess.Popen(command)
    print("up", flush=True)
    time.sleep(600)


def _at_once(contestant: Callable[[], Display]) -> None:
    with contextlib.suppress(ImportError):
        import xshm.virtual.display  # noqa: F401, PLC0415 - before the signal
    print("ready", flush=True)
    input()
    display = contestant()
    first_picture(display)
    print(getattr(display, "name", None) or os.environ["DISPLAY"], flush=True)
    input()
    stop(display)


_ROLES = {"time": _time, "hold": _hold, "at-once": _at_once}

if __name__ == "__main__":
    main()
