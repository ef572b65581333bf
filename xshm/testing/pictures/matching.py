"""Whether a picture looks like another: which pixels differ to the eye, text's smoothed edges left out.

Always true:

1. Equal pixels are dropped first. The library (pixelmatch's metric and its detection of anti-aliasing, in C++) sees
   only the rectangles that differ, with a margin of two pixels: a pixel's verdict depends on its neighbours' neighbours
   and on no others, so the count is that of the whole pictures.
2. Of a further frame only what was drawn to, `Frame.changed`, is converted and compared again.
3. A yes or no counts no further than it has to: a picture that differs all over is refused by its first rows.

Measured on a word of 41x15 pixels, and on all of 1920x1080 as noise: pybind11-pixelmatch 0.06 and 340 ms; pixelmatch,
the pure Python that counts the same, 5 ms and minutes. blazediff, 25 ms for noise, takes files only and tells no places
where it differs; numba, which pixelmatch-fast needs, compiles for seconds; SSIM (OpenCV, 30 ms) tells smoothed edges
from a missing letter by no threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from xshm.capture.waiting.compare import part, whole_bytes
from xshm.errors import MissingExtra
from xshm.geometry import Rect
from xshm.image.difference import rectangles
from xshm.pixels.bounding_shape import clear_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from xshm.image.frame import Frame

    Colours = NDArray[np.uint8]  # (height, width, 3) R G B
    Mask = NDArray[np.bool_]  # (height, width)
    MaskedRects = Callable[[], Sequence[Rect]]

PAINT: Final = (255, 0, 255)  # over what is masked: a colour that no program has there by chance
PADDING: Final = (192, 192, 192)  # where one of two pictures of different sizes has nothing
_MARGIN: Final = 2  # pixels (1)
_BAND: Final = 32  # rows that the library sees at once (3)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two pictures side by side, and where they differ.

    `actual` and `expected` are R G B of one size, padded where `actual_size` and `expected_size` are not the same. In
    `mask` the pixels that differ to the eye are True, all that only one has included; in `slight` those that differ
    otherwise: by less than the threshold, or as smoothed edges do. `places` are tight rectangles around the former in
    the coordinates of the source, each with its count, the largest count first; `corner` leads there from the picture.
    """

    actual: Colours
    expected: Colours
    actual_size: tuple[int, int]
    expected_size: tuple[int, int]
    mask: Mask
    slight: Mask
    places: tuple[tuple[Rect, int], ...]
    corner: tuple[int, int]

    @property
    def pixels(self) -> int:
        """How many pixels differ to the eye."""
        return sum(count for _, count in self.places)

    @property
    def is_resized(self) -> bool:
        """Whether the pictures are of different sizes."""
        return self.actual_size != self.expected_size


class Matcher:
    """Compares the frames of one source with a golden picture, (height, width, 3) R G B.

    `threshold` is what a pixel may be off, 0 to 1, as pixelmatch has it; `allowed` how many pixels may be off by more.
    `masked` returns the rectangles that do not count, in the source's coordinates; it is asked for each frame, since
    windows move. Raises MissingExtra where the library is not installed.
    """

    def __init__(self, golden: Colours, threshold: float, allowed: int, masked: MaskedRects) -> None:
        self._golden = golden
        self._allowed = allowed
        self._masked = masked
        self._library = _Pixelmatch(threshold)
        self._painted: tuple[Rect, ...] = ()  # what was masked in the last frame
        self._rect: Rect | None = None  # the last frame's
        self._actual = self._expected = golden
        self._differs = np.zeros(golden.shape[:2], np.bool_)  # where the two are not equal; of one size only

    def see(self, frame: Frame) -> bool:
        """Take the source's next frame; return whether it matches."""
        painted = tuple(self._masked())
        if frame.changed is not None and (frame.rect, painted) == (self._rect, self._painted):
            for rect in frame.changed:
                self._look_again(frame, rect)
        else:
            self._rect, self._painted = frame.rect, painted
            self._actual = colours(frame, painted)
            self._expected = _paint(self._golden.copy(), painted, frame.rect)
            if self._actual.shape == self._expected.shape:
                self._differs = _unequal(self._actual, self._expected)
        if self._actual.shape != self._expected.shape:
            return False
        count = 0
        for _, mask in self._library.bands(self._actual, self._expected, self._differs):
            count += int(np.count_nonzero(mask))
            if count > self._allowed:
                return False
        return True

    def comparison(self) -> Comparison:
        """Compare the last frame in full."""
        assert self._rect is not None  # noqa: S101 - `see` comes first
        (height, width), (rows, columns) = self._actual.shape[:2], self._expected.shape[:2]
        shape = (max(height, rows), max(width, columns))
        is_actual, is_expected = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        is_actual[:height, :width] = True
        is_expected[:rows, :columns] = True
        actual, expected = _padded(self._actual, shape), _padded(self._expected, shape)
        differs = _unequal(actual, expected) & is_actual & is_expected
        mask = is_actual ^ is_expected  # what only one has, which is no matter of colours
        for place, found in self._library.bands(actual, expected, differs):
            mask[place.slices] |= found
        corner = (self._rect.x, self._rect.y)
        sizes = ((width, height), (columns, rows))
        return Comparison(actual, expected, *sizes, mask, differs & ~mask, _places(mask, corner), corner)

    def _look_again(self, frame: Frame, drawn: Rect) -> None:
        """Compare a rectangle that was drawn to since the last frame."""
        drawn = whole_bytes(frame, drawn)
        place = frame.slices(drawn)
        self._actual[place] = colours(part(frame, drawn), self._painted)
        if self._actual.shape == self._expected.shape:
            self._differs[place] = _unequal(self._actual[place], self._expected[place])


