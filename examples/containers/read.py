"""In another container: the same screen as an array. No X connection, no shared namespace, no right to write.

python read.py DIRECTORY/Xvfb_screen0 FILE.png
"""

from __future__ import annotations

import sys
import time

from xshm.virtual.framebuffer import Framebuffer


def main() -> None:
    screen, file = sys.argv[1:]
    with Framebuffer.open(screen) as framebuffer:
        print(f"{framebuffer.pixels.shape}, {framebuffer.format}")
        before = framebuffer.peek()
        time.sleep(1.5)
        after = framebuffer.peek()
    after.save(file)
    print(f"{file}; the second hand has changed {before.diff(after).pixels} pixels meanwhile")


if __name__ == "__main__":
    main()
