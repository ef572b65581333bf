"""Odd arguments: every public callable, each of its parameters, values of every kind, on real objects.

A call may return a result, or raise an error of xshm's own tree, or an OSError that names a file (from `sysv`, one of
the kernel). Failures: any other exception, a wait that was not asked for, an object that does not work afterwards. The
callables are found by introspection; a parameter that has no default and is not in `GOOD` fails, so that a new
parameter needs a good value there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import inspect
import operator
import os
import random
import signal
import subprocess
import tempfile
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

import xshm
from xshm import XshmError, geometry, sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.report import Report

_SEED: Final = 20
_QUICK: Final = 600  # calls of an effort of 1
_QUICK_STARTS: Final = 1  # of them that may start a server
_LIMIT: Final = 10.0  # seconds; no call of these takes a tenth of it
_WAIT: Final = 0.1  # seconds; how long calls with an endless wait are let run
_SMALL: Final = (0, 0, 4, 4)
# Values that parameters are not called with.
_NOT_WITH: Final = {
    "duration": ("1", "7", "1.5", "np.int64", "np.float32", "Decimal", "Fraction", "True"),  # which is waited for
    "text": ("long text",),  # programs are given 175 s to come to so many keys, before a keycode is given back
    "predicate": ("a class", "Rect, the class"),  # what it raises is its own
}


class _Colour(enum.Enum):
    RED = "red"


# Each made anew for each call: a generator is used up, a list could be changed.
VALUES: Final[dict[str, Callable[[], Any]]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "-1": lambda: -1,
    "0": lambda: 0,
    "1": lambda: 1,
    "7": lambda: 7,
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "2**200": lambda: 2**200,
    "-2**200": lambda: -(2**200),
    "10**5000": lambda: 10**5000,
    "-10**5000": lambda: -(10**5000),
    "1.5": lambda: 1.5,
    "-0.0": lambda: -0.0,
    "1e300": lambda: 1e300,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "1j": lambda: 1j,
    "empty text": lambda: "",
    "text": lambda: "odd",
    "text with NUL": lambda: "a\0b",
    "surrogate": lambda: "\udc80",
    "high surrogate": lambda: "\ud800x",
    "digits": lambda: "12",
    "superscript": lambda: "²",
    "%s{0}": lambda: "%s{0}{x!r}%",
    "long text": lambda: "x" * 70_000,
    "text of some lines": lambda: "odd\n" * 200,
    "geometry": lambda: "3x3-1-1",
    "huge geometry": lambda: "9" * 5000 + "x1+0+0",
    "b''": lambda: b"",
    "bytes": lambda: b"odd\xff",
    "bytearray": lambda: bytearray(b"odd"),
    "memoryview": lambda: memoryview(b"odd"),
    "[]": list,
    "()": tuple,
    "{}": dict,
    "set()": set,
    "(1,)": lambda: (1,),
    "(1, 2)": lambda: (1, 2),
    "(1, 2, 3)": lambda: (1, 2, 3),
    "(1, 2, 3, 4)": lambda: (1, 2, 3, 4),
    "(1, 2, 3, 4, 5)": lambda: (1, 2, 3, 4, 5),
    "(nan, 1)": lambda: (float("nan"), 1),
    "(None, None)": lambda: (None, None),
    "('x', 'y')": lambda: ("x", "y"),
    "('a\\0b',)": lambda: ("a\0b",),
    "(2**200, 1)": lambda: (2**200, 1),
    "(-2**31, 2**31)": lambda: (-(2**31), 2**31),
    "(2**70, 0, 1, 1)": lambda: (2**70, 0, 1, 1),
    "(None,) * 4": lambda: (None,) * 4,
    "[[1]]": lambda: [[1]],
    "[None]": lambda: [None],
    "['a', 1]": lambda: ["a", 1],
    "{1: 2}": lambda: {1: 2},
    "{'a': None}": lambda: {"a": None},
    "{'a': 'b\\0'}": lambda: {"a": "b\0"},
    "{'=': '='}": lambda: {"a=": "b"},
    "{'left': 'x', …}": lambda: dict.fromkeys(("left", "top", "width", "height"), "x"),
    "object": object,
    "a class": lambda: dict,
    "Rect, the class": lambda: xshm.Rect,
    "a function": lambda: lambda *_, **__: None,
    "a module": lambda: os,
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "an exception": lambda: ValueError("odd"),
    "np.int64": lambda: np.int64(3),
    "np.float32": lambda: np.float32(1.5),
    "np.nan": lambda: np.float64("nan"),
    "np.bool_": lambda: np.bool_(True),
    "np.str_": lambda: np.str_("odd"),
    "np.datetime64": lambda: np.datetime64("2020-01-01"),
    "0-d array": lambda: np.array(3),
    "empty array": lambda: np.zeros(0),
    "two numbers": lambda: np.array([1, 2]),
    "four numbers": lambda: np.array([0, 0, 2, 2]),
    "picture": lambda: np.zeros((2, 2, 3), np.uint8),
    "picture of floats": lambda: np.zeros((2, 2, 3)),
    "picture of no rows": lambda: np.zeros((0, 4, 4), np.uint8),
    "array of objects": lambda: np.array([None, "a"], object),
    "array of texts": lambda: np.array(["a", "b"]),
    "array of records": lambda: np.zeros(3, [("a", "i4"), ("b", "f8")]),
    "array of dates": lambda: np.zeros((2, 2, 3), "M8[s]"),
    "masked array": lambda: np.ma.masked_array(np.zeros((2, 2, 3), np.uint8), True),
    "dtype": lambda: np.dtype("u1"),
    "path": lambda: Path("odd"),
    "path with NUL": lambda: Path("a\0b"),
    "date": lambda: dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "timedelta": lambda: dt.timedelta(seconds=1),
    "Decimal": lambda: decimal.Decimal("1.5"),
    "Decimal NaN": lambda: decimal.Decimal("NaN"),
    "Decimal sNaN": lambda: decimal.Decimal("sNaN"),
    "Fraction": lambda: fractions.Fraction(3, 2),
    "an Enum": lambda: _Colour.RED,
    "range": lambda: range(4),
    "generator": lambda: (each for each in (1, 2, 3, 4)),
    "iterator": lambda: iter([1, 2]),
    "slice": lambda: slice(1, 2),
    "Image": lambda: Image.new("RGB", (2, 2)),
    "Image of nothing": lambda: Image.new("RGB", (0, 0)),
    "Rect": lambda: xshm.Rect(1, 1, 2, 2),
    "Rect far off": lambda: xshm.Rect(2**80, 0, 2**80, 1),
    "ScreenSpec": lambda: xshm.ScreenSpec(8, 8),
}
_UNLIMITED: Final = ("None", "inf", "2**31", "2**63", "2**200", "1e300", "1", "7", "1.5", "np.int64", "np.float32")

# What the house calls itself; the parameters are objects of its own.
_OF_THE_HOUSE: Final = {
    *("begin", "finish", "frame_over", "refused", "forget", "attach", "detach", "as_integer_ratio", "from_bytes"),
}
_MADE_BY_OTHERS: Final = "Window, Pixmap, Stream, Program, Frame, Transport: their classes are called by xshm alone"


class _TooLong(BaseException):
    """Raised by the watchdog's signal."""


