"""Verbs that a signal handler interrupts by an exception, at any point: each is a row.

Half of the attempts raise at one of the points where CPython may run a handler (`interrupt_points`), which are picked
at random out of all that the verb has; the others by a real timer, inside the kernel too, now and then by two. The
exception is one that the code handles when it is the kernel's (TimeoutError and other OSErrors, ValueError), or none.

The exception has to come out unchanged and at once (the verb may be completed before it). While the exception is still
held, another client is served. After the exception was dropped and one more verb was done, the server keeps for our
connection what it keeps after the same verbs without an interrupt (X-Resource); there are as many descriptors, segments
and directories; and a picture is the one that core GetImage gives another client.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import interrupt_points
import interrupt_workload
import numpy as np
import pytest
from descriptors import open_descriptors
from painter import Painter
from reference import core_image
from Xlib.ext import res
from Xlib.protocol import request

import xshm
from xshm.virtual.framebuffer import Framebuffer
from xshm.x11.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.report import Report

_WIDTH, _HEIGHT = 160, 120
_BOX: Final = (20, 10, 100, 80)
_PATIENCE: Final = 3.0  # seconds that another client waits for an answer
_SECOND: Final = 0.15  # of the interrupts by timer are two


class _OwnTimeout(TimeoutError):
    pass


class _OwnError(OSError):
    pass


class _OwnReset(ConnectionResetError):
    pass


class _OwnBlocking(BlockingIOError):
    pass


class _OwnMissing(FileNotFoundError):
    pass


class _OwnValue(ValueError):
    pass


_RAISED: Final = (_OwnTimeout, _OwnError, _OwnReset, _OwnBlocking, _OwnMissing, _OwnValue, interrupt_points.Interrupted)


class _Place:
    """A display, our Screen on it, another client's connection, and a painter."""

    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        self.directory = directory
        display = stack.enter_context(xshm.VirtualDisplay(_WIDTH, _HEIGHT, framebuffer=directory, cursor=False))
        self.display = display
        self.screen = stack.enter_context(xshm.Screen(display.name, xauthority=display.xauthority, timeout=10))
        self._gc: Any = self.screen.xlib.screen().root.create_gc(subwindow_mode=1, foreground=0x123456)
        self.other = Connection(display.name, display.xauthority, _PATIENCE)
        stack.callback(self.other.close)
        server: Any = SimpleNamespace(name=display.name, authority=display.xauthority)
        self.painter = stack.enter_context(Painter(server))
        self.window = self.painter.window(_BOX, (0, 80, 160), title="one")
        self.pixmap = self.painter.root.create_pixmap(40, 30, 24)
        self.framebuffer = stack.enter_context(self.open_framebuffer())
        self.framebuffer.sync()
        self.children = len(_child_ids())

    def open_framebuffer(self) -> Framebuffer:
        path, display = self.directory / "Xvfb_screen0", self.display
        return Framebuffer.open(path, display.name, display.xauthority, has_pointer=False)

    def paint(self) -> None:
        """Show something else, inside the window too."""
        self.painter.rectangles(5)
        self.painter.rectangles(3, self.window)

    def draw(self) -> None:
        """Draw on our own connection, which an interrupt does no harm."""
        self.screen.xlib.screen().root.fill_rectangle(self._gc, 5, 5, 30, 20)

    @functools.cache  # noqa: B019 - it lives as long as the process, nearly
    def _name(self, atom: int) -> str:
        return str(self.other.request(request.GetAtomName, atom=atom).name)

    def held(self) -> Counter[str]:
        """Count what the server keeps for our connections, by kind."""
        extension = self.other.extension("X-Resource")
        assert extension is not None
        held: Counter[str] = Counter()
        for connection in (self.screen.connection, self.framebuffer._linked().screen.connection):
            connection.flush()
            client = connection.info.resource_id_base
            for each in self.other.request(res.QueryClientResources, opcode=extension.major, client=client).types:
                held[self._name(each.resource_type)] += each.count
        return held


class _Verb:
    """Something to interrupt, what it takes at most, and how many times dearer than others one attempt is."""

    def __init__(self, name: str, work: Callable[[_Place], Any], *, microseconds: int, costs: int = 1) -> None:
        self.name = name
        self.work = work
        self.microseconds = microseconds
        self.costs = costs


def _stream(place: _Place, **options: Any) -> Any:
    with place.screen.stream(on_change=True, **options) as stream:
        next(stream)
        place.draw()
        return next(stream)


