"""The numbers that a page of Chromium shows (counter_screen.py): which, in which order, and when each was readable.

    page = browser.page()
    numbers = CanvasNumbers(page)              # before the page is opened
    numbers.open("http://127.0.0.1:8000/")
    numbers.watch(0, 0)                        # where on the canvas a number is
    numbers.seen()                             # [(number, ms of CLOCK_MONOTONIC), …]

The page's canvases are read after each drawing (canvas_numbers.js), and an <img> at each of the browser's frames.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from counter_screen import BITS

if TYPE_CHECKING:
    from devtools import Page

_SCRIPT: Final = Path(__file__).with_suffix(".js")
_PATIENCE: Final = 20.0  # seconds
_ROUND_TRIPS: Final = 40  # by which the clocks are compared


class CanvasNumbers:
    """A page with a script in it that notes numbers."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._offset = 0.0
        self.uncertainty = 0.0  # ms, of the page's clock by ours
        page.call("Network.disable")  # each frame of a WebSocket would be told, and cost the browser
        page.before(_SCRIPT.read_text())

    def open(self, url: str) -> None:
        """Open a page, and return when it has run its scripts."""
        self._page.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && window.numbers")

    def show_image(self, url: str) -> None:
        """Show an <img>, whose pictures follow each other."""
        self._page.call("Page.navigate", url="data:text/html,<body style='margin: 0'><img>")
        self.until("document.images.length && window.numbers")
        self._page.run(f"numbers.follow(document.images[0]); document.images[0].src = {json.dumps(url)}; 0")
        self.until("document.images[0].naturalWidth")

    def watch(self, x: int, y: int, bits: int = BITS) -> None:
        """Note numbers at this place from here on."""
        least, most = -float("inf"), float("inf")
        for _ in range(_ROUND_TRIPS):
            before = time.monotonic_ns() / 1e6
            there = self._page.run("performance.now()")
            after = time.monotonic_ns() / 1e6
            least, most = max(least, before - there), min(most, after - there)
        self._offset, self.uncertainty = (least + most) / 2, abs(most - least) / 2
        self._page.run(f"numbers.at = [{x}, {y}, {bits}]; numbers.seen.length = 0; 0")

    def rest(self) -> None:
        """Note no numbers any more."""
        self._page.run("numbers.at = null; 0")

    def seen(self) -> list[tuple[int, float]]:
        """Return the numbers that were seen, and when each was first readable: ms of CLOCK_MONOTONIC."""
        return [(number, at + self._offset) for number, at in self._page.run("numbers.seen")]

    def until(self, condition: str, patience: float = _PATIENCE) -> None:
        """Wait until an expression of JavaScript is true. Raises TimeoutError."""
        deadline = time.monotonic() + patience
        while not self._page.run(f"!!({condition})"):
            if time.monotonic() > deadline:
                raise TimeoutError(condition)
            time.sleep(0.02)
