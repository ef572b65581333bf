"""A picture that pyautogui's functions search for: loaded, in colours or shades of gray, with what may differ.

Arrays come as OpenCV has them, B G R; all else is as `wait_image` takes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from xshm import _arguments
from xshm.capture.waiting.find_image import find_all, find_image
from xshm.capture.waiting.template import load_template
from xshm.errors import InvalidArgument, InvalidType
from xshm.geometry import Rect, as_rect
from xshm.image.files import reader
from xshm.image.frame import Frame
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from xshm.capture.waiting.template import Picture
    from xshm.geometry import Region

_FULL: Final = 255  # brightness, and alpha
# pyautogui's bound where OpenCV is installed: a picture of one colour is at most places of an empty desktop.
_MOST_FOUND: Final = 10000
_LARGEST: Final = (32767, 32767, "is larger than any screen")
_GRAY: Final = 2  # dimensions of an array that has no channels


class Wanted:
    """A picture to search for in `place`. `threshold` is what may differ there, as `find_image` has it."""

    def __init__(self, picture: Picture, place: Rect, *, grayscale: bool, confidence: float | None) -> None:
        template = load_template(_as_rgb(picture) if isinstance(picture, np.ndarray) else picture, place)
        self._place, self._grayscale = place, grayscale
        self._rgb, self._mask = self._seen(template.rgb), template.mask
        self.threshold = 0.0 if confidence is None else self._allowed(_arguments.ratio(confidence, "confidence"))

    def _allowed(self, confidence: float) -> float:
        # Two pictures of variance v each that correlate by c differ by 2 × v × (1 - c) in the mean of squares.
        pixels = self._rgb.reshape(-1, 3) if self._mask is None else self._rgb[self._mask]
        return min(1.0, math.sqrt(2 * (1 - confidence) * float(pixels.var(axis=0).mean())) / _FULL)

    def _seen(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the pixels as they are compared: with `grayscale`, the shade of gray in all three channels."""
        if not self._grayscale:
            return rgb
        with limits.loading():
            from PIL import Image  # noqa: PLC0415 - slow to load, and not needed for a pixel

        return _of_gray(np.asarray(Image.fromarray(rgb).convert("L")))

    def rgba(self) -> NDArray[np.uint8]:
        """Return the picture as `wait_image` takes it."""
        if self._mask is None:
            return self._rgb
        return np.dstack([self._rgb, self._mask.astype(np.uint8) * np.uint8(_FULL)])

    def places(self, rgb: NDArray[np.uint8], limit: int | None) -> Iterator[tuple[int, int, int, int]]:
        """Yield where it is in the pixels of its place, (x, y, width, height), from the top; with limit 1 the best."""
        inside = self._seen(rgb)
        if limit == 1:
            best = find_image(inside, self._rgb, self.threshold, self._mask)
            found = iter([] if best is None else [best])
        else:
            most = _MOST_FOUND if limit is None else _arguments.integer(limit, "limit is a whole number")
            if most < 0:
                raise InvalidArgument(f"limit is 0 or more, not {most}")
            found = find_all(inside, self._rgb, self.threshold, self._mask, most)
        height, width = self._rgb.shape[:2]
        for x, y, _ in found:
            yield self._place.x + x, self._place.y + y, width, height


def haystack(picture: Picture, region: Region | None) -> tuple[NDArray[np.uint8], Rect]:
    """Return R G B of a picture's region, and where that is. Raises InvalidArgument for one outside of the picture."""
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - as above

    if isinstance(picture, Frame):
        raise InvalidType("a frame is searched by its array: frame.bgr()")
    if isinstance(picture, np.ndarray):
        pixels = _as_rgb(picture)[..., :3]
    else:
        image = picture if isinstance(picture, Image.Image) else reader.read(picture, _LARGEST).image
        pixels = np.asarray(image.convert("RGB"))
    whole = Rect(0, 0, pixels.shape[1], pixels.shape[0])
    place = clipped(region, whole)
    if not whole.contains(place):
        raise InvalidArgument(f"the region {place} is not in the picture, which is {whole}")
    return pixels[place.y : place.bottom, place.x : place.right], place


def clipped(region: Region | None, whole: Rect) -> Rect:
    """Return what of a region is inside; a region that is wholly outside unchanged, which is refused later."""
    rect = whole if region is None else as_rect(region)
    return rect.intersect(whole) or rect


def _as_rgb(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return OpenCV's B G R, B G R A or shades of gray in our order. Raises InvalidArgument for what is none."""
    if array.dtype != np.uint8 or array.shape[_GRAY:] not in ((), (3,), (4,)) or array.ndim < _GRAY or not array.size:
        raise InvalidArgument(
            "an array is (height, width, 3) uint8, B G R, or (height, width, 4), B G R A, or (height, width) of gray; "
            f"not {array.shape} {array.dtype}"
        )
    if array.ndim == _GRAY:
        return _of_gray(array)
    return np.ascontiguousarray(array[..., [2, 1, 0, 3][: array.shape[-1]]])


def _of_gray(shades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(shades[..., np.newaxis], 3, axis=2)
