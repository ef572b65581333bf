"""A trace is exact: at any instant it has what another client saw on the screen then, pixel for pixel."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import painter as painter_module
import pytest
from displays import painting, resize
from painter import Painter
from reference import core_image
from traced import Witness

import xshm
from xshm.record.feeds.live_feed import LiveFeed
from xshm.record.feeds.tracker_feed import TrackerFeed

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Box
    from servers import Server


def _watch(trace: xshm.Trace, painter: Painter, count: int, box: Box | None = None) -> Witness:
    """Paint and look, again and again."""
    witness = Witness(painter, box)
    pick = random.Random(3)
    for _ in range(count):
        painter.rectangles(pick.choice((0, 1, 1, 2, 5)))
        trace.catch_up()
        witness.look()
    return witness


@pytest.mark.parametrize("framebuffer", ["file", "none"])
def test_it_is_what_another_client_saw_at_each_of_hundreds_of_instants(framebuffer: Any) -> None:
    with xshm.VirtualDisplay(300, 200, framebuffer=framebuffer) as display, painting(display) as painter:
        painter.rectangles(20)
        with display.screen.trace(keep_last=600) as trace:
            assert trace._engine is not None
            assert isinstance(trace._engine._feed, TrackerFeed if framebuffer == "none" else LiveFeed)
            witness = _watch(trace, painter, 400)
            reader = trace.reader()
        assert witness.wrong(reader) == []
        assert sum(1 for _ in reader.changes()) > 200
        assert any(each.is_key for each in list(reader.changes())[1:])


@pytest.mark.proof
@pytest.mark.parametrize("framebuffer", ["file", "none"])
def test_it_is_what_another_client_saw_at_each_of_thousands_of_instants(framebuffer: Any) -> None:
    with xshm.VirtualDisplay(400, 300, framebuffer=framebuffer) as display, painting(display) as painter:
        painter.noise((0, 0, 400, 300))
        for _ in range(10):
            with display.screen.trace(keep_last=600, max_bytes=1 << 30) as trace:
                witness = _watch(trace, painter, 300)
                reader = trace.reader()
            assert witness.wrong(reader) == []


@pytest.mark.parametrize(
    ("kind", "depth"),
    [("Xvfb", 8), ("Xvfb", 15), ("Xvfb", 16), ("Xvfb", 24), ("Xvfb", 30), ("Xvnc", 24), ("Xephyr", 24)],
)
def test_it_is_exact_on_any_server_and_depth(make_server: Callable[..., Server], kind: str, depth: int) -> None:
    server = make_server(kind, 200, 150, depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.rectangles(20)
        box = (13, 7, 160, 120)
        with screen.trace(keep_last=600, region=box) as trace:
            witness = _watch(trace, painter, 40, box)
            reader = trace.reader()
        assert witness.wrong(reader) == []
        frame = reader.at(reader.duration)
        assert (frame.rect.x, frame.rect.y) == (13, 7)


@pytest.mark.parametrize("depth", [8, 16, 30])
def test_the_live_memory_of_other_depths_is_traced_exactly(depth: int) -> None:
    with xshm.VirtualDisplay(200, 150, depth) as display, painting(display) as painter:
        painter.rectangles(20)
        with display.screen.trace(keep_last=600) as trace:
            assert "own memory" in trace.how
            witness = _watch(trace, painter, 60)
            reader = trace.reader()
        assert witness.wrong(reader) == []


# A program that paints a counter at the top and at the bottom by one request, again and again.
_COUNT = """
import random, sys, time
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, sys.argv[3])
from painter import Painter
with Painter(SimpleNamespace(name=sys.argv[1], authority=Path(sys.argv[2]))) as painter:
    boxes = [(0, 0, 640, 200), (0, 280, 640, 200)]
    print(flush=True)
    end, number = time.monotonic() + 1, 0
    while time.monotonic() < end:
        number += 1
        painter._gc.change(foreground=number)
        painter.root.poly_fill_rectangle(painter._gc, boxes)
        painter.display.flush()
        time.sleep(random.choice((0, 0, 0.001)))
