"""The pointer drawn into frames, at every depth and over every transport, on real servers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from pointers import Pointers
from reference import core_image
from round_trips import relayed
from slow_blend import check_drawn, random_sprite

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

WIDTH, HEIGHT = 1280, 800


@pytest.fixture
def screen(xvfb: Server, painter: Painter) -> Iterator[xshm.Screen]:
    painter.rectangles()
    with xshm.Screen(xvfb.name) as screen:
        yield screen


def test_a_frame_has_no_trace_of_the_pointer_that_was_not_asked_for(
    screen: xshm.Screen, pointers: Pointers, painter: Painter
) -> None:
    pointers.show(pointers.picture(random_sprite(40, 40), (20, 20)))
    pointers.move(300, 200)
    frame = screen.grab()
    assert frame.cursor is None
    assert np.array_equal(frame.pixels[..., :3], core_image(painter.display)[..., :3])
    pointers.move(900, 500)
    assert not screen.grab().diff(frame)


@pytest.mark.parametrize(
    ("depth", "arguments"),
    [
        *((depth, ()) for depth in (8, 15, 16, 24, 30)),
        *((8, ("-cc", str(visual_class))) for visual_class in (0, 1, 2, 4, 5)),
        *((depth, ("-cc", "5")) for depth in (16, 24)),
    ],
)
def test_at_every_depth_and_class_it_is_drawn_as_the_slow_reference_has_it(
    make_server: Callable[..., Server], depth: int, arguments: tuple[str, ...]
) -> None:
    server = make_server("Xvfb", 320, 200, depth, *arguments)
    rgba = random_sprite(17, 23, depth)
    with Painter(server) as painter, Pointers(server) as pointers, xshm.Screen(server.name) as screen:
        painter.noise((0, 0, 320, 200))
        for cursor, place in (
            (pointers.picture(rgba, (5, 6)), (100, 90)),
            (pointers.glyph(68, (0,) * 3, (65535,) * 3), (313, 3)),
        ):
            pointers.show(cursor)
            pointers.move(*place)
            shown = pointers.shown()
            region = xshm.Rect(place[0] - 30, 0 if place[1] < 30 else place[1] - 30, 37, 60)
            plain, frame = screen.grab(region), screen.grab(region, cursor=True)
            assert check_drawn(plain, frame, shown.rgba, shown.corner) > 20
            assert not screen.grab(region).diff(plain)


@pytest.mark.parametrize("kind", ["Xvnc", "Xephyr", "Xorg", "Xwayland"])
def test_other_servers_pointers_are_drawn_too(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 320, 200)
    rgba = random_sprite(17, 23)
    with Painter(server) as painter, Pointers(server) as pointers, xshm.Screen(server.name) as screen:
        painter.rectangles()
        pointers.show(pointers.picture(rgba, (5, 6)))
        pointers.move(100, 90)
        plain, frame = screen.grab((80, 80, 50, 50)), screen.grab((80, 80, 50, 50), cursor=True)
        assert check_drawn(plain, frame, rgba, (95, 84)) > 100


def test_it_is_what_ffmpeg_draws(screen: xshm.Screen, pointers: Pointers, xvfb: Server) -> None:
    pointers.show(pointers.picture(random_sprite(48, 48), (24, 24)))
    for place in ((640, 400), (0, 0), (WIDTH - 1, HEIGHT - 1)):
        pointers.move(*place)
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "x11grab", "-draw_mouse", "1"]
        command += ["-video_size", f"{WIDTH}x{HEIGHT}", "-i", xvfb.name, "-frames:v", "1", "-pix_fmt", "bgr0"]
        raw = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
        theirs = np.frombuffer(raw, np.uint8).reshape(HEIGHT, WIDTH, 4)
        assert np.array_equal(screen.grab(cursor=True).pixels[..., :3], theirs[..., :3])


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_every_transport_gives_the_same(xvfb: Server, pointers: Pointers, transport: str) -> None:
    rgba = random_sprite(24, 24)
    pointers.show(pointers.picture(rgba, (3, 4)))
    pointers.move(200, 100)
    with xshm.Screen(xvfb.name, transport=transport) as screen:
        plain, frame = screen.grab((190, 90, 40, 40)), screen.grab((190, 90, 40, 40), cursor=True)
    assert check_drawn(plain, frame, rgba, (197, 96)) > 100


@pytest.mark.parametrize("place", [(0, 0), (WIDTH - 1, 0), (0, HEIGHT - 1), (WIDTH - 1, HEIGHT - 1)])
def test_it_is_cut_at_the_screen_s_edges(screen: xshm.Screen, pointers: Pointers, place: tuple[int, int]) -> None:
    rgba = random_sprite(30, 20)
    pointers.show(pointers.picture(rgba, (15, 10)))
    pointers.move(*place)
    region = (max(place[0] - 30, 0), max(place[1] - 30, 0), 31, 31)
    plain, frame = screen.grab(region), screen.grab(region, cursor=True)
    assert check_drawn(plain, frame, rgba, (place[0] - 15, place[1] - 10)) > 50
    assert frame.cursor
    assert frame.cursor.position == place
    assert not screen.rect.contains(frame.cursor.rect)


def test_it_is_cut_at_a_region_s_edges_and_placed_right_in_it(screen: xshm.Screen, pointers: Pointers) -> None:
    rgba = random_sprite(16, 16)
    pointers.show(pointers.picture(rgba, (8, 8)))
    pointers.move(500, 300)
    whole = screen.grab(cursor=True)
    for region in ((495, 200, 100, 100), (480, 297, 22, 5), (500, 300, 1, 1), (400, 250, 93, 100)):
        frame = screen.grab(region, cursor=True)
        assert np.array_equal(frame.pixels[..., :3], whole.pixels[xshm.Rect(*region).slices][..., :3])
        assert check_drawn(screen.grab(region), frame, rgba, (492, 292)) > 0
    clipped = screen.grab((-50, 250, 553, 100), cursor=True, clip=True)
    assert np.array_equal(clipped.pixels[..., :3], whole.pixels[250:350, :503, :3])


def test_outside_of_the_region_it_changes_nothing_and_is_told_of(screen: xshm.Screen, pointers: Pointers) -> None:
    pointers.show(pointers.picture(random_sprite(16, 16), (8, 8)))
    pointers.move(500, 300)
    region = (508, 200, 100, 100)
    frame = screen.grab(region, cursor=True)
    assert not frame.diff(screen.grab(region))
    assert frame.cursor
    assert frame.cursor.position == (500, 300)


def test_a_transparent_one_changes_nothing(screen: xshm.Screen, pointers: Pointers) -> None:
    pointers.show(pointers.picture(np.zeros((16, 16, 4), np.uint8)))
    pointers.move(500, 300)
    plain, frame = screen.grab(), screen.grab(cursor=True)
    assert np.array_equal(plain.pixels, frame.pixels)
    assert frame.cursor
    assert not frame.cursor.sprite.any()


def test_only_the_frame_that_was_asked_for_has_it(screen: xshm.Screen, pointers: Pointers) -> None:
    pointers.show(pointers.picture(random_sprite(48, 48), (24, 24)))
    pointers.move(300, 300)
    frames = [screen.grab(cursor=with_it) for with_it in (False, True, False, True)]
    pointers.move(700, 300)
    frames += [screen.grab(), screen.grab(cursor=True)]
    assert [bool(frames[0].diff(frame)) for frame in frames] == [False, True, False, True, False, True]
    assert not frames[1].diff(frames[3])


@pytest.mark.parametrize("mode", [True, "layer"])
def test_it_comes_in_the_grab_s_own_round_trip(xvfb: Server, mode: Any) -> None:
    with relayed(xvfb) as relay, xshm.Screen(relay.name, transport="sysv") as screen:
        screen.grab(cursor=mode)
        before = relay.round_trips
        for _ in range(10):
            assert screen.grab(cursor=mode).cursor
        assert relay.round_trips == before + 10


def test_a_server_without_xfixes_is_an_error_that_says_so_and_plain_grabs_go_on(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("Xvfb", 320, 200, 24, "-extension", "XFIXES")
    with xshm.Screen(server.name) as screen:
        for _ in range(2):
            with pytest.raises(xshm.XshmError, match=r"pointer needs the XFIXES extension.*does not have"):
                screen.grab(cursor=True)
        assert screen.grab().cursor is None


@pytest.mark.parametrize("mode", ["drawn", 1, None, "Layer", 0])
def test_anything_else_for_cursor_is_refused(screen: xshm.Screen, mode: Any) -> None:
    with pytest.raises(xshm.InvalidArgument, match=f"'layer', not {mode!r}"):
        screen.grab(cursor=mode)


def test_a_closed_screen_and_a_wrong_region_say_so_with_a_pointer_too(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, pytest.raises(xshm.OutOfBounds, match="leaves the screen"):
        screen.grab((0, 0, WIDTH + 1, 1), cursor=True)
    with pytest.raises(xshm.Closed, match="the screen was closed"):
        screen.grab(cursor=True)