class Objects:
    """One of each public class, on one display; made again where a call has worn it out."""

    def __init__(self) -> None:
        self._closing = contextlib.ExitStack()
        self.display = self._closing.enter_context(xshm.VirtualDisplay(64, 48, args=["-extension", "GLX"]))
        self._closing.enter_context(self.display.activate())
        self.screen = self._closing.enter_context(xshm.Screen())
        self.surface = self._closing.enter_context(xshm.Surface(16, 16))
        self.window = self._closing.enter_context(self.screen.window(self.surface.id))
        root = self.screen.xlib.screen().root
        self._pixmap = root.create_pixmap(16, 16, root.get_geometry().depth)
        self.pixmap = self._closing.enter_context(self.screen.pixmap(self._pixmap.id))
        self.stream = self._closing.enter_context(self.screen.stream())
        self.ring = self._closing.enter_context(self.screen.record(keep_last=1))
        self.framebuffer = self.display.framebuffer
        self.program = self.display.run(["sleep", "1000"])
        self.frame = self.screen.grab((0, 0, 16, 16), cursor="layer")
        self.encoded = self.frame.encode()
        self.difference = self.frame.diff(self.frame)
        self.format = self.frame.format
        self.monitor = self.screen.monitors[0]
        self.info = self.screen.windows()[0]
        self.transport = self.screen.transport
        self.rect = xshm.Rect(1, 2, 3, 4)
        self.spec = xshm.DisplaySpec()
        self.screen_spec = xshm.ScreenSpec(8, 8)
        self.shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, sysv.IPC_CREAT | 0o600)
        self._closing.callback(sysv.remove, self.shmid)
        self.view = sysv.shmat(self.shmid)

    def close(self) -> None:
        """Release all of them."""
        self._closing.close()

    def subjects(self) -> Iterator[tuple[str, Any]]:
        """Give names and things whose public methods are to be called."""
        for name, value in vars(self).items():
            if not name.startswith("_") and name not in ("shmid", "view"):
                yield name, value

    def resize_back(self) -> None:
        """Give display and surface the sizes again that they began with."""
        if (self.screen.rect.width, self.screen.rect.height) != (64, 48):
            self.display.resize(64, 48)
        self.surface.resize(16, 16)
        self.surface.wait(_LIMIT)  # a round trip: the server has done both
        self.screen.connection.sync()  # another connection, whose events may be sent a moment later
        while next(self.surface.events(0), None) is not None:
            pass
        assert self.window.rect == self.surface.rect == xshm.Rect(0, 0, 16, 16)

    def check(self) -> None:
        """Raise, or fail an assertion, where one of them has stopped working."""
        assert self.screen.grab(_SMALL).pixels.shape == (4, 4, 4)
        assert self.window.grab(_SMALL).pixels.shape == (4, 4, 4)
        assert self.pixmap.grab(_SMALL).pixels.shape == (4, 4, 4)
        assert self.framebuffer.peek(_SMALL).pixels.shape == (4, 4, 4)
        assert next(self.stream).rect == self.screen.rect
        self.surface.show(np.zeros((2, 2, 3), np.uint8))
        self.surface.wait(_LIMIT)
        assert self.display.env()["DISPLAY"] == self.display.name
        assert len(self.view) == sysv.size(self.shmid)
        assert self.program.returncode is None
        assert self.ring.is_running


