"""pyautogui's screenshots and picture search, alone or beneath the real pyautogui, which keeps mouse and keyboard.

Either by name, where pyautogui need not be installed:

    from xshm.compat import pyautogui as fast

    fast.screenshot("all.png")
    x, y = fast.locateCenterOnScreen("ok.png", minSearchTime=5)

or for all that pyautogui does with pictures, `pyautogui.click("ok.png")` too:

    import pyautogui
    from xshm.compat import pyautogui as fast

    fast.install()
    pyautogui.click("ok.png")

Nothing else is needed: no scrot, no gnome-screenshot. Each call opens $DISPLAY, as it is then, and closes it: 3 ms. For
many pictures of one screen keep a Screen.

What is different:

1. `minSearchTime` sleeps until something is drawn, and searches where that was; nothing is polled.
2. Without `confidence` all pixels are equal, colours too, with OpenCV or without it. pyautogui, which takes 0.999 then
   where OpenCV is installed, compares shades of gray unless `grayscale` is False.
3. `confidence`, which needs OpenCV here too, allows as much difference as there is between two pictures of the wanted
   one's contrast that correlate by it: a root mean square of its standard deviation × √(2 × (1 - confidence)).
   pyautogui's correlation also finds pictures that are lighter or darker as a whole.
4. With `confidence`, `locateAll` and `locateAllOnScreen` find each thing once; pyautogui also yields the places around
   it that are as good. The boxes are whole numbers of Python's, and `locate` returns the best one, not the topmost.
5. A pixel of the wanted picture that is not fully opaque matches anything; pyautogui ignores alpha.
6. `pixel` of a place outside of the screen is an error, also left of it and above.

The boxes are (left, top, width, height). Arrays are B G R, as from cv2.imread, or shades of gray.
"""

# ruff: noqa: N802, N803 - pyautogui's own names
from __future__ import annotations

import functools
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from xshm import _arguments
from xshm.compat._picture_search import Wanted, clipped, haystack
from xshm.drawables.screen import Screen
from xshm.errors import InvalidArgument, MissingExtra, WaitTimeout, XshmError
from xshm.geometry import Rect, as_rect, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL import Image

    from xshm.capture.waiting.template import Picture
    from xshm.image.frame import Frame

__all__ = [
    "RGB",
    "USE_IMAGE_NOT_FOUND_EXCEPTION",
    "Box",
    "ImageNotFoundException",
    "Point",
    "center",
    "install",
    "locate",
    "locateAll",
    "locateAllOnScreen",
    "locateCenterOnScreen",
    "locateOnScreen",
    "pixel",
    "pixelMatchesColor",
    "screenshot",
]

# Whether a picture that is not found is an ImageNotFoundException, or None. pyscreeze's own setting of this name, which
# pyautogui.useImageNotFoundException sets, counts as well where it is imported.
USE_IMAGE_NOT_FOUND_EXCEPTION = True

_INSTALLED: Final = (
    *("center", "pixel", "pixelMatchesColor", "screenshot"),
    *("locate", "locateAll", "locateAllOnScreen", "locateCenterOnScreen", "locateOnScreen"),
)


class ImageNotFoundException(XshmError):
    """The picture is not there; the message says how close the best place comes.

    It is one of pyautogui's and pyscreeze's ImageNotFoundException, too, where they are imported.
    """

    def __reduce__(self) -> tuple[Callable[[str], Exception], tuple[str]]:
        # The class of an error that is theirs, too, has no name that it could be found by in another process.
        return _made, (str(self),)


class Box(NamedTuple):
    """Where a picture was found, in pixels."""

    left: int
    top: int
    width: int
    height: int


class Point(NamedTuple):
    """A pixel's place."""

    x: int
    y: int


class RGB(NamedTuple):
    """A pixel's colour, 0 to 255."""

    red: int
    green: int
    blue: int


def install() -> None:
    """Put this module's functions in the place of pyscreeze's, and of pyautogui's where that was imported before.

    It holds for the whole process. Raises MissingExtra where neither is installed.
    """
    try:
        modules = [importlib.import_module("pyscreeze")]
    except ImportError as error:
        raise MissingExtra(f"install() is for pyautogui, which is missing ({error}): pip install pyautogui") from error
    modules += filter(None, [sys.modules.get("pyautogui")])
    for name in _INSTALLED:
        # Not pyautogui's own locate functions: they call pyscreeze's, and raise pyautogui's exception.
        for module in modules[: 1 if name.startswith("locate") else None]:
            setattr(module, name, globals()[name])


# -- pictures and pixels -----------------------------------------------------------------------------------------------


def screenshot(
    imageFilename: str | os.PathLike[str] | None = None, region: tuple[int, int, int, int] | None = None
) -> Image.Image:
    """Return the screen, or (left, top, width, height) of it, as an RGB image, and write it to a file as well.

    What is outside of the screen is black. A file is whole or not there; a palette is in GIF alone.
    """
    with Screen() as screen:
        rect = screen.rect if region is None else as_rect(region)
        if screen.rect.contains(rect):
            frame = screen.grab(rect)
            if imageFilename is not None:
                is_gif = os.fsdecode(imageFilename).lower().endswith(".gif")
                frame.save(imageFilename, colours="auto" if is_gif else "rgb")
            return frame.image().convert("RGB")
        frame = screen.grab()
    image = frame.image().convert("RGB").crop((rect.x, rect.y, rect.right, rect.bottom))
    if imageFilename is not None:
        image.save(imageFilename)
    return image


def pixel(x: int, y: int) -> RGB:
    """Return the colour at x, y of the screen. Raises OutOfBounds."""
    x, y = (_arguments.integer(each, "pixel(x, y) takes two whole numbers") for each in (x, y))
    with Screen() as screen:
        place = fit(Rect(x, y, 1, 1), screen.rect, "the screen", clip=None)
        return RGB(*screen.grab(place).pixel(x, y))


