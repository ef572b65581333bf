"""The names of mss 11, which is to come."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.compat import mss11

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm.compat.mss11"


def MSS() -> None:
    with mss11.MSS() as sct:
        shot = sct.grab(mss11.models.Region(left=10, top=20, width=300, height=200))
        print(sct.primary_monitor, shot.size)


def mss(folder: Path) -> None:
    with mss11.mss() as sct:
        print(sct.shot(output=str(folder / "first.png")))


def ScreenShot() -> None:
    with mss11.MSS() as sct:
        shot = sct.grab((10, 20, 310, 220))  # left, top, right, bottom
    print(shot.to_numpy(channels="BGR").shape, shot.to_pil().size, shot.rgb.nbytes)


def ScreenShotError() -> None:
    try:
        mss11.MSS(display=":54321")
    except mss11.ScreenShotError as error:
        print(error)
