"""Masks: what of a picture does not count, as rectangles in the coordinates of what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm.drawables.window import Window
from xshm.errors import WindowError
from xshm.geometry import Rect, as_rect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.drawables.drawable import Drawable
    from xshm.geometry import Region

    Masked = Region | Window


class Masks:
    """Regions of a source, and Windows wherever they are; those that are gone mask nothing.

    Regions are in the source's coordinates, but for Monitors and WindowInfos, which have the screen's. Raises
    InvalidArgument and InvalidType for what is no region.
    """

    def __init__(self, source: Drawable, masked: Iterable[Masked]) -> None:
        given = _arguments.several(masked, "mask is a list of regions and Windows", no_types=(str, Mapping, Rect))
        self._source = source
        self._windows = [each for each in given if isinstance(each, Window)]
        self._fixed = [self._region(each) for each in given if not isinstance(each, Window)]

    def rects(self) -> list[Rect]:
        """Return what is masked now. Two round trips for each Window."""
        found = list(self._fixed)
        for window in self._windows:
            try:
                found.append(self._from_screen(window.rect.moved(*window.position)))
            except WindowError:  # destroyed or unmapped: it covers nothing
                continue
        return found

    def inside(self, whole: Rect) -> list[Rect]:
        """Return the parts of it inside a rectangle."""
        return [part for each in self.rects() if (part := each.intersect(whole)) is not None]

    def _region(self, region: Any) -> Rect:
        rect = as_rect(region, lambda: self._source.rect)
        if isinstance(region, Rect | tuple | list | str | Mapping):
            return rect
        return self._from_screen(rect)  # a Monitor's or WindowInfo's

    def _from_screen(self, rect: Rect) -> Rect:
        if not isinstance(self._source, Window):
            return rect
        x, y = self._source.position
        return rect.moved(-x, -y)