def provoke(report: Report, effort: int) -> None:
    """Call with odd arguments what there is to call: a sample, the same every time, or (effort 100) all of it."""
    former, alarm = Path.cwd(), signal.signal(signal.SIGALRM, _expire)
    with tempfile.TemporaryDirectory(prefix="xshm-odd-") as directory:
        os.chdir(directory)  # odd names of files are names there
        objects = Objects()
        try:
            _sweep(objects, report, effort)
        finally:
            objects.close()
            _segments.clear()
            while _open:
                os.close(_open.pop())
            os.chdir(former)
            signal.signal(signal.SIGALRM, alarm)


def _sweep(objects: Objects, report: Report, effort: int) -> None:
    calls = [
        (call, parameter, value)
        for call in callables(objects)
        for parameter in call.parameters
        for value in VALUES
        if not call.is_unsafe(parameter, value)
    ]
    chance = random.Random(_SEED)
    chance.shuffle(calls)
    if effort < 100:
        dear = [each for each in calls if each[0].starts_servers][: _QUICK_STARTS * effort]
        calls = [each for each in calls if not each[0].starts_servers][: _QUICK * effort] + dear
    for call, parameter, value in calls:
        row = report.row(call.group)
        how = _outcome(objects, call, parameter, value)
        row.count(None if how is None else f"{call.name}({parameter}={value}): {how}")


