"""A recording's processor time, frames and bytes, beside ffmpeg's x11grab, in one run: `python tests/bench/record.py`.

Each contestant records the same painted screen of 1920x1080 for the same time, as a whole process on an Xvfb of its
own; they take turns. Its processor time is that of the process, from its start to its end, with all that it starts,
imports, keep-alives and closing the file, and that of its X server, less what the painting alone costs the server. The
modules of xshm are compiled before, as pip leaves them. All ratios are to x11grab in the same round; the median of the
rounds is printed. All encode by libx264, yuv420p, with the same preset; ffmpeg is used as people write it, with its
defaults besides.

Workloads: `still`; `caret`, 2x16 pixels, twice a second; `small`, 200x100 ten times a second; `quarter`, 960x540 at 30
frames a second, and `prototype`, 640x360; `scroll`, a page of text that moves by 7 lines; `video`, all of it.

Debian: ffmpeg, xvfb. mss is left out where it is not installed. Nothing else should run meanwhile. Takes about
(seconds + 2) x contestants x workloads x rounds.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rounds
from recorders import WORKLOADS

_HERE: Final = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from servers import Server, start  # noqa: E402 - the tests' own tools lie a folder higher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SIZE: Final = (1920, 1080)
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# xshm: `xshm record`; display: record() of a VirtualDisplay, by its framebuffer; no-opencv: the first without that.
_CONTESTANTS: Final = ("x11grab", "xshm", "display", "no-opencv", "mss")


@dataclass(frozen=True)
class Run:
    """One recording: seconds of processor time (without and with the server), frames in the file, its bytes."""

    client: float
    server: float
    frames: int
    nbytes: int

    @property
    def cpu(self) -> float:
        return self.client + self.server


def server_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def command(name: str, file: Path, options: argparse.Namespace, display: str) -> list[str]:
    """Return the command line of a contestant that records `display`."""
    width, height = _SIZE
    if name == "x11grab":
        source = ["-f", "x11grab", "-draw_mouse", "0", "-framerate", f"{options.fps:g}"]
        source += ["-video_size", f"{width}x{height}", "-i", display]
        codec = ["-c:v", "libx264", "-preset", options.preset, "-pix_fmt", "yuv420p"]
        return ["ffmpeg", "-loglevel", "error", "-nostdin", *source, "-t", f"{options.seconds:g}", *codec, str(file)]
    if name == "xshm":
        flags = ["--quality", "small", "-p", f"preset={options.preset}", "-r", f"{options.fps:g}"]
        return [sys.executable, "-m", "xshm", "record", *flags, "--duration", f"{options.seconds:g}", str(file)]
    numbers = [f"{options.fps:g}", f"{options.seconds:g}", options.preset]
    return [sys.executable, str(_HERE / "recorders.py"), name, str(file), *numbers]


@contextlib.contextmanager
def painting(workload: str, fps: float, env: Mapping[str, str]) -> Iterator[None]:
    """Paint a workload in another process."""
    painter = subprocess.Popen(
        [sys.executable, str(_HERE / "recorders.py"), "paint", workload, f"{fps:g}"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert painter.stdout
    assert painter.stdin
    try:
        if painter.stdout.readline() != "painting\n":
            raise rounds.CanNotRun("the painter did not start")
        yield
    finally:
        painter.stdin.close()
        painter.wait()


def painting_alone(workload: str, fps: float, server: Server, seconds: float) -> float:
    """Return the seconds of processor time that the painting costs the server in a second."""
    with painting(workload, fps, server.env()):
        before = server_seconds(server.pid)
        time.sleep(seconds)
        return (server_seconds(server.pid) - before) / seconds


def record(name: str, workload: str, options: argparse.Namespace, alone: float) -> Run:
    """Let a contestant record a workload, and return what it took."""
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        file = Path(home, "video.mp4")
        if name == "display":
            process = subprocess.Popen(
                command(name, file, options, ""), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert process.stdout
            line = process.stdout.readline().split()
            if not line:
                raise rounds.CanNotRun("the display did not start")
            display, authority, pid = line[0], line[1], int(line[2])
            env = os.environ | {"DISPLAY": display, "XAUTHORITY": authority}
            with painting(workload, options.fps, env):
                begun, used = time.monotonic(), server_seconds(pid)
                out = process.stdin
                assert out
                out.write("go\n")
                out.flush()
                process.stdout.readline()  # "stopped": the display is still there
                server = server_seconds(pid) - used - alone * (time.monotonic() - begun)
            out.close()
        else:
            x = stack.enter_context(start("Xvfb", *_SIZE))
            stack.enter_context(painting(workload, options.fps, x.env()))
            begun, used = time.monotonic(), server_seconds(x.pid)
            process = subprocess.Popen(
                command(name, file, options, x.name), env=x.env(), stdin=subprocess.DEVNULL, text=True
            )
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            server = server_seconds(x.pid) - used - alone * (time.monotonic() - begun)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise rounds.CanNotRun(f"{name}: exit code {process.returncode}")
        client = usage.ru_utime + usage.ru_stime
        if name == "display":
            client -= server_of_display(process)
        return Run(client, max(server, 0.0), frames_of(file), file.stat().st_size)


def server_of_display(process: subprocess.Popen[str]) -> float:
    """Return what the contestant has told: the processor time of its display's processes, and of their start."""
    assert process.stdout
    return float(process.stdout.readline() or 0)


