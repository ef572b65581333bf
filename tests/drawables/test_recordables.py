"""`record` of all that has it: screens, windows, pixmaps and displays; a still one costs no request, not even one."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest
import videos
from animations import by_pillow
from colours import BLUE, RED
from round_trips import relayed
from thread_times import thread_times, used_since

import xshm
from xshm.errors import WindowGone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from painter import Painter
    from servers import Server


def _wait_for(is_true: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.01)


def _colours(path: Path) -> list[tuple[int, ...]]:
    """Return the colour of the pixel in the upper left corner, each run of the same as one."""
    found: list[tuple[int, ...]] = []
    for _, pixels in by_pillow(path):
        colour = tuple(map(int, pixels[0, 0]))
        if not found or found[-1] != colour:
            found.append(colour)
    return found


def test_a_pixmap_is_recorded_until_it_is_freed(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    pixmap = painter.root.create_pixmap(60, 40, 24)
    painter.fill((0, 0, 60, 40), BLUE, drawable=pixmap)
    with screen.pixmap(pixmap.id) as opened:
        with opened.record(tmp_path / "a.apng", fps=None) as recorder:
            painter.fill((0, 0, 60, 40), RED, drawable=pixmap)
            _wait_for(lambda: recorder.frames == 2)
            pixmap.free()
            painter.display.sync()
        assert _colours(tmp_path / "a.apng") == [BLUE, RED]
        with pytest.raises(WindowGone, match="freed"):
            opened.record(tmp_path / "b.apng").start()
    assert not (tmp_path / "b.apng").exists()


def test_a_window_is_recorded_whole_though_others_cover_it(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    below = painter.window((10, 10, 60, 40), BLUE)
    painter.window((0, 0, 100, 100), (0, 255, 0))
    with screen.window(below.id) as window, window.record(tmp_path / "a.apng", fps=None) as recorder:
        painter.fill((0, 0, 60, 40), RED, drawable=below)
        _wait_for(lambda: recorder.frames == 2)
    assert _colours(tmp_path / "a.apng") == [BLUE, RED]
    assert by_pillow(tmp_path / "a.apng")[0][1].shape == (40, 60, 3)


def test_a_window_that_is_resized_and_hidden_keeps_its_size_and_its_last_picture(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    path = tmp_path / "a.apng"
    made = painter.window((10, 10, 60, 40), BLUE)
    with screen.window(made.id) as window, window.record(path, fps=None) as recorder:
        made.configure(width=30)
        painter.display.sync()
        _wait_for(lambda: recorder.frames == 2)
        made.unmap()
        painter.display.sync()
        time.sleep(0.3)
        assert recorder.is_running
        hidden = recorder.frames
        made.map()
        painter.fill((0, 0, 60, 40), RED, drawable=made)
        _wait_for(lambda: recorder.frames > hidden)
    read = [pixels for _, pixels in by_pillow(path)]
    assert {each.shape for each in read} == {(40, 60, 3)}
    assert tuple(read[0][20, 50]) == BLUE
    assert (tuple(read[1][20, 10]), tuple(read[1][20, 50])) == (BLUE, (0, 0, 0))
    assert all(tuple(each[20, 10]) == BLUE for each in read[:hidden])
    assert (tuple(read[-1][20, 10]), tuple(read[-1][20, 50])) == (RED, (0, 0, 0))


@pytest.mark.usefixtures("no_collector")
def test_of_a_still_screen_the_server_is_asked_nothing_while_the_recording_goes_on(
    xvfb: Server, tmp_path: Path
) -> None:
    with relayed(xvfb) as relay, xshm.Screen(relay.name) as screen:
        path = tmp_path / "video.mkv"
        with screen.record(path, region=(0, 0, 320, 200)) as recorder:
            time.sleep(0.3)
            threads = thread_times()
            trips, size, used = relay.round_trips, recorder.bytes, time.process_time()
            time.sleep(1.2)  # two keep-alives of half a second
            assert relay.round_trips == trips
            assert recorder.bytes > size
            assert time.process_time() - used < 0.12, used_since(threads)
        assert recorder.frames == 1
    shown = videos.times(path)
    assert len(shown) >= 4  # the first, two to keep it alive, the closing one
    assert max(later - earlier for earlier, later in itertools.pairwise(shown)) < 1
