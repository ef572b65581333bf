"""Finding a small picture in a large one: to the last bit with numpy, or about the same with OpenCV."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm.pixels import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So many of the picture's pixels are looked at before a place is compared as a whole: a place where a share p of the
# pixels is wrong gets that far with a probability of (1 - p) ** 256. Only time hangs on it: what is left is compared.
_PROBES: Final = 256
_FEW: Final = 8
# Where much is alike, an empty page for one, probes alone take long; then places are told apart by how often each of
# the picture's commonest colours comes, which costs the same for any picture (20 ms for one colour at 1080p).
_PROBES_BEFORE_COUNTING: Final = 16
_COLOURS_COUNTED: Final = 3
_COUNTED: Final = 1 << 16  # pixels of the picture, at most, that tell which of its colours are rare and which common
# OpenCV adds up squares in single precision, through Fourier transforms. Seen: off by up to 3e-7 of the greatest sum.
_ROUNDING: Final = 1e-6
_CLOSE: Final = 16  # places so close to the best that rounding may have made them so: their sums are taken again


def find_image(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], threshold: float, mask: NDArray[np.bool_] | None = None
) -> tuple[int, int, float] | None:
    """Return x, y of the picture's corner, and how much differs there; None where it is nowhere.

    Both are (height, width, 3) uint8; where `mask` (height, width) is False, the picture may be anything. With
    threshold 0.0 each other pixel is the same, and the first place from the top is returned. Else the best place is,
    if the root of the mean square of what differs is at most `threshold` of full brightness; raises MissingExtra
    without OpenCV.
    """
    (height, width), (rows, columns) = inside.shape[:2], picture.shape[:2]
    if rows > height or columns > width:
        return None
    if mask is not None:  # an edge all around that may be anything is looked at no further
        top, bottom = np.flatnonzero(mask.any(axis=1))[[0, -1]].tolist()
        left, right = np.flatnonzero(mask.any(axis=0))[[0, -1]].tolist()
        inside = inside[top : height - rows + bottom + 1, left : width - columns + right + 1]
        picture, mask = picture[top : bottom + 1, left : right + 1], mask[top : bottom + 1, left : right + 1]
    if threshold == 0:
        found = _find_exactly(_packed(inside), _packed(picture), mask)
        return None if found is None else (*found, 0.0)
    return _find_closest(inside, picture, threshold, mask)


def _find_closest(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], threshold: float, mask: NDArray[np.bool_] | None
) -> tuple[int, int, float] | None:
    cv2: Any = opencv.required()
    inside, picture = np.ascontiguousarray(inside), np.ascontiguousarray(picture)
    chosen = None if mask is None else mask.astype(np.uint8)
    squares = cv2.matchTemplate(inside, picture, cv2.TM_SQDIFF, mask=chosen)
    full = 255**2 * 3 * (picture[..., 0].size if mask is None else int(np.count_nonzero(mask)))
    rounding, least = _ROUNDING * full, float(squares.min())
    if least - rounding > threshold**2 * full:
        return None
    near = np.flatnonzero(squares <= least + rounding)
    if len(near) > _CLOSE and least <= rounding:
        found = _find_exactly(_packed(inside), _packed(picture), mask)
        if found is not None:
            return (*found, 0.0)
    if len(near) > _CLOSE:
        near = near[np.argsort(squares.ravel()[near], kind="stable")[:_CLOSE]]
    sums = []
    for place in near.tolist():
        y, x = divmod(place, squares.shape[1])
        there = inside[y : y + len(picture), x : x + picture.shape[1]]
        sums.append((cv2.norm(there, picture, cv2.NORM_L2SQR, chosen), place))  # whole numbers, in double precision
    least, place = min(sums)
    difference = math.sqrt(least / full)
    return None if difference > threshold else (place % squares.shape[1], place // squares.shape[1], difference)


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    packed = rgb[..., 0].astype(np.uint32)
    packed <<= 8
    packed |= rgb[..., 1]
    packed <<= 8
    packed |= rgb[..., 2]
    return packed


def _find_exactly(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], mask: NDArray[np.bool_] | None
) -> tuple[int, int] | None:
    columns = picture.shape[1]
    last_row, last_column = inside.shape[0] - len(picture) + 1, inside.shape[1] - columns + 1
    places = last_row * last_column
    if places <= _FEW:
        return _first_same(inside, picture, mask, *np.divmod(np.arange(places), last_column))
    counted = np.arange(picture.size) if mask is None else np.flatnonzero(mask)
    random = np.random.default_rng(len(counted))
    some = counted if len(counted) <= _COUNTED else counted[random.choice(len(counted), _COUNTED, replace=False)]
    values, where, counts = np.unique(picture.ravel()[some], return_index=True, return_counts=True)
    rarest = int(some[where[np.argmin(counts)]])
    order = counted[random.choice(len(counted), min(_PROBES, len(counted)), replace=False)]
    row, column = divmod(rarest, columns)
    ys, xs = np.nonzero(inside[row : row + last_row, column : column + last_column] == picture[row, column])
    for count, probe in enumerate(order.tolist()):
        if len(ys) <= _FEW:
            break
        if count == _PROBES_BEFORE_COUNTING:
            commonest = values[np.argsort(-counts)][:_COLOURS_COUNTED]
            if mask is None:
                alike = _counted_alike(inside, picture, commonest)
            else:
                alike = _correlated_alike(inside, picture, commonest, mask)
            same = alike[ys, xs]
            ys, xs = ys[same], xs[same]
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
    """Return x, y of the first of these places where each pixel that counts is the same."""
    rows, columns = picture.shape
    for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
        same = inside[y : y + rows, x : x + columns] == picture
        if same.all() if mask is None else same[mask].all():
            return x, y
    return None


def _counted_alike(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], colours: NDArray[np.uint32]
) -> NDArray[np.bool_]:
    """Tell for each place whether as many pixels of each of these colours are there as in the picture."""
    rows, columns = picture.shape
    sums = np.zeros((inside.shape[0] + 1, inside.shape[1] + 1), np.int32)
    alike = np.ones((inside.shape[0] - rows + 1, inside.shape[1] - columns + 1), bool)
    for colour in colours:
        np.cumsum(np.cumsum(inside == colour, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
        there = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
        alike &= there == np.count_nonzero(picture == colour)
    return alike


def _correlated_alike(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], colours: NDArray[np.uint32], mask: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell for each place whether these colours are wherever the picture has them and the mask lets them count.

    Where the picture may be anything there may be more of a colour, so that counting tells nothing. Counts of so many
    pixels are whole numbers that double precision holds far better than to a half.
    """
    rows, columns = inside.shape[0] - len(picture) + 1, inside.shape[1] - picture.shape[1] + 1
    alike = np.ones((rows, columns), bool)
    for colour in colours:
        wanted = mask & (picture == colour)
        there = np.fft.rfft2(inside == colour)
        there *= np.conj(np.fft.rfft2(wanted, inside.shape))
        alike &= np.fft.irfft2(there, inside.shape)[:rows, :columns] > np.count_nonzero(wanted) - 0.5
    return alike
