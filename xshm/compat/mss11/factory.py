"""`mss()`, as most programs open it."""

from __future__ import annotations

from typing import Any

from xshm.compat.mss11.base import MSS


def mss(**kwargs: Any) -> MSS:
    """Return an MSS with these arguments."""
    return MSS(**kwargs)