def _outcome(objects: Objects, call: Call, parameter: str, value: str) -> str | None:
    """Make one call and return what is wrong with what came out, or None."""
    waits = parameter == "timeout" and value in _UNLIMITED
    arguments = call.good(objects, parameter) | {parameter: VALUES[value]()}
    try:
        with _watchdog(_WAIT if waits else _LIMIT):
            _use(call.function(objects)(**arguments))
    except _TooLong:
        how = None if waits else f"it took longer than {_LIMIT} s"
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        how = _untyped(call, error)
    else:
        how = None
    try:
        with _watchdog(_LIMIT):
            if call.name in ("surface.resize", "display.resize"):
                objects.resize_back()
            objects.check()
    except (Exception, _TooLong) as error:  # noqa: BLE001 - as above
        return how or f"afterwards {type(error).__name__}: {str(error)[:200]}"
    return how


def _untyped(call: Call, error: Exception) -> str | None:
    """Return what is wrong with an error, or None for one that may come out."""
    if isinstance(error, XshmError):
        return None if str(error) else "an error without words"
    if isinstance(error, OSError) and (error.filename is not None or call.asks_the_kernel):
        return None
    if isinstance(error, subprocess.TimeoutExpired) and call.name == "program.wait":  # it is Popen's
        return None
    if isinstance(error, BufferError) and call.name.endswith("__dlpack__"):  # as its protocol has it
        return None
    return f"{type(error).__name__}: {str(error)[:200]}"


def _use(result: Any) -> None:
    """Use a result, and release it."""
    if isinstance(result, types.GeneratorType):
        for _ in range(3):
            next(result, None)
        result.close()
    elif isinstance(result, xshm.Stream):
        with result:
            next(result)
    elif isinstance(result, xshm.Program):
        result.end()
    elif isinstance(result, xshm.Screen | xshm.Surface | xshm.Window | xshm.Pixmap | xshm.VirtualDisplay):
        result.close()
    elif isinstance(result, contextlib.AbstractContextManager) and not isinstance(result, memoryview | xshm.Frame):
        with result:
            pass


def _expire(*_: object) -> None:
    raise _TooLong


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# -- what can be called ----------------------------------------------------------------------------------------------


class Call:
    """Something that can be called: where it is found, what it takes, what are good values of that."""

    def __init__(self, group: str, name: str, function: Callable[[Objects], Any], found: Any) -> None:
        self.group, self.name, self.function = group, name, function
        described = [
            each
            for each in inspect.signature(found).parameters.values()
            if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
        ]
        self.parameters = [each.name for each in described if each.kind != each.POSITIONAL_ONLY]
        self._required = [each.name for each in described if each.default is each.empty]

    @property
    def asks_the_kernel(self) -> bool:
        """Whether its OSErrors are the kernel's answers, as those of all of `sysv` are."""
        return self.group == "sysv" or self.name == "Framebuffer.of_segment"

    @property
    def starts_servers(self) -> bool:
        """Whether a call that succeeds takes as long as a hundred others."""
        return self.name in ("VirtualDisplay", "VirtualDisplay.from_spec", "display.launch", "display.run")

    def good(self, objects: Objects, parameter: str) -> dict[str, Any]:
        """Return arguments that this can be called with, `parameter` perhaps among them."""
        known = GOOD.get(self.name, {})
        if (self.name, parameter) == ("Surface", "on"):  # it takes the place of these
            known = {"timeout": known["timeout"]}
        made = {name: make(objects) for name, make in known.items()}
        for name in self.parameters:
            if name not in made and name in COMMON and (name in self._required or name == "timeout"):
                made[name] = COMMON[name](objects)
        if parameter in ("clip", "cursor") and "region" in self.parameters:
            made["region"] = _SMALL
        missing = [name for name in self._required if name not in made and name != parameter]
        if missing:
            raise AssertionError(f"{self.name}: GOOD has no value for {', '.join(missing)}")
        return made

    def is_unsafe(self, parameter: str, value: str) -> bool:
        """Tell whether the call could change what is not ours, such as another process's segment, or takes its time."""
        if parameter in _NOT_WITH:
            return value in _NOT_WITH[parameter]
        if parameter not in ("shmid", "key", "number"):  # the last one is a signal's, which ends the program
            return False
        try:
            if parameter == "number":
                return operator.index(VALUES[value]()) in signal.valid_signals()
            return -(2**31) <= operator.index(VALUES[value]()) < 2**32
        except TypeError:
            return False


