"""A virtual display, started, drawn on, read and ended: what all else is for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from xshm.cli.doctor.fact import Fact, parted
from xshm.errors import XshmError
from xshm.virtual.kinds import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm.drawables.screen import Screen

_WIDTH, _HEIGHT = 320, 200
_COLOUR: Final = (18, 52, 86)  # red, green, blue: three that differ, so that an exchange would be seen
_NAME: Final = "virtual display"


def proof() -> Iterator[Fact]:
    """Yield whether the colour that is drawn on a virtual display is the colour that is read, and how long it took."""
    from xshm.virtual.display import VirtualDisplay  # noqa: PLC0415 - may be what can't be imported

    begun = time.perf_counter()
    if all(map(installed.missing, installed.PROGRAMS)):
        yield Fact(_NAME, "not tried, since no server is there", "wrong")
        return
    try:
        with VirtualDisplay(_WIDTH, _HEIGHT) as display:
            screen = display.screen
            started = time.perf_counter()
            _fill(screen)
            seen = screen.grab().pixel(_WIDTH // 2, _HEIGHT // 2)
            read = time.perf_counter()
            transport = screen.transport.kind
    except XshmError as error:
        words, remedy = parted(error)
        yield Fact(_NAME, words, "wrong", remedy)
        return
    ended = time.perf_counter()
    if seen != _COLOUR:
        yield Fact(_NAME, f"{_COLOUR} was drawn, and {seen} was read", "wrong")
        return
    took = ", ".join(
        f"{verb} in {seconds * 1e3:.0f} ms"
        for verb, seconds in (("started", started - begun), ("drawn and read", read - started), ("ended", ended - read))
    )
    yield Fact(_NAME, f"{took} (transport {transport})")


def _fill(screen: Screen) -> None:
    root = screen.xlib.screen().root
    red, green, blue = _COLOUR
    gc = root.create_gc(foreground=red << 16 | green << 8 | blue)  # every server's default visual is so, at depth 24
    root.fill_rectangle(gc, 0, 0, _WIDTH, _HEIGHT)
    gc.free()
    screen.xlib.sync()
