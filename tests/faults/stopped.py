"""Servers that do not answer: each public call that has a limit ends within it, by the error that is documented.

A server is stopped before it is connected to, before the call, or at a random moment of it; it is grabbed by another
client; or its first bytes come one by one. In each round all calls are made at once, each in a thread and
on connections of its own. A failure: it took a second longer than its limit, it ended otherwise than it should, or what
it was called on did not work when the server went on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from servers import start

import xshm
from xshm.cli.main import ERROR
from xshm.errors import RequestTimeout, WaitTimeout, WindowNotFound
from xshm.surface.surface import Surface
from xshm.virtual.display import VirtualDisplay
from xshm.x11.connection import Connection
from xshm.x11.protocol import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

    from faults.report import Report
    from xshm.drawables.drawable import Drawable

LIMIT: Final = 0.4  # seconds that a call has
LATE: Final = 1.0  # seconds more are a failure
HANGS: Final = 30.0  # seconds after which the server goes on, so that a call which hangs ends
_FAR: Final = 2.0  # a limit that another one comes before
_CLOSE: Final = 2.0  # seconds that a close may take: one for the last requests, one for a thread that reads
_DRIP: Final = 0.02  # seconds from byte to byte
_STEP: Final = 0.01  # seconds that a look at the clock takes on a machine that is not busy
_OPENING: Final = 30.0  # seconds to get ready


class Meter:
    """Counts in `lost`, within a with block, the seconds without a processor, or for which another thread had it."""

    def __init__(self) -> None:
        self._lost = 0.0
        self._last = time.monotonic()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> float:
        """The seconds by now, those of a sleep that should have ended included."""
        return self._lost + max(0.0, time.monotonic() - self._last - 2 * _STEP)

    def __enter__(self) -> None:
        self._is_over.clear()
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        """Wait again and again, and see how much longer that took."""
        while not self._is_over.wait(_STEP):
            self._lost = self.lost
            self._last = time.monotonic()


METER: Final = Meter()


@dataclass
class Call:
    """A call and its limit. `silent` is how it may end if the server has sent nothing, `late` how else if it has.

    `after` has to work when the server has gone on.
    """

    kind: str
    name: str
    work: Callable[[], object]
    limit: float = LIMIT
    silent: Callable[[object], bool] = lambda _: False
    late: Callable[[object], bool] = lambda _: False
    after: Callable[[], object] | None = None
    delay: float = 0.0
    took: float | None = None
    lost: float = 0.0
    result: object = None
    ended: threading.Event = field(default_factory=threading.Event)

    def make(self) -> None:
        """Make the call and keep what it took, and what came of it."""
        time.sleep(self.delay)
        began, lost = time.monotonic(), METER.lost
        try:
            self.result = self.work()
        except Exception as error:  # noqa: BLE001 - each one is judged
            self.result = error.with_traceback(None)
        self.took = self.took or time.monotonic() - began
        self.lost = METER.lost - lost
        self.ended.set()

    def fault(self, *, is_silent: bool) -> str | None:
        """Return what was wrong with it."""
        if self.took is None:
            return "it never ended"
        told = f"after {self.took:.2f} s of {self.limit}, {self.lost:.2f} s without a processor: {self.result!r}"
        if self.took - self.lost > self.limit + LATE:
            return f"too late, {told}"
        if self.silent(self.result) or (not is_silent and self.late(self.result)):
            return None
        return f"ended otherwise, {told}"


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda result: isinstance(result, kinds)


def _no_error(result: object) -> bool:
    return not isinstance(result, Exception)


_SILENCE = _is(RequestTimeout)
_WAITED = _is(WaitTimeout)


def _rested_or_silent(result: object) -> bool:
    """Return whether a wait for rest found it, or says that the server has ceased to answer."""
    return _no_error(result) or (_WAITED(result) and "does not answer any more" in str(result))


# -- the calls ---------------------------------------------------------------------------------------------------------


class Calls:
    """All calls on one server, made ready: what they are called on is open, what they open is at `name`."""

    def __init__(self, server: Server, name: str, opened: contextlib.ExitStack) -> None:
        self._server = server
        self._name = name  # what new connections are opened by
        self._opened = opened
        self._surface = opened.enter_context(Surface(40, 30, display=server.name))
        self._window = self._surface.id
        self._limited: list[tuple[xshm.Screen, float | None]] = []
        self.all: list[Call] = []

    def begin(self) -> None:
        """Have the limits hold, now that all is open."""
        for screen, timeout in self._limited:
            screen.connection.wire.timeout = timeout

    def end(self) -> None:
        """Have none, so that what is late is seen to work."""
        for screen, _ in self._limited:
            screen.connection.wire.timeout = _OPENING

    def add_openings(self) -> None:
        """Add what connects."""
        for row, work in (
            ("Connection(timeout)", lambda: Connection(self._name, timeout=LIMIT).close()),
            ("Screen(timeout)", lambda: xshm.Screen(self._name, timeout=LIMIT).close()),
            ("Surface(timeout)", lambda: Surface(9, 9, display=self._name, timeout=LIMIT).close()),
        ):
            # Each answer has the limit; some come before the server stops, and slowly where all is opened at once.
            limit = LIMIT if self._name != self._server.name else LIMIT + 1
            self.all.append(Call("connecting", row, work, limit, _SILENCE, _no_error))

    def add_programs(self, display: VirtualDisplay) -> None:
        """Add what waits for a program's window."""
        screen = self._screen()

        one, other = (self._opened.enter_context(display.run("sleep 600")) for _ in range(2))

        def launch() -> object:
            return display.launch("sleep 600", timeout=LIMIT)

        kind = "programs' windows"
        # `launch` also starts a program, and ends it.
        self.all += [
            Call(kind, "wait_window", lambda: one.wait_window(timeout=LIMIT), LIMIT, _is(WindowNotFound)),
            Call(kind, "wait_painted", lambda: other.wait_painted(screen, timeout=LIMIT), LIMIT, _SILENCE, _WAITED),
            Call(kind, "launch", launch, LIMIT + 3, _SILENCE, _WAITED),
        ]

    def add_command(self, chance: random.Random) -> None:
        """Add one of the commands."""
        words = chance.choice(_COMMANDS)
        command = [*words.split(), "--timeout", str(LIMIT), "--display", self._name]

        def run() -> object:
            ended = subprocess.run(
                [sys.executable, "-c", _TIMED, *command], capture_output=True, text=True, check=False
            )
            *lines, took = ended.stderr.splitlines()
            call.took = float(took)
            return ended.returncode, lines

        codes = (0, 1) if words.startswith("wait") else (0,)
        call = Call(
            *("xshm --timeout", f"xshm {words}", run),
            silent=_says_so,
            late=lambda result: _says_so(result) or cast("tuple[int, object]", result)[0] in codes,
        )
        self.all.append(call)

    def add_run(self, place: Path) -> None:
        """Add `xshm run --shot`, whose own server is stopped by the command that it runs."""

        def run() -> object:
            command = [sys.executable, "-m", "xshm", "run", "--timeout", "5", "--shot", str(place / "shot.png"), "--"]
            ended = subprocess.run(
                [*command, sys.executable, "-S", "-c", _STOP], capture_output=True, text=True, check=False
            )
            return ended.returncode, ended.stderr.splitlines()

        # 5 s for the start, and as many for the picture; then the display has to be ended, whose server is stopped.
        self.all.append(Call("xshm run --shot", "run", run, 15, _says_so))

    def add_verbs_of_a_limited_screen(self) -> None:
        """Add what has no time of its own, on Screens whose answers have a limit."""
        whole = np.zeros((200, 320, 4), np.uint8)
        for row, work in (
            ("grab", lambda screen: screen.grab()),
            ("grab(cursor)", lambda screen: screen.grab(cursor=True)),
            ("grab(region)", lambda screen: screen.grab("50x50-0-0")),
            ("grab_many", lambda screen: screen.grab_many([(0, 0, 5, 5), (9, 9, 9, 9)])),
            ("grab_into", lambda screen: screen.grab_into(whole)),
            ("windows", lambda screen: screen.windows()),
            ("window", lambda screen: screen.window(self._window).close()),
            ("monitors", lambda screen: screen.monitors),
            ("xlib", lambda screen: screen.xlib.screen().root.get_geometry()),
            ("wait_change(longer)", lambda screen: screen.wait_change(_FAR)),
            ("wait_stable(longer)", lambda screen: screen.wait_stable(0.1, _FAR)),
            ("wait_for(longer)", lambda screen: screen.wait_for(lambda _: False, _FAR)),
        ):
            self._add_on(self._screen(LIMIT), row, work)
        # Waiting for a change alone has no limit but its own, which is over by then.
        self.all[-3].limit = self.all[-1].limit = _FAR
        window = self._opened.enter_context(self._screen(LIMIT).window(self._window))
        self._add_on(window, "Window.grab", lambda window: window.grab())
        self._add_on(window, "Window.title", lambda window: window.title)

    def _add_on(self, source: Any, name: str, work: Callable[[Any], object]) -> None:
        def late(result: object) -> bool:
            return _no_error(result) or _WAITED(result) or _SILENCE(result)

        kind = "Screen(timeout), its verbs"
        self.all.append(Call(kind, name, lambda: work(source), LIMIT, _SILENCE, late, after=source.grab))

    def add_streams(self) -> None:
        """Add streams of Screens whose answers have a limit; those that are not on change are asked again and again."""
        for kind in _STREAMS:
            for how in ("next", "anext"):
                screen = self._screen(LIMIT)
                stream = self._opened.enter_context(screen.stream((0, 0, 64, 48), **kind))
                _take_first(stream, how)  # so that all memory is there
                take = _take_first if "on_change" in kind else _take_all
                # One that has had its first picture waits for a change.
                after = screen.grab if "on_change" in kind else partial(_take_first, stream, how)
                name = f"{how}(stream({', '.join(f'{name}={value}' for name, value in kind.items())}))"
                work = partial(take, stream, how)
                self.all.append(Call("Screen(timeout), streams", name, work, LIMIT, _SILENCE, _no_error, after=after))

        # Changes come as events, not as replies.
        self._surface.show(np.full((30, 40, 3), 99, np.uint8))
        self._surface.wait(10)

    def add_waits(self) -> None:
        """Add what has a time of its own, on connections without a limit."""
        waits: tuple[tuple[str, Callable[[Drawable], object], Callable[[object], bool]], ...] = (
            ("wait_change(timeout)", lambda source: source.wait_change(LIMIT), _WAITED),
            ("wait_stable(timeout)", lambda source: source.wait_stable(0.2, LIMIT), _rested_or_silent),
            ("wait_for(timeout)", lambda source: source.wait_for(lambda _: False, LIMIT), _WAITED),
            ("wait_pixel(timeout)", lambda source: source.wait_pixel(1, 1, "#123456", LIMIT), _WAITED),
            ("wait_image(timeout)", lambda source: source.wait_image(_PICTURE, timeout=LIMIT), _WAITED),
        )
        for row, work, late in waits:
            for source in (self._screen(), self._opened.enter_context(self._screen().window(self._window))):
                name = f"{type(source).__name__}.{row}"
                self.all.append(
                    Call("verbs with a timeout", name, partial(work, source), LIMIT, _SILENCE, late, after=source.grab)
                )
        surface = self._opened.enter_context(Surface(60, 50, display=self._server.name))
        surface.show(np.zeros((50, 60, 3), np.uint8))
        surface.wait(10)
        events = self._opened.enter_context(Surface(60, 50, display=self._server.name))
        kind = "verbs with a timeout"
        self.all += [
            Call(kind, "Surface.wait", lambda: surface.wait(LIMIT), LIMIT, _SILENCE, _no_error, after=surface.wait),
            Call(kind, "Surface.events", lambda: list(events.events(LIMIT)), _FAR, _no_error, after=events.wait),
        ]

    def add_ends(self) -> None:
        """Add what closes, on connections without a limit."""
        window, stream = self._screen().window(self._window), self._screen().stream(on_change=True)
        next(stream)
        kind = "closing"
        self.all += [
            Call(kind, "Window.close()", window.close, _CLOSE, _no_error),
            Call(kind, "Stream.close()", stream.close, _CLOSE, _no_error),
            Call(kind, "Screen.close()", self._screen().close, _CLOSE, _no_error),
            Call(kind, "Surface.close()", Surface(9, 9, display=self._server.name).close, _CLOSE, _no_error),
            Call(kind, "Connection.close()", Connection(self._server.name).close, _CLOSE, _no_error),
        ]

    def _screen(self, timeout: float | None = None) -> xshm.Screen:
        screen = self._opened.enter_context(xshm.Screen(self._server.name, timeout=_OPENING))
        self._limited.append((screen, timeout))
        return screen


