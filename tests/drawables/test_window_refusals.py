"""Windows without pixels, or with a part of them: no Composite, rootless servers, InputOnly, wrong ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from colours import BLUE, RED
from painter import Painter
from programs import Programs, same
from reference import core_image
from Xlib import X

import xshm
from xshm.errors import (
    InvalidArgument,
    InvalidType,
    OutOfBounds,
    WindowGone,
    WindowNotViewable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


# -- without Composite -------------------------------------------------------------------------------------------------


def test_without_composite_the_part_on_the_screen_is_taken_and_the_window_says_so(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("Xvfb", 640, 480, 24, "-extension", "Composite")
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        window = painter.window((-50, 430, 200, 100), BLUE)
        painter.rectangles(drawable=window)
        with screen.window(window.id) as opened:
            assert opened.source.kind == "screen"
            assert "Composite" in opened.source.reason
            frame = opened.grab()
            assert frame.rect == opened.rect == xshm.Rect(50, 0, 150, 50)
            assert same(frame, core_image(painter.display, (0, 430, 150, 50)))
            with pytest.raises(OutOfBounds):
                opened.grab((0, 0, 60, 50))
            assert opened.grab((0, 0, 60, 50), clip=True).rect == xshm.Rect(50, 0, 10, 50)

            window.configure(x=100, y=100)
            painter.rectangles(drawable=window)
            assert same(opened.grab(), core_image(painter.display, drawable=window))
            assert opened.grab().rect == xshm.Rect(0, 0, 200, 100)
            painter.window((0, 0, 400, 400), RED)
            frame = opened.grab()
            assert frame.pixel(10, 10) == (0, 0, 0)  # neither the window nor what covers it
            assert frame.pixel(10, 10) != screen.grab().pixel(110, 110) == RED
            window.configure(x=1000)
            painter.display.sync()
            with pytest.raises(WindowNotViewable, match="off the screen"):
                opened.grab()
            with pytest.raises(WindowNotViewable, match="off the screen"):
                opened.grab((0, 0, 5, 5))
            window.unmap()
            painter.display.sync()
            with pytest.raises(WindowNotViewable, match="unmapped"):
                opened.grab()
            window.destroy()
            painter.display.sync()
            with pytest.raises(WindowGone):
                opened.grab()


def test_with_composite_the_window_says_so(screen: xshm.Screen, painter: Painter) -> None:
    with screen.window(painter.window((0, 0, 10, 10), BLUE).id) as opened:
        assert opened.source.kind == "pixmap"


# -- what is no window -------------------------------------------------------------------------------------------------


def test_what_has_no_picture_is_refused(screen: xshm.Screen, painter: Painter) -> None:
    unseen = painter.root.create_window(0, 0, 50, 50, 0, 0, window_class=X.InputOnly, override_redirect=True)
    unseen.map()
    painter.display.sync()
    with pytest.raises(WindowNotViewable, match="InputOnly"):
        screen.window(unseen.id)
    with pytest.raises(InvalidArgument, match="root window"):
        screen.window(painter.root.id)
    for number in (0, -1, 1 << 40):
        with pytest.raises(InvalidArgument):
            screen.window(number)
    with (
        screen.window(painter.window((0, 0, 10, 10), BLUE).id) as opened,
        pytest.raises(InvalidType, match="its own grab"),
    ):
        screen.grab(opened)  # in whose coordinates?
    for thing in (True, None, 1.5, b"title"):
        with pytest.raises(InvalidType):
            screen.window(thing)  # type: ignore[arg-type]


# -- rootless Xwayland -------------------------------------------------------------------------------------------------


def test_a_rootless_server_has_windows_to_be_grabbed_and_says_so(make_server: Callable[..., Server]) -> None:
    server = make_server("Xwayland-rootless", 640, 480)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        for grab in (screen.grab, lambda: screen.grab((0, 0, 1, 1)), lambda: screen.grab_many([(0, 0, 1, 1)])):
            with pytest.raises(xshm.RootlessServer, match="grab windows"):
                grab()
        programs.show("it", "xlogo", "-title", "it", "-geometry", "200x150")
        assert "it" in [info.title for info in screen.windows()]
        with screen.window("it") as opened:
            shown = programs.picture(opened.id)
            assert same(opened.grab(), shown)


def test_a_rootful_server_has_a_screen_to_be_grabbed(make_server: Callable[..., Server]) -> None:
    server = make_server("Xwayland", 640, 480)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.rectangles()
        assert same(screen.grab(), core_image(painter.display))
