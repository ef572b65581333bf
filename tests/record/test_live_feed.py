"""The live memory of a display of our own: when a recording reads it, and that no picture of it is torn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from colours import BLUE, RED
from displays import painting, resize
from PIL import Image, ImageSequence
from recorded import Recorded
from reference import core_image

import xshm
from xshm.errors import Closed, RequestTimeout
from xshm.geometry import Rect
from xshm.record.feeds.live_feed import LiveFeed
from xshm.record.feeds.opening import open_feed
from xshm.record.feeds.tracker_feed import TrackerFeed
from xshm.record.pictures.painter import Painter
from xshm.system.deadlines import within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from xshm.record.feeds.feed import Captured
    from xshm.record.pictures.picture import Picture


@pytest.mark.parametrize(
    ("options", "cursor", "why"),
    [
        ({}, False, None),
        ({"framebuffer": "sysv"}, False, None),
        ({"writable": True}, False, None),
        ({}, True, "pointer is to be drawn"),
        ({"cursor": True}, False, "paints the pointer"),
        ({"framebuffer": "none"}, False, "shared pixmaps"),
    ],
)
def test_the_live_memory_is_read_where_it_is_the_picture_that_is_wanted(
    options: dict[str, Any], cursor: bool, why: str | None
) -> None:
    with xshm.VirtualDisplay(200, 150, **options) as display, painting(display) as painter:
        feed = open_feed(display.screen, None, cursor=cursor)
        assert isinstance(feed, TrackerFeed if why else LiveFeed)
        assert (why or "own memory") in feed.how
        captured = feed.capture()
        assert captured is not None
        assert not captured.pixels.flags.writeable
        feed.close()
        window = painter.window((10, 10, 50, 50), BLUE)
        with display.screen.window(window.id) as opened:  # its pixels are elsewhere
            feed = open_feed(opened, None, cursor=False)
            assert isinstance(feed, TrackerFeed)
            feed.close()


@pytest.mark.parametrize("kind", ["file", "sysv"])
def test_the_memory_goes_with_the_feed_and_its_last_picture(kind: Literal["file", "sysv"]) -> None:
    def mapped() -> int:
        return len(re.findall(r"Xvfb_screen|/SYSV", Path("/proc/self/maps").read_text()))

    before = mapped()
    with xshm.VirtualDisplay(200, 150, framebuffer=kind) as display, painting(display) as painter:
        painter.fill((0, 0, 200, 150), RED)
        feed = open_feed(display.screen, None, cursor=False)
        captured = feed.capture()
        assert captured is not None
    assert (captured.pixels[..., :3] == (0, 0, 255)).all()
    feed.close()
    with pytest.raises(Closed):
        feed.capture()
    assert mapped() == before + 1
    captured.release()
    assert mapped() == before


def test_a_file_that_others_can_truncate_is_not_read_in_place(tmp_path: Path) -> None:
    with xshm.VirtualDisplay(200, 150, framebuffer=tmp_path) as display:
        feed = open_feed(display.screen, None, cursor=False)
        assert isinstance(feed, TrackerFeed)
        feed.close()


def test_each_of_several_screens_has_its_own_memory_and_joined_ones_have_none() -> None:
    further = (xshm.ScreenSpec(120, 90),)
    with xshm.VirtualDisplay(200, 150, screens=further) as display, painting(display, 1) as painter:
        picture = Recorded(open_feed(display.screens[1], None, cursor=False))
        assert isinstance(picture.feed, LiveFeed)
        painter.rectangles(20)
        picture.update()
        assert picture.shows(core_image(painter.display))
        picture.feed.close()
    with xshm.VirtualDisplay(200, 150, screens=further, args=("+xinerama",)) as display:
        feed = open_feed(display.screen, None, cursor=False)
        assert isinstance(feed, TrackerFeed)
        feed.close()


@pytest.mark.parametrize("depth", [8, 24])
def test_a_screen_that_is_made_smaller_is_black_where_it_ends(depth: int) -> None:
    with xshm.VirtualDisplay(200, 100, depth) as display, painting(display) as painter:
        painter.rectangles(30)
        pictures = [
            Recorded(open_feed(display.screen, None, cursor=False)),
            Recorded(TrackerFeed(display.screen, None, cursor=False)),
        ]
        black = painter.screen.black_pixel
        for width, height in ((200, 100), (151, 80), (200, 100)):
            if (width, height) != display.screen.grab().size:
                resize(display, width, height)
            for each in pictures:
                assert each.follow()
            painter.rectangles(5)
            for each in pictures:
                assert each.follow()
                each.follow(0.01)
                truth = np.full_like(each.pixels, 0 if depth == 24 else black)
                truth[:height, :width] = core_image(painter.display)
                assert each.shows(truth), each.feed.how
        for each in pictures:
            each.feed.close()


# A program that paints a counter at the top and at the bottom by one request, again and again.
_COUNT = """
import random, sys, time
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, sys.argv[3])
from painter import Painter
with Painter(SimpleNamespace(name=sys.argv[1], authority=Path(sys.argv[2]))) as painter:
    boxes = [(0, 0, 640, 10), (0, 470, 640, 10)]
    print(flush=True)
    end, number = time.monotonic() + 0.6, 0
    while time.monotonic() < end:
        number += 1
        painter._gc.change(foreground=number)
        painter.root.poly_fill_rectangle(painter._gc, boxes)
        painter.display.flush()
        time.sleep(random.choice((0, 0.001, 0.003)))