_COMMANDS: Final = (
    *("shot -", "shot --cursor -", "shot -i xshm -", "info", "windows", "monitors", "view --on :0"),
    *("wait --change", "wait --stable", "wait --pixel 1,1,#123456"),
)
_STREAMS: Final[tuple[dict[str, Any], ...]] = (
    *({}, {"fps": 50}, {"cursor": True}),
    *({"on_change": True}, {"on_change": True, "fps": 50}),
)
# The time that an interpreter and numpy take to be loaded is not the server's.
_TIMED: Final = """
import sys, time
import numpy, xshm.drawables.screen, xshm.capture.stream, xshm.surface.surface, xshm.cli.main
began = time.monotonic()
code = xshm.cli.main.main(sys.argv[1:])
print(time.monotonic() - began, file=sys.stderr)
sys.exit(code)
"""
_STOP: Final = """
import os, signal, socket, struct
with socket.socket(socket.AF_UNIX) as server:
    server.connect("\\0/tmp/.X11-unix/X" + os.environ["DISPLAY"][1:])
    credentials = server.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
os.kill(struct.unpack("iII", credentials)[0], signal.SIGSTOP)
""".strip()
_PICTURE: Final = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)


def _take_first(stream: Any, how: str) -> None:
    if how == "next":
        next(stream)
    else:
        asyncio.run(_take_one(stream))


