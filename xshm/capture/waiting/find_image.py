"""Template matching: find a small picture in a large one, exactly with numpy, or the closest place with OpenCV.

A place is a position of the template's upper left corner. An exact search narrows the places down in steps, each
cheaper per place than the next:

1. where the template's rarest colour is in its place;
2. where random pixels of the template, one after the other, are in theirs;
3. where many are still left after `_PROBES_BEFORE_COUNTING`: where the commonest colours come as often as in the
   template (with a mask: at least wherever the template has them);
4. the few that are left are compared as a whole, from the top.
"""

from __future__ import annotations

import itertools
import math
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm.pixels import opencv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# A place where a share p of the pixels is wrong passes this many probes with a probability of (1 - p) ** 256. Only time
# depends on it: what passes is compared as a whole.
_PROBES: Final = 256
_FEW: Final = 8  # places that are compared as a whole without further probes
# On an empty page nearly all places pass each probe, and each costs as much as the first. Counting colours costs the
# same for any picture: 20 ms for one colour at 1080p.
_PROBES_BEFORE_COUNTING: Final = 16
_COLOURS_COUNTED: Final = 3
_SAMPLE: Final = 1 << 16  # pixels of the template, at most, by which its colours are ranked from rare to common
# OpenCV adds squares up in single precision, by Fourier transforms: seen off by 3e-7 of the greatest possible sum.
_ROUNDING: Final = 1e-6
_CLOSE: Final = 16  # places within rounding of the best whose sums are computed again, exactly


def find_image(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], threshold: float, mask: NDArray[np.bool_] | None = None
) -> tuple[int, int, float] | None:
    """Return x, y of the picture's corner, and how much differs there; None where the picture is nowhere.

    Both are (height, width, 3) uint8; where `mask` (height, width) is False, nothing is compared. With threshold 0.0
    all other pixels are the same, and the first place from the top is returned. Else it is the place with the least
    difference, the root mean square as a ratio of full brightness, if that is at most `threshold`; raises MissingExtra
    without OpenCV.
    """
    if picture.shape[0] > inside.shape[0] or picture.shape[1] > inside.shape[1]:
        return None
    inside, picture, mask = _without_margin(inside, picture, mask)
    if threshold == 0:
        found = _find_exactly(_packed(inside), _packed(picture), mask)
        return None if found is None else (*found, 0.0)
    return _find_closest(inside, picture, threshold, mask)


def find_all(
    inside: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    threshold: float,
    mask: NDArray[np.bool_] | None = None,
    most: int = sys.maxsize,
) -> Iterator[tuple[int, int, float]]:
    """Yield x, y and difference, as `find_image` returns them, of the first `most` places of a picture, from the top.

    With threshold 0.0 places may overlap, and each is searched for when it is asked for. Above, the places around one
    are nearly as close as that; only those are yielded that overlap none that is closer.
    """
    if picture.shape[0] > inside.shape[0] or picture.shape[1] > inside.shape[1]:
        return iter(())
    inside, picture, mask = _without_margin(inside, picture, mask)
    if threshold == 0:
        return itertools.islice(_find_each(_packed(inside), _packed(picture), mask), most)
    return iter(_find_apart(inside, picture, threshold, mask)[:most])


