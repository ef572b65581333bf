"""Paint a counter in the upper left corner, 200 times a second, until standard input ends: `python ticker.py DISPLAY`.

A client of its own, so that what is grabbed differs from picture to picture. It costs 2 % of a core.
"""

from __future__ import annotations

import itertools
import select
import sys

from Xlib.display import Display

_PERIOD = 0.005  # seconds
_EDGE = 8  # pixels

if __name__ == "__main__":
    display = Display(sys.argv[1])
    root = display.screen().root
    gc = root.create_gc()
    print("ready", flush=True)
    for number in itertools.count(1):
        gc.change(foreground=0x10101 * (number % 256))
        root.fill_rectangle(gc, 0, 0, _EDGE, _EDGE)
        display.flush()
        if select.select([sys.stdin], [], [], _PERIOD)[0]:
            break
