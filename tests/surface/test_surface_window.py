"""What happens to a surface's window: exposed, resized, closed, destroyed, its server killed; keys and buttons."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from descriptors import new_descriptors, open_descriptors
from painter import Painter
from reference import core_image, xwd
from surfaces import cover_and_uncover, noise, seen
from Xlib import X
from Xlib.ext import xtest
from Xlib.protocol import event as xlib_event

import xshm
from xshm.errors import (
    DisplayGone,
    InvalidArgument,
    WindowGone,
)
from xshm.events import Button, Close, Key, Motion, Resize
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


# -- what happens to the window --------------------------------------------------------------------------------------


def test_exposed_parts_are_drawn_again(each: Surface, painter: Painter) -> None:
    array = noise(150, 200, 3)
    each.show(array)
    each.wait()
    cover_and_uncover(painter, (20, 30, 100, 90))
    assert not np.array_equal(seen(painter, each), array)
    each.wait()
    assert np.array_equal(seen(painter, each), array)
    cover_and_uncover(painter, (20, 30, 100, 90))
    assert list(each.events(timeout=0.05)) == []
    assert np.array_equal(seen(painter, each), array)


def test_what_is_exposed_while_memory_is_acquired_is_drawn_when_presented(each: Surface, painter: Painter) -> None:
    array = noise(150, 200, 3)
    each.show(array)
    each.wait()
    with each.draw((0, 0, 100, 150)) as pixels:
        pixels[...] = 8
        cover_and_uncover(painter, (50, 0, 100, 150))
        assert list(each.events(timeout=0.05)) == []
        found = seen(painter, each)
        assert np.array_equal(found[:, 100:], array[:, 100:])
        assert not (found[:, 50:100] == 8).any()
    each.wait()
    array[:, :100] = 8
    assert np.array_equal(seen(painter, each), array)


def test_a_part_of_anothers_window_that_was_not_drawn_is_not_redrawn(xvfb: Server, painter: Painter) -> None:
    window = painter.window((0, 0, 100, 80), (255, 0, 0))
    with Surface(on=window.id, display=xvfb.name) as surface:
        surface.show(noise(20, 20, 3), at=(40, 40))
        surface.wait()
        before = core_image(painter.display, drawable=window)
        cover_and_uncover(painter, (0, 0, 100, 80))
        surface.wait()
        assert np.array_equal(core_image(painter.display, drawable=window)[..., :3], before[..., :3])
        with surface.draw():
            assert surface.age == 0


def test_a_resize_is_told_and_brings_buffers_of_the_new_size(xvfb: Server, painter: Painter) -> None:
    array = noise(150, 200, 3)
    with Surface(200, 150, display=xvfb.name, resizable=True) as surface:
        surface.show(array)
        surface.wait()
        window = painter.display.create_resource_object("window", surface.id)
        for width, height in ((260, 100), (120, 170)):
            window.configure(width=width, height=height)
            painter.display.sync()
            assert Resize(width, height) in list(surface.events(timeout=0.2))
            assert surface.rect == xshm.Rect(0, 0, width, height)
            expected = np.zeros((height, width, 3), np.uint8)
            kept = array[:height, :width]
            expected[: kept.shape[0], : kept.shape[1]] = kept
            assert np.array_equal(seen(painter, surface), expected)
            with surface.draw((width - 5, height - 5, 5, 5)) as pixels:
                pixels[...] = 50
            expected[-5:, -5:] = 50
            surface.wait()
            assert np.array_equal(seen(painter, surface), expected)
            with surface.draw() as pixels:
                assert pixels.shape == (height, width, 4)
                assert np.array_equal(pixels[..., 2::-1], expected)
            array = expected


def test_a_draw_that_a_resize_overtakes_is_shown_as_far_as_it_fits(xvfb: Server, painter: Painter) -> None:
    with Surface(200, 150, display=xvfb.name, resizable=True) as surface:
        window = painter.display.create_resource_object("window", surface.id)
        with surface.draw() as pixels:
            pixels[...] = 99
            window.configure(width=100, height=300)
            painter.display.sync()
            assert Resize(100, 300) in list(surface.events(timeout=0.2))
        surface.wait()
        found = seen(painter, surface)
        assert (found[:150] == 99).all()
        assert not found[150:].any()


def test_keys_buttons_and_motion_come_as_events(xvfb: Server, painter: Painter) -> None:
    with Surface(200, 150, display=xvfb.name, position=(300, 200)) as surface:
        display = painter.display
        xtest.fake_input(display, X.MotionNotify, x=310, y=220)
        shift, letter, escape = (display.keysym_to_keycode(keysym) for keysym in (0xFFE1, ord("q"), 0xFF1B))
        for code, down in ((letter, 1), (letter, 0), (shift, 1), (letter, 1), (letter, 0), (shift, 0), (escape, 1)):
            xtest.fake_input(display, X.KeyPress if down else X.KeyRelease, code)
        xtest.fake_input(display, X.KeyRelease, escape)
        xtest.fake_input(display, X.ButtonPress, 1)
        xtest.fake_input(display, X.ButtonRelease, 1)
        xtest.fake_input(display, X.MotionNotify, x=330, y=240)
        display.sync()
        events = list(surface.events(timeout=0.3))
    keys = [(event.name, event.text) for event in events if isinstance(event, Key) and event.pressed]
    assert keys == [("q", "q"), ("Shift_L", ""), ("Q", "Q"), ("Escape", "")]
    assert sum(isinstance(event, Key) and not event.pressed for event in events) == 4
    buttons = [(event.pressed, event.number, event.x, event.y) for event in events if isinstance(event, Button)]
    assert buttons == [(True, 1, 10, 20), (False, 1, 10, 20)]
    last = events[-1]
    assert isinstance(last, Motion)
    assert (last.x, last.y) == (30, 40)


def test_events_wait_while_another_thread_draws(surface: Surface, painter: Painter) -> None:
    found: list[Any] = []

    def listen() -> None:
        found.extend(surface.events())

    listener = threading.Thread(target=listen)
    listener.start()
    for number in range(200):
        with surface.draw() as pixels:
            pixels[...] = number
    surface.wait()
    assert (seen(painter, surface) == 199).all()
    ask_to_close(painter, surface)
    listener.join(5)
    assert not listener.is_alive()
    assert found[-1] == Close()


def ask_to_close(painter: Painter, surface: Surface) -> None:
    """Send WM_DELETE_WINDOW as a window manager does."""
    display = painter.display
    window = display.create_resource_object("window", surface.id)
    protocols, delete = display.intern_atom("WM_PROTOCOLS"), display.intern_atom("WM_DELETE_WINDOW")
    assert delete in window.get_wm_protocols()
    message = xlib_event.ClientMessage(window=window, client_type=protocols, data=(32, [delete, 0, 0, 0, 0]))
    window.send_event(message)
    display.sync()


def test_closing_by_its_user_ends_iteration_and_drawing_goes_on(surface: Surface, painter: Painter) -> None:
    was_open = surface.is_open
    ask_to_close(painter, surface)
    assert list(surface.events()) == [Close()]
    assert (was_open, surface.is_open) == (True, False)
    assert list(surface.events()) == []
    surface.show(noise(150, 200, 3))
    surface.wait()


def test_under_a_window_manager_it_opens_closes_and_keeps_its_size(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    manager = subprocess.Popen(["openbox"], env=server.env(), stderr=subprocess.DEVNULL)
    try:
        with Painter(server) as painter:
            wait_for_manager(painter)
            array = noise(150, 200, 3)
            with Surface(200, 150, display=server.name, title="déjà vu", position=(50, 60)) as surface:
                surface.show(array)
                surface.wait()
                assert np.array_equal(xwd(server, surface.id).rgb(), array)
                window = painter.display.create_resource_object("window", surface.id)
                hints = window.get_wm_normal_hints()
                assert (hints.min_width, hints.max_height) == (200, 150)
                name = painter.display.intern_atom("_NET_WM_NAME")
                assert window.get_full_property(name, 0).value.decode() == "déjà vu"
                close = painter.display.intern_atom("_NET_CLOSE_WINDOW")
                message = xlib_event.ClientMessage(window=window, client_type=close, data=(32, [0, 2, 0, 0, 0]))
                painter.root.send_event(message, event_mask=X.SubstructureRedirectMask | X.SubstructureNotifyMask)
                painter.display.sync()
                assert list(surface.events())[-1] == Close()
    finally:
        manager.terminate()
        manager.wait()


def wait_for_manager(painter: Painter) -> None:
    """Return when a window manager has mapped a window: at its start it may take its time."""
    supporting = painter.display.intern_atom("_NET_SUPPORTING_WM_CHECK")
    deadline = time.monotonic() + 15
    while painter.root.get_full_property(supporting, 0) is None:
        assert time.monotonic() < deadline, "openbox did not come up"
        time.sleep(0.02)
    window = painter.window((0, 0, 50, 50), (9, 9, 9), managed=True)
    while window.get_attributes().map_state != X.IsViewable:
        assert time.monotonic() < deadline, "openbox maps no window"
        time.sleep(0.1)
        window.map()  # it may lose a request that comes while it starts
        painter.display.sync()


# -- the end of windows and servers ----------------------------------------------------------------------------------


def test_the_death_of_the_window_is_an_error_of_the_next_calls(
    each: Surface, painter: Painter, capfd: pytest.CaptureFixture[str]
) -> None:
    array = noise(150, 200, 3)
    each.show(array)
    painter.display.create_resource_object("window", each.id).destroy()
    painter.display.sync()
    with pytest.raises(WindowGone, match=f"{each.id:#x} was destroyed"):
        each.show(array)
    for _ in range(5):
        with pytest.raises(WindowGone):
            each.show(array)
    with pytest.raises(WindowGone):
        list(each.events())
    assert not each.is_open
    assert capfd.readouterr().err == ""


def test_a_word_of_the_windows_end_that_another_client_sent_is_not_believed(each: Surface, painter: Painter) -> None:
    window = painter.display.create_resource_object("window", each.id)
    window.send_event(xlib_event.DestroyNotify(event=window, window=window), event_mask=X.StructureNotifyMask)
    painter.display.sync()
    for _ in range(3):
        each.show(noise(150, 200, 3))
        each.wait()
    assert each.is_open


def test_the_death_of_a_pixmap_is_an_error_of_the_next_call(xvfb: Server, painter: Painter) -> None:
    pixmap = painter.root.create_pixmap(20, 20, 24)
    painter.display.sync()
    with Surface(on=pixmap.id, display=xvfb.name) as surface:
        surface.show(noise(20, 20))
        surface.wait()
        with pytest.raises(InvalidArgument, match="has no events"):
            next(surface.events())
        pixmap.free()
        painter.display.sync()
        surface.show(noise(20, 20))
        with pytest.raises(WindowGone, match=f"{pixmap.id:#x} was destroyed"):
            surface.wait()


@pytest.mark.parametrize("way", ["pixmap", "put"])
def test_a_server_that_dies_in_the_middle_is_told_within_a_second(way: str, make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 240)
    surface = Surface(200, 150, display=server.name, way=way)
    with surface.draw(), surface.draw(), surface.draw():
        pass
    surface.wait()
    server.pause()
    ends: list[float] = []

    def present() -> None:
        with contextlib.suppress(DisplayGone):
            while True:
                surface.show(noise(150, 200))
        ends.append(time.monotonic())

    def listen() -> None:
        with contextlib.suppress(DisplayGone):
            list(surface.events())
        ends.append(time.monotonic())

    threads = [threading.Thread(target=present), threading.Thread(target=listen)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    killed = time.monotonic()
    server.kill()
    for thread in threads:
        thread.join(5)
    assert len(ends) == 2
    assert max(ends) - killed < 1
    with pytest.raises(DisplayGone):
        surface.wait()
    surface.close()


def test_a_surface_that_fails_to_open_leaves_no_connection(xvfb: Server) -> None:
    before = open_descriptors()
    with pytest.raises(WindowGone):
        Surface(on=0x1234567, display=xvfb.name)
    assert not new_descriptors(before)
