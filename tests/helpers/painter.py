"""Paint on a test's screen by plain python-xlib: known colours, random rectangles, noise, windows.

    with Painter(server) as painter:
        painter.rectangles()                                # a busy root window
        painter.fill((10, 20, 30, 40), (255, 0, 0))         # x, y, width, height; red, green, blue
        window = painter.window((50, 60, 200, 100), (0, 0, 255), title="blue")

All has been painted when a call returns. Colours of an 8-bit screen and windows live as long as the Painter. Threads
may call it at the same time, and take turns: python-xlib stalls when two use one connection, and they share a GC.
"""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING, Any, Self

import Xlib.error
import Xlib.protocol.display
import Xlib.protocol.event
from Xlib import X
from Xlib.display import Display

if TYPE_CHECKING:
    from servers import Server

Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]

_MOST_BYTES = 200_000  # of one PutImage; a request without BIG-REQUESTS ends at 262,140


def plain_display(server: Server) -> Display:
    """Connect python-xlib itself to a server, for what must not go through the code under test."""
    # It keeps its tables of events and errors in the class, where a second server's get mixed into the first one's.
    tables = Xlib.protocol.display.Display
    tables.event_classes = dict(Xlib.protocol.event.event_class)
    tables.error_classes = dict(Xlib.error.xerror_class)
    # It looks for the authority in os.environ alone, and only while it connects.
    former = os.environ.pop("XAUTHORITY", None)
    try:
        if server.authority:
            os.environ["XAUTHORITY"] = str(server.authority)
        display = Display(server.name)
    finally:
        os.environ.pop("XAUTHORITY", None)
        if former is not None:
            os.environ["XAUTHORITY"] = former
    display.display.event_classes = tables.event_classes
    # Not those that it has now: its RandR puts classes that are no errors under the codes of the core's own.
    display.display.error_classes = dict(Xlib.error.xerror_class)
    return display


class Painter:
    """A client that paints; `seed` makes its random pictures the same every time."""

    def __init__(self, server: Server, seed: int = 0) -> None:
        self.display: Any = plain_display(server)
        self.screen: Any = self.display.screen()
        self.root: Any = self.screen.root
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._gc = self.root.create_gc(graphics_exposures=False, subwindow_mode=X.IncludeInferiors)
        self._pixels: dict[Colour, int] = {}

    def pixel(self, colour: Colour) -> int:
        """Return the pixel value of a colour, or of the nearest that the screen's colormap has."""
        with self._lock:
            if colour not in self._pixels:
                red, green, blue = (channel * 257 for channel in colour)
                self._pixels[colour] = self.screen.default_colormap.alloc_color(red, green, blue).pixel
            return self._pixels[colour]

    def fill(self, box: Box, colour: Colour, drawable: Any = None) -> None:
        """Fill a rectangle of the root window, windows on it included, or of another drawable of the screen's depth."""
        with self._lock:
            self._fill(drawable or self.root, box, colour)
            self.display.sync()

    def rectangles(self, count: int = 100, drawable: Any = None) -> None:
        """Fill as many random rectangles, in 24 colours that even an 8-bit screen has room for."""
        with self._lock:
            drawable = drawable or self.root
            geometry = drawable.get_geometry()
            pick = self._random.randrange
            colours = [(pick(256), pick(256), pick(256)) for _ in range(24)]
            for _ in range(count):
                x, y = pick(geometry.width), pick(geometry.height)
                box = (x, y, pick(geometry.width - x) + 1, pick(geometry.height - y) + 1)
                self._fill(drawable, box, self._random.choice(colours))
            self.display.sync()

    def noise(self, box: Box, drawable: Any = None) -> None:
        """Put random bytes on a rectangle of the root window, or of a drawable of the screen's depth."""
        with self._lock:
            x, y, width, height = box
            depth = self.screen.root_depth
            fmt = next(fmt for fmt in self.display.display.info.pixmap_formats if fmt.depth == depth)
            stride = -(-width * fmt.bits_per_pixel // fmt.scanline_pad) * fmt.scanline_pad // 8
            band = max(1, _MOST_BYTES // stride)
            for top in range(0, height, band):
                rows = min(band, height - top)
                data = self._random.randbytes(rows * stride)
                (drawable or self.root).put_image(self._gc, x, y + top, width, rows, X.ZPixmap, depth, 0, data)
            self.display.sync()

    def window(self, box: Box, colour: Colour, title: str | None = None, *, managed: bool = False) -> Any:
        """Map a window of one colour and return it (python-xlib's); `managed`: a window manager sees it."""
        with self._lock:
            x, y, width, height = box
            window = self.root.create_window(
                *(x, y, width, height, 0, self.screen.root_depth),
                background_pixel=self.pixel(colour),
                override_redirect=not managed,
            )
            if title is not None:
                window.set_wm_name(title)
            window.map()
            self.display.sync()
            return window

    def close(self) -> None:
        """Disconnect; the windows go, what was painted stays."""
        self.display.close()

    def _fill(self, drawable: Any, box: Box, colour: Colour) -> None:
        self._gc.change(foreground=self.pixel(colour))
        drawable.fill_rectangle(self._gc, *box)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
