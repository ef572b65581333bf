"""Real X servers for the tests: ready when `start` returns, gone without a trace after `stop`.

    with start("Xvfb", 640, 480, 16) as server:
        subprocess.run(["xdpyinfo"], env=server.env(), check=True)

Kinds, and the depths that Debian's have: "Xvfb" (8, 15, 16, 24, 30), "Xvnc" (16, 24; RandR can resize it), "Xephyr"
(8, 16, 24; in an Xvfb of its own), "Xorg" (the dummy driver; 8, 15, 16, 24, 30), "Xwayland" (24; rootful) and
"Xwayland-rootless" (24; its root window has no picture), the last two under a headless weston of their own.

Without a number the server takes the lowest that is free, which is anybody's again as soon as it has ended: a test that
looks at a display's name after that names a number of its own (`start(…, 24, own_number())`).

In tests use the fixtures (conftest.py): `xvfb`, one Xvfb of 1280x800x24 for the whole run, and `make_server(kind,
width=1280, height=800, depth=24, *args, auth=False, tcp=False)`, which starts fresh ones and ends them after the test.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import server_kinds
from leak_watch import DIRECTORY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 20.0  # seconds; a server is up in 0.1, but not on a machine that is busy with something else
_X_SETUP = b"l\0\x0b\0\0\0\0\0\0\0\0\0"  # "little-endian, protocol 11.0, no authorisation"


class Server:
    """A running X server: `name` (":7"), `pid`, `proc`, `authority` (its Xauthority file, or None), `home`, `log`."""

    def __init__(
        self, kind: str, home: Path, proc: subprocess.Popen[bytes], environment: dict[str, str], below: Server | None
    ) -> None:
        self.kind, self.home, self.proc = kind, home, proc
        self.pid = proc.pid
        self.name = environment.get("DISPLAY", "")
        self.authority = Path(environment["XAUTHORITY"]) if "XAUTHORITY" in environment else None
        self._environment = environment
        self._below = below  # what this server runs on: Xephyr's Xvfb, Xwayland's weston
        self._held: socket.socket | None = None
        self._files = _stamps(self.name)

    @property
    def log(self) -> str:
        """The server's messages so far."""
        return (self.home / "log").read_text(errors="replace")

    def env(self) -> dict[str, str]:
        """Return a copy of the environment for programs that are to use this display."""
        return _bare_environment() | self._environment

    def pause(self) -> None:
        """Stop the server where it is (SIGSTOP): it answers nothing until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def segments(self) -> int:
        """Count the System V segments that the server has attached."""
        return Path(f"/proc/{self.pid}/maps").read_text().count("/SYSV")

    def resize(self, size: str) -> None:
        """Give the screen another size, "640x480", by RandR: of those that the server has."""
        subprocess.run(["xrandr", "-s", size], env=self.env(), check=True, capture_output=True)

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would; it is gone on return. Its files go with `stop`."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server (TERM, then KILL), what was started for it, and its files. Twice is fine."""
        if not self.home.exists():
            return
        self._end(signal.SIGTERM)
        if self._held is not None:
            self._held.close()
        for path, stamp in _stamps(self.name).items():  # those that a killed server has left
            if self._files.get(path) == stamp:
                path.unlink()
        shutil.rmtree(self.home)
        if self._below is not None:
            self._below.stop()

    def hold(self) -> None:
        """Connect and stay connected: weston's Xwayland starts with its first client, and ends with its last."""
        self._held = socket.socket(socket.AF_UNIX)
        self._held.settimeout(_PATIENCE)
        self._held.connect(f"/tmp/.X11-unix/X{self.name.removeprefix(':')}")  # noqa: S108 - where X servers listen
        self._held.sendall(_X_SETUP)
        answer = self._held.recv(1)
        assert answer == b"\1", f"{self.kind} refused the connection: {answer!r}; it said:\n{self.log}"
        self.pid = _child(self.proc.pid, "Xwayland")

    def _end(self, how: signal.Signals) -> None:
        if self.proc.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError), _pidfd(self.pid) as ended:
            self.resume()  # a stopped process does not see SIGTERM
            for pid in {self.pid, self.proc.pid}:  # under weston the server is weston's child, and weston is ours
                os.kill(pid, how)
            if not _readable([ended], 5):
                os.kill(self.pid, signal.SIGKILL)
        try:
            self.proc.wait(5)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def own_number() -> str:
    """Return the name of a display, ":25678", that no other process of the suite takes, nor any server by itself."""
    return f":{20_000 + os.getpid() % 20_000}"