def _wait_change(place: _Place) -> None:
    with contextlib.suppress(xshm.WaitTimeout):
        place.screen.wait_change(0.001)


def _act(place: _Place) -> Any:
    return place.screen.act(place.draw, quiet=0.001, timeout=0.002)


def _window(place: _Place) -> Any:
    with place.screen.window(place.window.id) as window:
        window.grab()
        place.screen.grab()


def _window_stream(place: _Place) -> None:
    with place.screen.window(place.window.id) as window:
        next(window.stream(on_change=True))


def _opened(opens: Callable[[], Any]) -> None:
    with opens():
        pass


def _run(place: _Place) -> None:
    program = place.display.run(["/bin/true"])
    program.wait()


_VERBS: Final = (
    _Verb("grab", lambda place: place.screen.grab(), microseconds=300),
    _Verb("grab with the pointer", lambda place: place.screen.grab(cursor=True), microseconds=800),
    _Verb("grab_many", lambda place: place.screen.grab_many([(0, 0, 20, 20), (3, 3, 50, 50)]), microseconds=600),
    _Verb("framebuffer.grab", lambda place: place.framebuffer.grab(), microseconds=500),
    _Verb("framebuffer.grab with the pointer", lambda place: place.framebuffer.grab(cursor="layer"), microseconds=900),
    _Verb("stream(on_change)", _stream, microseconds=6000),
    _Verb("stream(on_change, cursor)", lambda place: _stream(place, cursor=True), microseconds=6000),
    _Verb("wait_change", _wait_change, microseconds=5000),
    _Verb("wait_stable", lambda place: place.screen.wait_stable(0.001, 1), microseconds=6000),
    _Verb("act", _act, microseconds=20_000),
    _Verb("wait_for", lambda place: place.screen.wait_for(lambda _: True), microseconds=4000),
    _Verb("window", _window, microseconds=8000),
    _Verb("window.stream(on_change)", _window_stream, microseconds=12000),
    _Verb("pixmap", lambda place: place.screen.pixmap(place.pixmap.id).grab(), microseconds=2000),
    _Verb("Screen()", lambda p: _opened(lambda: xshm.Screen(p.display.name, xauthority=p.display.xauthority)),
          microseconds=9000),
    _Verb("Surface()", lambda p: _opened(
        lambda: xshm.Surface(30, 20, display=p.display.name, xauthority=p.display.xauthority)), microseconds=15000),
    _Verb("Framebuffer.open()", lambda place: _opened(place.open_framebuffer), microseconds=9000),
    _Verb("run", _run, microseconds=12000, costs=4),
    _Verb("VirtualDisplay()", lambda _: _opened(lambda: xshm.VirtualDisplay(64, 64, args=("-extension", "GLX"))),
          microseconds=150_000, costs=12),
)  # fmt: skip


class _Timer:
    """Raises in the handler of a real signal, once or twice, after microseconds."""

    def __init__(self, raised: type[BaseException], chance: random.Random) -> None:
        self._raised = raised
        self._chance = chance
        self._left = 0
        self.fired = False

    def during(self, work: Callable[[], object], microseconds: int) -> BaseException | None:
        """Do the work; return the exception that came out of it. `fired`: whether one was raised."""
        former = signal.signal(signal.SIGALRM, self._handle)
        try:
            try:
                self._left = 2 if self._chance.random() < _SECOND else 1
                signal.setitimer(signal.ITIMER_REAL, self._chance.randint(1, microseconds) / 1e6)
                work()
                self._left = 0
            except BaseException as error:  # noqa: BLE001 - it is what is asked for
                self._left = 0
                return error
            return None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)

    def _handle(self, *_: object) -> None:
        if self._left:
            self._left -= 1
            if self._left:
                signal.setitimer(signal.ITIMER_REAL, self._chance.randint(1, 40) / 1e6)
            self.fired = True
            raise self._raised


def _wrong_exception(error: BaseException | None, raised: type[BaseException]) -> str | None:
    if error is None or type(error) is raised:
        return None
    if isinstance(error, SystemError) and isinstance(error.__cause__, raised):  # by CPython 3.11.2
        return None
    return f"came out as {type(error).__name__}: {error}"


def _is_served(place: _Place) -> str | None:
    try:
        place.other.sync()
    except xshm.RequestTimeout:
        return "another client was not served"
    return None


