"""Screens to measure on: an Xvfb with something on it, and a counter that another client paints.

with screen(1920, 1080) as server:                       # random rectangles
with screen(1920, 1080, page(folder)) as server:         # a browser's page
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from recorders import page as text

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from painter import Painter as Painter  # noqa: E402, PLC0414 - the tests' own tools lie a folder higher
from servers import Server  # noqa: E402
from servers import start as start  # noqa: E402, PLC0414

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

WIDTH, HEIGHT = 1920, 1080
_LEAST = (640, 480)  # that an Xvfb is given
_STRIP = 200_000  # bytes of one PutImage


@contextlib.contextmanager
def screen(width: int, height: int, picture: NDArray[np.uint8] | None = None) -> Iterator[Server]:
    """Give a server with a picture, B G R X, tiled over its screen, or with random rectangles; and with the counter."""
    with start("Xvfb", max(width, _LEAST[0]), max(height, _LEAST[1])) as server, Painter(server) as painter:
        if picture is None:
            painter.rectangles()
        else:
            _tile(painter, picture, width, height)
        with counting(server.name, server.env()):
            yield server


@contextlib.contextmanager
def counting(display: str, env: Mapping[str, str]) -> Iterator[None]:
    """Let another client paint the counter."""
    command = [sys.executable, str(_HERE / "ticker.py"), display]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ticker:
        assert ticker.stdout
        ticker.stdout.readline()
        yield
        ticker.communicate()


def _tile(painter: Painter, picture: NDArray[np.uint8], width: int, height: int) -> None:
    rows, columns = picture.shape[:2]
    pixmap = painter.root.create_pixmap(columns, rows, 24)
    gc = painter.root.create_gc(graphics_exposures=False)
    band = max(1, _STRIP // (4 * columns))
    for top in range(0, rows, band):
        part = np.ascontiguousarray(picture[top : top + band])
        pixmap.put_image(gc, 0, top, columns, len(part), 2, 24, 0, part.tobytes())  # 2: ZPixmap
    for y in range(0, height, rows):
        for x in range(0, width, columns):
            painter.root.copy_area(gc, pixmap, 0, 0, columns, rows, x, y)
    painter.display.sync()


@functools.cache
def page(folder: Path) -> Path:
    """Return a PNG of tests/bench/page.html as Chromium shows it; of lines of text where it is not installed."""
    target = folder / "page.png"
    if shutil.which("chromium") is None:
        Image.fromarray(np.ascontiguousarray(text(HEIGHT)[..., 2::-1])).save(target)
        return target
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", *quiet, "--disable-component-update"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={target}"]
    subprocess.run([*command, (_HERE / "page.html").as_uri()], check=True, capture_output=True, timeout=60)
    return target


def load(picture: Path) -> NDArray[np.uint8]:
    """Return a picture as a server would write it."""
    with Image.open(picture) as opened:
        rgb = np.asarray(opened.convert("RGB"))
    return np.dstack((rgb[..., ::-1], np.full(rgb.shape[:2], 77, np.uint8)))
