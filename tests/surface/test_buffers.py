"""No buffer is written while the server reads it: not when the server stops, not when signal handlers raise."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from reference import core_image
from surfaces import EACH_WAY_ONCE, fill, on_a_server_of_its_own

from xshm.errors import BadGC, InvalidArgument, RequestTimeout
from xshm.surface.surface import Surface
from xshm.x11.protocol import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from painter import Painter
    from servers import Server


class Witness:
    """The server's own record: after a present it copies a column of the window into a pixmap, in the same stream.

    The copy is done by the server right behind the present, so column n is what it read for present n, whatever is in
    the buffer later.
    """

    def __init__(self, surface: Surface, presents: int) -> None:
        self._surface = surface
        self._connection: Any = surface._connection
        self._height = surface.rect.height
        self.pixmap, self._gc = (self._connection.allocate_resource_id() for _ in range(2))
        made = self._connection.send(
            core.CreatePixmap,
            depth=surface.format.depth,
            pid=self.pixmap,
            drawable=surface.id,
            width=presents,
            height=self._height,
        )
        attributes = {"graphics_exposures": 0}
        self._connection.check(
            made, self._connection.send(core.CreateGC, cid=self._gc, drawable=surface.id, attrs=attributes)
        )

    def note(self, number: int) -> None:
        self._connection.send(
            core.CopyArea,
            src_drawable=self._surface.id,
            dst_drawable=self.pixmap,
            gc=self._gc,
            src_x=self._surface.rect.width // 2,
            src_y=0,
            dst_x=number,
            dst_y=0,
            width=1,
            height=self._height,
        )

    def columns(self) -> NDArray[Any]:
        """Return (height, presents): the values of the pixels that were copied, without the undefined byte."""
        display = self._surface.xlib
        image = core_image(display, drawable=display.create_resource_object("pixmap", self.pixmap))
        values: NDArray[Any] = np.ascontiguousarray(image).view("<u4")[..., 0]
        return values & np.uint32(0xFFFFFF)


@pytest.fixture(params=EACH_WAY_ONCE, ids=" ".join)
def surface(request: pytest.FixtureRequest, make_server: Callable[..., Server]) -> Iterator[Surface]:
    """Give a small surface on a server of its own, over each way of drawing."""
    yield from on_a_server_of_its_own(make_server, *request.param)


class Stopper:
    """Stops the server and lets it go on, at random, for as long as it is entered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.times = 0

    def _run(self) -> None:
        pick = random.Random(5)
        while not self._over.wait(pick.random() * 0.02):
            self._server.pause()
            time.sleep(pick.random() * 0.01)
            self._server.resume()
            self.times += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_10000_presents_with_a_server_that_stops_and_goes_on_are_each_shown_whole(surface: Surface) -> None:
    # Takes a few seconds for each way: these are the presents that the promise is about.
    count = 10_000
    witness = Witness(surface, count)
    addresses = set()
    with Stopper(surface.server) as stopper:  # type: ignore[attr-defined]
        for number in range(count):
            with surface.draw() as pixels:
                addresses.add(pixels.ctypes.data)
                fill(pixels, number + 1)
            witness.note(number)
            if not number % 100:
                surface.wait()
    assert stopper.times > 5
    columns = witness.columns()
    assert np.array_equal(columns, np.broadcast_to(np.arange(1, count + 1), columns.shape))
    assert len(addresses) <= 3
    assert len(addresses) > 1 or surface.way == "core"  # core's are copied into the request