def start(
    kind: str, width: int = 1280, height: int = 800, depth: int = 24, *args: str, auth: bool = False, tcp: bool = False
) -> Server:
    """Start a server and return when it can be connected to; `args` are added to its command line.

    With `auth` it lets in only who has the cookie in `server.authority`; with `tcp` it listens on its TCP port too.
    Raises MissingProgram where it is not installed, RuntimeError with its messages where it does not start.
    """
    if kind == "Xwayland-rootless":
        server = _start_weston(width, height, "--xwayland", *args)
        server.hold()
        return server
    below = None
    with contextlib.ExitStack() as on_failure:
        home = _new_home()
        on_failure.callback(shutil.rmtree, home)
        if kind in {"Xephyr", "Xwayland"}:
            below = start("Xvfb", width, height) if kind == "Xephyr" else _start_weston(width, height)
            on_failure.callback(below.stop)
        command = server_kinds.command(kind, width, height, depth, home)
        command += ["-noreset", "-listen" if tcp else "-nolisten", "tcp", *args]
        authority, cookie = home / "authority", os.urandom(16)
        if auth:
            server_kinds.write_authority(authority, "", cookie)
            command += ["-auth", str(authority)]
        ready, tell = os.pipe()
        with os.fdopen(ready, "rb", 0), os.fdopen(tell, "wb", 0):
            command += ["-displayfd", str(tell)]
            proc, number = _launch(command, home, below.env() if below else _bare_environment(), ready, tell)
        on_failure.pop_all()
    environment = {"DISPLAY": f":{number}"}
    if auth:
        server_kinds.write_authority(authority, number, cookie)
        environment["XAUTHORITY"] = str(authority)
    return Server(kind, home, proc, environment, below)


def _start_weston(width: int, height: int, *args: str) -> Server:
    with contextlib.ExitStack() as on_failure:
        home = _new_home()
        on_failure.callback(shutil.rmtree, home)
        ready = home / "ready"
        os.mkfifo(ready)
        command = [*server_kinds.weston_command(width, height, home, ready), *args]
        with os.fdopen(os.open(ready, os.O_RDWR), "rb", 0) as fifo:
            environment = _bare_environment() | {"XDG_RUNTIME_DIR": str(home)}
            proc, names = _launch(command, home, environment, fifo.fileno())
        on_failure.pop_all()
    wayland, _, display = names.partition(" ")
    environment = {"XDG_RUNTIME_DIR": str(home), "WAYLAND_DISPLAY": wayland}
    return Server("weston", home, proc, environment | {"DISPLAY": display} if display else environment, None)


def _launch(
    command: list[str], home: Path, env: dict[str, str], ready: int, tell: int | None = None
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a program, and return it with the line that it writes when it is ready.

    The line's text and its newline can be two writes: to close the pipe between them would end an X server.
    """
    with (home / "log").open("wb") as log:
        # A process group of its own: Ctrl-C in the terminal is for pytest alone, which then stops its servers.
        proc = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[] if tell is None else [tell],
            process_group=0,
        )
    line = b""
    deadline = time.monotonic() + _PATIENCE
    with _pidfd(proc.pid) as ended:
        while not line.endswith(b"\n"):
            if ready not in _readable([ready, ended], deadline - time.monotonic()):
                proc.kill()
                proc.wait()
                said = (home / "log").read_text(errors="replace")
                raise RuntimeError(f"{' '.join(command)!r} did not start; it said:\n{said}")
            line += os.read(ready, 200)
    return proc, line.decode().strip()


def _new_home() -> Path:
    return Path(tempfile.mkdtemp(prefix="xshm-test-", dir=os.environ.get(DIRECTORY_VARIABLE)))


def _bare_environment() -> dict[str, str]:
    """Return the environment without any display."""
    displays = {"DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY"}
    return {name: value for name, value in os.environ.items() if name not in displays}


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    """Give a pidfd of a process, a child or not: readable when the process has ended."""
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def _readable(fds: list[int], timeout: float) -> list[int]:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(max(timeout, 0) * 1000)]


def _child(pid: int, name: str) -> int:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == name:
            return int(child)
    raise AssertionError(f"process {pid} has no child {name}")


def _stamps(name: str) -> dict[Path, tuple[int, int]]:
    """Return the files that a server of that name has in the file system, and what a later server's differ in."""
    number = name.removeprefix(":")
    stamps = {}
    for path in (Path(f"/tmp/.X11-unix/X{number}"), Path(f"/tmp/.X{number}-lock")):  # noqa: S108 - X's own places
        with contextlib.suppress(FileNotFoundError):
            stamps[path] = (path.stat().st_ino, path.stat().st_ctime_ns)
    return stamps
