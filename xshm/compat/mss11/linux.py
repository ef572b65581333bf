"""MSS by the name that programs import which run on X alone, and the names of its backends."""

from __future__ import annotations

from xshm.compat.mss.linux import BACKENDS
from xshm.compat.mss11.base import MSS

__all__ = ["BACKENDS", "MSS"]
