"""`examples/windows.py`, run as a person runs it: every window is listed, and saved though others cover it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from Xlib import X

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

_EXAMPLE = Path(__file__).parents[2] / "examples" / "windows.py"
_COLOURS = {"one": (200, 0, 0), "two": (0, 150, 0), "three": (0, 0, 100)}


def test_every_window_is_listed_and_saved_whole(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server("Xvfb", 320, 200)
    with xshm.Screen(server.name) as screen:
        root = screen.xlib.screen().root
        windows = {}
        for number, (title, (red, green, blue)) in enumerate(_COLOURS.items()):
            place = (10 + 5 * number, 10, 60, 40, 0, X.CopyFromParent)
            windows[title] = root.create_window(*place, background_pixel=red << 16 | green << 8 | blue)
            windows[title].set_wm_name(title)
            windows[title].map()
        screen.xlib.sync()
        done = subprocess.run(
            [sys.executable, _EXAMPLE, tmp_path / "saved"],
            env=server.env(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    monitor, *lines = done.stdout.splitlines()
    assert monitor.endswith("320x200+0+0")
    assert len(lines) == len(windows)
    for line, (title, window) in zip(lines, windows.items(), strict=True):
        assert line.startswith(f"{window.id:#x} ")
        assert line.endswith(repr(title))
        saved = np.asarray(Image.open(tmp_path / "saved" / f"{window.id:#x}.png").convert("RGB"))
        assert saved.shape == (40, 60, 3)
        assert (saved == _COLOURS[title]).all()
