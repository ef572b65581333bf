"""mss 11, which is to come, by its own names: `from xshm.compat import mss11 as mss`.

    with mss.MSS() as sct:
        shot = sct.grab(mss.models.Region(left=0, top=0, width=640, height=480))
        shot.to_numpy(channels="BGR")                       # a view of the same memory, for OpenCV
        sct.primary_monitor.name

Modules are those of `xshm.compat.mss`: `exception`, `models` (Region, Monitor), `tools`, `screenshot`, `base`,
`factory`, `linux`. What changes from 10 to 11: monitors and regions are objects that can't be changed, with string keys
for the time being; `bgra` and `rgb` are memoryviews; screenshots have to_numpy, to_pil, to_torch and to_tensorflow;
`save` returns a list. It follows mss's main branch as of August 2026, and will follow the release.
"""

from __future__ import annotations

from xshm.compat.mss11 import base, exception, factory, linux, models, screenshot, tools
from xshm.compat.mss11.base import MSS
from xshm.compat.mss11.exception import ScreenShotError
from xshm.compat.mss11.factory import mss
from xshm.compat.mss11.screenshot import ScreenShot

__version__ = "11.0.0"  # of the interface

__all__ = [
    "MSS",
    "ScreenShot",
    "ScreenShotError",
    "base",
    "exception",
    "factory",
    "linux",
    "models",
    "mss",
    "screenshot",
    "tools",
]
