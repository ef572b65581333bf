"""`find_all` finds every place of a picture that comparing each place finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from xshm.capture.waiting.find_image import find_all, find_image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _differences(
    inside: NDArray[np.uint8], picture: NDArray[np.uint8], mask: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """Return the root mean square of each place, as a ratio of full brightness."""
    shown = np.lib.stride_tricks.sliding_window_view(inside, picture.shape)[:, :, 0].astype(np.float64)
    squares = (shown - picture) ** 2
    compared = squares if mask is None else squares[..., mask, :]
    return np.asarray(np.sqrt(compared.reshape(*compared.shape[:2], -1).mean(axis=-1)) / 255)


@pytest.mark.parametrize("seed", range(30))
def test_every_equal_place_is_found_from_the_top(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.integers(0, 2, (*rng.integers(6, 30, 2), 3), np.uint8) * np.uint8(200)
    inside[..., 1:] = inside[..., :1]  # two colours: small pictures come often
    height, width = rng.integers(1, 5, 2)
    picture = inside[2 : 2 + height, 1 : 1 + width].copy()
    mask = None if seed % 3 else rng.random(picture.shape[:2]) < 0.7
    if mask is not None:
        mask[rng.integers(height), rng.integers(width)] = True
    rows, columns = np.nonzero(_differences(inside, picture, mask) == 0)
    expected = [(x, y, 0.0) for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    found = list(find_all(inside, picture, 0, mask))
    assert found == expected
    assert found[0] == find_image(inside, picture, 0, mask)
    assert list(find_all(inside, picture, 0, mask, 2)) == expected[:2]


@pytest.mark.parametrize("seed", range(10))
def test_of_close_places_those_are_found_that_overlap_no_closer_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.integers(0, 256, (50, 60, 3), np.uint8)
    picture = rng.integers(0, 256, (8, 6, 3), np.uint8)
    mask = None if seed % 2 else rng.random(picture.shape[:2]) < 0.8
    for x, y in ((3, 2), (40, 30), (44, 33), (20, 42)):  # two of them overlap
        inside[y : y + 8, x : x + 6] = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255)
    threshold = 0.28  # noise is 0.41 off: a few places besides come close
    left = _differences(inside, picture, mask)
    expected: list[tuple[int, int, Any]] = []
    while left.min() <= threshold:
        y, x = divmod(int(left.argmin()), left.shape[1])
        expected.append((x, y, pytest.approx(left[y, x])))
        left[max(0, y - 7) : y + 8, max(0, x - 5) : x + 6] = np.inf
    expected.sort(key=lambda each: (each[1], each[0]))
    assert list(find_all(inside, picture, threshold, mask)) == expected
    assert list(find_all(inside, picture, threshold, mask, 1)) == expected[:1]
    assert len(expected) >= 3


def test_a_picture_larger_than_what_is_searched_is_nowhere() -> None:
    small, large = np.zeros((4, 9, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)
    assert list(find_all(small, large, 0)) == list(find_all(small, large, 0.5)) == []
