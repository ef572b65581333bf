"""Servers that end at each of their messages, flood or answer out of turn, under each verb of a session.

A proxy stands for the server (`liar`). After its n-th message it hangs up, sends what is no protocol at all, sends a
flood of events before it goes on, or goes silent for good. And a real server is killed at a random moment. Each verb
ends within its limit, by a typed error or as it should; a `close` raises nothing; no segment and no descriptor is left.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import random
import signal
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from descriptors import new_descriptors, open_descriptors
from liar import Liar, honest
from servers import start

import xshm
from xshm import sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from liar import Message
    from servers import Server

    from faults.report import Report, Row

    Verb = Callable[[str, Path], object]

_TIMEOUT: Final = 0.5
_LATE: Final = 6.0  # seconds that a verb of several requests may take, on a busy machine
_FLOOD: Final = 3000  # events, 96 KB
_PER_EFFORT: Final = 1
_WHOLE: Final = 100  # from this effort on, the hang-up comes after each message in turn
_ENDLESS: Final = 1 << 18  # bytes of garbage
_BOX: Final = (0, 0, 64, 48)


def _grab(transport: str) -> Verb:
    def grab(name: str, _: Path) -> None:
        with xshm.Screen(name, transport, timeout=_TIMEOUT) as screen:
            for _number in range(3):
                screen.grab(_BOX)
            screen.grab_many([_BOX, (3, 3, 9, 9)])
            screen.grab(_BOX, cursor=True)

    return grab


def _draw(screen: xshm.Screen) -> None:
    root: Any = screen.xlib.screen().root
    root.fill_rectangle(root.create_gc(foreground=random.getrandbits(24)), 0, 0, 9, 9)
    screen.xlib.flush()


def _stream(name: str, _: Path) -> None:
    with xshm.Screen(name, timeout=_TIMEOUT) as screen, screen.stream(_BOX, on_change=True) as stream:
        next(stream)
        _draw(screen)
        next(stream)
        with contextlib.suppress(xshm.WaitTimeout):
            screen.wait_change(0.01)


def _windows(name: str, _: Path) -> None:
    with xshm.Screen(name, timeout=_TIMEOUT) as screen:
        for info in screen.windows():
            with screen.window(info) as window:
                window.grab()
        assert screen.monitors


def _blit(name: str, _: Path) -> None:
    with xshm.Surface(32, 24, display=name, timeout=_TIMEOUT) as surface:
        for colour in (3, 5):
            with surface.draw() as pixels:
                pixels[...] = colour
            surface.wait(_TIMEOUT)


def _record(name: str, home: Path) -> None:
    with xshm.Screen(name, timeout=_TIMEOUT) as screen, screen.record(home / "video.gif", region=_BOX):
        _draw(screen)
        screen.connection.sync()


def _trace(name: str, home: Path) -> None:
    with xshm.Screen(name, timeout=_TIMEOUT) as screen, screen.trace(home / "trace.html", region=_BOX) as trace:
        _draw(screen)
        trace.mark("drawn")


_VERBS: Final[dict[str, Verb]] = {
    "grab (sysv)": _grab("sysv"),
    "grab (fd)": _grab("fd"),
    "grab (core)": _grab("core"),
    "stream": _stream,
    "windows": _windows,
    "blit": _blit,
    "record": _record,
    "trace": _trace,
}


class _Fault:
    """What happens at the `place`-th message of all connections; `rest` is what becomes of the later ones."""

    def __init__(self, place: int, change: Callable[[Message], list[bytes] | None], *, silent: bool = False) -> None:
        self.place, self.change, self.silent = place, change, silent
        self.met = 0
        self._lock = threading.Lock()

    def __call__(self, message: Message) -> Iterable[bytes]:
        with self._lock:
            self.met += 1
            met = self.met - 1
        if met < self.place:
            return (message.data,)
        if met > self.place:
            return () if self.silent else (message.data,)
        changed = self.change(message)
        if changed is None:
            raise ConnectionResetError
        return changed


def _event(message: Message) -> bytes:
    return struct.pack("=BBH", random.randrange(2, 35), 0, _serial(message)) + random.randbytes(28)


def _serial(message: Message) -> int:
    return 0 if message.kind == "set-up" else int(struct.unpack_from("=H", message.data, 2)[0])


def _flood(message: Message) -> list[bytes]:
    if message.kind == "set-up":
        return [message.data]
    return [b"".join(_event(message) for _ in range(_FLOOD)), message.data]


def _errors(message: Message) -> list[bytes]:
    """Send errors of a request that nobody sent, or of this one, and then the reply to it."""
    if message.kind == "set-up":
        return [message.data]
    codes = (random.randrange(1, 200) for _ in range(20))
    serials = ((_serial(message) + random.choice((0, 0, 1, 500, 40_000))) & 0xFFFF for _ in range(20))
    return [*(struct.pack("=BBHI24x", 0, *each, 7) for each in zip(codes, serials, strict=True)), message.data]


_KINDS: Final[dict[str, tuple[Callable[[Message], list[bytes] | None], bool]]] = {
    "it hangs up": (lambda _: None, False),
    "it hangs up within a message": (lambda message: [message.data[: len(message.data) // 2]], True),
    "it falls silent": (lambda _: [], True),
    "garbage": (lambda _: [random.randbytes(_ENDLESS)], True),
    "zeros": (lambda _: [bytes(_ENDLESS // 16)], True),
    "a length of 16 GiB": (lambda message: [message.data[:4] + b"\xff\xff\xff\xff" + message.data[8:]], False),
    "a flood of events": (_flood, False),
    "errors of nothing": (_errors, False),
    "everything twice": (lambda message: [message.data, message.data], False),
}


def provoke(report: Report, effort: int) -> None:
    """Let each verb meet each fault once for each unit of effort; from 100 on, hang up after each message, too.

    At an effort of 1 each verb meets one fault, another one each.
    """
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="xshm-ends-") as folder:
        home = Path(folder)
        with start("Xvfb", 160, 120) as server, Liar(server) as liar:
            quick = chance.sample(list(_KINDS), len(_VERBS))  # at most two that wait for their time limits
            for (verb, run), one in zip(_VERBS.items(), quick, strict=True):
                most = _counted(liar, run, home)
                kinds = list(_KINDS) if effort > 1 else [one]
                for kind in kinds:
                    row = report.row(kind)
                    times = most if effort >= _WHOLE and kind == "it hangs up" else _PER_EFFORT * min(effort, most)
                    places = chance.sample(range(most), times)
                    for place in places:
                        change, silent = _KINDS[kind]
                        liar.lie = _Fault(place, change, silent=silent)
                        # A stream waits for a change without a limit, and the event may be what was lost.
                        most_waited = 4 * _TIMEOUT if verb == "stream" else _LATE + 1
                        ends = threading.Timer(most_waited, liar.hang_up)
                        ends.start()
                        how = _tried(run, liar.name, home, kind)
                        ends.cancel()
                        ends.join()
                        row.count(how and f"seed {seed}, {verb}, message {place} of {most}: {how}")
                        liar.lie = honest
                        liar.hang_up()
        _killed(report.row("killed at a random moment"), home, effort, chance)


def _counted(liar: Liar, run: Verb, home: Path) -> int:
    """Let an honest server answer, twice for what is opened at the first time; return how many messages it sends."""
    for _ in range(2):
        liar.lie = count = _Fault(1 << 62, lambda _: [])
        run(liar.name, home)
    return count.met


def _killed(row: Row, home: Path, effort: int, chance: random.Random) -> None:
    for _ in range(max(1, effort // 2)):
        verb, run = chance.choice(list(_VERBS.items()))
        with start("Xvfb", 160, 120) as server:
            delay = chance.uniform(0, 0.05)
            killer = threading.Timer(delay, _kill, (server,))
            killer.start()
            until = time.monotonic() + 1
            how = None
            while killer.is_alive() and how is None and time.monotonic() < until:
                how = _tried(run, server.name, home, "killed")
            killer.join()
            how = how or _tried(run, server.name, home, "killed")  # and one that begins without a server
        row.count(how and f"{verb}, after {delay * 1e3:.1f} ms: {how}")


def _kill(server: Server) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGKILL)


def _tried(run: Verb, name: str, home: Path, kind: str) -> str | None:
    opened, segments, begun, wrong = open_descriptors(), _segments(), time.monotonic(), []
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # where python-xlib says each error that it has no handler for
            run(name, home)
    except xshm.XshmError as error:
        if not str(error):
            wrong.append(f"{type(error).__name__} without a word")
        del error
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        wrong.append(f"{type(error).__name__}: {error}")
        del error
    if (took := time.monotonic() - begun) > _LATE:
        wrong.append(f"it took {took:.1f} s")
    gc.collect()
    left = {each: target for each, target in new_descriptors(opened).items() if not _is_the_liars(target)}
    if left:
        wrong.append(f"descriptors left: {left}")
    until = time.monotonic() + 1
    while (more := _segments() - segments) and time.monotonic() < until:
        time.sleep(0.01)
    if more:
        wrong.append(f"segments left: {more}")
    return f"{kind}: {'; '.join(wrong)}" if wrong else None


def _is_the_liars(target: str) -> bool:
    """Tell whether a descriptor may be one of the proxy's, which is in this process: a socket, of any kind."""
    return target.startswith("socket:")


def _segments() -> set[int]:
    return {each.shmid for each in sysv.segments() if each.cpid == os.getpid()}
