"""A surface that is interrupted, at each point of the package where a signal handler may raise, knows what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import interrupt_points
import numpy as np
import pytest
from interrupt_points import at_every_point
from painter import Painter
from surfaces import EACH_WAY_ONCE, Places, at_every_place, fill, on_a_server_of_its_own, resources, seen

import xshm
from xshm import geometry
from xshm.surface import contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from numpy.typing import NDArray
    from servers import Server

    from xshm.surface.surface import Surface
    from xshm.x11.protocol.requests import Request


@pytest.fixture(params=EACH_WAY_ONCE, ids=" ".join)
def surface(request: pytest.FixtureRequest, make_server: Callable[..., Server]) -> Iterator[Surface]:
    """Give a small surface on a server of its own, over each way of drawing."""
    yield from on_a_server_of_its_own(make_server, *request.param)


@pytest.fixture(autouse=True)
def _computing_is_one_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let functions that only compute with rectangles be interrupted where they begin, and nowhere else.

    Nothing changes while they run, so that what is raised further on finds the same state: half of all points repeat.
    """
    every = interrupt_points._points

    def points(code: CodeType) -> frozenset[int]:
        function, _, inner = code.co_qualname.removeprefix("Rect.").partition(".<locals>.")
        if function in {"subtract", "intersect", "contains", "moved", "slices", "as_rect"}:
            return frozenset() if inner else frozenset({min(every(code))})
        if function in {"_around", "right", "bottom", "__post_init__", "__init__", "from_ltrb"} and (
            code.co_filename in {geometry.__file__, contents.__file__, "<string>"}
        ):
            return frozenset()
        return every(code)

    monkeypatch.setattr(interrupt_points, "_points", points)


def _draw_all(surface: Surface) -> None:
    with surface.draw() as pixels:
        pixels[...] = 1


def _draw_parts(surface: Surface) -> None:
    for x in (0, 20):
        with surface.draw((x, 0, 30, 20)) as pixels:
            pixels[...] = 2 + x


def _draw_a_part_with_another_inside(surface: Surface) -> None:
    with surface.draw((0, 0, 50, 50)) as pixels:
        pixels[...] = 3
        with surface.draw((30, 30, 60, 60)) as others:
            others[...] = 4


def _draw_and_wait(surface: Surface) -> None:
    surface.show(np.full((120, 160), 5, np.uint8))
    surface.wait()


@pytest.mark.parametrize("work", [_draw_all, _draw_parts, _draw_a_part_with_another_inside, _draw_and_wait])
def test_whichever_point_is_interrupted_what_is_known_is_what_is_there(
    work: Callable[[Surface], None], surface: Surface
) -> None:
    # Up to five seconds where one present is inside another: some 500 points, and a trace function at each instruction.
    with surface.draw(), surface.draw(), surface.draw():  # each time the same way: all buffers are there
        pass
    surface.wait()
    work(surface)
    places = Places(lambda: work(surface))
    with Painter(surface.server) as painter:  # type: ignore[attr-defined]
        for points, _ in enumerate(at_every_point(places)):
            surface.wait()
            before = seen(painter, surface)
            with surface.draw((159, 119, 1, 1)) as pixels:  # completes the buffer with what is known of the rest
                pixels[...] = 9
            surface.wait()
            known = surface._swapchain._contents.pieces
            with surface.draw() as pixels:
                for part, _ in known:
                    expected = before[part.slices].copy()
                    expected[119 - part.y :, 159 - part.x :] = 9
                    assert np.array_equal(pixels[part.slices][..., 2::-1], expected)
                fill(pixels, points)
            surface.wait()
            assert (values_of(seen(painter, surface)) == points).all()
    assert {"Swapchain.acquire", "Buffers.find_free", "Swapchain._present"} <= places.met
    if work is _draw_all:  # which takes the same way each time: in the others the server may be done sooner or later
        assert {"Buffer.acquire", "Swapchain.present", "Blitter.blit", "Buffer.presented"} <= places.met
    assert len(surface._swapchain._buffers.all) <= 3


