"""SIGKILL at each system call of each verb, before and after the call; and what is left then, and after a next Screen.

A verb runs in a process that ptrace(2) stops at its calls. Afterwards no process may live, no socket be there, no old
picture be damaged; a file has its name only when it is whole, but for videos that grow, which play as far as they have
come. What may be left is told in rows of its own: a segment until the next Screen, which removes it; a file `.xshm-…`
of a picture or a trace that was just being written; and the empty file by which a command holds a name.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import socket
import struct
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if __name__ == "__main__":
    _TESTS = Path(__file__).resolve().parent.parent
    sys.path[:1] = [str(_TESTS), str(_TESTS / "helpers")]

import namespaces
from system_calls import run_traced

from faults.report import provoke_inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.report import Report

    Verb = Callable[["_Place"], object]

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # netdevice(7)
_LIMIT: Final = 10.0  # seconds for all that needs no further step to be gone
_WHOLE: Final = 100  # from this effort on each call is killed at; below it, so many of each verb
_KILLS: Final = 2
_QUICK: Final = 6  # verbs at an effort of 1
_BOX: Final = (0, 0, 64, 48)
_SHORT: Final = ("-g", "64x48+0+0", "--duration", "0.05")
_VIDEOS: Final = {".mp4": b"mdat", ".mkv": b"\x1f\x43\xb6\x75"}  # and what its first pictures begin with


def provoke(report: Report, effort: int) -> None:
    """Kill each verb at two of its calls for each unit of effort (at 1, of six verbs); from 100 on, at all."""
    provoke_inside(report, __file__, effort)


# -- inside ------------------------------------------------------------------------------------------------------------


class _Place:
    """A server, and a directory with an old picture, an old video and an old trace."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self.old = {home / each: b"" for each in ("old.png", "old.gif", "old.html", "old.mkv")}

    def make_old(self) -> None:
        """Let the verbs write what they will find."""
        for path, write in zip(self.old, (_shot_over, _record_over, _trace_over, _video_over), strict=True):
            write(self)
            self.old[path] = path.read_bytes()

    def screen(self, transport: str = "auto") -> Any:
        """Open a Screen."""
        return screens.Screen(self.name, transport)

    def restore(self) -> None:
        """Put the old files where they were, and remove all others."""
        for path in self.home.iterdir():
            if path not in self.old:
                path.unlink()
        for path, data in self.old.items():
            path.write_bytes(data)


def _draw(screen: Any) -> None:
    root = screen.xlib.screen().root
    root.fill_rectangle(root.create_gc(foreground=random.getrandbits(24)), 0, 0, 9, 9)
    screen.xlib.flush()


def _command(place: _Place, *words: str) -> None:
    assert main.main([words[0], "--display", place.name, *words[1:]]) in (0, 1)


def _shot_over(place: _Place) -> None:
    _command(place, "shot", str(place.home / "old.png"))


def _grab(place: _Place, transport: str) -> None:
    with place.screen(transport) as screen:
        screen.grab()


def _stream(place: _Place, *, on_change: bool) -> None:
    with place.screen() as screen, screen.stream(_BOX, on_change=on_change) as stream:
        next(stream)
        _draw(screen)
        next(stream)


def _record(place: _Place, name: str) -> None:
    with place.screen() as screen, screen.record(place.home / name, region=_BOX):
        _draw(screen)


def _record_over(place: _Place) -> None:
    _record(place, "old.gif")


def _video_over(place: _Place) -> None:
    _record(place, "old.mkv")


def _trace(place: _Place, name: str, **options: Any) -> None:
    with place.screen() as screen, screen.trace(place.home / name, region=_BOX, **options) as trace:
        _draw(screen)
        trace.mark("drawn")


def _trace_over(place: _Place) -> None:
    _trace(place, "old.html")


def _blit(place: _Place, transport: str) -> None:
    with surfaces.Surface(32, 24, display=place.name, transport=transport) as surface:
        for colour in (3, 5):
            with surface.draw() as pixels:
                pixels[...] = colour
            surface.wait(5)


