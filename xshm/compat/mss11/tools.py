"""`to_png` and `parse_edid`, as they are in `xshm.compat.mss`."""

from __future__ import annotations

from xshm.compat.mss.tools import parse_edid, to_png

__all__ = ["parse_edid", "to_png"]
