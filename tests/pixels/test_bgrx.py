"""Four bytes a pixel to three in one pass, in all orders; no byte beyond the target is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xshm.pixels import bgrx
from xshm.pixels.bgrx import can_pack, pack

_WAYS = [(2, 1, 0), (0, 1, 2), (3, 2, 1), (1, 2, 3)]


def _pixels(height: int, width: int) -> Any:
    return np.random.default_rng(4).integers(0, 256, (height, width, 4), np.uint8)


@pytest.mark.parametrize("places", _WAYS)
@pytest.mark.parametrize("size", [(1, 2), (3, 5), (1, 70_000), (1080, 1920), (40, 1919)])
def test_each_byte_is_where_it_belongs(size: tuple[int, int], places: tuple[int, ...]) -> None:
    pixels, target = _pixels(*size), np.full((*size, 3), 7, np.uint8)
    assert can_pack(pixels, target, places)
    pack(pixels, target, places)
    assert np.array_equal(target, pixels[..., list(places)])


@pytest.mark.parametrize("places", _WAYS)
def test_nothing_behind_a_row_or_the_last_is_touched(places: tuple[int, ...]) -> None:
    around = np.full((13, 24, 3), 99, np.uint8)
    pixels, target = _pixels(22, 40)[::2, 3:23], around[1:12, 2:22]
    assert can_pack(pixels, target, places)
    pack(pixels, target, places)
    assert np.array_equal(target, pixels[..., list(places)])
    target[...] = 99
    assert (around == 99).all()


def test_other_orders_layouts_and_sizes_are_left_to_others() -> None:
    pixels, target = _pixels(4, 6), np.empty((4, 6, 3), np.uint8)
    assert not can_pack(pixels, target, (0, 2, 1))
    assert not can_pack(pixels, target, (2, 1, 0, 3))
    assert not can_pack(pixels[:, ::2], target[:, ::2], (2, 1, 0))
    assert not can_pack(pixels, target[:, ::-1], (2, 1, 0))
    assert not can_pack(pixels[:, :1], target[:, :1], (2, 1, 0))
    assert not can_pack(pixels, target.astype(np.uint16), (2, 1, 0))


def test_a_numpy_that_stores_in_another_order_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(pixels: Any, target: Any, places: Any) -> None:
        target[...] = pixels[..., list(places)]
        target[:, 1:, 0] = 0  # what the fourth byte of the pixel before would leave

    bgrx._stores_forward.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(bgrx, "pack", backwards)
        assert not can_pack(_pixels(4, 6), np.empty((4, 6, 3), np.uint8), (2, 1, 0))
    bgrx._stores_forward.cache_clear()
    assert can_pack(_pixels(4, 6), np.empty((4, 6, 3), np.uint8), (2, 1, 0))
