"""X11 screens as numpy arrays over shared memory.

import xshm

frame = xshm.grab()                 # one picture of $DISPLAY
frame.pixels                        # the array: (height, width, 4) uint8, B G R X on a 24-bit screen
frame.save("shot.png")

with xshm.Screen() as screen:       # many pictures: the memory is kept and used again
    rgb = screen.grab((0, 0, 640, 480)).rgb()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xshm.compare import Difference as Difference
    from xshm.cursor import Cursor as Cursor
    from xshm.display_spec import DisplaySpec as DisplaySpec
    from xshm.display_spec import ScreenSpec as ScreenSpec
    from xshm.encode import Encoded as Encoded
    from xshm.errors import *  # noqa: F403
    from xshm.frame import Frame as Frame
    from xshm.framebuffer import Framebuffer as Framebuffer
    from xshm.geometry import Rect as Rect
    from xshm.monitors import Monitor as Monitor
    from xshm.pixels import PixelFormat as PixelFormat
    from xshm.pixmap import Pixmap as Pixmap
    from xshm.screen import Screen as Screen
    from xshm.screen import grab as grab
    from xshm.surface import Surface as Surface
    from xshm.virtual_display import VirtualDisplay as VirtualDisplay
    from xshm.window import Window as Window
    from xshm.window_list import WindowInfo as WindowInfo

__version__ = "0.1.0"

# Each public name and the module it lives in. They are imported when they are first used (PEP 562), so that
# `from xshm import sysv` loads no numpy and no python-xlib.
_NAMES = {
    "Cursor": "cursor",
    "Difference": "compare",
    "DisplaySpec": "display_spec",
    "Encoded": "encode",
    "Frame": "frame",
    "Framebuffer": "framebuffer",
    "Monitor": "monitors",
    "PixelFormat": "pixels",
    "Pixmap": "pixmap",
    "Rect": "geometry",
    "Screen": "screen",
    "ScreenSpec": "display_spec",
    "Surface": "surface",
    "VirtualDisplay": "virtual_display",
    "Window": "window",
    "WindowInfo": "window_list",
    "grab": "screen",
}
_MODULES = ("errors", "events", "geometry", "sysv")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"xshm.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(f"xshm.{_NAMES[name]}"), name)
    elif name[:1].isupper() and hasattr(errors := importlib.import_module("xshm.errors"), name):
        value = getattr(errors, name)
    else:
        raise AttributeError(f"module 'xshm' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES, *_MODULES])
