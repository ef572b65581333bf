"""Who takes part in live.py: each serves the screen of $DISPLAY, and is used as its own documentation says."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

_PATIENCE: Final = 20.0  # seconds until a server listens
_NOVNC: Final = "/usr/share/novnc"


@dataclass(frozen=True)
class Serving:
    """A screen that is served: by which processes, at which port, and what a page is to do to see it."""

    pids: tuple[int, ...]
    port: int
    path: str  # behind http://127.0.0.1:PORT
    is_image: bool = False  # an <img> shows it
    mode: str = ""  # what is chosen on the page


@contextlib.contextmanager
def _program(command: list[str], env: Mapping[str, str], port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends, once it listens at a port."""
    if shutil.which(command[0]) is None:
        raise rounds.CanNotRun(f"{command[0]} is not installed")
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise rounds.CanNotRun(f"{command[0]} does not listen")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    """Tell whether somebody listens at a port, by the kernel's word: a connection would already be a viewer."""
    told = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return bool(told.stdout.strip())


def free_port() -> int:
    """Return a port at which nobody listens."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as one:
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def xshm_live(env: Mapping[str, str], mode: str = "auto") -> Iterator[Serving]:
    """Serve by `xshm live`."""
    command = [sys.executable, "-m", "xshm", "live", "--port", "0"]
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        link = process.stdout.readline().strip()
        if not link:
            raise rounds.CanNotRun((process.communicate()[1].strip() or "xshm live said nothing").splitlines()[-1][:80])
        base, _, token = link.partition("#")
        port = int(base.rstrip("/").rpartition(":")[2])
        if mode == "mjpeg":
            yield Serving((process.pid,), port, f"/stream.mjpeg?token={token}", is_image=True)
        else:
            yield Serving((process.pid,), port, f"/#{token}", mode=mode)
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def x11vnc(env: Mapping[str, str], *flags: str) -> Iterator[Serving]:
    """Serve by x11vnc, websockify and noVNC."""
    vnc, web = free_port(), free_port()
    command = ["x11vnc", "-display", env["DISPLAY"], "-rfbport", str(vnc), "-localhost", "-nopw", "-viewonly"]
    command += ["-shared", "-forever", "-quiet", *flags]
    bridge = ["websockify", f"--web={_NOVNC}", f"127.0.0.1:{web}", f"127.0.0.1:{vnc}"]
    with (
        _program(command, env, vnc) as server,
        _program(bridge, env, web) as between,
    ):
        yield Serving((server.pid, between.pid), web, "/vnc_lite.html?view_only=true")


@contextlib.contextmanager
def ffmpeg(env: Mapping[str, str]) -> Iterator[Serving]:
    """Serve by ffmpeg, as MJPEG of 30 pictures a second to one viewer."""
    port = free_port()
    source = ["-f", "x11grab", "-framerate", "30", "-video_size", "1920x1080", "-i", env["DISPLAY"]]
    target = ["-c:v", "mjpeg", "-q:v", "5", "-f", "mpjpeg", "-flush_packets", "1", "-listen", "1"]
    target += ["-content_type", "multipart/x-mixed-replace;boundary=ffmpeg", f"http://127.0.0.1:{port}/"]
    flags = ["ffmpeg", "-loglevel", "error", "-nostdin", "-fflags", "nobuffer"]
    with _program([*flags, *source, *target], env, port) as server:
        yield Serving((server.pid,), port, "/", is_image=True)


CONTESTANTS: Final[Mapping[str, Callable[[Mapping[str, str]], AbstractContextManager[Serving]]]] = {
    "xshm live": xshm_live,
    "xshm live, video": lambda env: xshm_live(env, "video"),
    "x11vnc, websockify, noVNC": x11vnc,
    "the same, -wait 5 -defer 5": lambda env: x11vnc(env, "-wait", "5", "-defer", "5"),
    "xshm /stream.mjpeg": lambda env: xshm_live(env, "mjpeg"),
    "ffmpeg, MJPEG": ffmpeg,
}


def family(*pids: int) -> list[int]:
    """Return processes and all that descend from them."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = list(pids)
    for pid in found:
        found += parents.get(pid, ())
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Return the processor time that processes have used, of their threads that have ended too."""
    used = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # one has ended meanwhile
            used += time.clock_gettime_ns(~pid << 3 | 2)  # clock_getcpuclockid(3)
    return used / 1e9


def sent_from(port: int) -> int:
    """Return the bytes that were sent by all connections of a listener, as TCP counts them."""
    told = subprocess.run(
        ["ss", "-tinH", "state", "established", f"sport = :{port}"], capture_output=True, text=True, check=True
    )
    words = told.stdout.split()
    return sum(int(word.removeprefix("bytes_acked:")) for word in words if word.startswith("bytes_acked:"))
