"""Children by fork, spawn and forkserver, while everything is open: Screen, Surface, VirtualDisplay, Recorder, Trace.

A forked child that uses what is its parent's gets an error that says whose it is; it ends in four ways, with all
finalizers or none; and the parent's objects work on, with every frame right and its file whole. Children that open
their own, by each way of multiprocessing, get the right picture. Nothing is left of any of them.
"""

from __future__ import annotations

import contextlib
import gc
import io
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from descriptors import new_descriptors, open_descriptors
from painter import Painter
from PIL import Image
from servers import start

import xshm
from xshm import sysv

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

    from faults.report import Report

_BOX: Final = (0, 0, 64, 48)
_ASIDE: Final = (200, 150)  # where surfaces are shown: what they cover isn't looked at
_QUICK: Final = 9  # uses at an effort of 1
_PATIENCE: Final = 10  # seconds that a child has
_WAYS: Final = ("fork", "spawn", "forkserver")
_ENDS: Final = ("os._exit", "sys.exit", "an exception", "kill -9")


class _Objects:
    """One of each, open, and a thread that grabs all the while."""

    def __init__(self, server: Server, home: Path, stack: contextlib.ExitStack) -> None:
        self.screen = stack.enter_context(xshm.Screen(server.name, "sysv", timeout=10))
        self.by_fd = stack.enter_context(xshm.Screen(server.name, "fd", timeout=10))
        self.surface = stack.enter_context(xshm.Surface(30, 20, display=server.name, position=_ASIDE))
        self.display = stack.enter_context(xshm.VirtualDisplay(64, 48, args=["-extension", "GLX"]))
        self.video, self.page = home / "video.gif", home / "trace.html"
        self.recorder = stack.enter_context(self.by_fd.record(self.video, region=_BOX))
        self.trace = stack.enter_context(self.by_fd.trace(self.page, region=_BOX))
        self.stream = stack.enter_context(self.by_fd.stream(_BOX, on_change=True))
        next(self.stream)
        self.picture = self.screen.grab(_BOX).pixels.copy()
        self.work()  # which opens what is opened at the first use

    def work(self) -> str | None:
        """Use each in the process that it belongs to; return what is wrong."""
        for screen in (self.screen, self.by_fd):
            if (screen.grab(_BOX).pixels != self.picture).any():
                return f"{screen}: a wrong frame"
        with self.surface.draw() as pixels:
            pixels[...] = 3
        self.surface.wait(5)
        self.display.screen.grab()
        self.recorder.mark("here")
        self.trace.mark("here")
        return None if self.recorder.is_running else f"the recording has ended: {self.recorder.ended!r}"


def _drawn(objects: _Objects) -> None:
    with objects.surface.draw() as pixels:
        pixels[...] = 1


_USES: Final[dict[str, Callable[[_Objects], object]]] = {
    "screen.grab": lambda objects: objects.screen.grab(_BOX),
    "screen.grab by descriptor": lambda objects: objects.by_fd.grab(_BOX),
    "screen.windows": lambda objects: objects.screen.windows(),
    "surface.draw": _drawn,
    "surface.set_title": lambda objects: objects.surface.set_title("mine"),
    "next(stream)": lambda objects: next(objects.stream),
    "display.screen.grab": lambda objects: objects.display.screen.grab(),
    "display.run": lambda objects: objects.display.run(["true"]),
    "screen.close": lambda objects: objects.screen.close(),
    "surface.close": lambda objects: objects.surface.close(),
    "display.close": lambda objects: objects.display.close(),
    "stream.close": lambda objects: objects.stream.close(),
    "recorder.stop": lambda objects: objects.recorder.stop(),
    "recorder.mark": lambda objects: objects.recorder.mark("child"),
    "trace.stop": lambda objects: objects.trace.stop(),
    "trace.mark": lambda objects: objects.trace.mark("child"),
    "a Screen of its own": lambda objects: _own(objects.screen.display),
    "nothing": lambda _: None,
}


_REFUSED: Final = {"screen.grab", "screen.grab by descriptor", "screen.windows", "surface.draw", "surface.set_title",
                   "next(stream)", "display.screen.grab", "display.run"}  # fmt: skip


def provoke(report: Report, effort: int) -> None:
    """Fork once for each use and end in turn, and start a pool's worker in each way, once for each unit of effort.

    An effort of 1 is half of the uses, and workers in one way.
    """
    with (
        warnings.catch_warnings(),
        contextlib.ExitStack() as servers,
        tempfile.TemporaryDirectory(prefix="xshm-forks-") as home,
    ):
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which is what is tried
        server = servers.enter_context(start("Xvfb", 320, 240))
        painter = servers.enter_context(Painter(server))
        painter.noise((0, 0, 320, 240))
        own = len([each for each in sysv.segments() if each.cpid == os.getpid()])
        with contextlib.ExitStack() as stack:
            objects = _Objects(server, Path(home), stack)
            _forks(report, objects, effort)
            _pools(report, server.name, objects, effort)
        row = report.row("the parent's files and segments afterwards")
        row.count(_fault_of_files(objects))
        stack.close()
        del objects
        gc.collect()
        left = len([each for each in sysv.segments() if each.cpid == os.getpid()]) - own
        row.count(f"{left} segments left" if left > 0 else None)


