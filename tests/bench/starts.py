"""What comes before the first picture: imports, and virtual displays, one and many: `tests/bench import displays`.

An import is a process from its start to its end. A display is timed from the call that starts it over a first picture,
taken by the same code for all, to its end; its floor is Xvfb itself, told to write its number when it is ready. Many
displays stand beside each other, each with its own connection: memory is what the kernel counts as theirs (PSS), of the
server and of what watches over it.

As a worker, `python starts.py imports CODE`, or `python starts.py display NAME`, or `python starts.py many NAME COUNT`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rounds
from figures import Part, Settings, Sheet, Table
from whole_process import run

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
_WORKER = [sys.executable, str(_HERE / "starts.py")]
_SIZE = (1280, 800)
_BARE = "Xvfb, bare"
_FLOOR = "python -c pass"
_CODES = {
    "import": {
        "xshm": "import xshm",
        "xshm, Screen": "from xshm import Screen",
        "mss": "import mss",
        "python-xlib": "import Xlib.display",
        "numpy": "import numpy",
    },
    "import and a first picture": {
        "xshm": "import xshm; xshm.grab().pixels",
        "mss": "import mss; grabber = mss.MSS(); grabber.grab(grabber.monitors[0])",
        "fastgrab": "from fastgrab.screenshot import Screenshot; Screenshot('x11').capture()",
        "Pillow ImageGrab": "from PIL import ImageGrab; ImageGrab.grab(xdisplay='')",
    },
}


def imports(settings: Settings) -> Iterator[Table]:
    """Give the tables of imports and first pictures."""
    from screens import screen  # noqa: PLC0415 - a worker does without

    with screen(*_SIZE) as server:
        for title, codes in _CODES.items():
            commands = {name: [*_WORKER, "imports", code] for name, code in ({_FLOOR: "pass"} | codes).items()}
            count = max(5, settings.rounds // 2)
            results, absent = rounds.measure(commands, server.env(), server=server.pid, rounds=count, seconds=0.15)
            yield Table(title, f"A process of Python, {title}", results, absent)


def displays(settings: Settings) -> Iterator[Table | Sheet]:
    """Give the table of one display, and that of many."""
    from virtual_display import CONTESTANTS  # noqa: PLC0415 - as above

    commands = {name: [*_WORKER, "display", name] for name in (_BARE, *CONTESTANTS)}
    results, absent = rounds.measure(commands, os.environ, rounds=max(5, settings.rounds // 2), seconds=0.1)
    title = f"{_SIZE[0]}×{_SIZE[1]}, start, first picture, end"
    yield Table(
        "display", title, results, absent, "Its processor's time has that of the server in it, once it has ended."
    )
    yield _many((1, 4) if settings.quick else (1, 4, 16))


def _many(counts: tuple[int, ...]) -> Sheet:
    rows, data = [], {}
    for count in counts:
        found = {}
        for name in (_BARE, "xshm"):
            command = [*_WORKER, "many", name, str(count)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[name] = json.loads(said)
        data[str(count)] = found
        for name, figures in found.items():
            of, cells = found[_BARE], []
            for key, unit in (("start_ms", ".0f"), ("memory_mib", ".1f"), ("grab_us", ",.0f")):
                cells += [format(figures[key], unit), f"{figures[key] / of[key]:.2f}"]
            rows.append([f"{name}, {count}", *cells, f"{figures['idle_percent']:.2f}"])
    heads = ("start, ms each", "× bare", "memory, MiB each", "× bare", "a grab, µs", "× bare", "processor at rest, %")
    return Sheet("many displays", "Displays at the same time", heads, rows, data=data)


def _bare() -> Any:
    sys.path.insert(0, str(_HERE.parent / "helpers"))
    from servers import start  # noqa: PLC0415 - the others do without

    return start("Xvfb", *_SIZE)


def _work_display(name: str) -> None:
    from virtual_display import CONTESTANTS, first_picture, stop  # noqa: PLC0415 - imports are not counted

    begin = _bare if name == _BARE else CONTESTANTS[name]

    def once() -> None:
        display = begin()
        first_picture(display)
        stop(display)

    once()
    rounds.serve(once)


def _work_many(name: str, count: int) -> None:
    from virtual_display import CONTESTANTS, stop  # noqa: PLC0415 - as above

    from xshm import Screen  # noqa: PLC0415 - as above

    begin = _bare if name == _BARE else CONTESTANTS[name]
    stop(begin())  # imports
    with contextlib.ExitStack() as closing:
        start = time.perf_counter()
        shown = []
        for _ in range(count):
            display = begin()
            closing.callback(stop, display)
            authority = getattr(display, "xauthority", None)
            shown.append(closing.enter_context(Screen(display.name, xauthority=authority)))
        took = time.perf_counter() - start
        turns = 200 // count + 1
        for screen in shown:
            root = screen.xlib.screen().root
            root.fill_rectangle(root.create_gc(foreground=0x336699), 0, 0, *_SIZE)  # memory of its own for each pixel
            screen.grab()
        start = time.perf_counter()
        for _ in range(turns):
            for screen in shown:
                rounds.touched_array(screen.grab().pixels)
        grab = (time.perf_counter() - start) / turns / count
        below = _below(os.getpid())
        used, begun = sum(map(rounds.cpu_of, below)), time.perf_counter_ns()
        time.sleep(1)
        idle = (sum(map(rounds.cpu_of, below)) - used) / (time.perf_counter_ns() - begun)
        memory = sum(map(_memory, below)) / count
    figures = {"start_ms": took * 1e3 / count, "memory_mib": memory / 1024, "grab_us": grab * 1e6}
    print(json.dumps(figures | {"idle_percent": 100 * idle}))


def _below(pid: int) -> list[int]:
    """Return the pids of all processes that a process has started, those of their own included."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return children + [each for child in children for each in _below(child)]


def _memory(pid: int) -> int:
    """Return the KiB of memory that are a process's own, and its share of what others have too."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


IMPORTS = Part("import", "From the start of Python to a first picture", 0.5, imports)
DISPLAYS = Part("displays", "Virtual displays, one and many", 1.0, displays)

if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "imports":
        command = [sys.executable, "-c", words[0]]
        run(command)
        rounds.serve(lambda: run(command))
    elif what == "display":
        _work_display(words[0])
    else:
        _work_many(words[0], int(words[1]))
