"""Windows with window managers, compositors, the pointer, and the caller's own requests on the connection."""

from __future__ import annotations

import concurrent.futures
import sys
from typing import TYPE_CHECKING, Any

import pytest
from colours import BLUE, DARK_GREEN, RED
from painter import Painter, plain_display
from programs import Programs, eventually, same
from reference import core_image
from Xlib import X
from Xlib.error import BadMatch
from Xlib.ext import composite

import xshm
from xshm.errors import (
    Closed,
    WindowNotViewable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


def _named_by(painter: Painter, window: Any) -> bool:
    """Tell whether another client can name the window's pixmap: whether it is redirected for anybody."""
    errors: list[Any] = []
    name = painter.display.display.allocate_resource_id()
    composite.NameWindowPixmap(
        display=painter.display.display,
        onerror=lambda error, _request: not errors.append(error),  # type: ignore[func-returns-value]
        opcode=painter.display.display.get_extension_major("Composite"),
        window=window,
        pixmap=name,
    )
    painter.display.sync()
    assert not errors or isinstance(errors[0], BadMatch)
    return not errors


def test_under_a_window_manager_the_client_is_grabbed_without_its_frame(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs, Painter(server) as painter, xshm.Screen(server.name) as screen:
        window = programs.show("it", "xlogo", "-title", "it", "-geometry", "200x150+400+300")
        manager = programs.manage(window)
        shown = programs.picture(window)
        cover = painter.window((300, 200, 340, 280), RED)
        with screen.window("it") as opened:
            assert opened.id == window
            assert opened.rect == xshm.Rect(0, 0, 200, 150)
            assert same(opened.grab(), shown)

            programs.ask("xdotool", "windowminimize", "--sync", str(window))
            with pytest.raises(WindowNotViewable, match="iconified"):
                eventually(lambda: opened.grab() and None)
            with pytest.raises(WindowNotViewable, match="iconified"):
                screen.window("it")
            cover.destroy()
            programs.ask("xdotool", "windowactivate", "--sync", str(window))
            eventually(lambda: programs.window("it"))
            shown = programs.picture(window)
            assert same(opened.grab(), shown)

            programs.end(manager)  # the client goes back to the root window
            eventually(lambda: programs.window("it"))
            programs.ask("xdotool", "windowsize", "--sync", str(window), "111", "99")
            eventually(lambda: opened.rect == xshm.Rect(0, 0, 111, 99))
            shown = programs.picture(window)
            assert same(opened.grab(), shown)


def test_another_clients_redirection_stays_as_it_was(xvfb: Server, screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with Painter(xvfb) as compositor:
        theirs = compositor.display.create_resource_object("window", window.id)
        theirs.composite_redirect_window(composite.RedirectManual)
        compositor.display.sync()
        painter.fill((0, 0, 200, 100), DARK_GREEN, window)  # a compositor would have to show it, and this one does not
        with screen.window(window.id) as opened:
            assert opened.grab().pixel(150, 50) == DARK_GREEN
            assert screen.grab().pixel(150, 100) != DARK_GREEN
        assert _named_by(compositor, window.id)
        assert screen.grab().pixel(150, 100) != DARK_GREEN
        with screen.window(window.id) as opened:
            theirs.composite_unredirect_window(composite.RedirectManual)
            compositor.display.sync()
            painter.fill((0, 0, 200, 100), RED, window)
            assert opened.grab().pixel(150, 50) == RED
            assert screen.grab().pixel(150, 100) == RED


def test_a_window_in_a_frame_that_a_compositor_shows_is_shown_by_it_as_before(
    xvfb: Server, screen: xshm.Screen, painter: Painter
) -> None:
    frame = painter.window((100, 50, 200, 100), BLUE)
    inner = frame.create_window(10, 10, 180, 80, 0, 24, background_pixel=painter.pixel(RED))
    inner.map()
    painter.display.sync()
    with Painter(xvfb) as compositor:
        shown = compositor.display.create_resource_object("window", frame.id)
        shown.composite_redirect_window(composite.RedirectManual)
        pixmap = shown.composite_name_window_pixmap()
        compositor.display.sync()
        with screen.window(inner.id) as opened:
            assert opened.grab().pixel(5, 5) == RED
            painter.fill((0, 0, 50, 50), DARK_GREEN, inner)
            assert opened.grab().pixel(5, 5) == DARK_GREEN
            eventually(lambda: tuple(core_image(compositor.display, (15, 15, 1, 1), pixmap)[0, 0, 2::-1]) == DARK_GREEN)
        painter.fill((0, 0, 50, 50), BLUE, inner)
        eventually(lambda: tuple(core_image(compositor.display, (15, 15, 1, 1), pixmap)[0, 0, 2::-1]) == BLUE)


def test_an_open_window_is_on_the_screen_as_before(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        for colour in (DARK_GREEN, RED):
            painter.fill((0, 0, 200, 100), colour, window)
            assert screen.grab().pixel(150, 100) == opened.grab().pixel(50, 50) == colour
            assert tuple(core_image(painter.display, (150, 100, 1, 1))[0, 0, 2::-1]) == colour
        window.configure(x=400)
        painter.display.sync()
        assert screen.grab().pixel(450, 100) == RED


def test_closing_a_window_ends_its_redirection(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    opened = screen.window(window.id)
    again = screen.window(window.id)
    opened.close()
    opened.close()
    assert _named_by(painter, window.id)  # the other one holds it
    window.configure(width=77)
    painter.display.sync()
    assert again.grab().width == 77
    again.close()
    screen.connection.sync()
    assert not _named_by(painter, window.id)
    with pytest.raises(Closed, match="window"):
        again.grab()


def test_a_window_that_was_dropped_unclosed_gives_back_what_it_held(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    frame = screen.window(window.id).grab()
    screen.windows()
    screen.connection.sync()
    assert not _named_by(painter, window.id)
    assert frame.pixel(0, 0) == BLUE


def test_a_window_that_is_resized_many_times_holds_one_pixmap(screen: xshm.Screen, painter: Painter) -> None:
    def held() -> dict[str, int]:
        screen.connection.sync()
        counts = painter.display.res_query_client_resources(screen.connection.info.resource_id_base).types
        named = {painter.display.get_atom_name(each.resource_type): each.count for each in counts}
        named.pop("ShmSeg")  # the pool's, for frames of each size
        return named

    window = painter.window((100, 50, 200, 100), BLUE)
    screen.grab()
    screen.windows()
    before = held()
    opened = screen.window(window.id)
    opened.grab()
    meanwhile = held()
    assert meanwhile["PIXMAP"] == before.get("PIXMAP", 0) + 1
    for width in range(1, 50):
        window.configure(width=width)
        painter.display.sync()
        assert opened.grab((0, 0, 1, 1)).width == 1
    assert held() == meanwhile
    opened.close()
    assert held() == before


def test_closing_the_screen_closes_its_windows(xvfb: Server, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with xshm.Screen(xvfb.name) as screen:
        opened = screen.window(window.id)
        frame = opened.grab()
    with pytest.raises(Closed, match="window"):
        opened.grab()
    assert frame.pixel(0, 0) == BLUE
    opened.close()
    eventually(lambda: not _named_by(painter, window.id))
    with pytest.raises(Closed):
        screen.windows()


def test_a_thread_may_close_a_window_while_another_closes_its_screen(xvfb: Server, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as another:
            for turns in range(0, 4000, 200):
                with xshm.Screen(xvfb.name) as screen:
                    closing = another.submit(screen.window(window.id).close)
                    for _ in range(turns):
                        pass
                closing.result()
    finally:
        sys.setswitchinterval(former)


def test_events_that_the_caller_selected_reach_the_caller(screen: xshm.Screen, painter: Painter) -> None:
    theirs = painter.window((100, 50, 200, 100), BLUE)
    display = screen.xlib
    window = display.create_resource_object("window", theirs.id)

    def heard() -> list[int]:
        display.sync()
        return [display.next_event().type for _ in range(display.pending_events())]

    window.change_attributes(event_mask=X.PropertyChangeMask)
    with screen.window(theirs.id) as opened:
        theirs.configure(width=77)
        theirs.set_wm_name("named")
        painter.display.sync()
        assert opened.grab().width == 77
        assert heard() == [X.PropertyNotify]
    window.change_attributes(event_mask=X.StructureNotifyMask)
    with screen.window(theirs.id) as opened:
        theirs.configure(width=88)
        painter.display.sync()
        assert opened.grab().width == 88
        assert heard() == [X.ConfigureNotify]
    assert window.get_attributes().your_event_mask == X.StructureNotifyMask


def test_the_pointer_is_where_it_is_in_the_window(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    painter.root.warp_pointer(130, 90)
    painter.display.sync()
    with screen.window(window.id) as opened:
        cursor = opened.grab(cursor="layer").cursor
    assert cursor is not None
    assert cursor.position == (30, 40)


def test_plain_python_xlib_sees_the_same_window(xvfb: Server, screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE, "the title")
    display = plain_display(xvfb)
    try:
        with screen.window("the title") as opened:
            assert opened.title == display.create_resource_object("window", opened.id).get_wm_name()
            window.set_wm_name("another")
            painter.display.sync()
            assert opened.title == "another"
    finally:
        display.close()
