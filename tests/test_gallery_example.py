"""The gallery photographs what it has started, when that is painted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from example_runs import loaded


@pytest.fixture
def gallery() -> Any:
    return loaded("gallery")


def test_a_covered_window_is_shown_whole_beside_the_screen_that_hides_it(gallery: Any) -> None:
    picture = np.asarray(gallery.covered())
    screen, hidden = picture[41:341, 31:331], picture[40:340, 530:830]
    assert picture[5, 5].tolist() == [0x24, 0x34, 0x4F]
    red = (hidden == (0xC0, 0x39, 0x2B)).all(axis=2)
    assert 0.1 < red.mean() < 0.5
    covered = np.zeros_like(red)
    covered[9:, 89:] = True  # by the clock at 120, 50, whose border is a pixel wide
    assert (screen[~covered] == hidden[~covered]).all()
    assert not (screen[covered] == (0xC0, 0x39, 0x2B)).all(axis=1).any()
    assert red[covered].any()


def test_depths_differ_only_by_rounding(gallery: Any) -> None:
    picture = np.asarray(gallery.depths()).astype(int)
    assert (abs(picture[:120] - picture[120:]) <= 8).all()
    assert (picture[:120] != picture[120:]).any()