def test_while_the_server_is_stopped_no_buffer_is_acquired_twice(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with Surface(160, 120, display=server.name, timeout=0.3) as surface:
        with surface.draw(), surface.draw(), surface.draw():
            pass
        surface.wait()
        server.pause()
        try:
            acquired = []
            for number in range(3):
                with surface.draw() as pixels:
                    acquired.append(pixels.ctypes.data)
                    fill(pixels, number)
            assert len(set(acquired)) == 3
            with pytest.raises(RequestTimeout), surface.draw():
                pass
            with pytest.raises(RequestTimeout):
                surface.wait(timeout=0.05)
        finally:
            server.resume()
        surface.wait()
        with surface.draw() as pixels:
            assert pixels.ctypes.data in acquired


@pytest.mark.usefixtures("bare_collector")
@pytest.mark.timeout(method="thread")  # the other one uses SIGALRM, as this does
@pytest.mark.parametrize("stops", [False, True], ids=["a running server", "a server that stops and goes on"])
def test_signals_that_raise_at_any_moment_leave_the_surface_usable(surface: Surface, stops: bool) -> None:
    rounds = 400
    count = 20_000
    witness = Witness(surface, count)
    shown: list[int] = []
    number = interrupted = raised = 0
    trying = False

    class Interrupt(Exception):
        pass

    def interrupt(*_: object) -> None:
        nonlocal raised
        if trying:
            raised += 1
            raise Interrupt

    pick = random.Random(6)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Stopper(surface.server) if stops else threading.Lock():  # type: ignore[attr-defined]
            for _ in range(rounds):
                try:
                    trying = True
                    # Once more after a second: should the first be swallowed, this ends, and the count tells.
                    signal.setitimer(signal.ITIMER_REAL, 20e-6 + pick.random() * 600e-6, 1)
                    while True:
                        number += 1
                        with surface.draw(None if pick.random() < 0.7 else (70, 0, 30, 120)) as pixels:
                            fill(pixels, number)
                        if pick.random() < 0.2:
                            surface.wait()
                except Interrupt:
                    trying = False
                    interrupted += 1
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                # Whatever was cut short, the next present is shown, and shown whole.
                number += 1
                with surface.draw() as pixels:
                    fill(pixels, number)
                witness.note(len(shown))
                shown.append(number)
            surface.wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted == raised == rounds
    columns = witness.columns()[:, :rounds]
    assert np.array_equal(columns, np.broadcast_to(shown, columns.shape))


@pytest.mark.parametrize("way", ["pixmap", "put"])
def test_presents_that_fail_lose_no_buffer(way: str, xvfb: Server, capfd: pytest.CaptureFixture[str]) -> None:
    with Surface(160, 120, display=xvfb.name, way=way) as surface:
        connection: Any = surface._connection
        gc = surface._swapchain._blitter._gc
        connection.send(core.FreeGC, gc=gc)
        for _ in range(10):
            with surface.draw():
                pass
            with pytest.raises(BadGC, match=f"{gc:#x}"):
                surface.wait()
        connection.send(core.CreateGC, cid=gc, drawable=surface.id, attrs={"graphics_exposures": 1})
        for number in range(10):
            with surface.draw() as pixels:
                fill(pixels, number)
        surface.wait()
        assert len(surface._swapchain._buffers.all) <= 3
    assert capfd.readouterr().err == ""


def test_an_error_that_nobody_waited_for_comes_with_the_next_call(xvfb: Server) -> None:
    with Surface(160, 120, display=xvfb.name) as surface:
        connection: Any = surface._connection
        connection.send(core.FreeGC, gc=surface._swapchain._blitter._gc)
        surface.show(np.zeros((120, 160, 3), np.uint8))
        connection.sync()
        with pytest.raises(BadGC):
            surface.show(np.zeros((120, 160, 3), np.uint8))


def test_more_acquisitions_than_buffers_are_refused(xvfb: Server) -> None:
    with Surface(16, 16, display=xvfb.name) as surface:
        drawings = contextlib.ExitStack()
        with drawings:
            for _ in range(3):
                drawings.enter_context(surface.draw())
            with pytest.raises(InvalidArgument, match="all 3 buffers are in use"):
                drawings.enter_context(surface.draw())
        with surface.draw():
            pass


def test_the_buffer_that_was_shown_last_is_acquired_next_where_nobody_knows_all_that_is_there(
    xvfb: Server, painter: Painter
) -> None:
    window = painter.window((0, 0, 64, 64), (255, 255, 255))
    painter.display.sync()
    with Surface(on=window.id, display=xvfb.name) as surface:
        for last in (0, 1):
            drawings = [surface.draw((0, 0, 9, 9)), surface.draw((0, 0, 9, 9))]
            acquired = [drawing.__enter__().ctypes.data for drawing in drawings]
            for drawing in (drawings[1 - last], drawings[last]):
                drawing.__exit__(None, None, None)
            surface.wait()
            with surface.draw((0, 0, 9, 9)) as pixels:
                assert pixels.ctypes.data == acquired[last]
            surface.wait()


def test_what_was_acquired_is_read_only_once_it_was_presented(xvfb: Server) -> None:
    with Surface(16, 16, display=xvfb.name) as surface:
        with surface.draw() as pixels:
            pixels[...] = 1
        with pytest.raises(ValueError, match="read-only"):
            pixels[...] = 2


@pytest.mark.parametrize("turned", [np.s_[::-1], np.s_[:, ::-1], np.s_[..., 2::-1], np.s_[:-9, 5:]], ids=str)
def test_what_was_acquired_may_be_shown_again_from_where_it_lies(turned: Any, surface: Surface) -> None:
    with surface.draw() as pixels:
        pixels[..., :3] = np.random.default_rng(9).integers(0, 256, (120, 160, 3), np.uint8)
    surface.wait()
    again = pixels[..., :3][turned]
    expected = again.copy()
    surface.show(again, order="bgr")
    surface.wait()
    with surface.draw() as pixels:
        assert np.array_equal(pixels[: len(expected), : expected.shape[1], :3], expected)


def test_a_present_inside_a_draw_is_part_of_what_the_draw_shows(xvfb: Server, painter: Painter) -> None:
    with Surface(16, 16, display=xvfb.name) as surface:
        surface.show(np.full((16, 16), 10, np.uint8))
        with surface.draw((0, 0, 8, 8)) as pixels:
            pixels[...] = 30
            surface.show(np.full((4, 4), 20, np.uint8), at=(12, 12))
        surface.show(np.full((1, 1), 40, np.uint8), at=(15, 15))
        expected = np.full((16, 16), 10)
        expected[:8, :8] = 30
        expected[12:, 12:] = 20
        expected[15, 15] = 40
        surface.wait()
        with surface.draw() as pixels:
            assert surface.age == 1
            assert np.array_equal(pixels[..., 0], expected)
        surface.wait()
        window = painter.display.create_resource_object("window", surface.id)
        assert np.array_equal(core_image(painter.display, drawable=window)[..., 0], expected)
