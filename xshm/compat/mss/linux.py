"""MSS by the name that programs import which run on X alone, and the names of its backends."""

from __future__ import annotations

from xshm.compat.mss._grabber import TRANSPORTS
from xshm.compat.mss.base import MSS
from xshm.compat.mss.exception import ScreenShotError

__all__ = ["BACKENDS", "MSS", "ScreenShotError"]

BACKENDS = list(TRANSPORTS)
