"""A screen in a browser."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import xshm

OF = "xshm"


def LiveView(display: xshm.VirtualDisplay, folder: Path) -> None:
    with display.live(title="the clock") as live:
        print(live.url)  # opened in a browser it shows the screen, and what changes
        with urllib.request.urlopen(live.frame_url) as answer:  # noqa: S310 - it is http
            (folder / "now.png").write_bytes(answer.read())
        print(live.viewers, live.bytes, live.how)