def _take_all(stream: Any, how: str) -> None:
    """Take frames for as long as they may come."""
    until = time.monotonic() + _FAR
    while time.monotonic() < until:
        _take_first(stream, how)


async def _take_one(stream: Any) -> None:
    await anext(stream)


def _says_so(result: object) -> bool:
    """Tell whether a command has ended with one line about the server, or about the one that `view` looks for."""
    code, lines = cast("tuple[int, list[str]]", result)
    told = r"xshm: .*did not answer.*; --timeout gives it longer|xshm: no X server answers at ':0' .*"
    return code == ERROR and len(lines) == 1 and re.fullmatch(told, lines[0]) is not None


# -- the faults --------------------------------------------------------------------------------------------------------


class Dripping:
    """A way to a server on which, once `drips`, its bytes come one by one."""

    def __init__(self, server: Server, place: Path) -> None:
        self.drips = False
        self.name = str(place / "X1")
        self._to = f"/tmp/.X11-unix/X{server.name.removeprefix(':')}"  # noqa: S108 - where X servers listen
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.name)
        self._listening.listen(64)
        self._sockets = [self._listening]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._to)
                self._sockets += [client, server]
                for way in ((client, server, 0.0), (server, client, _DRIP if self.drips else 0.0)):
                    self._threads.append(threading.Thread(target=_pass_on, args=way))
                    self._threads[-1].start()

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        for each in self._sockets:
            each.close()


