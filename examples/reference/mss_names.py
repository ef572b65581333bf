"""mss 10.2's names."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.compat import mss as _mss

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm.compat.mss"


def MSS() -> None:
    with _mss.MSS() as sct:
        shot = sct.grab({"left": 10, "top": 20, "width": 300, "height": 200})
        print(sct.monitors[0], shot.size)  # all monitors together


def mss(folder: Path) -> None:
    with _mss.mss() as sct:
        print(sct.shot(output=str(folder / "first.png")))


def ScreenShot(folder: Path) -> None:
    with _mss.MSS() as sct:
        shot = sct.grab((10, 20, 310, 220))  # left, top, right, bottom
    print(shot.size, shot.pos, shot.pixel(5, 7), len(shot.rgb), len(shot.bgra))
    _mss.tools.to_png(shot.rgb, shot.size, output=str(folder / "part.png"))


def ScreenShotError() -> None:
    try:
        _mss.MSS(display=":54321")
    except _mss.ScreenShotError as error:
        print(error)