def frames_of(file: Path) -> int:
    """Count the frames of a video by ffprobe."""
    probe = ["ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-of", "csv=p=0"]
    found = subprocess.run(
        [*probe, "-show_entries", "stream=nb_read_packets", str(file)], capture_output=True, text=True, check=True
    )
    return int(found.stdout.strip().strip(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each recording (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--preset", default="ultrafast", help="ultrafast or veryfast")
    parser.add_argument("--only", action="append", choices=_CONTESTANTS, help="beside x11grab; repeatable")
    parser.add_argument("--workload", action="append", choices=tuple(WORKLOADS), help="repeatable (default: all)")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    contestants = ["x11grab", *(name for name in options.only or _CONTESTANTS if name != "x11grab")]
    compileall.compile_dir(_HERE.parent.parent / "xshm", quiet=1)
    print(rounds.machine())
    everything: dict[str, dict[str, list[Run]]] = {}
    for workload in options.workload or WORKLOADS:
        with start("Xvfb", *_SIZE) as server:
            alone = painting_alone(workload, options.fps, server, min(4.0, options.seconds))
        runs: dict[str, list[Run]] = {name: [] for name in contestants}
        for turn in range(options.rounds):
            order = contestants[turn % len(contestants) :] + contestants[: turn % len(contestants)]
            for name in order:
                try:
                    runs[name].append(record(name, workload, options, alone))
                except rounds.CanNotRun as error:
                    print(f"{workload}: {name} left out: {error}", file=sys.stderr)
        everything[workload] = runs
        report(workload, runs, options.seconds)
    if options.json:
        data = {
            load: {name: [asdict(run) for run in some] for name, some in by.items()} for load, by in everything.items()
        }
        options.json.write_text(json.dumps(data, indent=1))


def report(workload: str, runs: Mapping[str, list[Run]], seconds: float) -> None:
    """Print a workload's table."""
    floor = runs["x11grab"]
    heads = ("% of a core", "client", "server", "× x11grab", "frames", "kB", "× x11grab")
    print(f"\n{workload:10}", *(f"{head:>11}" for head in heads))
    for name, some in runs.items():
        if not some:
            continue
        pairs = list(zip(some, floor, strict=False))
        ratio = statistics.median(one.cpu / other.cpu for one, other in pairs)
        size = statistics.median(one.nbytes / other.nbytes for one, other in pairs)
        middle = [
            statistics.median(values) for values in zip(*((r.cpu, r.client, r.server) for r in some), strict=True)
        ]
        cpu, client, server = (100 * value / seconds for value in middle)
        frames, nbytes = statistics.median(r.frames for r in some), statistics.median(r.nbytes for r in some)
        figures = (
            f"{cpu:.1f}",
            f"{client:.1f}",
            f"{server:.1f}",
            f"{ratio:.3f}",
            f"{frames:.0f}",
            f"{nbytes / 1000:.0f}",
        )
        print(f"{name:10}", *(f"{figure:>11}" for figure in (*figures, f"{size:.2f}")), flush=True)


if __name__ == "__main__":
    main()
