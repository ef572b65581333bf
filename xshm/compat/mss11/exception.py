"""ScreenShotError: the same class as in `xshm.compat.mss`, so a program that uses both catches one."""

from __future__ import annotations

from xshm.compat.mss.exception import ScreenShotError

__all__ = ["ScreenShotError"]
