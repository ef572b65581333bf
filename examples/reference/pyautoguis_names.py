"""pyautogui's screenshots and picture search."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xshm.compat import pyautogui

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm.compat.pyautogui"


def screenshot(folder: Path) -> None:
    image = pyautogui.screenshot(folder / "part.png", region=(10, 20, 300, 200))
    print(image.size, image.mode)


def pixel() -> None:
    red, green, blue = pyautogui.pixel(10, 20)
    print(red, green, blue)


def pixelMatchesColor() -> None:
    print(pyautogui.pixelMatchesColor(10, 20, (0, 0, 0), tolerance=10))


def center() -> None:
    print(pyautogui.center((10, 20, 30, 40)))


def locateOnScreen(logo: Path) -> None:
    print(pyautogui.locateOnScreen(str(logo), minSearchTime=5))


def locateCenterOnScreen(logo: Path) -> None:
    x, y = pyautogui.locateCenterOnScreen(str(logo), confidence=0.9) or (0, 0)
    print(x, y)


def locateAllOnScreen(logo: Path) -> None:
    for left, top, width, height in pyautogui.locateAllOnScreen(str(logo)):
        print(left, top, width, height)


def locate() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    print(pyautogui.locate(picture[20:40, 30:60], picture))


def locateAll() -> None:
    stripes = np.tile(np.arange(10, dtype=np.uint8), (20, 10))
    print(len(list(pyautogui.locateAll(stripes[:, :10], stripes))))


def install() -> None:
    try:
        pyautogui.install()
        print('pyautogui.click("ok.png") looks through xshm from now on')
    except ImportError as error:
        print(error)


def ImageNotFoundException() -> None:
    nowhere = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    try:
        pyautogui.locateOnScreen(nowhere)
    except pyautogui.ImageNotFoundException as error:
        print(error)


def USE_IMAGE_NOT_FOUND_EXCEPTION() -> None:
    pyautogui.USE_IMAGE_NOT_FOUND_EXCEPTION = False
    nowhere = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    print(pyautogui.locateOnScreen(nowhere))
    pyautogui.USE_IMAGE_NOT_FOUND_EXCEPTION = True


def Box() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    box = pyautogui.locate(picture[20:40, 30:60], picture)
    if box is not None:
        print(box.left, box.top, box.width, box.height)


def Point() -> None:
    point = pyautogui.center((10, 20, 30, 40))
    print(point.x, point.y)


def RGB() -> None:
    print(pyautogui.pixel(10, 20).red)
