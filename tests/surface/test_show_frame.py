"""From grab to blit: frames are shown from their own memory, on any server, and held until they were read."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from reference import xwd
from surfaces import cover_and_uncover, resources, seen

import xshm
from xshm import sysv
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server


@pytest.mark.parametrize("on_change", [False, True])
def test_a_frame_is_shown_from_its_own_memory(
    xvfb: Server, painter: Painter, make_server: Callable[..., Server], on_change: bool
) -> None:
    painter.rectangles()
    other = make_server("Xvfb", 640, 480)
    with xshm.Screen(xvfb.name) as screen:
        stream = screen.stream((100, 100, 200, 150), on_change=on_change)  # which knows whose memory its frames are in
        frame = next(stream)
        truth = frame.rgb()
        mine = {segment.shmid for segment in sysv.segments() if segment.cpid == os.getpid()}
        for display in (xvfb.name, other.name):
            with Surface(200, 150, display=display) as surface:
                surface.show_frame(frame)
                surface.wait()
                assert np.array_equal(xwd(other if display == other.name else xvfb, surface.id).rgb(), truth)
                # No memory was made for it, on either server.
                assert {segment.shmid for segment in sysv.segments() if segment.cpid == os.getpid()} <= mine


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_frames_of_every_transport_are_shown_in_every_way(
    transport: str, each: Surface, painter: Painter, xvfb: Server
) -> None:
    painter.rectangles()
    with xshm.Screen(xvfb.name, transport=transport) as screen:
        frame = screen.grab((500, 100, 120, 90))
        kept = frame.copy()
        expected = np.full((150, 200, 3), 77, np.uint8)
        for shown in (frame, kept):
            each.show(expected[..., 0])
            each.show_frame(shown, at=(10, 20))
            each.show_frame(shown, at=(150, -30), clip=True)
            each.wait()
            truth = expected.copy()
            truth[20:110, 10:130] = frame.rgb()
            truth[:60, 150:] = frame.rgb()[30:, :50]
            assert np.array_equal(seen(painter, each), truth)
            each.wait()
            cover_and_uncover(painter, (0, 0, 200, 150))
            each.wait()
            assert np.array_equal(seen(painter, each), truth)
            with each.draw((0, 0, 1, 1)) as pixels:
                pixels[...] = 0
            each.wait()
            truth[0, 0] = 0
            assert np.array_equal(seen(painter, each), truth)


def test_a_frame_of_another_depth_is_converted(
    xvfb: Server, painter: Painter, make_server: Callable[..., Server]
) -> None:
    painter.rectangles()
    frame = xshm.grab((0, 0, 100, 80), display=xvfb.name)
    server = make_server("Xvfb", 320, 240, 16)
    with Surface(100, 80, display=server.name) as surface:
        surface.show_frame(frame)
        surface.wait()
        difference = xwd(server, surface.id).rgb().astype(int) - frame.rgb()
        assert abs(difference).max() <= 4  # half a step of 5 bits


def test_a_slot_is_held_until_the_server_has_read_it(
    xvfb: Server, painter: Painter, make_server: Callable[..., Server]
) -> None:
    painter.rectangles()
    other = make_server("Xvfb", 640, 480)
    with xshm.Screen(xvfb.name) as screen, Surface(200, 150, display=other.name) as surface:
        # The slots are made known to the other server while it runs.
        with surface.draw(), surface.draw(), surface.draw():
            pass
        frames = [screen.grab((0, 0, 200, 150)) for _ in range(3)]
        for frame in frames:
            surface.show_frame(frame)
        surface.show(np.zeros((150, 200), np.uint8))
        surface.wait()
        del frame, frames
        other.pause()
        try:
            frame = screen.grab((300, 300, 200, 150))
            truth, address = frame.rgb(), frame.pixels.ctypes.data
            surface.show_frame(frame)
            surface.show(np.zeros((150, 100), np.uint8))  # covers a part of it
            surface.show(np.zeros((150, 100), np.uint8), at=(100, 0))  # and now all: nothing of the frame is shown
            del frame
            # It is read yet: each grab of another part gets another slot.
            assert all(screen.grab((0, 0, 200, 150)).pixels.ctypes.data != address for _ in range(20))
        finally:
            other.resume()
        surface.wait()
        assert address in {screen.grab((0, 0, 200, 150)).pixels.ctypes.data for _ in range(20)}
        frame = screen.grab((300, 300, 200, 150))
        surface.show_frame(frame)
        surface.wait()
        assert np.array_equal(xwd(other, surface.id).rgb(), truth)


def test_a_loop_that_only_shows_does_not_run_away_from_the_server(
    xvfb: Server, make_server: Callable[..., Server]
) -> None:
    other = make_server("Xvfb", 320, 240)
    shown: list[int] = []
    with xshm.Screen(xvfb.name) as screen, Surface(100, 80, display=other.name) as surface:
        frame = screen.grab((0, 0, 100, 80))
        surface.show_frame(frame)
        surface.wait()

        def loop() -> None:
            for number in range(100):
                surface.show_frame(frame)
                shown.append(number)

        other.pause()
        thread = threading.Thread(target=loop)
        thread.start()
        time.sleep(0.3)
        while_paused = len(shown)
        other.resume()
        thread.join(5)
        surface.wait()
    assert 1 <= while_paused <= 12
    assert len(shown) == 100


def test_a_mosaic_of_frames_pins_few_slots(xvfb: Server, painter: Painter) -> None:
    painter.rectangles()
    with xshm.Screen(xvfb.name) as screen, Surface(200, 150, display=xvfb.name) as surface:
        expected = np.zeros((150, 200, 3), np.uint8)
        for number in range(12):
            x, y = number % 4 * 50, number // 4 * 50
            frame = screen.grab((300 + x, 300 + y, 50, 50))
            expected[y : y + 50, x : x + 50] = frame.rgb()
            surface.show_frame(frame, at=(x, y))
        del frame
        surface.wait()
        assert (stats := screen.stats().pool) is not None
        assert stats.held <= 4
        cover_and_uncover(painter, (0, 0, 200, 150))
        surface.wait()
        assert np.array_equal(seen(painter, surface), expected)


def test_no_code_in_python_runs_when_a_segment_that_was_shown_goes(
    xvfb: Server, make_server: Callable[..., Server]
) -> None:
    # What a signal handler raises inside of a finalizer is swallowed: Ctrl-C would be without effect.
    with xshm.Screen(xvfb.name) as screen, Surface(64, 64, display=make_server("Xvfb", 320, 240).name) as surface:
        surface.show_frame(screen.grab((0, 0, 64, 64)))
        surface.show(np.zeros((64, 64), np.uint8))
        surface.wait()
        known = len(surface._swapchain._frames._attachments)
        pool = screen._session.pool
        assert pool is not None
        called: list[str] = []
        sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_filename) if event == "call" else None)
        pool.trim()
        sys.setprofile(None)
        assert pool.stats().slots == 0
        assert "weakref.py" not in {Path(name).name for name in called}  # whose dictionaries' callbacks are in Python
        # What was known of it is forgotten, on the server too, with the next.
        surface.show_frame(screen.grab((0, 0, 64, 64)))
        assert len(surface._swapchain._frames._attachments) == known == 1
        surface.wait()
        assert resources(surface)["ShmSeg"] <= 3
