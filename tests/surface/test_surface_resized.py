"""A surface whose window is resized while it is drawn: what was acquired before is shown as far as it fits."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from surfaces import WAYS, noise, resources, seen

import xshm
from xshm.errors import OutOfBounds
from xshm.events import Close
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server


@pytest.fixture(params=WAYS, ids=" ".join)
def each(request: pytest.FixtureRequest, xvfb: Server) -> Iterator[Surface]:
    """Give a resizable surface of 200x150 over each way of drawing."""
    transport, way = request.param
    with Surface(200, 150, display=xvfb.name, transport=transport, way=way, resizable=True) as surface:
        yield surface


def configure(painter: Painter, surface: Surface, width: int, height: int) -> None:
    painter.display.create_resource_object("window", surface.id).configure(width=width, height=height)
    painter.display.sync()


def take_in(painter: Painter, surface: Surface, width: int, height: int) -> None:
    """Resize the window, and deliver the event to the surface."""
    configure(painter, surface, width, height)
    while (surface.rect.width, surface.rect.height) != (width, height):
        next(surface.events(timeout=5))


def test_what_was_asked_for_before_is_acquired_as_it_was_asked_for(each: Surface, painter: Painter) -> None:
    whole, part, outside = each.draw(), each.draw((80, 60, 120, 90)), each.draw((150, 100, 50, 50))
    take_in(painter, each, 100, 110)
    array = noise(150, 200, 3)
    with whole as pixels:
        assert pixels.shape == (150, 200, 4)
        assert each.age == 0
        pixels[..., 2::-1] = array
    with part as pixels:
        pixels[..., 2::-1] = array[:90, :120]
    with outside as pixels:
        pixels[...] = 1
    array[60:, 80:] = array[:90, :120].copy()
    for _ in range(2):  # as it was shown, and as the next buffer is completed
        each.wait()
        assert np.array_equal(seen(painter, each), array[:110, :100])
        with each.draw((0, 0, 1, 1)) as pixels:
            pixels[...] = 0
        array[0, 0] = 0
    each.wait()
    with each.draw() as pixels:
        assert each.age == 1
        assert np.array_equal(pixels[..., 2::-1], array[:110, :100])


def test_memory_of_a_former_size_goes_when_nothing_of_it_is_shown(each: Surface, painter: Painter) -> None:
    for width, height in ((220, 160), (100, 110)):
        each.show(np.full((each.rect.height, each.rect.width), 1, np.uint8))
        take_in(painter, each, width, height)
        for _ in range(2):
            each.show(np.full((height, width), 2, np.uint8))
            each.wait()
        found = resources(each)
        assert found["ShmSeg"] == (each.transport.kind != "core")
        assert found["PIXMAP"] == (each.way == "pixmap")


@pytest.mark.parametrize("x", [0, 120])
def test_a_frame_is_shown_as_far_as_it_fits(
    x: int, each: Surface, painter: Painter, xvfb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.rectangles()
    present = each._swapchain.present_frame

    def late(*arguments: Any) -> bool:
        take_in(painter, each, 100, 110)
        return present(*arguments)

    monkeypatch.setattr(each._swapchain, "present_frame", late)
    with xshm.Screen(xvfb.name) as screen:
        frame = screen.grab((400, 300, 80, 150))
        each.show_frame(frame, at=(x, 0))
        expected = np.zeros((110, 100, 3), np.uint8)
        if not x:
            expected[:, :80] = frame.rgb()[:110]
    each.wait()
    assert np.array_equal(seen(painter, each), expected)
    assert all(each.rect.contains(piece) for piece, _ in each._swapchain._contents.pieces)


def test_one_thread_draws_while_another_follows_a_window_that_changes_its_size(each: Surface, xvfb: Server) -> None:
    seconds, over, failed = 1.0, threading.Event(), []

    def change() -> None:
        with Painter(xvfb) as painter:
            number = 0
            while not over.wait(0.001):
                number += 1
                configure(painter, each, 100 + number * 37 % 200, 100 + number * 53 % 200)

    def listen() -> None:
        try:
            assert not any(isinstance(event, Close) for event in each.events(timeout=0.5))
        except BaseException as error:  # noqa: BLE001 - the main thread tells
            failed.append(error)

    threads = [threading.Thread(target=change), threading.Thread(target=listen)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end:
            number += 1
            with contextlib.suppress(OutOfBounds):  # what was as large as the surface may be larger by now
                size = each.rect
                each.show(np.full((size.height, size.width), number % 256, np.uint8))
            with each.draw() as pixels:
                pixels[...] = number % 256
    finally:
        over.set()
        for thread in threads:
            thread.join(5)
    assert not failed
    assert number > 20
    with each.draw() as pixels:
        pixels[...] = 7
    each.wait()
    with Painter(xvfb) as painter:
        image = seen(painter, each)
    assert image.shape[:2] == (each.rect.height, each.rect.width) != (150, 200)
    assert (image == 7).all()