def pixelMatchesColor(x: int, y: int, expectedRGBColor: Sequence[int], tolerance: int = 0) -> bool:
    """Return whether each channel at x, y is at most `tolerance` away from (red, green, blue)."""
    if len(expectedRGBColor) not in (3, 4):  # an alpha, which pyautogui ignores as well
        raise InvalidArgument(f"a colour is (red, green, blue), not {len(expectedRGBColor)} numbers")
    wanted = (int(each) for each in expectedRGBColor)  # of an array they have 8 bits, and would overflow
    return all(abs(there - each) <= tolerance for there, each in zip(pixel(x, y), wanted, strict=False))


def center(coords: Sequence[int]) -> Point:
    """Return the middle of (left, top, width, height), rounded to the left and up."""
    left, top, width, height = coords
    return Point(left + int(width / 2), top + int(height / 2))


# -- pictures on the screen --------------------------------------------------------------------------------------------


def locateOnScreen(
    image: Picture,
    minSearchTime: float = 0,
    *,
    grayscale: bool | None = None,
    confidence: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    limit: int = 1,  # noqa: ARG001 - pyautogui passes it on to locate, where it is 1
    step: int = 1,  # noqa: ARG001 - no place is left out: that is not slower
) -> Box | None:
    """Return where a picture is on the screen, or comes to be within `minSearchTime` seconds.

    Raises ImageNotFoundException; InvalidArgument, a ValueError, for a picture larger than the screen or region.
    """
    with Screen() as screen:
        place = clipped(region, screen.rect)
        wanted = Wanted(image, place, grayscale=bool(grayscale), confidence=confidence)
        try:
            if not grayscale:
                rect = screen.wait_image(wanted.rgba(), place, wanted.threshold, minSearchTime).rect
                return Box(rect.x, rect.y, rect.width, rect.height)
            found: list[Box] = []

            def is_there(frame: Frame) -> bool:
                found.extend(Box(*each) for each in wanted.places(frame.rgb(), 1))
                return bool(found)

            screen.wait_for(is_there, minSearchTime, place)
            return found[0]
        except WaitTimeout as error:
            _not_found(error)
            return None


def locateAllOnScreen(
    image: Picture,
    *,
    grayscale: bool | None = None,
    confidence: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    limit: int | None = None,
    step: int = 1,  # noqa: ARG001 - as above
) -> Iterator[Box]:
    """Yield every place where a picture is on the screen now, from the top. Raises ImageNotFoundException for none."""
    with Screen() as screen:
        place = clipped(region, screen.rect)
        inside = screen.grab(place).rgb()
    return _all(Wanted(image, place, grayscale=bool(grayscale), confidence=confidence).places(inside, limit))


def locateCenterOnScreen(
    image: Picture,
    minSearchTime: float = 0,
    *,
    grayscale: bool | None = None,
    confidence: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    limit: int = 1,
    step: int = 1,
) -> Point | None:
    """Return the middle of what `locateOnScreen` finds: where to click."""
    box = locateOnScreen(
        *(image, minSearchTime), grayscale=grayscale, confidence=confidence, region=region, limit=limit, step=step
    )
    return None if box is None else center(box)


# -- pictures in pictures ----------------------------------------------------------------------------------------------


def locate(
    needleImage: Picture,
    haystackImage: Picture,
    *,
    grayscale: bool | None = None,
    confidence: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    limit: int = 1,  # noqa: ARG001 - as in pyautogui
    step: int = 1,  # noqa: ARG001 - as above
) -> Box | None:
    """Return where one picture is in another. Raises ImageNotFoundException."""
    inside, place = haystack(haystackImage, region)
    wanted = Wanted(needleImage, place, grayscale=bool(grayscale), confidence=confidence)
    for found in wanted.places(inside, 1):
        return Box(*found)
    _not_found("the picture is not in the other one")
    return None


def locateAll(
    needleImage: Picture,
    haystackImage: Picture,
    *,
    grayscale: bool | None = None,
    confidence: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    limit: int | None = None,
    step: int = 1,  # noqa: ARG001 - as above
) -> Iterator[Box]:
    """Yield every place where one picture is in another, from the top. Raises ImageNotFoundException for none."""
    inside, place = haystack(haystackImage, region)
    return _all(Wanted(needleImage, place, grayscale=bool(grayscale), confidence=confidence).places(inside, limit))


def _all(places: Iterator[tuple[int, int, int, int]]) -> Iterator[Box]:
    place = None
    for place in places:
        yield Box(*place)
    if place is None:
        _not_found("the picture is nowhere")


def _not_found(reason: object) -> None:
    """Raise ImageNotFoundException, unless it was switched off."""
    theirs = getattr(sys.modules.get("pyscreeze"), "USE_IMAGE_NOT_FOUND_EXCEPTION", True)
    if USE_IMAGE_NOT_FOUND_EXCEPTION and theirs:
        _raise(reason)


def _raise(reason: object) -> NoReturn:
    # A WaitTimeout as the reason, not its text, which takes a search of its own when it is first read.
    raise _made(reason) from (reason if isinstance(reason, WaitTimeout) else None)


def _made(reason: object) -> Exception:
    loaded = filter(None, map(sys.modules.get, ("pyscreeze", "pyautogui")))
    return _caught_as(*(each.ImageNotFoundException for each in loaded))(reason)


@functools.cache
def _caught_as(*theirs: type[Exception]) -> type[Exception]:
    """Return our exception's class, one that is also theirs: who catches any of them, catches it."""
    return type("ImageNotFoundException", (ImageNotFoundException, *theirs), {}) if theirs else ImageNotFoundException