def values_of(image: NDArray[np.uint8]) -> NDArray[Any]:
    wide = image.astype(int)
    values: NDArray[Any] = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return values


def test_making_a_buffer_may_be_interrupted_at_any_point(surface: Surface) -> None:
    def work() -> None:
        _draw_all(surface)

    places = Places(work)
    needed = {"Buffers._allocate", "Buffers._allocate_memory", "Buffers._free_retired"}
    if surface.way == "pixmap":
        needed |= {"SharedPixmaps.make"}
    swapchain = surface._swapchain
    with Painter(surface.server) as painter:  # type: ignore[attr-defined]
        for points, _ in enumerate(at_every_place(places, needed)):
            surface.wait()
            with surface.draw() as pixels:
                fill(pixels, points)
            surface.wait()
            assert (values_of(seen(painter, surface)) == points).all()
            with swapchain.lock:
                swapchain.resize(surface.rect)  # so that none of those that were made is acquired any more
    work()
    surface.wait()
    assert needed <= places.met
    # What it still has, and the last one, which the server frees with the next request.
    held = resources(surface)
    assert held["PIXMAP"] <= 2
    assert held["ShmSeg"] <= 2


def test_frames_shown_and_interrupted_at_any_point_are_let_go(surface: Surface, xvfb: Server) -> None:
    with xshm.Screen(xvfb.name, max_frames=12, copies=False) as screen:
        region = (0, 0, 160, 120)

        def work() -> None:
            surface.show_frame(screen.grab(region))

        places = Places(work)
        needed = {"Swapchain.present_frame", "FrameMemory.source", "Blitter.blit", "Swapchain._present"}
        needed |= {"Contents.put" if surface.transport.kind != "fd" else "Contents.put_all"}
        if surface.way == "pixmap" and surface.transport.kind == "sysv":
            needed |= {"Transport.attach", "SharedPixmaps.make"}
        work()  # what is made once is there from now on
        pool = screen._session.pool
        assert pool is not None
        for _ in at_every_place(places, needed):
            surface.wait()
            surface.show(np.zeros((120, 160), np.uint8))
            surface.wait()
            screen.grab(region)  # finds a slot that was on its way when that was cut short
            assert pool.stats().held == 0
            assert pool.stats().slots <= 2
            # From the same state each time: the next frame's memory is new to both servers, and nothing is queued. Else
            # requests that were cut short before they were sent would be more each time, with a point for each of them.
            pool.trim()
            screen.xlib.sync()
    assert needed <= places.met
    held = resources(surface)
    assert held["PIXMAP"] <= 3
    assert held["ShmSeg"] <= 3


def test_waiting_with_nothing_in_flight_may_be_interrupted_at_any_point(surface: Surface) -> None:
    surface.wait()
    places = Places(surface.wait)
    for _ in at_every_point(places):
        surface.wait(timeout=5)
    assert {"Swapchain.wait", "Blitter._send", "Wire.wait_for"} <= places.met


def test_of_a_present_that_is_cut_short_nothing_is_claimed(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    surface.show(np.full((120, 160), 5, np.uint8))
    post = surface._swapchain._blitter._post

    def interrupted(request: Request) -> None:
        post(request)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(surface._swapchain._blitter, "_post", interrupted)
        with pytest.raises(KeyboardInterrupt), surface.draw() as kept:
            kept[...] = 6
    surface.wait(timeout=5)
    assert surface._swapchain._contents.pieces == ()
    assert not kept.flags.writeable
    assert not any(buffer.is_acquired for buffer in surface._swapchain._buffers.all)
    with surface.draw() as pixels:
        assert surface.age == 0
        fill(pixels, 7)
    surface.wait()
    with surface.draw() as pixels:
        assert surface.age == 1
        assert (pixels.view("<u4") == 7).all()
    with Painter(surface.server) as painter:  # type: ignore[attr-defined]
        assert (values_of(seen(painter, surface)) == 7).all()
