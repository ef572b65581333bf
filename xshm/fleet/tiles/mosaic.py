"""Mosaic: a live view of pictures that are handed in, each a tile of its own on the page.

They are drawn on a virtual display of this machine, as large as all of them together. A picture in its tile's size is
shown to the pixel. Each method but `close` is for one thread.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from xshm.fleet.tiles.drawing import fitted, worded
from xshm.image.frame import Frame
from xshm.surface.surface import Surface
from xshm.system.closing import Closing
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.spec import DisplaySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from xshm.fleet.tiles.grid import Grid
    from xshm.geometry import Rect
    from xshm.live.channel import Channel
    from xshm.live.web.view import LiveView


class Mosaic(Closing):
    """Tiles of a grid, added to a view that was not started yet. Raises StartFailed, and what `LiveView.add` raises."""

    def __init__(self, view: LiveView, grid: Grid, titles: Sequence[str]) -> None:
        self._grid = grid
        self._words: list[str | None] = [None] * grid.count  # in place of a picture; None: nothing at all
        with contextlib.ExitStack() as held:
            spec = DisplaySpec(*grid.size, args=("-extension", "GLX"))
            display = held.enter_context(VirtualDisplay.from_spec(spec))
            self._surface = Surface(
                *grid.size, title="tiles", display=display.name, xauthority=display.xauthority, position=(0, 0)
            )
            held.enter_context(self._surface)
            _hide_pointer(self._surface)
            held.callback(view.stop)
            numbers = [view.add(display, title=each, region=grid.place(at)) for at, each in enumerate(titles)]
            self._channels: list[Channel] = [view._shown[each].channel for each in numbers]  # noqa: SLF001 - for `attend`
            self._held = held.pop_all()

    def attend(self, at: int, attended: Callable[[], AbstractContextManager[object]]) -> None:
        """Have a context entered when somebody begins to look at a tile, and left when nobody does; see `Channel`."""
        self._channels[at].attended = attended

    def call(self, at: int, title: str) -> None:
        """Give a tile another title, of which its viewers are told at once."""
        channel = self._channels[at]
        channel.title = title
        channel._wake_all()  # noqa: SLF001 - else they would learn of it by the next change on the screen

    def show(self, at: int, frame: Frame) -> bool:
        """Show a picture: what is `changed` of it, where the one before is shown. Return whether that is so."""
        place, is_next = self._grid.place(at), self._words[at] == ""
        changed = frame.changed if is_next and frame.changed is not None else (frame.rect,)
        self._words[at] = None  # until all of it is there
        if frame.size != self._grid.tile:  # it was resized
            if changed:
                self._surface.show(np.asarray(fitted(frame, self._grid.tile)), (place.x, place.y))
        else:
            for rect in changed:
                self._show_part(place, frame, rect)
        self._surface.wait()
        self._words[at] = ""
        return is_next

    def say(self, at: int, words: str) -> None:
        """Show words in place of a picture."""
        if self._words[at] != words:
            place = self._grid.place(at)
            self._surface.show(np.asarray(worded(self._grid.tile, words)), (place.x, place.y))
            self._surface.wait()
            self._words[at] = words

    def close(self) -> None:
        """Stop the view, and end the display."""
        self._held.close()

    def _show_part(self, place: Rect, frame: Frame, rect: Rect) -> None:
        pixels = frame.pixels[frame.slices(rect)]
        part = Frame(pixels, rect, frame.monotonic_ns, frame.sequence, frame.format, frame.colormap)
        self._surface.show_frame(part, (place.x + rect.x - frame.rect.x, place.y + rect.y - frame.rect.y))


def _hide_pointer(surface: Surface) -> None:
    """Let the display's pointer, which is nobody's, have no picture: the page would show it on a tile."""
    display = surface.xlib
    pixmap = display.screen().root.create_pixmap(1, 1, 1)
    pixmap.fill_rectangle(pixmap.create_gc(foreground=0), 0, 0, 1, 1)
    black = (0, 0, 0)
    cursor = pixmap.create_cursor(pixmap, black, black, 0, 0)
    display.create_resource_object("window", surface.id).change_attributes(cursor=cursor)
    display.sync()
