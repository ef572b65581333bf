"""A window that is resized, unmapped, reparented or destroyed while it is open: the new picture, or a typed error."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLUE, DARK_GREEN, RED
from programs import Programs, eventually, same
from reference import core_image
from watching import WAYS, finish, first, watching

import xshm
from xshm.errors import (
    OutOfBounds,
    WindowGone,
    WindowNotViewable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server


def test_a_resized_window_is_followed_and_old_frames_stay(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    painter.rectangles(drawable=window)
    with screen.window(window.id) as opened:
        before = opened.grab()
        kept = before.pixels.copy()
        window.configure(width=150, height=300)
        painter.rectangles(drawable=window)
        after = opened.grab()
        assert after.rect == opened.rect == xshm.Rect(0, 0, 150, 300)
        assert same(after, core_image(painter.display, drawable=window))
        assert np.array_equal(before.pixels, kept)
        with pytest.raises(OutOfBounds, match="150x300"):
            opened.grab((0, 0, 200, 100))
        assert opened.grab((0, 0, 200, 100), clip=True).rect == xshm.Rect(0, 0, 150, 100)
        assert opened.grab((0, 200, 150, 100)).height == 100


def test_a_region_is_taken_of_the_window_as_it_is_now(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        for turn, colour in enumerate((RED, DARK_GREEN, RED)):
            window.configure(width=200 + turn)
            painter.fill((0, 0, 300, 300), colour, window)
            assert opened.grab((1, 1, 10, 10)).pixel(5, 5) == colour
        for turn, colour in enumerate((DARK_GREEN, BLUE)):
            window.configure(width=300 + turn)
            painter.fill((0, 0, 400, 300), colour, window)
            assert [frame.pixel(5, 5) for frame in opened.grab_many([(1, 1, 10, 10)] * 2)] == [colour, colour]


def test_an_unmapped_window_is_not_viewable_and_can_be_grabbed_when_it_is_back(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        window.unmap()
        painter.display.sync()
        for _ in range(2):
            with pytest.raises(WindowNotViewable, match="unmapped"):
                opened.grab()
            with pytest.raises(WindowNotViewable, match="unmapped"):
                opened.grab((0, 0, 5, 5))
        with pytest.raises(WindowNotViewable, match="unmapped"):
            screen.window(window.id)
        window.configure(width=50)
        window.map()
        painter.fill((0, 0, 50, 100), DARK_GREEN, window)
        assert opened.grab().pixel(49, 50) == DARK_GREEN


def test_a_window_in_an_unmapped_one_is_not_viewable(screen: xshm.Screen, painter: Painter) -> None:
    outer = painter.window((100, 50, 200, 100), BLUE)
    middle = outer.create_window(5, 5, 190, 90, 0, 24, background_pixel=painter.pixel(DARK_GREEN))
    inner = middle.create_window(5, 5, 180, 80, 0, 24, background_pixel=painter.pixel(RED))
    middle.map()
    inner.map()
    painter.display.sync()
    with screen.window(inner.id) as opened:
        assert opened.grab().pixel(0, 0) == RED
        outer.unmap()
        painter.display.sync()
        with pytest.raises(WindowNotViewable, match="in an unmapped window"):
            opened.grab()
        inner.reparent(painter.root, 30, 40)
        painter.display.sync()
        assert opened.grab().pixel(0, 0) == RED
        assert opened.position == (30, 40)
        other = painter.window((300, 50, 200, 100), BLUE)
        inner.reparent(other, 0, 0)
        painter.display.sync()
        assert opened.grab().pixel(0, 0) == RED
        other.unmap()
        painter.display.sync()
        with pytest.raises(WindowNotViewable, match="in an unmapped window"):
            opened.grab()


def test_every_verb_says_that_the_window_is_gone(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        frame = opened.grab()
        window.destroy()
        painter.display.sync()
        verbs: list[Callable[[], Any]] = [
            opened.grab,
            lambda: opened.grab((0, 0, 5, 5)),
            lambda: opened.grab((0, 0, 5, 5), cursor=True),
            lambda: opened.grab_many([(0, 0, 5, 5), (1, 1, 5, 5)]),
            lambda: opened.grab_into(np.empty((100, 200, 4), np.uint8)),
            lambda: opened.rect,
            lambda: opened.title,
            lambda: opened.class_name,
            lambda: opened.pid,
            lambda: opened.position,
            lambda: screen.window(window.id),
        ]
        for verb in verbs:
            with pytest.raises(WindowGone, match=f"{window.id:#x}"):
                verb()
        assert frame.pixel(0, 0) == BLUE


@pytest.mark.parametrize("args", [(), ("-extension", "Composite")])
def test_a_window_that_is_destroyed_or_unmapped_at_any_moment_is_a_typed_error(
    make_server: Callable[..., Server], args: tuple[str, ...]
) -> None:
    server = make_server("Xvfb", 320, 240, 24, *args)
    script = (
        "import random, sys, time, Xlib.display\n"
        "d = Xlib.display.Display(sys.argv[1]); r = d.screen().root\n"
        "while True:\n"
        "    ws = [r.create_window(10, 10, random.randrange(5, 90), 50, random.randrange(3), 24) for _ in range(3)]\n"
        "    for w in ws: w.set_wm_name('shy'); w.map(); d.sync()\n"
        "    for w in ws:\n"
        "        for do in (lambda: w.configure(width=random.randrange(5, 90)), w.unmap, w.map, w.destroy):\n"
        "            time.sleep(random.random() * 0.01); do(); d.sync()\n"
    )
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        programs.start(sys.executable, "-c", script, server.name)
        eventually(screen.windows)
        grabbed = refused = 0
        deadline = time.monotonic() + 20
        while min(grabbed, refused) < 20 and time.monotonic() < deadline:
            for info in screen.windows():
                try:
                    with screen.window(info) as window:
                        for _ in range(5):
                            window.grab()
                            window.grab_many([(0, 0, 5, 5), (1, 1, 4, 4)])
                            grabbed += 1
                except (WindowGone, WindowNotViewable):
                    refused += 1
    assert min(grabbed, refused) >= 20


def test_threads_that_grab_one_window_see_it_in_one_of_its_sizes(xvfb: Server, screen: xshm.Screen) -> None:
    script = (
        "import itertools, sys, Xlib.display\n"
        "d = Xlib.display.Display(sys.argv[1]); r = d.screen().root\n"
        "w = r.create_window(10, 10, 50, 50, 0, 24, override_redirect=True, background_pixel=50)\n"
        "w.set_wm_name('jumping'); w.map(); d.sync()\n"
        "for i in itertools.cycle([50, 150]):\n"
        "    w.change_attributes(background_pixel=i); w.configure(width=i, height=i); d.sync()\n"
    )
    with Programs(xvfb) as programs:
        programs.start(sys.executable, "-c", script, xvfb.name)
        with screen.window(eventually(lambda: programs.window("jumping"))) as window, ThreadPoolExecutor(4) as pool:

            def grab(turn: int) -> int:
                if turn % 2:
                    return window.grab((10, 10, 40, 40)).width
                frame = window.grab()
                assert frame.pixels[-1, -1, 0] == frame.width
                return frame.width

            assert {*pool.map(grab, range(400))} == {40, 50, 150}


@pytest.mark.parametrize("border", [0, 3])
def test_whole_frames_are_never_half_of_an_old_size(xvfb: Server, screen: xshm.Screen, border: int) -> None:
    script = (
        "import itertools, sys, Xlib.display\n"
        "d = Xlib.display.Display(sys.argv[1]); r = d.screen().root\n"
        "w = r.create_window(10, 10, 50, 50, int(sys.argv[2]), 24, override_redirect=True, background_pixel=50)\n"
        "w.set_wm_name('growing'); w.map(); d.sync()\n"
        "for i in itertools.cycle([*range(50, 150), *range(150, 50, -1)]):\n"
        "    w.change_attributes(background_pixel=i); w.configure(width=i, height=i); d.sync()\n"
    )
    with Programs(xvfb) as programs:
        programs.start(sys.executable, "-c", script, xvfb.name, str(border))
        sizes: set[int] = set()
        with screen.window(eventually(lambda: programs.window("growing"))) as window:
            deadline = time.monotonic() + 5
            while len(sizes) < 50 and time.monotonic() < deadline:
                frame = window.grab()
                sizes.add(frame.width)
                assert frame.width == frame.height
                # The newest row is in the background colour of its moment, or of the one before it was resized.
                assert abs(int(frame.pixels[-1, -1, 0]) - frame.width) <= 1
    assert len(sizes) == 50


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_window_that_gets_smaller_between_two_steps_of_a_poll_is_followed(
    xvfb: Server, painter: Painter, transport: str
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with (
        xshm.Screen(xvfb.name, transport) as screen,
        screen.window(window.id) as opened,
        watching(opened, in_place=False) as changes,
    ):
        steps = changes.poll_steps()
        next(steps)  # the damage is queried; the rows are copied in the next step
        window.configure(width=120, height=40)
        painter.fill((0, 0, 120, 40), DARK_GREEN, window)
        opened.grab()  # another task's: it follows the window, and releases the former pixmap
        frame = finish(steps)
        assert frame.rect == xshm.Rect(0, 0, 120, 40)
        assert (frame.rgb() == DARK_GREEN).all()
        window.configure(width=60)
        painter.display.sync()
        assert first(changes).size == (60, 40)


def test_a_region_that_leaves_the_window_between_two_steps_of_a_poll_is_out_of_bounds(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with (
        screen.window(window.id) as opened,
        watching(opened, xshm.Rect(0, 0, 60, 40), in_place=False) as changes,
    ):
        steps = changes.poll_steps()
        next(steps)
        window.configure(width=50)
        painter.display.sync()
        opened.grab()
        with pytest.raises(OutOfBounds, match=r"region 60x40\+0\+0 leaves the window .* 50x100"):
            finish(steps)


@pytest.mark.parametrize(("transport", "in_place"), WAYS)
def test_a_window_that_is_resized_faster_than_it_is_polled_is_seen_at_each_poll(
    xvfb: Server, painter: Painter, transport: str, *, in_place: bool
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with (
        xshm.Screen(xvfb.name, transport) as screen,
        screen.window(window.id) as opened,
        watching(opened, in_place=in_place) as changes,
    ):

        def resize(width: int) -> None:
            window.configure(width=width)
            painter.fill((0, 0, 400, 400), DARK_GREEN, window)
            screen.connection.sync()

        first(changes)
        steps = changes.poll_steps()
        next(steps)
        resize(180)
        next(steps)  # all of it anew
        resize(220)
        frame = finish(steps)
        assert (frame.size, frame.changed) == ((180, 100), (xshm.Rect(0, 0, 180, 100),))
        assert (frame.rgb() == DARK_GREEN).all()
        assert changes.done  # there is another size, whether or not anything is drawn
        assert first(changes).size == (220, 100)
        for turn in range(3):
            steps = changes.poll_steps()
            for step, _ in enumerate(steps):
                resize(110 + 20 * turn + step)
                assert step < 5  # it ends