def _state(place: _Place) -> tuple[Any, ...]:
    pool = place.screen._session.pool
    assert pool is not None
    pool.trim()  # what the server may still write to was held a while longer, and another slot made meanwhile
    place.screen.grab()
    segments = sorted(interrupt_workload.own_segments().values())
    files = sorted(path.name for path in Path(os.environ["XDG_RUNTIME_DIR"]).iterdir())
    return place.held(), sorted(open_descriptors().values()), segments, files, _children(place.children)


def _child_ids() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def _children(before: int = 0) -> int:
    """Count our children, but for those that end by themselves, which subprocess reaps when it starts the next."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        subprocess._cleanup()  # type: ignore[attr-defined]
        count = len(_child_ids())
        if count <= before or time.monotonic() >= deadline:
            return count
        time.sleep(0.01)


def _difference(before: tuple[Any, ...], after: tuple[Any, ...]) -> str | None:
    found = []
    for one, other in zip(before, after, strict=True):
        if isinstance(one, Counter):
            more = {key: other[key] - one[key] for key in one | other if other[key] != one[key]}
            if more:
                found.append(f"on the server {more}")
        elif one != other:
            found.append(f"{one} became {other}" if not isinstance(one, list) else _lists(one, other))
    return "; ".join(found) or None


def _lists(one: list[Any], other: list[Any]) -> str:
    more, less = Counter(other) - Counter(one), Counter(one) - Counter(other)
    return f"more {list(more.elements())}, less {list(less.elements())}"


def _settle(place: _Place, verb: _Verb) -> str | None:
    """Do the verb once more, and a grab, whose picture has to be what another client sees."""
    gc.collect()  # what was raised may be in a cycle with its frames, and these have what they held
    place.paint()
    verb.work(place)
    if not np.array_equal(place.screen.grab().pixels[..., :3], core_image(place.painter.display)[..., :3]):
        return "a wrong picture afterwards"
    place.framebuffer.grab()
    place.screen.grab()
    place.framebuffer.sync()
    return None


def _attempt(place: _Place, verb: _Verb, points: int, seed: str) -> str | None:
    chance = random.Random(seed)
    raised = chance.choice(_RAISED)

    work = partial(verb.work, place)
    if chance.random() < 0.5:
        timer = _Timer(raised, chance)
        how, error = "timer", timer.during(work, verb.microseconds)
        fired = timer.fired
    else:
        point = chance.randint(1, points)
        how = f"point {point}"
        error, fired = interrupt_points.outcome(point, raised, work)
    wrong = _wrong_exception(error, raised) or _is_served(place)
    if fired and error is None:
        wrong = "was swallowed"
    where = ""
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    error = trace = None
    if wrong:
        place.framebuffer.grab()  # which ends one that was left, so that the others can be tried
    return (wrong and f"{wrong} ({raised.__name__}, {how}, {where})") or None


def provoke(report: Report, effort: int) -> None:
    """Interrupt each verb; an effort of 1 is a handful of times."""
    callbacks, gc.callbacks[:] = list(gc.callbacks), []  # hypothesis has one, in Python, which would swallow some
    swallowed: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda what: swallowed.append(f"{type(what.exc_value).__name__} in {what.object!r}")
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of connections that their finalizers have closed
        runtime = Path(directory, "runtime")
        runtime.mkdir(0o700)
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("XDG_RUNTIME_DIR", str(runtime))
        stack.callback(lambda: setattr(sys, "unraisablehook", hook))
        stack.callback(lambda: gc.callbacks.extend(callbacks))
        place = _Place(stack, Path(directory))
        if not gc.get_freeze_count():  # in pytest there are its tests, which stay so
            stack.callback(gc.unfreeze)
        gc.collect()
        gc.freeze()  # what there is by now need not be looked through each time
        gc.collect()
        for verb in _VERBS:
            row = report.row(verb.name)
            for _ in range(2):
                _settle(place, verb)
            points = interrupt_points.count_points(partial(verb.work, place))
            _settle(place, verb)
            before = _state(place)
            for number in range(max(1, 4 * effort // verb.costs)):
                seed = f"{verb.name} {number}"
                wrong = _attempt(place, verb, points, seed)
                wrong = wrong or _settle(place, verb)
                after = _state(place)
                left = _difference(before, after)
                if left:
                    before = after
                if swallowed:
                    left = f"{left or ''} swallowed: {swallowed}"
                    swallowed.clear()
                row.count(f"seed {seed!r}: {wrong or ''} {left or ''}" if wrong or left else None)
