"""Pixmaps: frames equal core GetImage, in the format of their depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from colours import BLUE
from programs import same
from reference import core_image

import xshm
from xshm.errors import (
    Closed,
    InvalidArgument,
    OutOfBounds,
    WindowGone,
)

if TYPE_CHECKING:
    from painter import Painter


def test_a_pixmap_is_what_core_get_image_sees_of_it(screen: xshm.Screen, painter: Painter) -> None:
    pixmap = painter.root.create_pixmap(1500, 1000, 24)  # larger than the screen
    painter.rectangles(drawable=pixmap)
    with screen.pixmap(pixmap.id) as opened:
        assert opened.rect == xshm.Rect(0, 0, 1500, 1000)
        part = (1290, 810, 150, 100)
        assert same(opened.grab(part), core_image(painter.display, part, pixmap))
        with pytest.raises(OutOfBounds, match="1500x1000"):
            opened.grab((1490, 0, 20, 20))
        with pytest.raises(InvalidArgument, match="pointer"):
            opened.grab(cursor=True)
        pixmap.free()
        painter.display.sync()
        with pytest.raises(WindowGone, match="freed"):
            opened.grab((0, 0, 5, 5))
    with pytest.raises(Closed):
        opened.grab()
    with pytest.raises(WindowGone):
        screen.pixmap(pixmap.id)


@pytest.mark.parametrize(("depth", "ink"), [(1, 1), (8, 0xFF), (32, 0xFFFFFFFF)])
def test_pixmaps_of_other_depths_have_their_own_format(
    screen: xshm.Screen, painter: Painter, depth: int, ink: int
) -> None:
    pixmap = painter.root.create_pixmap(37, 20, depth)
    gc = pixmap.create_gc(foreground=0)
    pixmap.fill_rectangle(gc, 0, 0, 37, 20)
    gc.change(foreground=ink)
    pixmap.fill_rectangle(gc, 3, 4, 10, 5)
    painter.display.sync()
    with screen.pixmap(pixmap.id) as opened:
        assert opened.format.depth == depth
        shades = opened.grab().gray()
    expected = np.zeros((20, 37), np.uint8)
    expected[4:9, 3:13] = 255
    assert np.array_equal(shades, expected)


def test_a_window_is_no_pixmap(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((0, 0, 10, 10), BLUE)
    with pytest.raises(InvalidArgument, match="is a window"):
        screen.pixmap(window.id)