def colours(frame: Frame, painted: Sequence[Rect] = ()) -> Colours:
    """Return a frame's R G B, over black, 0 outside of a window's shape, and `PAINT` in these rectangles."""
    found = frame.rgb()
    if frame.bounding_shape is not None:
        clear_outside(found, frame.bounding_shape, frame.rect)
    return _paint(found, painted, frame.rect)


def _unequal(one: Colours, other: Colours) -> Mask:
    """Return where two pictures are not equal."""
    unequal = one != other
    found: Mask = unequal[..., 0] | unequal[..., 1]  # not any(axis=2), which takes 60 ms of 1080p, and this 3
    found |= unequal[..., 2]
    return found


def _paint(picture: Colours, rects: Sequence[Rect], where: Rect) -> Colours:
    """Paint over the parts of these rectangles that a picture of `where` shows; return the picture."""
    whole = Rect(where.x, where.y, picture.shape[1], picture.shape[0])
    for rect in rects:
        if (inside := rect.intersect(whole)) is not None:
            picture[inside.moved(-where.x, -where.y).slices] = PAINT
    return picture


def _padded(picture: Colours, shape: tuple[int, int]) -> Colours:
    found = np.full((*shape, 3), PADDING, np.uint8)
    found[: picture.shape[0], : picture.shape[1]] = picture
    return found


def _places(mask: Mask, corner: tuple[int, int]) -> tuple[tuple[Rect, int], ...]:
    """Return the rectangles around what is True, in the source's coordinates, and their counts, largest first."""
    counted = [(rect, int(np.count_nonzero(mask[rect.slices]))) for rect in rectangles(mask)]
    counted.sort(key=lambda each: (-each[1], each[0].y, each[0].x))
    return tuple((rect.moved(*corner), count) for rect, count in counted)


class _Pixelmatch:
    """The library: which of the pixels that are not equal differ to the eye."""

    def __init__(self, threshold: float) -> None:
        try:
            import pybind11_pixelmatch  # noqa: PLC0415 - of the extra
        except ImportError as error:
            raise MissingExtra("comparing pictures needs pixelmatch: pip install 'xshm[pytest]'") from error
        self._call = pybind11_pixelmatch.pixelmatch
        self._options = pybind11_pixelmatch.Options()
        self._options.threshold = threshold
        self._options.diffMask = True  # what it draws is then what it counts

    def bands(self, actual: Colours, expected: Colours, differs: Mask) -> Iterator[tuple[Rect, Mask]]:
        """Yield places that cover all of `differs` without overlap, and which of their pixels differ to the eye."""
        if not differs.any():
            return
        height, width = differs.shape
        for rect in rectangles(differs):
            for top in range(rect.y, rect.bottom, _BAND):
                place = Rect(rect.x, top, rect.width, min(_BAND, rect.bottom - top))
                left, above = max(place.x - _MARGIN, 0), max(place.y - _MARGIN, 0)
                seen = Rect.from_ltrb(
                    *(left, above, min(place.right + _MARGIN, width), min(place.bottom + _MARGIN, height))
                )
                both = [_opaque(each[seen.slices]) for each in (expected, actual)]
                drawn = np.zeros_like(both[0])
                self._call(*both, output=drawn, options=self._options)
                yield place, drawn[..., 3][place.moved(-left, -above).slices] != 0


def _opaque(part: Colours) -> NDArray[np.uint8]:
    found = np.full((*part.shape[:2], 4), 255, np.uint8)
    found[..., :3] = part
    return found
