"""`mss()`, as most programs open it."""

from __future__ import annotations

from typing import Any

from xshm.compat.mss.base import MSS


def mss(**kwargs: Any) -> MSS:
    """Return an MSS with these arguments. It is here to stay, so it does not warn, as mss's own does since 10.2."""
    return MSS(**kwargs)
