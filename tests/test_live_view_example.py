"""`examples/live_view.py`, run as a person runs it: a link, which opens, and a picture for programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from live_links import Opened

_EXAMPLE = Path(__file__).parents[1] / "examples" / "live_view.py"


def test_the_clock_is_seen_by_the_link_until_ctrl_c() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY")}
    words = [sys.executable, "-W", "error", str(_EXAMPLE)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment, text=True, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None
            link = process.stdout.readline().removeprefix("open ").strip()
            with Opened(link) as page:
                page.until(lambda: page.colour() == (255, 215, 0))
                assert page.title == "A clock"
                assert page.canvases[1].shape == (480, 640, 3)
            assert process.stdout.readline().startswith("a picture of ")
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, error) == (0, "")
    assert out.endswith(" bytes were sent\n")
