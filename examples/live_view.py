"""A clock on a virtual display, live in any browser: `python examples/live_view.py [SECONDS]`, or until Ctrl-C.

Needs `pip install 'xshm[live]'`.
"""

from __future__ import annotations

import contextlib
import sys
import urllib.request

import xshm


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else None
    with xshm.VirtualDisplay(640, 480) as display:
        display.launch("xclock -update 1 -geometry 640x480+0+0 -bg gold")
        with display.live(title="A clock") as live:
            with contextlib.suppress(KeyboardInterrupt):
                print(f"open {live.url}", flush=True)
                with urllib.request.urlopen(live.frame_url) as answer:  # noqa: S310 - for programs: the picture of now
                    print(f"a picture of {len(answer.read()):,} bytes", flush=True)
                live.wait(seconds)
            print(f"{live.bytes:,} bytes were sent")


if __name__ == "__main__":
    main()