def _pass_on(source: socket.socket, target: socket.socket, pause: float) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            for at in range(0, len(data), 1 if pause else len(data)):
                target.sendall(data[at : at + 1] if pause else data)
                time.sleep(pause)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _paused(server: Server, delay: float = 0.0) -> Iterator[None]:
    timer = threading.Timer(delay, server.pause)
    if delay:
        timer.start()
    else:
        server.pause()
    try:
        yield
    finally:
        timer.join() if delay else None
        server.resume()


@contextlib.contextmanager
def _grabbed(server: Server) -> Iterator[None]:
    connection = Connection(server.name)
    connection.send(core.GrabServer)
    connection.sync()
    try:
        yield
    finally:
        connection.close()


FAULTS: Final[dict[str, Callable[[Server, random.Random], contextlib.AbstractContextManager[None]]]] = {
    "stopped before": lambda server, _: _paused(server),
    "stopped meanwhile": lambda server, chance: _paused(server, chance.uniform(0.01, 0.2)),
    "grabbed": lambda server, _: _grabbed(server),
    "dripping": lambda _server, _chance: contextlib.nullcontext(),
}


def _prepare(server: Server, fault: str, seed: int, way: Dripping, opened: contextlib.ExitStack) -> Calls:
    """Open what the calls of a round are made on. The first, which the suite makes, has one command: they take long."""
    name = way.name if fault == "dripping" else server.name
    calls = Calls(server, name, opened)
    calls.add_openings()
    if fault in ("stopped before", "dripping"):
        calls.add_programs(opened.enter_context(VirtualDisplay.attach(name)))
    if seed or fault == "stopped before":
        calls.add_command(random.Random(f"{fault} {seed}"))
    if seed and fault == "stopped before":
        calls.add_run(Path(way.name).parent)
    if fault != "dripping":
        calls.add_verbs_of_a_limited_screen()
        calls.add_streams()
        calls.add_waits()
    if fault in ("stopped before", "grabbed"):
        calls.add_ends()
    return calls


