"""A screen in a browser, how late and what for, beside x11vnc with noVNC, and MJPEG: `python tests/bench/live.py`.

Another program paints pictures with numbers on an Xvfb of 1920x1080 (live_painter.py) and notes when. A page in
Chromium shows that screen, and a script in it (canvas_numbers.js) reads its canvas after each drawing, or an <img> at
each of the browser's frames, and notes when a number is first readable there. Both clocks are CLOCK_MONOTONIC; what
lies between the page's zero and ours is measured from both sides, and told. The delay is of the pictures that came to
be shown; how many a second these were stands beside it.

Workloads: `idle`; `small`, 200x100 ten times a second; `quarter`, a film of 640x360 at 30 a second; `scroll`, a page of
text by 7 lines, and `video`, a film, both of all of it and at 30 a second; `slow line`, that scrolling through a line
of 400 kB a second.

Processor time is that of all the contestant's processes; of the X server, less what the painting alone costs it; and of
all processes of the browser, of which reading the numbers is a part. Bytes are TCP's.

Debian: chromium, xvfb, x11vnc, novnc, ffmpeg, iproute2; who is not installed is left out. Nothing else should run
meanwhile. Takes about (seconds + 4) x contestants x workloads x rounds.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import rounds
from live_contestants import CONTESTANTS, Serving, cpu_seconds, family, sent_from

_HERE: Final = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from canvas_numbers import CanvasNumbers  # noqa: E402 - the tests' own tools lie a folder higher
from devtools import Browser  # noqa: E402
from servers import Server, start  # noqa: E402
from slow_line import SlowLine  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SIZE: Final = (1920, 1080)
_LINE: Final = 400_000  # bytes a second
_SETTLED: Final = 2.0  # seconds of a workload before it is measured: a ladder has found its rung by then


class Workload(NamedTuple):
    """What is painted, how often a second, and whether the line is slow."""

    title: str
    what: str
    rate: float
    is_slow: bool = False


_WORKLOADS: Final = {
    "idle": Workload("Nothing changes", "", 0),
    "small": Workload("200×100, ten times a second", "small", 10),
    "quarter": Workload("A film of 640×360, 30 a second", "quarter", 30),
    "scroll": Workload("A page of text scrolls, 30 a second", "scroll", 30),
    "video": Workload("A film of 1920×1080, 30 a second", "video", 30),
    "slow line": Workload("That page of text, by a line of 400 kB/s", "scroll", 30, is_slow=True),
}


@dataclass(frozen=True)
class Run:
    """What one contestant did for one workload: milliseconds of each picture that was shown; shares of a core."""

    delays: list[float]
    seconds: float
    nbytes: int
    cpu: float
    server: float
    page: float
    uncertainty: float  # ms, between the clocks

    def centile(self, share: float) -> float | None:
        """Return the delay that so great a share of the pictures had at most."""
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


class Painter:
    """The painting process (live_painter.py)."""

    def __init__(self, env: Mapping[str, str]) -> None:
        command = [sys.executable, str(_HERE / "live_painter.py")]
        self._process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, command: str) -> dict[str, int]:
        """Have it do something, and return its answer."""
        assert self._process.stdin
        assert self._process.stdout
        print(command, file=self._process.stdin, flush=True)
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class Viewer(CanvasNumbers):
    """A page that shows a contestant."""

    def __init__(self, browser: Browser, serving: Serving, port: int) -> None:
        self._shown = browser.page(*_SIZE)
        super().__init__(self._shown)
        url = f"http://127.0.0.1:{port}{serving.path}"
        try:
            if serving.is_image:
                self.show_image(url)
            else:
                self.open(url)
                self.until(f"[...document.querySelectorAll('canvas')].some((each) => each.width === {_SIZE[0]})")
        except TimeoutError:
            raise rounds.CanNotRun("its page shows no screen") from None

    def choose(self, mode: str) -> None:
        """Choose a mode of xshm's page."""
        self._shown.run(f"xshm.app.setMode({json.dumps(mode)}); 0")

    def close(self) -> None:
        """Close the page."""
        self._shown.close()


