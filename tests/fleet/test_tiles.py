"""Tiles: where they are, and a live view of pictures that are handed in; without Ray."""

from __future__ import annotations

import dataclasses
import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from colours import BLUE, GREEN, RED
from live_client import LiveClient, fetched
from PIL import Image

from xshm import Frame, PixelFormat, Rect
from xshm.errors import InvalidArgument, InvalidType
from xshm.fleet.tiles.drawing import worded
from xshm.fleet.tiles.grid import Grid, shrunk, whole
from xshm.fleet.tiles.mosaic import Mosaic
from xshm.live.web.view import LiveView

if TYPE_CHECKING:
    from collections.abc import Iterator

_TILE = (120, 80)


def _frame(colour: tuple[int, int, int], size: tuple[int, int] = _TILE, at: Rect | None = None) -> Frame:
    """Return a blue picture with a rectangle of another colour, which has changed."""
    pixels = np.full((size[1], size[0], 3), BLUE, np.uint8)
    at = at or Rect(0, 0, *size)
    pixels[at.slices] = colour
    frame = Frame(pixels, Rect(0, 0, *size), 0, 0, PixelFormat.RGB)
    frame.changed = (at,)
    return frame


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 100])
@pytest.mark.parametrize("width", [500, 1921])
@pytest.mark.parametrize("columns", [None, 1, 5, 10])
def test_tiles_lie_in_a_picture_of_that_width_and_touch_nothing(count: int, width: int, columns: int | None) -> None:
    grid = shrunk(count, (1280, 800), width, columns)
    assert grid.size[0] == width
    assert columns is None or grid.columns == min(columns, count)
    covered = np.zeros((grid.size[1], width), np.uint8)
    for number in range(count):
        place = grid.place(number)
        assert Rect(0, 0, *grid.size).contains(Rect(place.x, place.y - grid.caption, place.width, place.height))
        assert abs(place.height - place.width * 800 / 1280) <= 0.5
        covered[place.slices] += 1
        covered[place.y - grid.caption : place.y, place.x : place.right] += 1
    assert covered.max() == 1
    left, right = grid.place(0).x, width - grid.place(grid.columns - 1).right
    assert left >= grid.gap
    assert 0 <= right - left <= 1


def test_columns_are_those_that_show_screens_largest() -> None:
    assert [shrunk(count, (1280, 800), 1920, None).columns for count in (1, 2, 4, 9, 16)] == [1, 2, 2, 3, 4]
    assert shrunk(4, (400, 1600), 1920, None).columns == 4  # of high screens there are more in a row
    assert shrunk(4, (1600, 200), 1920, None).columns == 1


def test_screens_in_their_own_size_lie_side_by_side() -> None:
    grid = whole(5, (1280, 800))
    assert grid == Grid(5, 2, (1280, 800), 2560)
    assert grid.size == (2560, 2400)
    assert [tuple(dataclasses.astuple(grid.place(number))) for number in (0, 1, 4)] == [
        (0, 0, 1280, 800),
        (1280, 0, 1280, 800),
        (0, 1600, 1280, 800),
    ]


def test_what_does_not_fit_is_refused_with_numbers_and_the_way_out() -> None:
    with pytest.raises(InvalidArgument, match=r"255 screens of 3840x2160 are \d+x\d+ pixels.*32767.*smaller or fewer"):
        whole(255, (3840, 2160))
    with pytest.raises(InvalidArgument, match=r"20 columns in 320 pixels leave 7.*of 40 screens.*fewer columns"):
        shrunk(40, (1280, 800), 320, 20)
    for width in (0, 40_000):
        with pytest.raises(InvalidArgument, match="16 to 32767 pixels wide"):
            shrunk(4, (1280, 800), width, None)
    with pytest.raises(InvalidArgument, match="1 column or more"):
        shrunk(4, (1280, 800), 1920, 0)
    with pytest.raises(InvalidType):
        shrunk(4, (1280, 800), 1920, "2")  # type: ignore[arg-type]


@pytest.fixture
def view() -> Iterator[LiveView]:
    view = LiveView(title="tiles")
    yield view
    view.stop()


def test_each_picture_is_a_tile_of_its_own_to_the_pixel(view: LiveView) -> None:
    with Mosaic(view, whole(3, _TILE), ["one", "two", "three"]) as mosaic:
        view.start()
        assert not mosaic.show(0, _frame(RED))
        mosaic.show(2, _frame(GREEN, at=Rect(7, 5, 40, 30)))
        with LiveClient(view.url) as page:
            titles = [each["title"] for each in page.until("welcome")["channels"]]
            assert titles == ["one", "two", "three"]
            page.watch(1, 2, 3)
            page.until_equal(_frame(RED).rgb(), 1)
            page.until_equal(_frame(GREEN, at=Rect(7, 5, 40, 30)).rgb(), 3)
            assert mosaic.show(2, _frame(RED, at=Rect(7, 5, 40, 30)))
            page.until_equal(_frame(RED, at=Rect(7, 5, 40, 30)).rgb(), 3)


def test_words_take_the_place_of_a_picture_which_is_shown_whole_after_them(view: LiveView) -> None:
    with Mosaic(view, whole(2, _TILE), ["one", "two"]) as mosaic:
        view.start()
        mosaic.show(0, _frame(RED))
        mosaic.say(0, "the seat was lost")
        with LiveClient(view.url) as page:
            page.watch(1)
            page.until_equal(np.asarray(worded(_TILE, "the seat was lost")), 1)
            part = _frame(GREEN, at=Rect(0, 0, 5, 5))
            assert not mosaic.show(0, part)
            page.until_equal(part.rgb(), 1)


def test_another_title_is_told_at_once_though_nothing_moves(view: LiveView) -> None:
    with Mosaic(view, whole(1, _TILE), ["one"]) as mosaic:
        view.start()
        mosaic.show(0, _frame(RED))
        with LiveClient(view.url) as page:
            page.watch(1)
            page.until_equal(_frame(RED).rgb(), 1)
            page.until_quiet()
            mosaic.call(0, "another")
            while not any("another" in str(each) for each in page.messages):
                page.receive()


def test_a_screen_of_another_size_is_shown_whole(view: LiveView) -> None:
    with Mosaic(view, whole(1, _TILE), ["one"]) as mosaic:
        view.start()
        mosaic.show(0, _frame(RED, (240, 160)))
        with LiveClient(view.url) as page:
            page.watch(1)
            page.until_equal(np.full((80, 120, 3), RED, np.uint8), 1)


def test_a_tile_is_drawn_before_it_is_looked_at(view: LiveView) -> None:
    with Mosaic(view, whole(1, _TILE), ["one"]) as mosaic:
        order: list[str] = []
        over = threading.Event()

        @contextmanager
        def attended() -> Iterator[None]:
            order.append("begin")
            mosaic.show(0, _frame(GREEN if "end" in order else RED))
            yield
            order.append("end")
            over.set()

        mosaic.attend(0, attended)
        view.start()
        assert order == []
        for colour in (RED, GREEN):
            over.clear()
            status, _, data = fetched(view.frame_url)
            assert status == 200
            with Image.open(io.BytesIO(data)) as image:
                assert image.convert("RGB").getpixel((0, 0)) == colour
            assert over.wait(10)
        assert order == ["begin", "end"] * 2
