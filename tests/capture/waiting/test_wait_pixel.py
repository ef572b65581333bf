"""wait_pixel: matches every colour that a program paints, reduced to the screen's bits, and no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from delayed import later
from painter import Painter
from Xlib import X

import xshm
from xshm.capture.waiting.colour_match import displayed_as, matches_colour
from xshm.cli import main
from xshm.errors import OutOfBounds, WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

_SERVERS = [
    ("Xvfb", 15),
    ("Xvfb", 16),
    ("Xvfb", 24),
    ("Xvfb", 30),
    ("Xvnc", 16),
    ("Xephyr", 16),
    ("Xorg", 15),
    ("Xorg", 16),
    ("Xorg", 30),
]
_COLOURS = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (200, 100, 50), (4, 251, 28), (1, 2, 3), (254, 253, 252)]


def _plane(painter: Painter, value: int, x: int) -> None:
    gc = painter.root.create_gc(foreground=value, subwindow_mode=X.IncludeInferiors)
    painter.root.fill_rectangle(gc, x, 0, 1, 5)
    painter.display.sync()


@pytest.mark.parametrize(("kind", "depth"), [*_SERVERS, ("Xvfb", 8)])
def test_what_core_requests_have_painted_is_met_at_once(
    make_server: Callable[..., Server], kind: str, depth: int
) -> None:
    server = make_server(kind, 640, 480, depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        for colour in _COLOURS:
            painter.fill((0, 0, 5, 5), colour)
            screen.wait_pixel(2, 2, colour, timeout=0)
            screen.wait_pixel(2, 2, "#{:02x}{:02x}{:02x}".format(*colour), timeout=0)


@pytest.mark.parametrize(("kind", "depth"), _SERVERS)
def test_all_shades_of_a_channel_are_met_as_the_server_allocates_them(
    make_server: Callable[..., Server], kind: str, depth: int
) -> None:
    server = make_server(kind, 640, 480, depth)
    shades = [(shade, 255 - shade, shade * 7 % 256) for shade in range(256)]
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        for colour in shades:
            painter.fill((colour[0], 0, 1, 5), colour)
        frame = screen.grab()
        assert [colour for colour in shades if not matches_colour(frame, colour[0], 2, colour)] == []


@pytest.mark.parametrize("depth", [15, 16, 30])
def test_a_colour_that_was_cut_or_rounded_to_the_screens_bits_is_met(
    make_server: Callable[..., Server], depth: int
) -> None:
    server = make_server("Xvfb", 640, 480, depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        masks = screen.format.red_mask, screen.format.green_mask, screen.format.blue_mask
        for colour in _COLOURS:
            cut = rounded = 0
            for shade, mask in zip(colour, masks, strict=True):
                bits, low = mask.bit_count(), mask & -mask
                cut |= (shade >> 8 - bits if bits < 8 else shade << bits - 8) * low
                rounded |= int(shade * (2**bits - 1) / 255 + 0.5) * low
            for value in (cut, rounded):
                _plane(painter, value, 3)
                screen.wait_pixel(3, 2, colour, timeout=0)


@pytest.mark.parametrize("depth", [15, 16, 24, 30])
def test_what_a_surface_shows_is_met(make_server: Callable[..., Server], depth: int) -> None:
    server = make_server("Xvfb", 320, 240, depth)
    with xshm.Screen(server.name) as screen, xshm.Surface(256, 10, display=server.name, position=(0, 0)) as surface:
        shades = np.arange(256, dtype=np.uint8)
        array = np.broadcast_to(np.stack([shades, shades[::-1], shades * 3], axis=1), (10, 256, 3))
        surface.show(np.ascontiguousarray(array))
        surface.wait()
        with screen.window(surface.id) as window:
            frame = window.grab()
            colours = [tuple(map(int, array[0, shade])) for shade in range(256)]
            assert [each for x, each in enumerate(colours) if not matches_colour(frame, x, 2, each)] == []  # type: ignore[arg-type]


def test_a_shade_beside_it_is_not_met(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 240, 30)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.fill((0, 0, 5, 5), (254, 100, 50))
        screen.wait_pixel(2, 2, (254, 100, 50), timeout=0)
        for other in ((255, 100, 50), (253, 100, 50), (254, 101, 50), (254, 100, 49)):
            with pytest.raises(WaitTimeout, match=r"it is \(254, 100, 50\)$"):
                screen.wait_pixel(2, 2, other, timeout=0)
        screen.wait_pixel(2, 2, (255, 99, 51), timeout=0, tolerance=1)
    server = make_server("Xvfb", 320, 240, 16)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.fill((0, 0, 5, 5), (100, 100, 100))
        for other in ((120, 100, 100), (80, 100, 100), (100, 108, 100)):
            with pytest.raises(WaitTimeout):
                screen.wait_pixel(2, 2, other, timeout=0)
        screen.wait_pixel(2, 2, (120, 100, 100), timeout=0, tolerance=21)


def test_the_time_that_is_over_names_the_colour_that_is_there_and_what_the_wanted_one_would_be(
    make_server: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server("Xvfb", 320, 240, 16)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.fill((0, 0, 5, 5), (255, 0, 0))
        with pytest.raises(WaitTimeout) as over:
            screen.wait_pixel(2, 2, (200, 100, 50), timeout=0)
        there = "it is (255, 0, 0), and (200, 100, 50) would be (206, 101, 49) or (197, 101, 49) at depth 16"
        assert str(over.value) == f"the colour (200, 100, 50) at 2, 2 did not come within 0 s; {there}"
        assert main.main(["wait", "--display", server.name, "--pixel", "2,2,#c86432", "--timeout", "0"]) == 1
    assert capsys.readouterr() == ("", f"xshm: the colour (200, 100, 50) at 2, 2 did not come within 0.0 s; {there}\n")


def test_the_screens_bits_are_those_of_the_window_that_is_looked_at(xvfb: Server, painter: Painter) -> None:
    fmt: Any = painter.window((10, 10, 50, 50), (3, 5, 7))
    with xshm.Screen(xvfb.name) as screen, screen.window(fmt.id) as window:
        window.wait_pixel(5, 5, (3, 5, 7), timeout=0)
        assert set(displayed_as(window.format, (3, 5, 7))) == {(3, 5, 7)}
        with pytest.raises(
            WaitTimeout, match=r"the colour \(4, 5, 7\) at 5, 5 did not come within 0 s; it is \(3, 5, 7\)$"
        ):
            window.wait_pixel(5, 5, (4, 5, 7), timeout=0)


def test_a_pixel_that_leaves_the_window_while_it_is_waited_for_is_out_of_bounds(xvfb: Server, painter: Painter) -> None:
    window = painter.window((10, 10, 50, 50), (3, 5, 7))

    def shrink() -> None:
        window.configure(width=20)
        painter.display.sync()

    with (
        xshm.Screen(xvfb.name) as screen,
        screen.window(window.id) as opened,
        later(0.2, shrink),
        pytest.raises(OutOfBounds, match=r"^the pixel 40, 5 leaves <Window .* was resized to 20x50\+0\+0$"),
    ):
        opened.wait_pixel(40, 5, (255, 0, 0), timeout=5)