def _without_margin(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Cut a masked margin off the picture, and as much off what is searched, so that places stay: less to compare."""
    if mask is None:
        return inside, picture, None
    (height, width), (rows, columns) = inside.shape[:2], picture.shape[:2]
    top, bottom = np.flatnonzero(mask.any(axis=1))[[0, -1]].tolist()
    left, right = np.flatnonzero(mask.any(axis=0))[[0, -1]].tolist()
    return (
        inside[top : height - rows + bottom + 1, left : width - columns + right + 1],
        picture[top : bottom + 1, left : right + 1],
        mask[top : bottom + 1, left : right + 1],
    )


def _find_each(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], mask: NDArray[np.bool_] | None
) -> Iterator[tuple[int, int, float]]:
    """Yield every place where all pixels are the same: after each, the rest of its row, then the rows below."""
    rows, columns = picture.shape
    top = 0
    while top + rows <= len(inside):
        found = _find_exactly(inside[top:], picture, mask)
        if found is None:
            return
        x, y = found[0], top + found[1]
        yield x, y, 0.0
        row = inside[y : y + rows]
        while x + 1 + columns <= row.shape[1]:
            found = _find_exactly(row[:, x + 1 :], picture, mask)
            if found is None:
                break
            x += 1 + found[0]
            yield x, y, 0.0
        top = y + 1


def _find_apart(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], threshold: float, mask: NDArray[np.bool_] | None
) -> list[tuple[int, int, float]]:
    """Return the close places that overlap no closer one, from the top."""
    cv2: Any = opencv.required()
    inside, picture = np.ascontiguousarray(inside), np.ascontiguousarray(picture)
    squares, greatest = _squares(cv2, inside, picture, mask)
    near = np.flatnonzero(squares <= threshold**2 * greatest + _ROUNDING * greatest)
    rows, columns = picture.shape[:2]
    overlapping = np.zeros(squares.shape, bool)
    found = []
    for place in near[np.argsort(squares.ravel()[near], kind="stable")].tolist():
        y, x = divmod(place, squares.shape[1])
        if overlapping[y, x]:
            continue
        difference = math.sqrt(_square(cv2, inside, picture, mask, x, y) / greatest)
        if difference <= threshold:
            overlapping[max(0, y - rows + 1) : y + rows, max(0, x - columns + 1) : x + columns] = True
            found.append((x, y, difference))
    return sorted(found, key=lambda each: (each[1], each[0]))


def _squares(
    cv2: Any, inside: NDArray[np.uint8], picture: NDArray[np.uint8], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], int]:
    """Return the sum of squared differences of each place, in single precision, and the greatest possible one."""
    bytes_mask = None if mask is None else mask.astype(np.uint8)
    compared = picture[..., 0].size if mask is None else int(np.count_nonzero(mask))
    return cv2.matchTemplate(inside, picture, cv2.TM_SQDIFF, mask=bytes_mask), 255**2 * 3 * compared


def _square(
    cv2: Any, inside: NDArray[np.uint8], picture: NDArray[np.uint8], mask: NDArray[np.bool_] | None, x: int, y: int
) -> float:
    """Return the sum of squared differences of one place, in double precision: exact for whole numbers of this size."""
    bytes_mask = None if mask is None else mask.astype(np.uint8)
    there = inside[y : y + len(picture), x : x + picture.shape[1]]
    return float(cv2.norm(there, picture, cv2.NORM_L2SQR, bytes_mask))


def _find_closest(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], threshold: float, mask: NDArray[np.bool_] | None
) -> tuple[int, int, float] | None:
    """Find the place with the least sum of squared differences, by cv2.matchTemplate."""
    cv2: Any = opencv.required()
    inside, picture = np.ascontiguousarray(inside), np.ascontiguousarray(picture)
    squares, greatest = _squares(cv2, inside, picture, mask)
    rounding, least = _ROUNDING * greatest, float(squares.min())
    if least - rounding > threshold**2 * greatest:
        return None
    near = np.flatnonzero(squares <= least + rounding)
    if len(near) > _CLOSE and least <= rounding:  # maybe the same: of many such places the first
        found = _find_exactly(_packed(inside), _packed(picture), mask)
        if found is not None:
            return (*found, 0.0)
    if len(near) > _CLOSE:
        near = near[np.argsort(squares.ravel()[near], kind="stable")[:_CLOSE]]
    sums = []
    for place in near.tolist():
        y, x = divmod(place, squares.shape[1])
        sums.append((_square(cv2, inside, picture, mask, x, y), place))
    least, place = min(sums)
    difference = math.sqrt(least / greatest)
    return None if difference > threshold else (place % squares.shape[1], place // squares.shape[1], difference)


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Pack each pixel into one number: one comparison in place of three."""
    packed = rgb[..., 0].astype(np.uint32)
    packed <<= 8
    packed |= rgb[..., 1]
    packed <<= 8
    packed |= rgb[..., 2]
    return packed


def _find_exactly(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], mask: NDArray[np.bool_] | None
) -> tuple[int, int] | None:
    """Return x, y of the first place where all pixels are the same, by the steps at the top of this file."""
    columns = picture.shape[1]
    last_row, last_column = inside.shape[0] - len(picture) + 1, inside.shape[1] - columns + 1
    places = last_row * last_column
    if places <= _FEW:
        return _first_same(inside, picture, mask, *np.divmod(np.arange(places), last_column))
    compared = np.arange(picture.size) if mask is None else np.flatnonzero(mask)
    random = np.random.default_rng(len(compared))  # seeded: a search takes the same time again
    some = compared if len(compared) <= _SAMPLE else compared[random.choice(len(compared), _SAMPLE, replace=False)]
    values, where, counts = np.unique(picture.ravel()[some], return_index=True, return_counts=True)
    row, column = divmod(int(some[where[np.argmin(counts)]]), columns)
    ys, xs = np.nonzero(inside[row : row + last_row, column : column + last_column] == picture[row, column])
    probes = compared[random.choice(len(compared), min(_PROBES, len(compared)), replace=False)]
    for count, probe in enumerate(probes.tolist()):
        if len(ys) <= _FEW:
            break
        if count == _PROBES_BEFORE_COUNTING:
            commonest = values[np.argsort(-counts)][:_COLOURS_COUNTED]
            if mask is None:
                likely = _with_same_counts(inside, picture, commonest)
            else:
                likely = _with_same_places(inside, picture, commonest, mask)
            same = likely[ys, xs]
            ys, xs = ys[same], xs[same]
            # What is left is nearly always right: the first few are compared before all are probed again.
            found = _first_same(inside, picture, mask, ys[:_FEW], xs[:_FEW])
            if found is not None:
                return found
            ys, xs = ys[_FEW:], xs[_FEW:]
        row, column = divmod(probe, columns)
        same = inside[ys + row, xs + column] == picture[row, column]
        ys, xs = ys[same], xs[same]
    return _first_same(inside, picture, mask, ys, xs)