def _live(place: _Place) -> None:
    with place.screen() as screen, screen.live() as live:
        urllib.request.urlopen(live.url).read()  # noqa: S310 - of our own


def _type(place: _Place) -> None:
    with place.screen() as screen:
        screen.click(5, 5)
        screen.type("aé☃")


def _act(place: _Place) -> None:
    with place.screen() as screen:
        screen.act(lambda: _draw(screen), quiet=0.001, timeout=0.05)
        with contextlib.suppress(errors.WaitTimeout):
            screen.wait_change(0.001)


def _display(**options: Any) -> None:
    with displays.VirtualDisplay(64, 48, args=["-extension", "GLX"], **options) as display:
        display.run(["true"]).wait()
        display.screen.grab()
        display.framebuffer.sync()
        display.framebuffer.grab(cursor=True)


def _run(place: _Place) -> None:
    words = ["run", "--size", "64x48", "--record", str(place.home / "new.mp4"), "--", "true"]
    assert main.main(words) == 0


_VERBS: Final[dict[str, Verb]] = {
    "grab (sysv)": lambda place: _grab(place, "sysv"),
    "grab (fd)": lambda place: _grab(place, "fd"),
    "grab (core)": lambda place: _grab(place, "core"),
    "xshm shot, a new file": lambda place: _command(place, "shot", str(place.home / "new.png")),
    "xshm shot, over an old file": _shot_over,
    "stream": lambda place: _stream(place, on_change=False),
    "stream on change": lambda place: _stream(place, on_change=True),
    "record, a new file": lambda place: _record(place, "new.gif"),
    "record, over an old file": _record_over,
    "record, a new mp4": lambda place: _record(place, "new.mp4"),
    "record, over an old mkv": _video_over,
    "xshm record, a new mp4": lambda place: _command(place, "record", str(place.home / "new.mp4"), *_SHORT),
    "trace, a new file": lambda place: _trace(place, "new.html"),
    "trace, over an old file": _trace_over,
    "xshm trace, a new file": lambda place: _command(place, "trace", "-o", str(place.home / "new.html"), *_SHORT),
    "blit (sysv)": lambda place: _blit(place, "sysv"),
    "blit (fd)": lambda place: _blit(place, "fd"),
    "act, wait": _act,
    "click, type": _type,
    "live view": _live,
    "xshm windows": lambda place: _command(place, "windows"),
    "xshm segments": lambda _: main.main(["segments"]),
    "VirtualDisplay, run": lambda _: _display(),
    "VirtualDisplay (sysv), run": lambda _: _display(framebuffer="sysv"),
    "VirtualDisplay of xshm run --record": _run,
}


