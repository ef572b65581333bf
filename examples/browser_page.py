"""A browser under Xvfb, photographed when its page is drawn: python examples/browser_page.py [FILE.png].

Takes Chromium with its window, as a person has it (Debian: package chromium). The page is a file; no network is used.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from xshm import VirtualDisplay

# The page changes its title when it is done; a window's title can be waited for.
_PAGE = """
<!doctype html><meta charset="utf-8"><title>loading</title>
<style>
  html { height: 100%; background: linear-gradient(160deg, #fdf6e3, #cfe8f6) }
  body { margin: 0; overflow: hidden; font: 18px sans-serif; color: #234 }
  h1 { margin: 28px 60px 0; font-size: 32px } p { margin: 12px 60px } canvas { margin: 12px 60px; border-radius: 12px }
</style>
<h1>Drawn by a browser, read out of its screen</h1>
<p>Text, a gradient, and 300 lines on a canvas.</p>
<canvas width="720" height="370"></canvas>
<script>
  const c = document.querySelector("canvas").getContext("2d")
  c.fillStyle = "#0b1d2a"; c.fillRect(0, 0, 720, 370)
  for (let i = 0; i < 300; i++) {
    const a = i / 300 * 2 * Math.PI, x = 360 + 345 * Math.sin(3 * a), y = 185 + 170 * Math.sin(4 * a)
    c.strokeStyle = `hsl(${360 * i / 300} 90% 60%)`
    c.beginPath(); c.moveTo(360 + 60 * Math.cos(9 * a), 185 + 60 * Math.sin(7 * a)); c.lineTo(x, y); c.stroke()
  }
  requestAnimationFrame(() => requestAnimationFrame(() => document.title = "drawn"))
</script>
"""


def main() -> None:
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "browser-page.png")
    with tempfile.TemporaryDirectory() as home, VirtualDisplay(840, 540) as display:
        page = Path(home, "page.html")
        page.write_text(_PAGE)
        command = [
            *("chromium", f"--app={page.as_uri()}", f"--user-data-dir={home}/profile"),
            *("--window-position=0,0", "--window-size=842,542", "--no-first-run", "--disable-gpu"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
            *(["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []),  # the sandbox refuses root
        ]
        start = time.monotonic()
        with display.launch(command, "drawn", timeout=60, stdout=subprocess.DEVNULL):
            took = time.monotonic() - start
            display.screen.grab().save(file)
    print(f"{file}: the page was drawn {took:.1f} s after Chromium was started")


if __name__ == "__main__":
    main()