def callables(objects: Objects) -> Iterator[Call]:
    """Find the public classes that can be called, methods of the objects, and functions of the public modules."""
    for name in ("Screen", "Surface", "VirtualDisplay", "DisplaySpec", "ScreenSpec", "Rect", "PixelFormat", "grab"):
        yield Call(name, name, _constant(getattr(xshm, name)), getattr(xshm, name))
    for kind in (xshm.VirtualDisplay, xshm.Rect, xshm.Framebuffer):
        for name in _public(kind):
            method = getattr(kind, name)
            if inspect.ismethod(method):  # bound to the class
                yield Call(kind.__name__, f"{kind.__name__}.{name}", _constant(method), method)
    yield from _methods(objects)
    for module in (sysv, geometry):
        short = module.__name__.removeprefix("xshm.")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield Call(short, f"{short}.{name}", _constant(_kept(value)), value)


def _methods(objects: Objects) -> Iterator[Call]:
    for subject, value in objects.subjects():
        for name in _public(type(value)):
            own = name in vars(xshm.Program) or subject != "program"  # the rest of it is Popen's
            if own and inspect.isfunction(getattr(type(value), name)):
                find = operator.attrgetter(f"{subject}.{name}")
                yield Call(subject, f"{subject}.{name}", find, getattr(value, name))


def _constant(value: Any) -> Callable[[Objects], Any]:
    return lambda _: value


def _public(kind: type) -> list[str]:
    extra = [name for name in ("__array__", "__dlpack__") if hasattr(kind, name)]
    extra += ["attach"] if kind is xshm.VirtualDisplay else []  # a transport's is another one
    return extra + [name for name in dir(kind) if not name.startswith("_") and name not in _OF_THE_HOUSE]


def _kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of sysv's whose segments go again."""
    if function is not sysv.shmget:
        return function

    def shmget(**arguments: Any) -> None:
        sysv.remove(sysv.shmget(**arguments))

    return shmget


def _new_segment(_: Objects) -> sysv.ShmId:
    """Return a segment that goes with its last detach, and is attached nowhere but here."""
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, sysv.IPC_CREAT | 0o600)
    _segments.append(sysv.shmat(shmid))
    del _segments[:-2]
    sysv.remove(shmid)
    return shmid


_segments: list[memoryview] = []

