"""Monitor and Region, which can't be changed, and the two tuples of a screenshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from xshm.compat.mss.models import Pixel, Pixels, Pos, Size

__all__ = ["Monitor", "Monitors", "Pixel", "Pixels", "Pos", "Region", "Size"]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the screen: its corner in the screen's coordinates, and its size in pixels."""

    left: int
    top: int
    width: int
    height: int

    def __getitem__(self, key: str, /) -> Any:
        """Return an attribute by its name, for programs that were written for dicts. Raises KeyError."""
        if key not in _KEYS[type(self)]:
            raise KeyError(key)
        return getattr(self, key)

    @classmethod
    def of(cls, region: Region | Mapping[str, Any] | tuple[int, int, int, int]) -> Self:
        """Make one of a Region or Monitor, a dict of left, top, width and height, or (left, top, right, bottom).

        Raises KeyError for a dict that lacks one of them, ValueError for a tuple of another length, and TypeError for
        anything else.
        """
        if isinstance(region, tuple):
            left, top, right, bottom = region
            return cls(left, top, right - left, bottom - top)
        if not isinstance(region, (Region, Mapping)):
            raise TypeError(
                f"a region is a Region, a Monitor, a dict of left, top, width and height, or (left, top, right, "
                f"bottom), not {type(region).__name__}"
            )
        return cls(*(region[key] for key in ("left", "top", "width", "height")))


@dataclass(frozen=True, slots=True)
class Monitor(Region):
    """A monitor, and what is known of it: None where it is not.

    `is_primary` is RandR's mark, `output` the connector ("HDMI-1"), `name` and `unique_id` are from the EDID.
    """

    is_primary: bool | None = None
    name: str | None = None
    unique_id: str | None = None
    output: str | None = None

    def as_region(self) -> Region:
        """Return where it is."""
        return Region(self.left, self.top, self.width, self.height)


_KEYS: Final = {kind: {field.name for field in fields(kind)} for kind in (Region, Monitor)}
Monitors = list[Monitor]