def _main(effort: int, seed: int) -> None:
    home = Path(os.environ["TMPDIR"]) / "pictures"
    home.mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as network:
        fcntl.ioctl(network, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # of the commands; what is told goes to where it went before
    with servers.start("Xvfb", 160, 120) as server:
        place = _Place(server.name, home)
        place.make_old()
        names = list(_VERBS) if effort > 1 else random.Random(seed).sample(list(_VERBS), _QUICK)
        for name in names:
            verb = _VERBS[name]
            verb(place)  # what it imports, and keeps for the next time
            place.restore()
            namespaces.reap()
            before = namespaces.present()
            stops = run_traced(partial(verb, place)).stops
            place.restore()
            chance = random.Random(f"{seed} {name}")
            fewer = min(stops, _KILLS * effort)
            for stop in range(stops) if effort >= _WHOLE else sorted(chance.sample(range(stops), fewer)):
                _tell(name, *_kill(place, verb, stop, before, is_display="Display" in name))


def _tell(name: str, how: str | None, left: dict[str, str | None]) -> None:
    told = [(name, how), *left.items()]
    _OUT.write("".join(json.dumps(each) + "\n" for each in told))
    _OUT.flush()


def _kill(
    place: _Place, verb: Verb, stop: int, before: dict[str, list[str]], *, is_display: bool
) -> tuple[str | None, dict[str, str | None]]:
    """Kill at a stop; return what was wrong, and what was left and had to be taken away by the next."""
    run = run_traced(partial(verb, place), stop)
    when = f"stop {stop}, system call {run.call}"
    wrong = _damaged(place)
    rows: dict[str, str | None] = {}
    here = _settled(before)
    for what in ("processes", "sockets"):
        if what in here:
            wrong.append(f"{what} left: {here[what]}")
    segments = [each for each in sysv.segments() if each.cpid == run.pid and not each.mode & sysv.SHM_DEST]
    for each in segments:
        if each.key >> 8 != _OURS or each.mode != 0o600 or each.nattch:
            wrong.append(f"segment left: {each}")
    files = [each for each in here.get("files", []) if not Path(each).is_relative_to(place.home)]
    if files and not is_display:
        wrong.append(f"files left: {files}")
    if any(place.home.glob(".xshm-*")):
        rows["  file .xshm-… left beside"] = None
    if any(path not in place.old and not path.stat().st_size for path in place.home.iterdir()):
        rows["  empty file left, which held the name of a command's"] = None
    if segments or files or "segments" in here:
        lost = _after_the_next(place, before, is_display=is_display)
        rows["  left at once, removed by the next"] = lost and f"{when}: {lost}"
    place.restore()
    if wrong:
        namespaces.reap()
    return (f"{when}: {'; '.join(wrong)}" if wrong else None), rows


def _damaged(place: _Place) -> list[str]:
    """Say which old file is neither old nor whole, and which new one has its name and is not whole."""
    return [
        f"{path.name} is damaged: {how}"
        for path in place.home.iterdir()
        if not path.name.startswith(".") and (how := _fault_of(path, place.old.get(path)))
    ]


def _fault_of(path: Path, old: bytes | None) -> str | None:
    if path.read_bytes() == (old or b""):
        return None
    try:
        if path.suffix in _VIDEOS:  # which grows, and plays as far as it has come
            if _VIDEOS[path.suffix] in path.read_bytes():
                with av.open(path) as video:
                    assert list(video.decode(video=0)), "no picture"
        elif path.suffix == ".html":
            with reading.TraceReader.open(path) as reader:
                list(reader.changes())
        else:
            with Image.open(path) as picture:
                for number in range(getattr(picture, "n_frames", 1)):
                    picture.seek(number)
                    picture.load()
    except Exception as error:  # noqa: BLE001 - whatever a reader says of a half file
        return f"{path.stat().st_size} bytes, {type(error).__name__}: {error}"
    return None


def _settled(before: dict[str, list[str]], seconds: float = _LIMIT, *of: str) -> dict[str, list[str]]:
    """Wait until no process and no socket is left; return what is."""
    until = time.monotonic() + seconds
    of = of or ("processes", "sockets")
    while True:
        left = namespaces.difference(before)
        if not any(each in left for each in of) or time.monotonic() > until:
            return left
        time.sleep(0.002)


def _after_the_next(place: _Place, before: dict[str, list[str]], *, is_display: bool) -> str | None:
    """Open a Screen, or start a display, for which what was left is old enough; return what is left then."""
    child = os.fork()
    if not child:
        own_segments._MIN_AGE = -5  # what was left this very second, too
        own_segments._first_look = iter((True,))
        code = 1
        try:
            _display() if is_display else _grab(place, "sysv")
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = _settled(before, 2.0, "processes", "sockets", "segments")
    left["files"] = [each for each in left.get("files", []) if not Path(each).is_relative_to(place.home)]
    left = {what: each for what, each in left.items() if each}
    return str(left) if left else f"the next ended with {code}" if code else None


if __name__ == "__main__":
    import av
    import servers
    from PIL import Image

    from xshm import errors, sysv
    from xshm.cli import main
    from xshm.drawables import screen as screens
    from xshm.shm import own_segments
    from xshm.surface import surface as surfaces
    from xshm.trace import reader as reading
    from xshm.virtual import display as displays

    _OURS = own_segments._KEYS >> 8
    _OUT = os.fdopen(os.dup(1), "w")
    _main(*map(int, sys.argv[1:]))
