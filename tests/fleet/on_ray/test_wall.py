"""All displays of a pool as one picture, and live on a page."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from display_traces import servers_below
from live_client import LiveClient, fetched
from PIL import Image

import xshm
from xshm import DisplaySpec, VirtualDisplay, fleet
from xshm.errors import Closed, InvalidArgument
from xshm.fleet.tiles.grid import shrunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_SIZE = (160, 100)
_SPEC = DisplaySpec(*_SIZE, args=("-extension", "GLX"))


def _picture(display: str) -> NDArray[np.uint8]:
    """Return what is on a display of a name from the beginning: two halves, in colours of its own."""
    number = int(display.removeprefix(":"))
    found = np.empty((100, 160, 3), np.uint8)
    found[:, :80] = (number * 37 % 200 + 55, 255, 30)
    found[:, 80:] = (20, number * 53 % 200 + 55, 200)
    return found


def _paint(display: VirtualDisplay, value: int) -> str:
    """Draw there once more; return its name."""
    (window,) = display.screen.windows()
    with xshm.Surface(on=window.id, display=display.name, xauthority=display.xauthority) as surface:
        surface.show(np.full((20, 30, 3), value, np.uint8), (40, 50))
        surface.wait()
    return display.name


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a path: as long as there is something, no display gets ready."""
    return tmp_path_factory.mktemp("gate") / "closed"


@pytest.fixture(scope="module")
def pool(nothing_is_left: None, cluster: Any, gate: Path) -> Iterator[fleet.DisplayPool]:  # noqa: ARG001 - it comes before
    """Give a pool of three seats which count how often they were asked for changes."""
    assert cluster

    class Painted(fleet.Seat):
        pulls = 0

        def set_up(self) -> None:
            while gate.exists():
                time.sleep(0.02)
            name, authority = self.display.name, self.display.xauthority
            self.shown = xshm.Surface(160, 100, display=name, xauthority=authority, position=(0, 0))
            self.shown.show(_picture(name))
            self.shown.wait()

        def changed(self, *args: Any, **named: Any) -> Any:
            self.pulls += 1
            return super().changed(*args, **named)

        def pulled(self) -> int:
            return self.pulls

    with fleet.DisplayPool(3, _SPEC, kind=Painted) as pool:
        yield pool


def _pulls(pool: fleet.DisplayPool) -> list[int]:
    found: list[int] = pytest.importorskip("ray").get([pool.look(number, "pulled") for number in range(3)])
    return found


def _decoded(data: bytes) -> NDArray[Any]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _kill_worker(pool: fleet.DisplayPool, number: int) -> None:
    os.kill(pool.infos()[number].pid, signal.SIGKILL)


def test_a_wall_has_each_screen_in_its_place(pool: fleet.DisplayPool) -> None:
    before = time.monotonic_ns()
    frame = pool.wall(330)
    assert frame.rect == xshm.Rect(0, 0, *shrunk(3, _SIZE, 330, None).size)
    assert before < frame.monotonic_ns < time.monotonic_ns()
    grid = shrunk(3, _SIZE, 330, None)
    assert (grid.columns, grid.tile) == (2, (153, 96))
    for number, info in enumerate(pool.infos()):
        tile = frame.rgb()[grid.place(number).slices]
        expected = _picture(info.display)
        # Flat colours stay what they are; at the edge between them they are mixed.
        assert (tile[:, :70] == expected[0, 0]).all()
        assert (tile[:, 84:] == expected[0, -1]).all()
    with contextlib.closing(frame.image()) as image:
        assert image.size == frame.size
    assert frame.png()[:4] == b"\x89PNG"


def test_a_wall_of_larger_tiles_repeats_pixels(pool: fleet.DisplayPool) -> None:
    columns = 3
    grid = shrunk(3, _SIZE, 1000, columns)
    frame = pool.wall(1000, columns)
    for number, info in enumerate(pool.infos()):
        tile, expected = frame.rgb()[grid.place(number).slices], _picture(info.display)
        assert {tuple(each) for each in tile.reshape(-1, 3).tolist()} == {
            tuple(each) for each in expected.reshape(-1, 3).tolist()
        }


def test_a_seat_that_was_lost_is_words_until_it_is_back(pool: fleet.DisplayPool) -> None:
    grid = shrunk(3, _SIZE, 1000, 3)
    infos = pool.infos()

    def tile(number: int) -> NDArray[Any]:
        return pool.wall(1000, 3).rgb()[grid.place(number).slices]

    _kill_worker(pool, 1)
    seen = pool.wall(1000, 3).rgb()
    for number in (0, 2):
        assert (seen[grid.place(number).slices][5, 5] == _picture(infos[number].display)[0, 0]).all()
    lost = seen[grid.place(1).slices]
    old = {tuple(each) for each in _picture(infos[1].display)[0].tolist()}
    shown = {tuple(each) for each in lost.reshape(-1, 3).tolist()}
    assert not old & shown
    assert len(shown) > 10  # letters, whose edges are smooth

    def is_back() -> bool:
        return bool((tile(1)[5, 5] == _picture(pool.infos()[1].display)[0, 0]).all())

    _until(is_back)