def _first_same(
    inside: NDArray[np.uint32],
    picture: NDArray[np.uint32],
    mask: NDArray[np.bool_] | None,
    ys: NDArray[np.intp],
    xs: NDArray[np.intp],
) -> tuple[int, int] | None:
    """Return x, y of the first of these places where each pixel that the mask leaves is the same."""
    rows, columns = picture.shape
    for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
        same = inside[y : y + rows, x : x + columns] == picture
        if same.all() if mask is None else same[mask].all():
            return x, y
    return None


def _with_same_counts(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], colours: NDArray[np.uint32]
) -> NDArray[np.bool_]:
    """Return for each place whether it has as many pixels of each of these colours as the picture."""
    rows, columns = picture.shape
    # A summed-area table: the count in any rectangle is four of its elements.
    sums = np.zeros((inside.shape[0] + 1, inside.shape[1] + 1), np.int32)
    likely = np.ones((inside.shape[0] - rows + 1, inside.shape[1] - columns + 1), bool)
    for colour in colours:
        np.cumsum(np.cumsum(inside == colour, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
        there = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
        likely &= there == np.count_nonzero(picture == colour)
    return likely


def _with_same_places(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], colours: NDArray[np.uint32], mask: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return for each place whether it has these colours wherever the picture has them and the mask is True.

    Where the mask is False there may be more of a colour, so that counts say nothing. The pixels of a colour that are
    in their places are counted instead, for all places at once, as a correlation by Fourier transforms.
    """
    rows, columns = inside.shape[0] - len(picture) + 1, inside.shape[1] - picture.shape[1] + 1
    likely = np.ones((rows, columns), bool)
    for colour in colours:
        wanted = mask & (picture == colour)
        there = np.fft.rfft2(inside == colour)
        there *= np.conj(np.fft.rfft2(wanted, inside.shape))
        # Counts are whole numbers, and double precision is off by far less than a half.
        likely &= np.fft.irfft2(there, inside.shape)[:rows, :columns] > np.count_nonzero(wanted) - 0.5
    return likely
