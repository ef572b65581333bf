"""What a trace costs, beside lossless video: `python tests/bench/trace.py`.

Each contestant keeps what is on a screen of 1920x1080 for the same time; they take turns. Its processor time is that of
its process while it records, without imports and the start, with the file that is written at the end, and that of its X
server, less what the workload alone costs the server. Bytes are those that are kept, or written. Each is on an Xvfb of
its own process: `trace` reads the server's own memory, `trace-plain` shares memory with it as on any X server,
`x264rgb` and `ffv1` are `record(…, quality="lossless")`, from the server's memory, too.

Workloads: `idle`, a terminal; `caret`, 2x16 pixels, twice a second; `typing`, ten letters a second into xterm;
`terminal`, ten lines a second in an xterm of 180x60, which scrolls; `browser`, Chromium on all of the screen, by
somebody who reads a long page and fills in a field, again and again in ten seconds: the wheel is turned by three
notches, which Chromium scrolls smoothly, the pointer goes over four links, whose colours fade, a field is clicked and
fifteen letters are typed, ten a second, the wheel is turned once more, and a menu is opened (the next time, closed);
`wheel`, the same page, of which each three seconds three notches are scrolled; `scroll`, a page of text that moves by 7
lines 30 times a second; `video`, all of the screen 30 times a second.

Debian: xvfb, xterm, xdotool, chromium. Nothing else should run meanwhile. Takes about
(seconds + 4) x (contestants + 1) x workloads x rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import xshm

_HERE: Final = Path(__file__).parent
_SIZE: Final = (1920, 1080)
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_CONTESTANTS: Final = ("trace", "trace-plain", "x264rgb", "ffv1")
_PAINTED: Final = ("caret", "scroll", "video")  # by recorders.py
_WORKLOADS: Final = ("idle", "caret", "typing", "terminal", "browser", "wheel", "scroll", "video")
_SETTLING: Final = 6.0  # seconds until Chromium is at rest
_TEXT_AT: Final = ("mousemove", "900", "500")
_NOTCHES: Final = tuple((0.1 * turn, ("click", "5")) for turn in range(3))
# What is done in the page, by the seconds of a turn, each by xdotool; places are those of its bar.
_READING: Final = (
    *_NOTCHES,
    *((2 + 0.3 * link, ("mousemove", str(70 + 120 * link), "30")) for link in range(4)),
    (3.5, ("mousemove", "700", "30", "click", "1")),
    *((4 + 0.1 * letter, ("key", "abcdefghijklmno"[letter])) for letter in range(15)),
    (5.7, _TEXT_AT),
    *((6 + at, words) for at, words in _NOTCHES),
    (8.0, ("mousemove", "1000", "30", "click", "1")),
    (9.0, _TEXT_AT),
)
_BROWSED: Final = {"browser": (10.0, _READING), "wheel": (3.0, _NOTCHES)}  # seconds of a turn
_WORDS: Final = re.findall(r"\w+", "the screen is shared memory and each pixel of a window has its place")
_LINES: Final = (
    "n=0; while :; do n=$((n+1)); echo $n: $(date) the quick brown fox jumps over the lazy dog; sleep .1; done"
)

# -- the contestant's process ------------------------------------------------------------------------------------------


def contend(name: str, seconds: float, home: str) -> None:
    """Own a display; record it once told to; print what that took."""
    import xshm  # noqa: PLC0415 - of the contestant alone

    with xshm.VirtualDisplay(*_SIZE, framebuffer="none" if name == "trace-plain" else "file") as display:
        print(display.name, display.xauthority, display.pid, flush=True)
        sys.stdin.readline()
        print(json.dumps(_recorded(name, seconds, display.screen, Path(home))), flush=True)
        sys.stdin.readline()


def _recorded(name: str, seconds: float, screen: xshm.Screen, home: Path) -> dict[str, Any]:
    how: dict[str, Any] = {"x264rgb": {"codec": "libx264rgb"}, "ffv1": {"codec": "ffv1"}}
    if name == "alone":
        time.sleep(seconds)
        return {"cpu": 0.0, "nbytes": 0, "fps": 0}
    recording: Any
    if name in how:
        recording = screen.record(home / "video.mkv", quality="lossless", **how[name])
    else:
        recording = screen.trace(home / "trace.html", max_bytes=1 << 30)
    recording.start()
    before, used, begun = recording.bytes, _used(), time.monotonic()
    time.sleep(seconds)
    kept = recording.bytes - before  # without the first picture
    at = time.monotonic() - begun
    running = _used() - used
    recording.stop()
    total = _used() - used
    fps = recording.fps if hasattr(recording, "fps") else recording.frames / seconds
    return {"cpu": running / at, "end": total - running, "nbytes": kept / at, "fps": fps}


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# -- the workloads -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def working(workload: str, env: Mapping[str, str], home: Path) -> Iterator[Callable[[], None]]:
    """Run a workload's programs; what is given is called again and again while it is measured."""
    with contextlib.ExitStack() as stack:

        def run(*command: str, **options: Any) -> subprocess.Popen[Any]:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
            process = subprocess.Popen(command, env=env, **(quiet | options))
            stack.callback(_end, process)
            return process

        def xdotool(*words: str) -> None:
            subprocess.run(["xdotool", *words], env=env, check=True)

        if workload in _PAINTED:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            run(sys.executable, str(_HERE / "recorders.py"), "paint", workload, "30", **pipes).stdout.readline()  # type: ignore[union-attr]
            yield lambda: time.sleep(0.1)
            return
        if workload in _BROWSED:
            root = ["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []  # the sandbox refuses root
            flags = ["--kiosk", "--window-position=0,0", "--window-size=1920,1080", "--no-first-run", "--disable-gpu"]
            run("chromium", *flags, *root, f"--user-data-dir={home}", f"--app=file://{_page(home)}")
            time.sleep(_SETTLING)
            xdotool(*_TEXT_AT)
            deeds = _deeds(*_BROWSED[workload], xdotool)
            yield lambda: next(deeds)
            return
        command = ["sh", "-c", _LINES] if workload == "terminal" else ["cat"]
        run("xterm", "-geometry", "180x60+20+20", "-e", *command)
        time.sleep(1.0)
        xdotool("mousemove", "300", "300")
        if workload == "typing":
            yield lambda: xdotool("sleep", "0.09", "type", "x")
        else:
            yield lambda: time.sleep(0.1)


def _deeds(turn: float, deeds: Sequence[tuple[float, tuple[str, ...]]], xdotool: Callable[..., None]) -> Iterator[None]:
    """Do again and again what belongs to the seconds of a turn; each step is a deed, or a wait of at most 0.1 s."""
    begun = time.monotonic()
    for number in itertools.count():
        for at, words in deeds:
            while (left := begun + number * turn + at - time.monotonic()) > 0:
                time.sleep(min(left, 0.1))
                yield
            xdotool(*words)
            yield


_STYLE: Final = """
body { margin: 60px 8px 8px; font: 16px sans-serif }
nav { position: fixed; top: 0; left: 0; right: 0; height: 60px; background: #eef }
nav > * { position: absolute; top: 15px; height: 30px; box-sizing: border-box }
a { width: 110px; line-height: 30px; text-align: center; transition: background .15s, color .15s }
a:hover { background: #24a; color: #fff }
div { height: 120px }
details > p { width: 400px; background: #fff; border: 1px solid #888 }
"""


def _page(home: Path) -> Path:
    """Write a long page of text and coloured boxes, below a bar of links, a field, and a menu."""
    parts = [f"<a style='left:{15 + 120 * link}px'>Link {link}</a>" for link in range(4)]
    parts.append("<input style='left:600px;width:300px'>")
    menu = "<br>".join(f"Entry {entry} of the menu" for entry in range(20))
    parts.append(f"<details style='left:980px'><summary>Menu</summary><p>{menu}</p></details>")
    parts = [f"<nav>{''.join(parts)}</nav>"]
    for number in range(400):
        text = " ".join(_WORDS[(number * 7 + each * each) % len(_WORDS)] for each in range(120))
        parts.append(f"<h2>Section {number}</h2><p>{text}</p>")
        if number % 5 == 0:
            colours = f"#{number % 10}48,#8c{number % 10}"
            parts.append(f"<div style='background:linear-gradient(90deg,{colours})'></div>")
    path = home / "page.html"
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{_STYLE}</style>{''.join(parts)}")
    return path


def _end(process: subprocess.Popen[Any]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    else:
        process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# -- the measurement ---------------------------------------------------------------------------------------------------


def server_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure(name: str, workload: str, seconds: float) -> dict[str, float]:
    """Let a contestant record a workload; return its own time, and its server's, as shares of a core."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [sys.executable, __file__, "--contend", name, "--seconds", str(seconds), "--home", home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        try:
            line = process.stdout.readline().split()
            if not line:
                raise rounds.CanNotRun(f"{name}: the display did not start")
            env = os.environ | {"DISPLAY": line[0], "XAUTHORITY": line[1]}
            with working(workload, env, Path(home)) as act:
                process.stdin.write("go\n")
                process.stdin.flush()
                time.sleep(0.7)  # the start: imports, the first picture
                begun, used = time.monotonic(), server_seconds(int(line[2]))
                while time.monotonic() < begun + seconds - 0.9:
                    act()
                server = (server_seconds(int(line[2])) - used) / (time.monotonic() - begun)
                told = process.stdout.readline()
                if not told:
                    raise rounds.CanNotRun(f"{name}: it has ended with no figures")
                found: dict[str, float] = json.loads(told)
            return found | {"server": server}
        finally:
            process.stdin.close()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each recording (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=_CONTESTANTS, help="repeatable")
    parser.add_argument("--workload", action="append", choices=_WORKLOADS, help="repeatable (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the medians to a file, too")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        contend(options.contend, options.seconds, options.home)
        return
    print(rounds.machine())
    print(
        f"\n{'':10}{'':12}", *(f"{head:>11}" for head in ("% of a core", "client", "server", "KiB/s", "end, s", "fps"))
    )
    figures: dict[str, dict[str, Any]] = {}
    for workload in options.workload or _WORKLOADS:
        names = options.only or _CONTESTANTS
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("alone", *names)}
        for _ in range(options.rounds):
            for name, some in runs.items():
                try:
                    some.append(measure(name, workload, options.seconds))
                except rounds.CanNotRun as error:
                    print(f"{workload}: {error}", file=sys.stderr)
        alone = statistics.median(run["server"] for run in runs["alone"])
        figures[workload] = {
            name: found for name in names if (found := report(workload, name, runs[name], alone)) is not None
        }
    if options.json:
        rounds.write_json(options.json, figures)


def report(workload: str, name: str, some: list[dict[str, float]], alone: float) -> dict[str, float] | None:
    """Print a contestant's line, and return it: the medians of its rounds; None where it had none."""
    if not some:
        return None
    found = {key: statistics.median(run[key] for run in some) for key in ("cpu", "server", "nbytes", "end", "fps")}
    client, server = found["cpu"], max(0.0, found["server"] - alone)
    figures = (100 * (client + server), 100 * client, 100 * server, found["nbytes"] / 1024, found["end"], found["fps"])
    print(f"{workload:10}{name:12}", *(f"{figure:>11.2f}" for figure in figures), flush=True)
    return {"client": client, "server": server} | {key: found[key] for key in ("nbytes", "end", "fps")}


if __name__ == "__main__":
    main()
