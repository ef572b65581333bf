"""Helpers for the tests of surfaces: ways to draw, random pictures, and checks of what the server shows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from interrupt_points import Interrupted, at_every_point
from reference import core_image

import xshm
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from painter import Box, Painter
    from servers import Server


WAYS = [("sysv", "pixmap"), ("sysv", "put"), ("fd", "pixmap"), ("fd", "put"), ("core", "auto")]
EACH_WAY_ONCE = [each for each in WAYS if each != ("fd", "put")]  # for tests that take their time


def noise(height: int, width: int, *channels: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, *channels), np.uint8)


def fill(pixels: NDArray[Any], number: int) -> None:
    """Make a number of every pixel (32 bits per pixel)."""
    pixels.view("<u4")[..., 0] = number


def seen(painter: Painter, surface: Surface) -> NDArray[Any]:
    """Return R G B of what core GetImage finds in a surface's window (depth 24)."""
    window = painter.display.create_resource_object("window", surface.id)
    return core_image(painter.display, drawable=window)[..., 2::-1]


def cover_and_uncover(painter: Painter, box: Box) -> None:
    """Make the server forget a part of what is on its screen, and ask for it again."""
    painter.window(box, (1, 2, 3)).destroy()
    painter.display.sync()


def fail_while_drawing(surface: Surface, part: Box | None, first: Callable[[], None] = lambda: None) -> None:
    """Paint over what was acquired, do something else, and raise."""
    with pytest.raises(ZeroDivisionError), surface.draw(part) as pixels:
        _paint_over(pixels, first)


def _paint_over(pixels: NDArray[Any], first: Callable[[], None]) -> None:
    pixels[...] = 77
    first()
    raise ZeroDivisionError


def on_a_server_of_its_own(make_server: Callable[..., Server], transport: str, way: str) -> Iterator[Surface]:
    """Give a small surface, and its server as an attribute."""
    server = make_server("Xvfb", 640, 480)
    with Surface(160, 120, display=server.name, transport=transport, way=way) as surface:
        surface.server = server  # type: ignore[attr-defined]
        yield surface


def resources(surface: Surface) -> Counter[str]:
    """Count, by the server's word (X-Resource), what a surface's connection has there: PIXMAP, ShmSeg, ..."""
    display: Any = surface.xlib
    found = display.res_query_client_resources(surface.id).types
    return Counter({display.get_atom_name(each.resource_type): each.count for each in found})


class Places:
    """A piece of work, and the functions of the package in which it was interrupted: `met`, by their full names."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self.met: set[str] = set()

    def __call__(self) -> None:
        try:
            self._work()
        except Interrupted as interrupted:
            place, trace = "", interrupted.__traceback__
            while trace is not None:
                code = trace.tb_frame.f_code
                if Path(code.co_filename).is_relative_to(Path(xshm.__file__).parent):
                    place = code.co_qualname
                trace = trace.tb_next
            self.met.add(place)
            raise


def at_every_place(places: Places, needed: set[str]) -> Iterator[bool]:
    """As `at_every_point`, again where one of the functions `needed` was passed over, twice at most.

    How many points a piece of work has before one depends on what the server has sent by then.
    """
    for _ in range(3):
        yield from at_every_point(places)
        if needed <= places.met:
            return
