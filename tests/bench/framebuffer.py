"""What a look at Xvfb's own framebuffer costs, beside asking for the picture: `python tests/bench framebuffer`.

Client and server are pinned, to one core, and then each to a core of its own: which cores the scheduler gives to them
decides what a round trip costs. A look is a round trip, after which all that was asked for is drawn, and the array with
one pixel read from it. As a worker, `python framebuffer.py WAY DISPLAY XAUTHORITY`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import rounds
import screens
from figures import Part, Settings, Table

from xshm.virtual.display import VirtualDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HERE = Path(__file__).parent

_SIZES = ((1920, 1080), (3840, 2160))
_FLOOR = "C, xcb, a round trip (1×1)"


def look(display: VirtualDisplay) -> Callable[[], object]:
    framebuffer = display.framebuffer

    def once() -> object:
        framebuffer.sync()
        return int(framebuffer.pixels[0, 0, 0])

    return once


def grab_framebuffer(display: VirtualDisplay) -> Callable[[], object]:
    return display.framebuffer.grab


def grab_screen(display: VirtualDisplay) -> Callable[[], object]:
    return display.screen.grab


_WAYS = {
    "xshm, framebuffer, sync and look": look,
    "xshm, framebuffer.grab": grab_framebuffer,
    "xshm, screen.grab": grab_screen,
}


def framebuffer(settings: Settings) -> Iterator[Table]:
    """Give a table for each size."""
    for width, height in _SIZES[:1] if settings.quick else _SIZES:
        for place in rounds.places():
            yield _compare(width, height, place, settings)


def _compare(width: int, height: int, place: rounds.Place, settings: Settings) -> Table:
    with VirtualDisplay(width, height) as display:
        floor = str(rounds.compile_c(_HERE / "shm_floor.c", settings.folder, "xcb", "xcb-shm"))
        commands = {_FLOOR: [floor, display.name, "1", "1"], f"{_FLOOR}, again": [floor, display.name, "1", "1"]}
        worker = [sys.executable, __file__]
        commands |= {way: [*worker, way, display.name, str(display.xauthority)] for way in _WAYS}
        commands["C, xcb, all of it"] = [floor, display.name, str(width), str(height)]
        server = SimpleNamespace(name=display.name, authority=display.xauthority)
        with screens.Painter(server) as painter, screens.counting(display.name, display.env()):  # type: ignore[arg-type]
            painter.rectangles()
            results, absent = rounds.measure(
                commands, display.env(), place=place, server=display.pid, starts=3, **settings.turns
            )
    key, title = f"framebuffer {width}x{height}{place.key}", f"{width}×{height}, the server's own memory{place.title}"
    return Table(key, title, results, absent)


FRAMEBUFFER = Part("framebuffer", "A look at Xvfb's own framebuffer, beside a round trip of C", 0.6, framebuffer)

if __name__ == "__main__":
    way, name, authority = sys.argv[1:]
    with VirtualDisplay.attach(name, authority) as attached:
        rounds.serve(_WAYS[way](attached))