"""


def test_a_picture_keeps_the_time_it_was_taken_at_though_lines_come_while_it_is_encoded() -> None:
    with xshm.VirtualDisplay(600, 400) as display, painting(display) as painter:
        over = threading.Event()
        with display.screen.trace(keep_last=600) as trace:

            def say() -> None:
                while not over.wait(0.0002):
                    trace.log("a line")

            thread = threading.Thread(target=say)
            thread.start()
            for _ in range(30):
                painter.noise((0, 0, 600, 400))
                trace.catch_up()
            over.set()
            thread.join()
            assert trace._engine is not None
            kept = trace._engine.kept()
    pairs = list(itertools.pairwise(kept))
    assert sum(after.is_picture for _, after in pairs) > 20
    # Equal nanoseconds are no chance: a picture that comes after a later event is given its time.
    assert not [after.at for before, after in pairs[1:] if after.is_picture and before.at == after.at]


def test_no_picture_is_torn_though_it_is_drawn_to_all_the_time() -> None:
    with xshm.VirtualDisplay(640, 480) as display:
        helpers = str(Path(painter_module.__file__).parent)
        command = [sys.executable, "-c", _COUNT, display.name, str(display.xauthority), helpers]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=display.env()) as counting,
            display.screen.trace(keep_last=600, fps=500) as trace,
        ):
            assert counting.stdout is not None
            counting.stdout.readline()
            counting.wait()
        reader = trace.reader()
        numbers = []
        for change in reader.changes():
            pixels = reader.at(change.seconds).pixels[..., :3]
            assert (pixels[:200] == pixels[0, 0]).all()
            assert (pixels[280:] == pixels[0, 0]).all()
            numbers.append(int.from_bytes(pixels[0, 0].tobytes(), "little"))
        assert len(numbers) > 20
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("framebuffer", ["file", "none"])
def test_a_burst_slows_it_down_at_once_and_the_last_picture_comes_within_a_period(framebuffer: Any) -> None:
    with xshm.VirtualDisplay(1000, 800, framebuffer=framebuffer) as display, painting(display) as painter:
        with display.screen.trace(keep_last=600) as trace:
            begun = time.monotonic()
            while trace.fps == 30 and time.monotonic() < begun + 0.9:
                painter.noise((0, 0, 1000, 800))
            assert trace.fps < 30
            painter.noise((0, 0, 1000, 800))
            time.sleep(1 / trace.fps + 0.3)  # and nothing else makes it look
            kept = trace.reader()
        assert np.array_equal(kept.at(kept.duration).rgb(), core_image(painter.display)[..., 2::-1])
        whys = [values["why"] for _, values in kept.events() if values["type"] == "rate"]
        assert any("a picture: more than" in why for why in whys)
        assert len(set(whys)) <= 5


@pytest.mark.parametrize("framebuffer", ["file", "none"])
def test_of_a_screen_that_is_resized_the_rest_is_black(framebuffer: Any) -> None:
    with xshm.VirtualDisplay(200, 100, framebuffer=framebuffer) as display, painting(display) as painter:
        painter.rectangles(30)
        with display.screen.trace(keep_last=60) as trace:
            for width, height in ((200, 100), (151, 80), (200, 100)):
                if (width, height) != display.screen.grab().size:
                    resize(display, width, height)
                painter.rectangles(5)
                truth = np.zeros((100, 200, 3), np.uint8)
                truth[:height, :width] = core_image(painter.display)[..., 2::-1]
                trace.catch_up()
                assert np.array_equal(trace.at(trace.duration).rgb(), truth)


def test_a_window_that_is_hidden_keeps_its_last_picture_and_the_trace_says_why(xvfb: Server) -> None:
    with Painter(xvfb) as painter, xshm.Screen(xvfb.name) as screen:
        shown = painter.window((40, 40, 60, 50), (255, 0, 0))
        with screen.window(shown.id) as window, window.trace(keep_last=60) as trace:
            trace.catch_up()
            shown.unmap()
            painter.display.sync()
            trace.catch_up()
            assert (trace.at(trace.duration).rgb() == (255, 0, 0)).all()
            shown.change_attributes(background_pixel=painter.pixel((0, 0, 255)))
            shown.map()
            painter.display.sync()
            trace.catch_up()
            reader = trace.reader()
            assert (reader.at(reader.duration).rgb() == (0, 0, 255)).all()
            gaps = [values for _, values in reader.events() if values["type"] == "gap"]
            assert len(gaps) == 1
            assert "unmapped" in gaps[0]["why"]
            painter.display.sync()


def test_what_is_redacted_is_black_from_the_first_picture_on() -> None:
    with xshm.VirtualDisplay(300, 200) as display, painting(display) as painter:
        painter.noise((0, 0, 300, 200))
        with display.screen.trace(keep_last=60, redact=[(50, 40, 60, 30)]) as trace:
            witness = _watch(trace, painter, 30)
            reader = trace.reader()
        assert witness.wrong(reader, black=(50, 40, 60, 30)) == []
        assert reader.at(0).rgb()[40:70, 50:110].max() == 0
