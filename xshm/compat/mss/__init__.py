"""mss 10.2 by its own names: `from xshm.compat import mss` in place of `import mss`, and the program stays as it is.

    with mss.mss() as sct:
        for name in sct.save():                             # monitor-1.png, …
            print(name)
        shot = sct.grab({"left": 0, "top": 0, "width": 640, "height": 480})
        mss.tools.to_png(shot.rgb, shot.size, output="corner.png")

`import mss.tools` is `import xshm.compat.mss.tools`, and so for each module: `exception` (ScreenShotError), `models`
(types, Pos, Size), `tools` (PNG files), `screenshot` (ScreenShot), `base` (MSS), `factory` (mss), `linux` (MSS).
`python -m xshm.compat.mss` is the command line.

The same as in mss, to the last byte: monitors (by their own order, not the primary one first), pixels, the pointer,
PNG files, their names. Other than there: bytes are copied when they are asked for, not with each grab; a screen that
has grown can be grabbed, and so can Xvnc's; a forked child connects anew, and may take pictures at the same time as its
parent; `-l` counts for monitors too; `mss.mss` does not warn. The C structures of mss's backends are not here.
"""

from __future__ import annotations

from xshm.compat.mss import base, exception, factory, linux, models, screenshot, tools
from xshm.compat.mss.base import MSS
from xshm.compat.mss.exception import ScreenShotError
from xshm.compat.mss.factory import mss
from xshm.compat.mss.screenshot import ScreenShot

__version__ = "10.2.0"  # of the interface

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
