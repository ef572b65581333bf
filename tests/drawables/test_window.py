"""Windows: frames show what the client has painted, whatever covers it, from the first grab on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from colours import BLUE, DARK_GREEN, RED
from painter import Painter
from programs import Programs, eventually, same
from reference import core_image, xwd
from Xlib import X

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


# -- what is in the picture --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_window_is_what_xwd_sees_of_it(xvfb: Server, painter: Painter, transport: str) -> None:
    window = painter.window((100, 50, 321, 123), BLUE)
    painter.rectangles(drawable=window)
    with xshm.Screen(xvfb.name, transport) as screen, screen.window(window.id) as opened:
        frame = opened.grab()
        assert frame.rect == opened.rect == xshm.Rect(0, 0, 321, 123)
        assert same(frame, xwd(xvfb, window.id).pixels)
        part = opened.grab((10, 20, 30, 40))
        assert part.rect == xshm.Rect(10, 20, 30, 40)
        assert same(part, core_image(painter.display, (10, 20, 30, 40), window))


def test_a_window_is_whole_though_another_covers_it(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 300, 200), BLUE)
    painter.rectangles(drawable=window)
    shown = core_image(painter.display, drawable=window)
    with screen.window(window.id) as opened:
        painter.window((0, 0, 350, 400), RED)
        assert same(opened.grab(), shown)
        painter.fill((5, 5, 20, 20), DARK_GREEN, window)  # what is painted under the cover is seen too
        assert opened.grab().pixel(10, 10) == DARK_GREEN


def test_a_window_is_whole_though_it_leaves_the_screen_or_is_larger(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 300, 200), BLUE)
    with screen.window(window.id) as opened:
        window.configure(x=-50, y=-100, width=2000, height=1500)
        painter.rectangles(drawable=window)
        frame = opened.grab()
        assert (frame.width, frame.height) == (2000, 1500)
        window.configure(x=5000)
        painter.display.sync()
        assert same(opened.grab(), frame.pixels)


def test_a_border_is_not_part_of_the_picture(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    window.configure(border_width=7)
    painter.rectangles(drawable=window)
    with screen.window(window.id) as opened:
        assert opened.rect == xshm.Rect(0, 0, 200, 100)
        assert opened.position == (107, 57)
        assert same(opened.grab(), core_image(painter.display, drawable=window))
        regions = [(3, 4, 50, 60), (150, 50, 50, 50)]
        for region, frame in zip(regions, opened.grab_many(regions), strict=True):
            assert same(frame, core_image(painter.display, region, window))
        window.configure(border_width=0)
        painter.display.sync()
        assert same(opened.grab(), core_image(painter.display, drawable=window))


def test_a_window_of_depth_32_has_alpha(screen: xshm.Screen, painter: Painter) -> None:
    display, root = painter.display, painter.root
    visual = next(
        visual
        for depth in painter.screen.allowed_depths
        if depth["depth"] == 32
        for visual in depth["visuals"]
        if visual["visual_class"] == X.TrueColor
    )
    colormap = root.create_colormap(visual["visual_id"], X.AllocNone)
    window = root.create_window(
        *(50, 60, 64, 48, 0, 32),
        visual=visual["visual_id"],
        colormap=colormap,
        border_pixel=0,
        background_pixel=0x40102030,
        override_redirect=True,
    )
    window.map()
    gc = window.create_gc(foreground=0x80FF8000)
    window.fill_rectangle(gc, 10, 10, 5, 5)
    display.sync()
    with screen.window(window.id) as opened:
        assert opened.format.depth == 32
        pixels = opened.grab().rgba()
    assert tuple(pixels[12, 12]) == (0xFF, 0xFF, 0x00, 0x80)
    assert tuple(pixels[0, 0]) == (0x40, 0x80, 0xBF, 0x40)


@pytest.mark.parametrize("depth", [16, 30])
def test_windows_have_the_colours_of_a_screen_of_any_depth(make_server: Callable[..., Server], depth: int) -> None:
    server = make_server("Xvfb", 320, 240, depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        window = painter.window((20, 30, 200, 100), BLUE)
        painter.rectangles(drawable=window)
        shown = xwd(server, window.id).rgb()
        with screen.window(window.id) as opened:
            painter.window((0, 0, 100, 200), RED)
            assert np.array_equal(opened.grab().rgb(), shown)


def test_a_window_on_an_eight_bit_screen_has_the_colours_of_its_colormap(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 240, 8)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        window = painter.window((20, 30, 200, 100), BLUE)
        painter.rectangles(drawable=window)
        with screen.window(window.id) as opened:
            assert np.array_equal(opened.grab().rgb(), xwd(server, window.id).rgb())
            assert opened.source.kind == "screen"  # X.Org's servers leave Composite out there


# -- what was hidden when it was opened --------------------------------------------------------------------------------


# The shell names the terminal "it" once there is something to be seen.
_TERMINAL = ("xterm", "-T", "not yet", "-e", "sh", "-c", r"ls /; printf '\033]2;it\007'; sleep 99")


@pytest.mark.parametrize("command", [("xlogo", "-title", "it"), _TERMINAL])
def test_opening_a_covered_window_waits_until_its_program_has_painted_it(
    xvfb: Server, painter: Painter, command: tuple[str, ...]
) -> None:
    painter.root.warp_pointer(1279, 799)  # a terminal whose pointer is taken away by the cover paints its cursor anew
    with Programs(xvfb) as programs, xshm.Screen(xvfb.name) as screen:
        window = programs.show("it", command[0], "-geometry", "+100+100", *command[1:])  # -e takes all that follows
        shown = programs.picture(window)
        painter.window((0, 0, 1280, 800), RED)

        def is_painted() -> bool:  # a busy machine may need more than one try
            with screen.window(window) as opened:
                return same(opened.grab(), shown)

        assert eventually(is_painted)


def test_opening_a_covered_window_waits_for_a_program_that_takes_its_time(
    xvfb: Server, screen: xshm.Screen, painter: Painter
) -> None:
    script = (
        "import sys, time, Xlib.display\n"
        "d = Xlib.display.Display(sys.argv[1]); r = d.screen().root\n"
        "w = r.create_window(10, 10, 90, 90, 0, 24, override_redirect=True, event_mask=1 << 15, background_pixel=0)\n"
        "gc = w.create_gc(foreground=0xFF); w.set_wm_name('slow'); w.map()\n"
        "while True:\n"
        "    d.next_event(); time.sleep(0.1); w.fill_rectangle(gc, 0, 0, 45, 90); d.sync()\n"
        "    time.sleep(0.03); w.fill_rectangle(gc, 45, 0, 45, 90); d.sync()\n"
    )
    with Programs(xvfb) as programs:
        programs.start(sys.executable, "-c", script, xvfb.name)
        window = eventually(lambda: programs.window("slow"))
        painter.window((0, 0, 400, 400), RED)

        def is_painted() -> bool:  # a busy machine may need more than one try
            with screen.window(window) as opened:
                return bool((opened.grab().rgb() == BLUE).all())

        assert eventually(is_painted)


def test_a_program_that_paints_nothing_is_waited_for_within_bounds(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    painter.fill((0, 0, 200, 100), DARK_GREEN, window)
    painter.window((200, 0, 400, 400), RED)
    begun = time.monotonic()
    with screen.window(window.id) as opened:
        assert 0.25 < time.monotonic() - begun < 1.5
        frame = opened.grab()
    assert frame.pixel(99, 50) == DARK_GREEN  # what was in sight
    assert frame.pixel(100, 50) == BLUE  # what was not: its background


def test_a_program_that_paints_all_the_time_is_waited_for_within_bounds(xvfb: Server, screen: xshm.Screen) -> None:
    with Programs(xvfb) as programs, Painter(xvfb) as painter:
        programs.start(
            "xterm", "-T", "busy", "-geometry", "+100+100", "-e", "sh -c 'while :; do date; sleep 0.01; done'"
        )
        window = eventually(lambda: programs.window("busy"))
        painter.window((0, 0, 1280, 800), RED)
        begun = time.monotonic()
        with screen.window(window):
            assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize("command", [("xlogo", "-title", "it"), ("xeyes", "-title", "it")])
def test_opening_a_window_that_nothing_covers_waits_for_nothing(
    xvfb: Server, screen: xshm.Screen, command: tuple[str, ...]
) -> None:
    with Programs(xvfb) as programs:
        window = programs.show("it", *command, "-geometry", "200x150+100+100")
        screen.windows()
        begun = time.monotonic()
        with screen.window(window) as opened:
            assert time.monotonic() - begun < 0.15
            shown = programs.picture(window)
            assert same(opened.grab(), shown)


def test_a_window_that_is_redirected_already_is_not_waited_for(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id):
        painter.window((0, 0, 400, 400), RED)
        begun = time.monotonic()
        with screen.window(window.id) as again:
            assert time.monotonic() - begun < 0.15
            assert again.grab().pixel(50, 50) == BLUE
