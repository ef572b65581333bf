"""What a second client saw of a screen at moments of a trace, to be compared with what the trace gives for these.

The second client asks by core GetImage under GrabServer, so that nothing is drawn while it looks; colours are computed
here from the bytes that the server sent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from reference import core_image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from painter import Box, Painter

    import xshm


class Witness:
    """The pictures that a Painter's client has seen, each with its moment (monotonic, nanoseconds)."""

    def __init__(self, painter: Painter, box: Box | None = None) -> None:
        self.seen: list[tuple[int, NDArray[Any]]] = []
        self._display = painter.display
        self._box = box
        self._visual = next(
            visual
            for depth in painter.screen.allowed_depths
            for visual in depth.visuals
            if visual.visual_id == painter.screen.root_visual
        )
        self._depth = painter.screen.root_depth

    def look(self) -> None:
        """See what is on the screen now."""
        self._display.grab_server()
        try:
            image = core_image(self._display, self._box)
            self._display.sync()
            moment = time.monotonic_ns()
            self.seen.append((moment, self._colours(image)))
        finally:
            self._display.ungrab_server()
            self._display.sync()

    def wrong(self, reader: xshm.TraceReader, *, black: Box | None = None) -> list[int]:
        """Return the numbers of the pictures that a trace has otherwise; `black` is what it keeps secret."""
        found = []
        for number, (moment, colours) in enumerate(self.seen):
            frame = reader.at((moment - reader.started_ns) / 1e9)
            truth = colours
            if black is not None:
                truth = colours.copy()
                x, y, width, height = black
                truth[y : y + height, x : x + width] = 0
            traced = frame.rgb(dtype=np.uint16) if self._depth == 30 else frame.rgb()
            if not np.array_equal(traced, truth):
                found.append(number)
        return found

    def _colours(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return red, green and blue of a picture: 8 bits each, or 16 where the screen has 10."""
        if self._visual.visual_class != 4:  # not TrueColor
            cells = self._display.screen().default_colormap.query_colors(range(1 << self._depth))
            table = np.array([[cell.red, cell.green, cell.blue] for cell in cells], np.uint32)
            colours: NDArray[Any] = _narrowed(table, 65535, 255)[image].astype(np.uint8)
            return colours
        values = image.view(np.uint32)[..., 0] if image.ndim == 3 else image.astype(np.uint32)
        most, dtype = (65535, np.uint16) if self._depth == 30 else (255, np.uint8)
        masks = (self._visual.red_mask, self._visual.green_mask, self._visual.blue_mask)
        channels = [((values & mask) // (mask & -mask), mask // (mask & -mask)) for mask in masks]
        return np.stack([_narrowed(raw, highest, most) for raw, highest in channels], axis=2).astype(dtype)


def _narrowed(values: NDArray[Any], highest: int, most: int) -> NDArray[Any]:
    """Return numbers from 0 to `highest` as the nearest from 0 to `most`."""
    found: NDArray[Any] = (values.astype(np.uint64) * most * 2 + highest) // (2 * highest)
    return found