"""


def test_no_picture_is_torn_though_many_readings_are() -> None:
    helpers = str(next(each for each in sys.path if each.endswith("helpers")))
    with xshm.VirtualDisplay(640, 480) as display:
        picture = Recorded(open_feed(display.screen, None, cursor=False))
        command = [sys.executable, "-c", _COUNT, display.name, str(display.xauthority), helpers]
        numbers = []
        differing = 0

        def read_slowly(captured: Captured, pixels: NDArray[Any]) -> None:
            nonlocal differing
            for rect in captured.changed:  # one: the server reports the bounding box of a request
                half = rect.y + rect.height // 2
                pixels[rect.y : half] = captured.pixels[rect.y : half]
                time.sleep(0.0003)
                pixels[half : rect.bottom] = captured.pixels[half : rect.bottom]
            differing += (pixels[0, 0, :3] != pixels[479, 639, :3]).any()

        with subprocess.Popen(command, stdout=subprocess.PIPE) as counting:
            assert counting.stdout is not None
            counting.stdout.readline()
            while counting.poll() is None:
                if picture.feed.wait(time.monotonic() + 0.1) and picture.update(read_slowly):
                    top, bottom = picture.pixels[0, 0], picture.pixels[479, 639]
                    assert (top[:3] == bottom[:3]).all()
                    numbers.append(int(top[0]) + 256 * int(top[1]))
        picture.feed.close()
        assert numbers == sorted(numbers)
        assert len(set(numbers)) > 10
        assert differing > 0  # without the question, so many pictures would have been torn


def test_no_picture_of_a_recording_is_torn_though_each_conversion_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is so slow that it would never end undisturbed."""
    whole = Painter.paint

    def slowly(
        self: Painter,
        picture: Picture,
        pixels: NDArray[Any],
        rects: Iterable[Rect],
        colormap: NDArray[Any] | None = None,
    ) -> list[Rect]:
        changed = []
        for each in (half for rect in rects for half in _halves(rect)):
            changed += whole(self, picture, pixels, [each], colormap)
            time.sleep(0.004)
        return changed

    monkeypatch.setattr(Painter, "paint", slowly)
    helpers = str(next(each for each in sys.path if each.endswith("helpers")))
    with xshm.VirtualDisplay(640, 480) as display:
        command = [sys.executable, "-c", _COUNT, display.name, str(display.xauthority), helpers]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as counting:
            assert counting.stdout is not None
            counting.stdout.readline()
            with display.record(tmp_path / "a.apng", fps=None) as recorder:
                counting.wait()
            assert "without a copy" in recorder.how
    with Image.open(tmp_path / "a.apng") as video:
        seen = [(each.getpixel((0, 0)), each.getpixel((639, 479))) for each in ImageSequence.Iterator(video)]
    assert [top for top, _ in seen] == [bottom for _, bottom in seen]
    assert len(seen) > 5


def _halves(rect: Rect) -> list[Rect]:
    middle = rect.y + rect.height // 2
    return [
        Rect.from_ltrb(rect.x, rect.y, rect.right, middle),
        Rect.from_ltrb(rect.x, middle, rect.right, rect.bottom),
    ]


def test_after_a_look_that_was_cut_short_the_next_one_has_all_of_the_picture() -> None:
    with xshm.VirtualDisplay(200, 150) as display, painting(display) as painter:
        for kind in (open_feed, TrackerFeed):
            picture = Recorded(kind(display.screen, None, cursor=False))
            picture.update()
            painter.fill((10, 10, 30, 30), RED)
            assert display.pid is not None
            os.kill(display.pid, signal.SIGSTOP)
            try:
                with pytest.raises(RequestTimeout):
                    within(time.monotonic() - 0.4, picture.feed.capture)
            finally:
                os.kill(display.pid, signal.SIGCONT)
            assert picture.feed.wait(time.monotonic() + 1)
            assert picture.update()
            assert Rect(0, 0, 200, 150) in picture.changed
            assert picture.shows(core_image(painter.display))
            picture.feed.close()
