"""grab_many: its frames, the number of its round trips, and its errors."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from painter import Painter
from reference import core_image
from round_trips import relayed

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

WIDTH, HEIGHT = 1280, 800
REGIONS = [(0, 0, 10, 10), (1279, 799, 1, 1), (5, 5, 300, 200), (5, 5, 300, 200), (0, 0, WIDTH, HEIGHT), (7, 9, 1, 500)]


@pytest.fixture(params=["sysv", "fd", "core"])
def screen(request: pytest.FixtureRequest, xvfb: Server, painter: Painter) -> Iterator[xshm.Screen]:
    painter.rectangles()
    with xshm.Screen(xvfb.name, transport=request.param) as screen:
        yield screen


def test_every_frame_is_its_region_in_the_order_asked(screen: xshm.Screen, painter: Painter) -> None:
    whole = core_image(painter.display)[..., :3]
    frames = screen.grab_many(REGIONS)
    assert [frame.rect for frame in frames] == [xshm.Rect(*region) for region in REGIONS]
    assert all(np.array_equal(frame.pixels[..., :3], whole[frame.rect.slices]) for frame in frames)
    assert [frame.sequence for frame in frames] == list(range(1, len(REGIONS) + 1))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_regions_are_right(screen: xshm.Screen, painter: Painter, data: st.DataObject) -> None:
    whole = core_image(painter.display)[..., :3]
    edges = st.tuples(
        st.lists(st.integers(0, WIDTH), min_size=2, max_size=2, unique=True).map(sorted),
        st.lists(st.integers(0, HEIGHT), min_size=2, max_size=2, unique=True).map(sorted),
    )
    regions = [
        xshm.Rect.from_ltrb(left, top, right, bottom)
        for (left, right), (top, bottom) in data.draw(st.lists(edges, max_size=8))
    ]
    for frame, region in zip(screen.grab_many(regions), regions, strict=True):
        assert np.array_equal(frame.pixels[..., :3], whole[region.slices])


def test_no_two_frames_share_memory(screen: xshm.Screen) -> None:
    frames = screen.grab_many([(0, 0, 50, 50)] * 10)
    frames[3].pixels[...] = 99
    assert sum(bool((frame.pixels == 99).all()) for frame in frames) == 1


def test_none_are_none_and_any_iterable_will_do(screen: xshm.Screen) -> None:
    assert screen.grab_many([]) == []
    frames = screen.grab_many(region for region in ("20x10+5+5", xshm.Rect(1, 2, 3, 4)))
    assert [frame.pixels.shape for frame in frames] == [(10, 20, 4), (4, 3, 4)]


@pytest.mark.parametrize("transport", ["sysv", "core"])
def test_many_take_one_round_trip(xvfb: Server, transport: str) -> None:
    with relayed(xvfb) as relay, xshm.Screen(relay.name, transport=transport) as screen:
        regions = [(10 * at, 20, 8, 8) for at in range(50)]
        screen.grab_many(regions)
        before = relay.round_trips
        screen.grab_many(regions)
        assert relay.round_trips == before + 1
        for region in regions:
            screen.grab(region)
        assert relay.round_trips == before + 51


def test_with_a_colormap_it_is_one_round_trip_too(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, 8)
    with Painter(server) as painter, relayed(server) as relay, xshm.Screen(relay.name, transport="sysv") as screen:
        painter.fill((0, 0, 320, 200), (255, 0, 0))
        screen.grab_many([(0, 0, 8, 8)] * 5)
        before = relay.round_trips
        frames = screen.grab_many([(0, 0, 8, 8)] * 5)
        assert relay.round_trips == before + 1
        assert [frame.pixel(3, 3) for frame in frames] == [(255, 0, 0)] * 5


def test_one_wrong_region_refuses_all_before_anything_is_sent(screen: xshm.Screen) -> None:
    with pytest.raises(xshm.OutOfBounds, match=r"100x100\+1200\+0 leaves the screen 1280x800; pass clip=True"):
        screen.grab_many([(0, 0, 10, 10), (1200, 0, 100, 100)])
    assert screen.stats().frames == 0
    frames = screen.grab_many([(0, 0, 10, 10), (1200, 0, 100, 100)], clip=True)
    assert [frame.rect for frame in frames] == [xshm.Rect(0, 0, 10, 10), xshm.Rect(1200, 0, 80, 100)]


def test_more_than_the_pool_may_hold_says_so_and_gives_all_back(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name, transport="sysv", max_frames=4, copies=False) as screen:
        with pytest.raises(xshm.PoolExhausted, match="4"):
            screen.grab_many([(0, 0, 5, 5)] * 5)
        for _ in range(3):
            frames = screen.grab_many([(0, 0, 5, 5)] * 4)
            assert len(frames) == 4
            del frames
        assert screen.stats().pool.held == 0  # type: ignore[union-attr]


def test_a_region_that_a_smaller_screen_has_lost_is_out_of_bounds_and_the_rest_go_on(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("Xvnc", 800, 600)
    with xshm.Screen(server.name) as screen:
        screen.grab()
        subprocess.run(["xrandr", "-s", "640x480"], env=server.env(), check=True)
        with pytest.raises(xshm.OutOfBounds, match="640x480"):
            screen.grab_many([(0, 0, 10, 10), (700, 500, 10, 10), (0, 0, 10, 10)])
        frames = screen.grab_many([(0, 0, 10, 10), (630, 470, 10, 10)])
        assert [frame.rect.x for frame in frames] == [0, 630]


def test_a_closed_screen_says_so(screen: xshm.Screen) -> None:
    screen.close()
    with pytest.raises(xshm.Closed, match="the screen was closed"):
        screen.grab_many([(0, 0, 5, 5)])


@pytest.mark.parametrize("verb", ["grab", "grab_many"])
def test_slots_of_grabs_that_ctrl_c_cut_short_come_back(
    xvfb: Server, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    with xshm.Screen(xvfb.name, transport="sysv", max_frames=4, copies=False) as screen:
        screen.grab_many([(0, 0, 5, 5)] * 4)  # the slots are there: none is attached, and so answered, on the way
        with monkeypatch.context() as patch:
            patch.setattr(screen, "_receive_grab", interrupted)
            with pytest.raises(KeyboardInterrupt):
                screen.grab_many([(0, 0, 5, 5)] * 4)
        if verb == "grab":
            assert screen.grab((0, 0, 5, 5)).width == 5
        else:
            assert len(screen.grab_many([(0, 0, 5, 5)] * 4)) == 4
