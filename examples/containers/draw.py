"""In one container: a display whose screen is a file in a shared volume, and a program that draws on it.

python draw.py DIRECTORY
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from xshm import VirtualDisplay


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # a container's first process hears only what it listens for
    with VirtualDisplay(400, 300, framebuffer=Path(sys.argv[1])) as display:
        display.launch("xclock -update 1 -geometry 400x300+0+0 -bg gold")
        print(f"{display.name} is drawn on", flush=True)
        display.wait()


if __name__ == "__main__":
    main()