COMMON: Final[dict[str, Callable[[Objects], Any]]] = {
    "timeout": lambda _: 0.05,
    "region": lambda _: _SMALL,
    "width": lambda _: 8,
    "height": lambda _: 8,
    "x": lambda _: 1,
    "y": lambda _: 1,
    "other": lambda objects: objects.rect,
    "shmid": _new_segment,
}
GOOD: Final[dict[str, dict[str, Callable[[Objects], Any]]]] = {
    "Screen": {"timeout": lambda _: _LIMIT},
    "Surface": {"width": lambda _: 8, "height": lambda _: 8, "timeout": lambda _: _LIMIT},
    "VirtualDisplay": {
        "width": lambda _: 8,
        "height": lambda _: 8,
        "timeout": lambda _: _LIMIT,
        "args": lambda _: ("-extension", "GLX"),
    },
    "VirtualDisplay.from_spec": {"spec": lambda _: xshm.DisplaySpec(8, 8)},
    "VirtualDisplay.attach": {
        "name": lambda objects: objects.display.name,
        "xauthority": lambda objects: objects.display.xauthority,
    },
    "DisplaySpec": {"timeout": lambda _: 10.0},
    "Rect": {},
    "Rect.from_ltrb": {
        "left": lambda _: 0,
        "top": lambda _: 1,
        "right": lambda _: 2,
        "bottom": lambda _: 3,
    },
    "Rect.parse": {"text": lambda _: "3x4+1+2"},
    "PixelFormat": {
        field.name: operator.attrgetter(f"format.{field.name}")
        for field in dataclasses.fields(xshm.PixelFormat)
        if field.init
    },
    "Framebuffer.open": {
        "path": lambda _: Path("/dev/null"),
    },
    "Framebuffer.of_descriptor": {"descriptor": lambda _: _descriptor()},
    "screen.wait_for": {"predicate": lambda _: lambda _: True},
    "screen.wait_pixel": {"colour": lambda _: "black", "tolerance": lambda _: 255},
    "screen.wait_image": {"picture": lambda objects: objects.screen.grab((0, 0, 2, 2))},
    "screen.wait_stable": {"quiet": lambda _: 0.01},
    "screen.grab_many": {"regions": lambda _: [_SMALL]},
    "screen.grab_into": {"array": lambda _: np.zeros((4, 4, 4), np.uint8), "region": lambda _: _SMALL},
    "screen.monitor": {"which": lambda _: 0},
    "screen.window": {"which": lambda objects: objects.surface.id},
    "screen.wait_window": {"which": lambda objects: lambda info: info.id == objects.surface.id},
    "screen.wait_window_gone": {"which": lambda _: "no window is called this"},
    "screen.drag": {"x1": lambda _: 1, "y1": lambda _: 2, "x2": lambda _: 3, "y2": lambda _: 4},
    "screen.scroll": {"dx": lambda _: 1, "dy": lambda _: -1},
    "screen.press": {"keys": lambda _: "ctrl+a"},
    "screen.type": {"text": lambda _: "text"},
    "screen.key_down": {"key": lambda _: "a"},
    "screen.key_up": {"key": lambda _: "a"},
    "screen.pixmap": {"pixmap": lambda objects: objects.pixmap.transport and objects._pixmap.id},
    "surface.set_title": {"title": lambda _: "title"},
    "surface.resize": {"width": lambda _: 16, "height": lambda _: 16},
    "surface.show": {"array": lambda _: np.zeros((4, 4, 3), np.uint8)},
    "surface.show_frame": {"frame": lambda objects: objects.screen.grab(_SMALL)},
    "surface.events": {"timeout": lambda _: 0},
    "surface.wait": {"timeout": lambda _: _LIMIT},
    "frame.diff": {"other": lambda objects: objects.frame},
    "frame.save": {"path": lambda _: "frame.png"},
    "display.run": {"command": lambda _: ["true"]},
    "display.launch": {"command": lambda _: ["true"], "timeout": lambda _: 0.5},
    "program.wait_painted": {"screen": lambda objects: objects.screen},
    "rect.moved": {"dx": lambda _: 1, "dy": lambda _: 1},
    "ring.mark": {"title": lambda _: "title"},
    "ring.save": {"path": lambda _: "ring.mkv"},
    "sysv.shmget": {"key": lambda _: sysv.IPC_PRIVATE, "size": lambda _: 4096, "flags": lambda _: 0o600},
    "sysv.shmat": {},
    "sysv.shmdt": {"view": lambda objects: sysv.shmat(objects.shmid)},
    "sysv.shmctl": {"cmd": lambda _: sysv.IPC_STAT, "desc": lambda _: sysv.ShmDesc()},
    "sysv.ftok": {"path": lambda _: "/", "project": lambda _: 1},
    "geometry.as_rect": {},
    "geometry.merged": {"rects": lambda _: [xshm.Rect(0, 0, 1, 1)], "most": lambda _: 1},
}
for _verb in ("wait_for", "wait_pixel", "wait_image", "wait_stable", "grab_many", "grab_into"):
    for _source in ("window", "pixmap"):
        GOOD[f"{_source}.{_verb}"] = GOOD[f"screen.{_verb}"]
for _source in ("screen", "window", "pixmap", "display"):
    GOOD[f"{_source}.record"] = {"target": lambda _: "video.y4m"}
for _verb in ("drag", "scroll", "press", "type", "key_down", "key_up"):
    GOOD[f"window.{_verb}"] = GOOD[f"screen.{_verb}"]


def _descriptor() -> int:
    _open.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    while len(_open) > 1:
        os.close(_open.pop(0))
    return _open[0]


_open: list[int] = []