def _forks(report: Report, objects: _Objects, effort: int) -> None:
    over, busy = threading.Event(), threading.Thread(target=lambda: _keep_busy(objects, over))
    busy.start()
    uses = list(_USES.items()) if effort > 1 else random.sample(list(_USES.items()), _QUICK)
    try:
        for number in range(effort):
            for place, (name, use) in enumerate(uses):
                end = _ENDS[(number + place) % len(_ENDS)]
                if place % 2 == number % 2:  # and without other threads of the parent's at work
                    over.set()
                    busy.join()
                row, seen = report.row(f"a forked child: {name}"), open_descriptors() if over.is_set() else None
                row.count(_in_child(use, objects, end, is_refused=name in _REFUSED))
                how = objects.work()
                row.count(how and f"in the parent, after {end}: {how}")
                if seen is not None:
                    new = new_descriptors(seen)
                    new = {each: target for each, target in new.items() if "memfd" not in target}  # of a pool
                    row.count(f"descriptors left in the parent: {new}" if new else None)
                    over.clear()
                    busy = threading.Thread(target=lambda: _keep_busy(objects, over))
                    busy.start()
    finally:
        over.set()
        busy.join()


def _keep_busy(objects: _Objects, over: threading.Event) -> None:
    while not over.is_set():
        frames = [objects.screen.grab((0, 0, side, side)) for side in (1, 20, 60)]
        time.sleep(0.001)
        del frames


def _in_child(use: Callable[[_Objects], object], objects: _Objects, end: str, *, is_refused: bool) -> str | None:
    """Use in a fork what is the parent's; return what is wrong with how that went."""
    told = os.memfd_create("told")
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends a child that hangs
        signal.alarm(_PATIENCE)
        _use(use, objects, told)
        _leave(end, objects)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = os.pread(told, 4096, 0).decode()
    os.close(told)
    if code == -signal.SIGALRM:
        return f"the child hung, at its end by {end}; it had said {said!r}"
    expected = {"os._exit": 0, "sys.exit": 0, "an exception": 1, "kill -9": -signal.SIGKILL}[end]
    if code != expected:
        return f"the child ended with {code} by {end}: {said}"
    if is_refused and said == "fine":
        return "it was done in a child that it doesn't belong to"
    return said[4:] if said.startswith("bad ") else None


def _use(use: Callable[[_Objects], object], objects: _Objects, told: int) -> None:
    said = "fine"
    try:
        use(objects)
    except xshm.XshmError as error:
        said = "refused"
        if "process" not in str(error) and "closed" not in str(error):
            said = f"bad an error that does not say whose it is: {type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        said = f"bad {type(error).__name__}: {error}"
    os.write(told, said.encode())


def _leave(end: str, objects: _Objects) -> None:
    sys.stderr = io.StringIO()
    if end == "kill -9":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "os._exit":
        os._exit(0)
    # As an interpreter ends: finalizers run, and atexit; pytest's own frames are not unwound into.
    objects.__dict__.clear()
    gc.collect()
    os._exit(1 if end == "an exception" else 0)


def _own(name: str) -> tuple[int, bytes]:
    """Be a worker: open a Screen, a Surface; return a picture of the first."""
    with xshm.Screen(name, timeout=10) as screen, xshm.Surface(8, 8, display=name, position=_ASIDE) as surface:
        with surface.draw() as pixels:
            pixels[...] = 9
        return os.getpid(), screen.grab(_BOX).pixels.tobytes()


def _sent(frame: Any) -> bytes:
    return bytes(np.ascontiguousarray(frame).tobytes())


def _pools(report: Report, name: str, objects: _Objects, effort: int) -> None:
    wanted = objects.picture.tobytes()
    # A fork server takes its time to end.
    for way in _WAYS if effort > 1 else random.sample(_WAYS[:2], 1):
        row = report.row(f"multiprocessing by {way}")
        context = multiprocessing.get_context(way)
        for _ in range(max(1, effort // 4)):
            try:
                with context.Pool(2) as pool:
                    pictures = pool.map_async(_own, [name] * 4).get(30)
                    sent = pool.map_async(_sent, [objects.screen.grab(_BOX).pixels]).get(30)
            except Exception as error:  # noqa: BLE001 - which is what is looked for
                row.failed(f"{type(error).__name__}: {error}")
                continue
            for pid, picture in pictures:
                row.count(None if picture == wanted and pid != os.getpid() else "a worker's picture is wrong")
            row.count(None if sent == [wanted] else "a frame's array that was sent is another one")
            row.count(objects.work())


def _fault_of_files(objects: _Objects) -> str | None:
    with Image.open(objects.video) as video:
        for number in range(getattr(video, "n_frames", 1)):
            video.seek(number)
            video.load()
    with xshm.TraceReader.open(objects.page) as reader:
        marks = {mark.title for mark in reader.marks}
        return None if "child" not in marks else "a forked child wrote into its parent's trace"