@dataclass
class Bench:
    """What all contestants share: one screen, its painter and a browser."""

    server: Server
    painter: Painter
    browser: Browser
    seconds: float
    alone: dict[str, float]

    def measure(self, name: str, workloads: Sequence[str]) -> Iterator[tuple[str, Run]]:
        """Have a contestant show workloads, and give what that took."""
        for is_slow in (False, True):
            some = [each for each in workloads if _WORKLOADS[each].is_slow is is_slow]
            if not some:
                continue
            with contextlib.ExitStack() as stack:
                serving = stack.enter_context(CONTESTANTS[name](self.server.env()))
                port = stack.enter_context(SlowLine(serving.port, _LINE)).port if is_slow else serving.port
                viewer = Viewer(self.browser, serving, port)
                stack.callback(viewer.close)
                if serving.mode == "video":
                    viewer.choose(serving.mode)
                time.sleep(_SETTLED)
                for workload in some:
                    yield workload, self._run(serving, viewer, workload)

    def _run(self, serving: Serving, viewer: Viewer, workload: str) -> Run:
        _, what, rate, _ = _WORKLOADS[workload]
        if what:
            place = self.painter.tell(f"prepare {what}")
            viewer.watch(place["x"], place["y"], place["bits"])
            self.painter.tell(f"paint {what} {rate:g}")
        time.sleep(_SETTLED)
        groups = (family(*serving.pids), [self.server.pid], family(self.browser.pid))
        begun, used, sent = time.monotonic(), [cpu_seconds(each) for each in groups], sent_from(serving.port)
        time.sleep(self.seconds)
        taken = [cpu_seconds(each) - before for each, before in zip(groups, used, strict=True)]
        ended, nbytes = time.monotonic(), sent_from(serving.port) - sent
        seconds = ended - begun
        cpu, server, page = (each / seconds for each in taken)
        delays = []
        if what:
            seen = viewer.seen()
            painted = {int(number): at / 1e6 for number, at in self.painter.tell("rest").items()}
            viewer.rest()
            for number, at in seen:
                if begun * 1e3 <= at <= ended * 1e3 and number in painted:
                    delays.append(at - painted[number])
        alone = self.alone.get(what, 0.0)
        return Run(delays, seconds, nbytes, cpu, max(0.0, server - alone), page, viewer.uncertainty)


def painting_alone(painter: Painter, server: Server, what: str, rate: float, seconds: float) -> float:
    """Return the share of a core that the painting costs the server."""
    painter.tell(f"prepare {what}")
    painter.tell(f"paint {what} {rate:g}")
    begun, used = time.monotonic(), cpu_seconds([server.pid])
    time.sleep(seconds)
    share = (cpu_seconds([server.pid]) - used) / (time.monotonic() - begun)
    painter.tell("rest")
    return share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each workload (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="append", choices=tuple(CONTESTANTS), help="repeatable (default: all)")
    parser.add_argument("--workload", action="append", choices=tuple(_WORKLOADS), help="repeatable (default: all)")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    if shutil.which("chromium") is None:
        sys.exit("chromium is not installed")
    compileall.compile_dir(_HERE.parent.parent / "xshm", quiet=1)
    print(rounds.machine())
    workloads = options.workload or list(_WORKLOADS)
    contestants = options.only or list(CONTESTANTS)
    absent: dict[str, str] = {}
    everything: dict[str, dict[str, list[Run]]] = {workload: {} for workload in workloads}
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(start("Xvfb", *_SIZE))
        painter = stack.enter_context(Painter(server.env()))
        rates = {_WORKLOADS[each].what: _WORKLOADS[each].rate for each in workloads if _WORKLOADS[each].what}
        alone = {what: painting_alone(painter, server, what, rate, 2.0) for what, rate in rates.items()}
        browser = stack.enter_context(Browser(home, "--disable-web-security"))  # that an <img> may be read
        bench = Bench(server, painter, browser, options.seconds, alone)
        for turn in range(options.rounds):
            order = contestants[turn % len(contestants) :] + contestants[: turn % len(contestants)]
            for name in order:
                try:
                    for workload, run in bench.measure(name, workloads):
                        everything[workload].setdefault(name, []).append(run)
                        tell(workload, name, run)
                except rounds.CanNotRun as error:
                    absent[name] = str(error)
                    print(f"{name} left out: {error}", file=sys.stderr)
    if options.json:
        runs = {
            load: {name: [as_figures(run) for run in some] for name, some in by.items()}
            for load, by in everything.items()
        }
        titles = {load: _WORKLOADS[load].title for load in workloads}
        options.json.write_text(json.dumps({"titles": titles, "runs": runs, "absent": absent}, indent=1))


def as_figures(run: Run) -> dict[str, Any]:
    """Return what JSON has of a run."""
    return asdict(run) | {"median": run.centile(0.5), "p95": run.centile(0.95)}


def tell(workload: str, name: str, run: Run) -> None:
    """Print a line."""
    delays = "–" if not run.delays else f"{run.centile(0.5):.1f} ms, 95 % {run.centile(0.95):.1f}"
    used = {"cpu": run.cpu, "server": run.server, "page": run.page}
    shares = ", ".join(f"{key} {100 * value:.2f} %" for key, value in used.items())
    print(
        f"{workload:10} {name:26} {delays}, {len(run.delays) / run.seconds:.1f}/s,"
        f" {run.nbytes / run.seconds / 1024:.1f} KiB/s, {shares} (clocks {run.uncertainty:.2f} ms)",
        flush=True,
    )


if __name__ == "__main__":
    main()
