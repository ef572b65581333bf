"""A window id that is reused by another window: what was opened by it is WindowGone, and stays so."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from colours import BLUE, RED
from painter import Painter
from Xlib import X
from Xlib.ext import shape
from Xlib.protocol import event, request

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


def _replace(painter: Painter, window: Any, *, mapped: bool = True) -> None:
    """Destroy a window, and make another, red one of the same client that has its id."""
    display = painter.display
    window.destroy()
    request.CreateWindow(
        display=display.display,
        depth=X.CopyFromParent,
        wid=window.id,
        parent=painter.root.id,
        x=300,
        y=200,
        width=200,
        height=100,
        border_width=0,
        window_class=X.InputOutput,
        visual=X.CopyFromParent,
        attrs={"background_pixel": 0xFF0000, "override_redirect": True},
    )
    if mapped:
        window.map()
    window.set_wm_name("another one")
    display.sync()


def _shape(painter: Painter, window: Any, size: int) -> None:
    """Leave a window its upper left corner."""
    rect = {"x": 0, "y": 0, "width": size, "height": size}
    window.shape_rectangles(shape.SO.Set, shape.SK.Bounding, 0, 0, 0, [rect])
    painter.display.sync()


_VERBS: list[Callable[[xshm.Window], object]] = [
    lambda window: window.grab(),
    lambda window: window.grab((0, 0, 5, 5)),
    lambda window: window.grab("5x5-0-0", clip=True),
    lambda window: window.grab(cursor=True),
    lambda window: window.grab_many([(0, 0, 5, 5), (5, 5, 5, 5)]),
    lambda window: window.rect,
    lambda window: window.title,
    lambda window: window.class_name,
    lambda window: window.pid,
    lambda window: window.position,
    lambda window: next(window.stream()),
    lambda window: window.wait_stable(0.05, 1),
    lambda window: window.wait_change(0.1),
    lambda window: window.wait_pixel(5, 5, "red", 0.1),
]


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("verb", range(len(_VERBS)))
def test_every_verb_says_that_the_window_is_gone(
    screen: xshm.Screen, painter: Painter, verb: int, *, mapped: bool
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE, title="the first")
    with screen.window(window.id) as opened:
        assert opened.grab().pixel(5, 5) == BLUE
        _replace(painter, window, mapped=mapped)
        for _ in range(2):
            with pytest.raises(xshm.WindowGone, match=f"{window.id:#x} was destroyed"):
                _VERBS[verb](opened)


@pytest.mark.parametrize(("kind", "depth"), [("Xvfb", 8), ("Xvfb", 16), ("Xvnc", 24)])
def test_other_servers_and_depths_say_so_too(make_server: Callable[..., Server], kind: str, depth: int) -> None:
    server = make_server(kind, 800, 600, depth)  # at depth 8 there is no Composite
    for verb in _VERBS[:10]:
        with Painter(server) as painter, xshm.Screen(server.name) as screen:
            window = painter.window((100, 50, 200, 100), BLUE)
            with screen.window(window.id) as opened:
                assert opened.grab().pixel(5, 5) == BLUE
                _replace(painter, window)
                for _ in range(2):
                    with pytest.raises(xshm.WindowGone):
                        verb(opened)


def test_under_a_compositor_which_redirects_the_other_window_too(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 800, 600)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.display.composite_query_version()
        painter.root.composite_redirect_subwindows(1)
        window = painter.window((100, 50, 200, 100), BLUE)
        with screen.window(window.id) as opened:
            assert opened.grab().pixel(5, 5) == BLUE
            _replace(painter, window)
            for verb in _VERBS[:7]:
                with pytest.raises(xshm.WindowGone):
                    verb(opened)


@pytest.mark.parametrize(
    "wait",
    [
        lambda window: window.wait_change(20),
        lambda window: window.wait_pixel(5, 5, "red", 20),
        lambda window: window.wait_stable(15, 20),
        lambda window: list(window.stream(on_change=True)),
        lambda window: list(window.stream(fps=50)),
    ],
)
def test_a_wait_that_is_under_way_ends(
    screen: xshm.Screen, painter: Painter, wait: Callable[[xshm.Window], object]
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        timer = threading.Timer(0.2, _replace, [painter, window])
        timer.start()
        begun = time.monotonic()
        with pytest.raises(xshm.WindowGone):
            wait(opened)
        assert time.monotonic() - begun < 10
        timer.join()


def test_the_other_window_can_be_opened_and_the_first_one_closed_without_harm_to_it(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    first = screen.window(window.id)
    _replace(painter, window)
    with screen.window(window.id) as other:
        assert other.grab().pixel(5, 5) == RED
        first.close()
        painter.window((0, 0, 800, 600), BLUE)
        assert (other.grab().rgb() == RED).all()  # still redirected: what covers it does not matter
        assert other.title == "another one"
        window.configure(width=300)
        painter.display.sync()
        assert other.grab().width == 300  # and what happens to it is still heard of
        window.destroy()
        painter.display.sync()
        with pytest.raises(xshm.WindowGone):
            other.grab()


def test_a_word_of_its_end_that_another_client_sent_is_not_believed(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        window.send_event(event.DestroyNotify(event=window, window=window), event_mask=X.StructureNotifyMask)
        painter.display.sync()
        assert opened.grab().pixel(5, 5) == BLUE
        assert opened.title == ""


def test_the_shape_of_another_window_of_the_id_is_followed(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    former = screen.window(window.id)
    _shape(painter, window, 9)
    assert former.grab().bounding_shape == (xshm.Rect(0, 0, 9, 9),)
    _replace(painter, window)
    with screen.window(window.id) as opened:
        assert opened.grab().bounding_shape is None
        _shape(painter, window, 7)
        assert opened.grab().bounding_shape == (xshm.Rect(0, 0, 7, 7),)
        former.close()
        _shape(painter, window, 5)
        assert opened.grab().bounding_shape == (xshm.Rect(0, 0, 5, 5),)


def test_closing_a_window_that_is_gone_leaves_alone_what_another_of_the_id_has(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    former = screen.window(window.id)
    _replace(painter, window)
    theirs: Any = screen.xlib.create_resource_object("window", window.id)
    theirs.shape_select_input(1)
    assert theirs.shape_input_selected().enabled
    former.close()
    assert theirs.shape_input_selected().enabled