def _round(server: Server, fault: str, seed: int) -> list[tuple[str, str | None]]:
    """Make all calls while one fault lasts; return for each what it belongs to and how it failed, if so."""
    chance = random.Random(f"{fault} {seed}")
    with contextlib.ExitStack() as opened, tempfile.TemporaryDirectory() as place:
        way = Dripping(server, Path(place))
        opened.callback(way.close)
        made = _prepare(server, fault, seed, way, opened)
        calls = made.all
        is_silent = fault != "stopped meanwhile"
        for call in calls:
            call.delay = 0.0 if is_silent else chance.uniform(0, 0.05)
        threads = [threading.Thread(target=call.make, daemon=True) for call in calls]
        way.drips = fault == "dripping"
        made.begin()
        with FAULTS[fault](server, chance):
            for thread in threads:
                thread.start()
            until = time.monotonic() + HANGS
            for call in calls:
                call.ended.wait(max(0.0, until - time.monotonic()))
            faults = [call.fault(is_silent=is_silent) for call in calls]
        made.end()
        way.close()  # ends those that hang there
        for thread in threads:
            thread.join(HANGS)
        return [_counted(call, how, f"{fault}, round {seed}") for call, how in zip(calls, faults, strict=True)]


def _counted(call: Call, how: str | None, when: str) -> tuple[str, str | None]:
    """See whether what was called on works again, once the server has gone on."""
    if how is None and call.after is not None:
        try:
            call.after()
        except Exception as error:  # noqa: BLE001 - it is reported
            how = f"does not work afterwards: {error!r}"
    return call.kind, how and f"{when}: {call.name} {how}"


def _rounds(report: dict[str, list[tuple[str, str | None]]], fault: str, effort: int) -> None:
    with start("Xvfb", 320, 200) as server:
        for seed in range(effort):
            report[fault] += _round(server, fault, seed)


def provoke(report: Report, effort: int) -> None:
    """Have a server not answer in each way, `effort` times; each way at once, on a server of its own."""
    found: dict[str, list[tuple[str, str | None]]] = {fault: [] for fault in FAULTS}
    threads = [threading.Thread(target=_rounds, args=(found, fault, effort)) for fault in FAULTS]
    with METER:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for fault, calls in found.items():
        report.row(f"{fault}: rounds").count(None if calls else "none was made")
        for kind, how in calls:
            report.row(f"{fault}: {kind}").count(how)