def test_a_seat_that_does_not_answer_is_words_within_seconds(
    pool: fleet.DisplayPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xshm.fleet.wall._PATIENCE", 2.0)  # less than five, which all the other tests would wait for
    grid, infos = shrunk(3, _SIZE, 1000, 3), pool.infos()
    os.kill(infos[0].pid, signal.SIGSTOP)
    try:
        seen = pool.wall(1000, 3).rgb()
    finally:
        os.kill(infos[0].pid, signal.SIGCONT)
    for number in (1, 2):
        assert (seen[grid.place(number).slices][5, 5] == _picture(infos[number].display)[0, 0]).all()
    own = {tuple(each) for each in _picture(infos[0].display)[0].tolist()}
    shown = {tuple(each) for each in seen[grid.place(0).slices].reshape(-1, 3).tolist()}
    assert not own & shown
    assert len(shown) > 10


def test_the_page_shows_each_screen_to_the_pixel_and_follows_it(pool: fleet.DisplayPool) -> None:
    with pool.live() as wall, LiveClient(wall.url) as page:
        infos = pool.infos()
        titles = [each["title"] for each in page.until("welcome")["channels"]]
        assert [title.split(", node")[0] for title in titles] == [
            f"display {number}, {info.display} on {info.host}" for number, info in enumerate(infos)
        ]
        page.watch(1, 2, 3)
        for number, info in enumerate(infos):
            page.until_equal(_picture(info.display), number + 1)
        for value in (1, 2):
            name = pool.submit(_paint, value * 100).result()
            number = [info.display for info in infos].index(name)
            page.until_equal(pool.grab(number).rgb(), number + 1)


def test_a_picture_that_nobody_has_looked_at_is_the_one_of_now(pool: fleet.DisplayPool) -> None:
    with pool.live() as wall:
        for value in (7, 70, 170):
            name = pool.submit(_paint, value).result()
            number = [info.display for info in pool.infos()].index(name)
            status, _, data = fetched(f"{wall.view.frame_url}&channel={number + 1}")
            assert status == 200
            assert np.array_equal(_decoded(data), pool.grab(number).rgb())


def test_nothing_is_pulled_while_nobody_looks(pool: fleet.DisplayPool) -> None:
    with pool.live() as wall:
        begin = _pulls(pool)
        for value in range(3):
            pool.submit(_paint, value).result()
        assert _pulls(pool) == begin
        with LiveClient(wall.url) as page:
            page.watch(2)
            page.until_equal(pool.grab(1).rgb(), 2)
        _until(lambda: not any(each.name == "xshm-live-2" for each in threading.enumerate()))
        after = _pulls(pool)
        assert after[1] > begin[1]
        assert (after[0], after[2]) == (begin[0], begin[2])
        for value in range(9):
            list(pool.map(_paint, [value * 20] * 3))
        assert _pulls(pool) == after


def test_a_still_screen_is_asked_once_and_waited_for(pool: fleet.DisplayPool) -> None:
    begin = _pulls(pool)
    with pool.live() as wall, LiveClient(wall.url) as page:
        page.watch(1)
        page.until_equal(pool.grab(0).rgb(), 1)
        page.until_quiet()
        assert _pulls(pool)[0] - begin[0] <= 3  # what is there, and what will change; and what had changed between


def test_a_lost_seat_is_words_on_the_page_until_it_is_back(pool: fleet.DisplayPool, gate: Path) -> None:
    with pool.live() as wall, LiveClient(wall.url) as page:
        page.watch(1, 3)
        page.until_equal(pool.grab(2).rgb(), 3)
        old = {tuple(each) for each in page.canvases[3].reshape(-1, 3).tolist()}
        gate.touch()
        _kill_worker(pool, 2)

        def is_words() -> bool:
            shown = {tuple(each) for each in page.canvases[3].reshape(-1, 3).tolist()}
            return not old & shown and len(shown) > 10

        while not is_words():
            page.receive(20)
        gate.unlink()
        page.until_equal(_picture(pool.infos()[2].display), 3, seconds=20)
        while not any(f"display 2, {pool.infos()[2].display} on" in str(each) for each in page.messages):
            page.receive(20)


def test_a_wall_leaves_nothing_of_its_display(pool: fleet.DisplayPool) -> None:
    assert len(pool.infos()) == 3  # all are back
    before = servers_below(os.getpid())
    wall = pool.live()
    assert servers_below(os.getpid()) <= before
    with wall:
        ours = servers_below(os.getpid()) - before
        assert ours
        with LiveClient(wall.url) as page:
            page.watch(1)
            page.until_equal(pool.grab(0).rgb(), 1)
            wall.close()
            page.closed()
    _until(lambda: not servers_below(os.getpid()) & ours)
    assert not any(each.name == "xshm-wall" for each in threading.enumerate())


def test_input_and_parts_are_refused(pool: fleet.DisplayPool) -> None:
    with pytest.raises(InvalidArgument, match=r"takes no input.*submit"):
        pool.live(allow_input=True)
    with pytest.raises(InvalidArgument, match="whole screens"):
        pool.live(region=(0, 0, 10, 10))
    with pytest.raises(InvalidArgument, match="fps"):
        pool.live(fps=0)
    with pytest.raises(TypeError, match="colour"):
        pool.live(colour="red")


def test_a_page_says_that_the_pool_was_closed(cluster: Any) -> None:
    assert cluster
    with fleet.DisplayPool(1, _SPEC) as pool:
        wall = pool.live()
        wall.start()
    with contextlib.closing(wall), LiveClient(wall.url) as page:
        page.watch(1)
        while not page.updates:
            page.receive(10)
        assert len({tuple(each) for each in page.canvases[1].reshape(-1, 3).tolist()}) > 10
    with pytest.raises(Closed):
        pool.live()
