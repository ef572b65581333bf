"""What grabbing refuses, in our own words and before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import xshm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server


@pytest.fixture(scope="module")
def screen(xvfb: Server) -> Iterator[xshm.Screen]:
    with xshm.Screen(xvfb.name) as screen:
        yield screen


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        (5, "grab_many takes a list of regions, not int: 5"),
        (None, "grab_many takes a list of regions, not NoneType"),
        ("10x10+0+0", "grab_many takes a list of regions, not str: '10x10"),
        (xshm.Rect(0, 0, 5, 5), "grab_many takes a list of regions, not Rect"),
        ((0, 0, 5, 5), "not int: 0"),
    ],
)
def test_one_region_alone_is_not_several(screen: xshm.Screen, regions: Any, words: str) -> None:
    with pytest.raises(xshm.InvalidType, match=words):
        screen.grab_many(regions)


def test_regions_may_come_one_by_one(screen: xshm.Screen) -> None:
    assert [frame.rect.x for frame in screen.grab_many((x, 0, 2, 2) for x in range(3))] == [0, 1, 2]


@pytest.mark.parametrize("cursor", [np.zeros(3), np.bool_(False), 0, 1, None, "shape"])
def test_what_says_nothing_of_the_pointer_is_refused(screen: xshm.Screen, cursor: Any) -> None:
    with pytest.raises(xshm.InvalidArgument, match="cursor is False, True"):
        screen.grab(cursor=cursor)
    with pytest.raises(xshm.InvalidArgument, match="cursor is False, True"):
        screen.stream(cursor=cursor)
