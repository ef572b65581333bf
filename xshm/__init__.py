"""X11 screens as numpy arrays over shared memory.

import xshm

frame = xshm.grab()                 # one picture of $DISPLAY
frame.pixels                        # the array: (height, width, 4) uint8, B G R X on a 24-bit screen
frame.save("shot.png")

with xshm.Screen() as screen:       # many pictures: the memory is kept and used again
    rgb = screen.grab((0, 0, 640, 480)).rgb()

with xshm.VirtualDisplay() as display:      # an X server of its own, for programs that have no screen
    display.launch("xclock")
    display.screen.grab().save("clock.png")

The packages, from the ground up: `sysv` (shmget(2) as Python), `pixels` (layouts and colours), `image` (Frame, files),
`x11` (protocol, connection), `input` (clicks and keys), `shm` (segments, pool, transport), `capture` (frames, streams,
waits), `record` (videos), `trace` (all that was on a screen), `live` (a screen in a browser), `drawables` (Screen,
Window, Pixmap), `surface` (arrays into X), `virtual` (virtual displays), `testing` (for tests of programs), `compat`
(other libraries' names), `fleet` (displays on many machines), `cli`.
What is not in `__all__` is private.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm import errors, events, fleet, geometry, sysv
    from xshm.capture.session import Stats
    from xshm.capture.stream import Stream
    from xshm.capture.waiting.act import Act
    from xshm.capture.waiting.results import Change, Found, Moving, Outcome, Stability
    from xshm.drawables.monitors import Monitor
    from xshm.drawables.pixmap import Pixmap
    from xshm.drawables.screen import Screen, grab
    from xshm.drawables.window import Window
    from xshm.drawables.window_list import WindowInfo
    from xshm.drawables.window_pixels import WindowSource
    from xshm.errors import (
        AccessDenied,
        BadAccess,
        BadAlloc,
        BadAtom,
        BadColor,
        BadCursor,
        BadDrawable,
        BadFont,
        BadGC,
        BadIDChoice,
        BadImplementation,
        BadLength,
        BadMatch,
        BadName,
        BadPixmap,
        BadRequest,
        BadSeg,
        BadValue,
        BadWindow,
        Closed,
        ConnectFailed,
        DisplayGone,
        ExtensionMissing,
        FleetError,
        FramebufferTruncated,
        InvalidArgument,
        InvalidType,
        ItemTimeout,
        LiveViewFailed,
        MissingExtra,
        MonitorNotFound,
        NoRoom,
        OutOfBounds,
        PoolExhausted,
        ReadOnlyMemory,
        RecordingFailed,
        RecordingStalled,
        RequestTimeout,
        RootlessServer,
        SeatLost,
        ServerError,
        ServerNonsense,
        StartFailed,
        TargetDenied,
        TargetGone,
        TargetIsDirectory,
        TargetNotFound,
        TargetTimeout,
        TargetUnreachable,
        TransportUnavailable,
        UnsupportedFormat,
        UntrustedServer,
        WaitTimeout,
        WindowError,
        WindowGone,
        WindowNotFound,
        WindowNotViewable,
        XshmError,
    )
    from xshm.geometry import Rect
    from xshm.image.cursor import Cursor
    from xshm.image.difference import Difference
    from xshm.image.files.encode import Encoded
    from xshm.image.frame import Frame
    from xshm.live.web.view import LiveView
    from xshm.pixels.format import PixelFormat, VisualClass
    from xshm.record.recorder import Recorder
    from xshm.record.ring import Ring
    from xshm.shm.pool import PoolStats
    from xshm.shm.transport import Transport
    from xshm.surface.surface import Surface
    from xshm.trace.reader import TraceChange, TraceReader
    from xshm.trace.reading.events import TraceInput, TraceLine, TraceMark, TraceWindow
    from xshm.trace.trace import Trace
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.framebuffer import Framebuffer
    from xshm.virtual.programs.program import Program
    from xshm.virtual.spec import DisplaySpec, ScreenSpec

__version__ = "0.2.0"

# What `dir`, `help`, `from xshm import *` and completion show: all that is public, written out for type checkers.
__all__ = [
    "AccessDenied",
    "Act",
    "BadAccess",
    "BadAlloc",
    "BadAtom",
    "BadColor",
    "BadCursor",
    "BadDrawable",
    "BadFont",
    "BadGC",
    "BadIDChoice",
    "BadImplementation",
    "BadLength",
    "BadMatch",
    "BadName",
    "BadPixmap",
    "BadRequest",
    "BadSeg",
    "BadValue",
    "BadWindow",
    "Change",
    "Closed",
    "ConnectFailed",
    "Cursor",
    "Difference",
    "DisplayGone",
    "DisplaySpec",
    "Encoded",
    "ExtensionMissing",
    "FleetError",
    "Found",
    "Frame",
    "Framebuffer",
    "FramebufferTruncated",
    "InvalidArgument",
    "InvalidType",
    "ItemTimeout",
    "LiveView",
    "LiveViewFailed",
    "MissingExtra",
    "Monitor",
    "MonitorNotFound",
    "Moving",
    "NoRoom",
    "OutOfBounds",
    "Outcome",
    "PixelFormat",
    "Pixmap",
    "PoolExhausted",
    "PoolStats",
    "Program",
    "ReadOnlyMemory",
    "Recorder",
    "RecordingFailed",
    "RecordingStalled",
    "Rect",
    "RequestTimeout",
    "Ring",
    "RootlessServer",
    "Screen",
    "ScreenSpec",
    "SeatLost",
    "ServerError",
    "ServerNonsense",
    "Stability",
    "StartFailed",
    "Stats",
    "Stream",
    "Surface",
    "TargetDenied",
    "TargetGone",
    "TargetIsDirectory",
    "TargetNotFound",
    "TargetTimeout",
    "TargetUnreachable",
    "Trace",
    "TraceChange",
    "TraceInput",
    "TraceLine",
    "TraceMark",
    "TraceReader",
    "TraceWindow",
    "Transport",
    "TransportUnavailable",
    "UnsupportedFormat",
    "UntrustedServer",
    "VirtualDisplay",
    "VisualClass",
    "WaitTimeout",
    "Window",
    "WindowError",
    "WindowGone",
    "WindowInfo",
    "WindowNotFound",
    "WindowNotViewable",
    "WindowSource",
    "XshmError",
    "__version__",
    "errors",
    "events",
    "fleet",
    "geometry",
    "grab",
    "sysv",
]

# Which module a public name lives in; those that are not here live in `errors`. Each is imported when it is first used
# (PEP 562), so that `from xshm import sysv` loads no numpy and no python-xlib.
_HOMES = {
    "Act": "capture.waiting.act",
    "Change": "capture.waiting.results",
    "Cursor": "image.cursor",
    "Difference": "image.difference",
    "DisplaySpec": "virtual.spec",
    "Encoded": "image.files.encode",
    "Found": "capture.waiting.results",
    "Frame": "image.frame",
    "Framebuffer": "virtual.framebuffer",
    "LiveView": "live.web.view",
    "Monitor": "drawables.monitors",
    "Moving": "capture.waiting.results",
    "Outcome": "capture.waiting.results",
    "PixelFormat": "pixels.format",
    "Pixmap": "drawables.pixmap",
    "PoolStats": "shm.pool",
    "Program": "virtual.programs.program",
    "Recorder": "record.recorder",
    "Ring": "record.ring",
    "Rect": "geometry",
    "Screen": "drawables.screen",
    "ScreenSpec": "virtual.spec",
    "Stability": "capture.waiting.results",
    "Stats": "capture.session",
    "Stream": "capture.stream",
    "Surface": "surface.surface",
    "Trace": "trace.trace",
    "TraceChange": "trace.reader",
    "TraceInput": "trace.reading.events",
    "TraceLine": "trace.reading.events",
    "TraceMark": "trace.reading.events",
    "TraceReader": "trace.reader",
    "TraceWindow": "trace.reading.events",
    "Transport": "shm.transport",
    "VirtualDisplay": "virtual.display",
    "VisualClass": "pixels.format",
    "Window": "drawables.window",
    "WindowInfo": "drawables.window_list",
    "WindowSource": "drawables.window_pixels",
    "grab": "drawables.screen",
}
_MODULES = frozenset({"errors", "events", "fleet", "geometry", "sysv"})

if not TYPE_CHECKING:  # a type checker would take any misspelt name for an Any

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'xshm' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
        try:
            module = importlib.import_module(f"xshm.{name if name in _MODULES else _HOMES.get(name, 'errors')}")
        except OSError:  # such as EMFILE, which `limits` explains; where that is not loaded, xshm is not in use yet
            limits = sys.modules.get("xshm.system.limits")
            if limits is None:
                raise
            with limits.loading():
                raise
        if name in _MODULES:
            return module
        value = getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
