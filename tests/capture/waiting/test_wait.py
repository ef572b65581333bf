"""Waits for changes, stability, pixels and pictures: exact comparison, within the timeout."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLACK, BLUE, GREEN, RED
from delayed import later
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import xshm
import xshm.capture.waiting.wait  # which `wait_change` would import while the time runs for who changes something
from xshm.capture.waiting import find_image
from xshm.capture.waiting.compare import compare
from xshm.capture.waiting.wait import quiet_time
from xshm.errors import InvalidArgument, InvalidType, MissingExtra, OutOfBounds, WaitTimeout, WindowGone, XshmError
from xshm.geometry import Rect
from xshm.pixels import opencv
from xshm.pixels.format import VisualClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from painter import Painter
    from servers import Server


@contextlib.contextmanager
def blinking(painter: Painter, box: tuple[int, int, int, int], every: float = 0.03) -> Iterator[None]:
    over = threading.Event()

    def blink() -> None:
        colour = RED
        while not over.wait(every):
            colour = BLUE if colour == RED else RED
            painter.fill(box, colour)

    thread = threading.Thread(target=blink)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# -- a change --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_change_is_told_with_where_and_how_much(xvfb: Server, painter: Painter, transport: str) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    with xshm.Screen(xvfb.name, transport) as screen, later(0.1, painter.fill, (120, 80, 20, 10), RED):
        change = screen.wait_change(5, (100, 50, 200, 100))
    assert change.rects == (Rect(120, 80, 20, 10),)
    assert change.ratio == 200 / 20_000
    assert change.frame.pixel(120, 80) == RED
    assert 0.09 < change.seconds < 5


def test_without_a_change_the_wait_ends_in_time_with_the_last_picture(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 100, 100), RED)
    begin = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"^nothing changed within 0\.2 s$") as over:
        screen.wait_change(0.2)
    assert 0.2 <= time.monotonic() - begin < 1
    assert not over.value.frame.diff(screen.grab())
    assert over.value.moving == ()


def test_the_same_pixels_drawn_again_are_no_change(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((10, 10, 50, 50), GREEN)
    with later(0.05, painter.fill, (10, 10, 50, 50), GREEN), pytest.raises(WaitTimeout, match="nothing changed"):
        screen.wait_change(0.3)


def test_a_change_up_to_the_threshold_is_none(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 100, 100), BLACK)
    with (
        later(0.05, painter.fill, (0, 0, 10, 10), RED),
        pytest.raises(WaitTimeout, match=r"no more than 1\.00% of the pixels changed"),
    ):
        screen.wait_change(0.3, (0, 0, 100, 100), threshold=0.01)
    with later(0.05, painter.fill, (0, 0, 11, 20), RED):
        change = screen.wait_change(5, (0, 0, 100, 100), threshold=0.01)
    assert change.ratio == 120 / 10_000


def test_small_changes_add_up_to_more_than_the_threshold(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 100, 100), BLACK)

    def creep() -> None:
        for x in range(0, 100, 5):
            painter.fill((x, 0, 5, 5), RED)
            time.sleep(0.02)

    with later(0, creep):
        change = screen.wait_change(5, (0, 0, 100, 100), threshold=0.02)
    assert 0.02 < change.ratio <= 0.05


def test_a_change_before_the_call_is_found_from_an_earlier_frame(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 100, 100), BLACK)
    before = screen.grab()
    painter.fill((30, 40, 9, 8), RED)
    change = screen.wait_change(0, since=before)
    assert change.rects == (Rect(30, 40, 9, 8),)
    with pytest.raises(WaitTimeout):
        screen.wait_change(0, since=screen.grab())
    with pytest.raises(InvalidArgument, match="since is a frame of"):
        screen.wait_change(0, (0, 0, 5, 5), since=before)


# -- calm ------------------------------------------------------------------------------------------------------------


def test_a_still_screen_is_stable_after_the_quiet_time(screen: xshm.Screen) -> None:
    calm = screen.wait_stable(quiet=0.2, timeout=5)
    assert 0.2 <= calm.seconds < 1
    assert calm.moving == ()
    assert not calm.frame.diff(screen.grab())


def test_calm_is_waited_for_until_what_moves_has_stopped(screen: xshm.Screen, painter: Painter) -> None:
    with contextlib.ExitStack() as moving:
        moving.enter_context(blinking(painter, (0, 0, 20, 20)))
        with later(0.4, moving.close):
            calm = screen.wait_stable(quiet=0.2, timeout=5, rhythms="count")
    assert 0.5 <= calm.seconds < 2  # the last stroke may have come a little before the end


def test_a_time_too_short_for_a_rest_is_told_without_a_movement(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 100, 100)
    with xshm.Screen(server.name) as screen:
        screen.wait_stable(0.05)
        with later(0.1, server.pause), pytest.raises(WaitTimeout) as over:
            screen.wait_stable(0.4, 0.5)
        server.resume()
    assert str(over.value).startswith("no rest of 0.4 s within 0.5 s")
    assert over.value.moving == ()


def test_restlessness_is_told_with_the_last_picture_when_the_time_is_over(
    screen: xshm.Screen, painter: Painter
) -> None:
    with blinking(painter, (0, 0, 20, 20)), pytest.raises(WaitTimeout) as over:
        screen.wait_stable(quiet=0.2, timeout=0.5, rhythms="count")
    assert re.fullmatch(
        r"still moving after 0\.5 s: 20x20\+0\+0 every \d+ ms; ignore=\[region\] or rhythms='ignore'", str(over.value)
    )
    assert over.value.frame.rect == screen.rect
    (moving,) = over.value.moving
    assert moving.rect == Rect(0, 0, 20, 20)
    assert moving.rhythm == "cycle"
    assert moving.period is not None
    assert 0.02 < moving.period < 0.1
    assert 0.3 <= moving.seconds < 1


def test_the_default_of_quiet_fits_into_every_timeout(screen: xshm.Screen) -> None:
    assert [quiet_time(None, timeout) for timeout in (0.1, 0.5, 0.8, 10, None)] == [0.05, 0.25, 0.3, 0.3, 0.3]
    assert screen.wait_stable(timeout=0.29).seconds >= 0.145  # 0.3 would not fit
    assert screen.wait_stable().seconds >= 0.3
    assert screen.wait_stable(timeout=None).seconds >= 0.3


def test_a_caret_is_left_out_by_its_place_or_by_its_size(screen: xshm.Screen, painter: Painter) -> None:
    moves = pytest.raises(WaitTimeout, match=r"2x14\+200\+100")
    with blinking(painter, (200, 100, 2, 14)):
        with moves:
            screen.wait_stable(quiet=0.2, timeout=0.4, rhythms="count")
        assert screen.wait_stable(quiet=0.2, timeout=2, ignore=[(195, 95, 12, 24)])
        assert screen.wait_stable(quiet=0.2, timeout=2, ignore=["12x24+195+95", Rect(0, 0, 5, 5)])
        assert screen.wait_stable(quiet=0.2, timeout=2, threshold=28 / (1280 * 800), rhythms="count")
        with moves:
            screen.wait_stable(quiet=0.2, timeout=0.4, threshold=27 / (1280 * 800), rhythms="count")
        with pytest.raises(WaitTimeout, match=r"1x14\+201\+100"):
            screen.wait_stable(quiet=0.2, timeout=0.4, ignore=[(195, 95, 6, 24)], rhythms="count")


def test_the_same_pixels_drawn_again_and_again_are_calm(screen: xshm.Screen, painter: Painter) -> None:
    over = threading.Event()

    def redraw() -> None:
        while not over.wait(0.01):
            painter.fill((0, 0, 300, 300), GREEN)

    painter.fill((0, 0, 300, 300), GREEN)
    thread = threading.Thread(target=redraw)
    thread.start()
    try:
        assert screen.wait_stable(quiet=0.2, timeout=2)
    finally:
        over.set()
        thread.join()


def test_what_moves_a_little_at_a_time_is_not_calm(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 50), BLACK)
    over = threading.Event()

    def creep() -> None:
        x = 0
        while not over.wait(0.02):
            painter.fill((x := x + 4, 0, 4, 4), RED)

    thread = threading.Thread(target=creep)
    thread.start()
    try:
        with pytest.raises(WaitTimeout, match=r"ignore=\[region\] leaves a place out$"):
            # Two steps exceed it, so that a thread that hardly runs on a busy machine creeps fast enough.
            screen.wait_stable(quiet=0.8, timeout=1, threshold=20 / (1280 * 800))
    finally:
        over.set()
        thread.join()


def test_a_quiet_time_that_can_not_come_is_refused(screen: xshm.Screen) -> None:
    with pytest.raises(InvalidArgument, match="quiet"):
        screen.wait_stable(quiet=2, timeout=1)
    with pytest.raises(InvalidArgument, match="rhythms is one of ignore, count"):
        screen.wait_stable(rhythms="no")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="threshold"):
        screen.wait_stable(threshold=2)
    with pytest.raises(OutOfBounds):
        screen.wait_stable(ignore=[(5000, 0, 10, 10)])


@settings(max_examples=60)
@given(
    boxes=st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 20)] * 2), max_size=4),
    holes=st.lists(st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 25)] * 2), max_size=3),
)
def test_comparing_where_was_drawn_counts_each_pixel_once_and_none_that_is_ignored(
    boxes: list[tuple[int, int, int, int]], holes: list[tuple[int, int, int, int]]
) -> None:
    drawn, ignored = [Rect(*box) for box in boxes], [Rect(*hole) for hole in holes]
    mask = np.zeros((60, 60), bool)
    for rect in drawn:
        mask[rect.slices] = True
    before, now = _frame(np.zeros((60, 60, 4), np.uint8)), _frame(np.repeat(mask[..., None] * np.uint8(200), 4, axis=2))
    for hole in ignored:
        mask[hole.slices] = False
    found = compare(before, now, drawn, ignored)
    assert found.pixels == np.count_nonzero(mask)
    for y, x in np.argwhere(mask).tolist():
        assert any(rect.contains(Rect(x, y, 1, 1)) for rect in found.rects)


@pytest.mark.parametrize("depth", [1, 4])
def test_what_is_ignored_at_low_depths_need_not_be_whole_bytes(depth: int) -> None:
    fmt = xshm.PixelFormat(depth, depth, 32, "little", 0, 0, 0, VisualClass.StaticGray)
    grays = np.repeat(np.linspace(0, 255, 1 << depth).astype(np.uint8)[:, None], 3, axis=1)
    before, now = (
        xshm.Frame(np.full((8, 8), value, np.uint8), Rect(64, 32, 64 // depth, 8), 0, 1, fmt, grays)
        for value in (0, 0xFF)
    )
    found = compare(before, now, [Rect(70, 33, 3, 2)], [Rect(60, 30, 7, 20), Rect(69, 35, 100, 10)])
    right = 64 + 64 // depth
    assert found.pixels == 3 * (right - 67) + 2 * 5
    assert found.rects[0].x == 67
    assert found.rects[-1].right in (69, right)


def _frame(pixels: np.ndarray[Any, Any]) -> xshm.Frame:
    fmt = xshm.PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
    return xshm.Frame(pixels, Rect(0, 0, pixels.shape[1], pixels.shape[0]), 0, 1, fmt)


# -- pixels, pictures, anything --------------------------------------------------------------------------------------


def test_a_pixel_is_waited_for_by_number_and_by_name(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 50, 50), BLACK)
    with later(0.1, painter.fill, (0, 0, 50, 50), GREEN):
        assert screen.wait_pixel(20, 30, GREEN, timeout=5).pixel(20, 30) == GREEN
    assert screen.wait_pixel(20, 30, "#00ff00", timeout=0)
    assert screen.wait_pixel(20, 30, "lime", timeout=0)
    assert screen.wait_pixel(20, 30, (5, 250, 0), timeout=0, tolerance=5)


def test_a_pixel_that_does_not_come_is_an_error_that_shows_what_there_is(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 50, 50), BLACK)
    with later(0.1, painter.fill, (0, 0, 50, 50), BLUE), pytest.raises(WaitTimeout, match=r"\(0, 0, 255\)") as caught:
        screen.wait_pixel(20, 30, "red", timeout=0.3)
    assert caught.value.frame.pixel(20, 30) == BLUE
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, XshmError)


@pytest.mark.parametrize(
    "colour",
    ["no colour", "#ff000080", "#f008", "rgb(0,256,0)", "rgb(0%,0%,101%)", (1, 2), (1, 2, 300), (1.5, 2, 3), None],
)
def test_what_is_no_colour_is_refused(screen: xshm.Screen, colour: Any) -> None:
    with pytest.raises(InvalidArgument, match="colour"):
        screen.wait_pixel(1, 1, colour)


def test_a_picture_is_waited_for_and_found_in_its_place(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    painter.fill((0, 0, 1280, 800), BLACK)
    painter.noise((300, 200, 40, 30))
    wanted = screen.grab((300, 200, 40, 30)).rgb()
    frame = screen.grab((300, 200, 40, 30)).copy()
    painter.fill((0, 0, 1280, 800), BLACK)
    path = tmp_path / "wanted.png"
    Image.fromarray(wanted).save(path)
    with later(0.1, painter_paste, painter, wanted, (700, 500)):
        found = screen.wait_image(wanted, timeout=5)
    assert found.rect == Rect(700, 500, 40, 30)
    assert found.difference == 0
    for picture in (path, str(path), Image.open(path), frame):
        assert screen.wait_image(picture, (650, 450, 200, 200), timeout=0).rect == Rect(700, 500, 40, 30)
    with pytest.raises(WaitTimeout) as caught:
        screen.wait_image(wanted, (0, 0, 600, 500), timeout=0.1)
    assert caught.value.frame.rect == Rect(0, 0, 600, 500)


def painter_paste(painter: Painter, rgb: np.ndarray[Any, Any], corner: tuple[int, int]) -> None:
    """Put a picture on the screen in two halves, one after the other."""
    bgrx = np.zeros((*rgb.shape[:2], 4), np.uint8)
    bgrx[..., :3] = rgb[..., ::-1]
    gc = painter.root.create_gc()
    half = len(rgb) // 2
    for rows, top in ((bgrx[:half], 0), (bgrx[half:], half)):
        painter.root.put_image(gc, corner[0], corner[1] + top, rgb.shape[1], len(rows), 2, 24, 0, rows.tobytes())
        painter.display.sync()
        time.sleep(0.05)


def test_a_picture_that_is_a_little_off_is_found_with_a_threshold(screen: xshm.Screen, painter: Painter) -> None:
    painter.noise((380, 280, 100, 90))
    wanted = screen.grab((400, 300, 60, 50)).rgb()
    noisy = np.clip(wanted.astype(int) + np.random.default_rng(1).integers(-4, 5, wanted.shape), 0, 255)
    with pytest.raises(WaitTimeout):
        screen.wait_image(noisy.astype(np.uint8), timeout=0)
    found = screen.wait_image(noisy.astype(np.uint8), threshold=0.02, timeout=0)
    assert found.rect == Rect(400, 300, 60, 50)
    assert 0 < found.difference <= 0.02


def test_without_opencv_a_threshold_names_the_extra(screen: xshm.Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv, "module", lambda: (None, "OpenCV can't be imported; pip install xshm[fast] brings it"))
    with pytest.raises(MissingExtra, match=r"xshm\[fast\]"):
        screen.wait_image(np.zeros((5, 5, 3), np.uint8), threshold=0.1)


@pytest.mark.parametrize("picture", [np.zeros((5, 5), np.uint8), np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 3))])
def test_what_is_no_picture_is_refused(screen: xshm.Screen, picture: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="a picture is"):
        screen.wait_image(picture)
    with pytest.raises(InvalidType):
        screen.wait_image(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="can't be seen in"):
        screen.wait_image(np.zeros((5, 5, 3), np.uint8), (0, 0, 4, 4))
    (tmp_path / "text").write_text("no picture")
    with pytest.raises(InvalidArgument, match="no picture that can be read"):
        screen.wait_image(tmp_path / "text")


@settings(max_examples=80)
@given(data=st.data())
def test_a_picture_is_found_where_a_search_by_hand_finds_it(data: st.DataObject) -> None:
    few = st.integers(0, 2)
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    inside = np.array(data.draw(st.lists(few, min_size=height * width, max_size=height * width)), np.uint8)
    inside = np.repeat(inside.reshape(height, width, 1), 3, axis=2)
    picture = np.array(data.draw(st.lists(few, min_size=rows * columns, max_size=rows * columns)), np.uint8)
    picture = np.repeat(picture.reshape(rows, columns, 1), 3, axis=2)
    by_hand = [
        (x, y, 0.0)
        for y in range(height - rows + 1)
        for x in range(width - columns + 1)
        if np.array_equal(inside[y : y + rows, x : x + columns], picture)
    ]
    assert find_image.find_image(inside, picture, 0.0) == (by_hand[0] if by_hand else None)


def test_a_plain_picture_on_a_busy_screen_is_searched_in_time() -> None:
    inside = np.full((1080, 1920, 3), 255, np.uint8)
    inside[::40, ::60] = 0  # white everywhere, and nowhere white enough
    begin = time.perf_counter()
    assert find_image.find_image(inside, np.full((200, 200, 3), 255, np.uint8), 0.0) is None
    assert time.perf_counter() - begin < 5


def test_anything_else_is_waited_for_by_a_function(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 100, 100), BLACK)
    asked = []

    def reddish(frame: xshm.Frame) -> bool:
        asked.append(frame.sequence)
        return bool(frame.rgb()[..., 0].mean() > 100)

    with later(0.1, painter.fill, (0, 0, 100, 50), RED):
        frame = screen.wait_for(reddish, 5, (0, 0, 100, 100))
    assert frame.pixel(0, 0) == RED
    assert len(asked) <= 4  # at the beginning, and when something was drawn
    with pytest.raises(WaitTimeout):
        screen.wait_for(lambda _frame: False, timeout=0)


# -- windows, ends ---------------------------------------------------------------------------------------------------


def test_a_covered_window_is_waited_for_as_the_screen_is(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 100, 200, 150), BLUE)
    painter.window((50, 50, 300, 300), GREEN)
    with screen.window(window.id) as source:
        assert source.wait_stable(quiet=0.1, timeout=5)
        with later(0.1, painter.fill, (20, 30, 10, 10), RED, window):
            change = source.wait_change(5)
        assert change is not None
        assert change.rects == (Rect(20, 30, 10, 10),)
        with later(0.1, lambda: (window.destroy(), painter.display.sync())), pytest.raises(WindowGone):
            source.wait_change(5)


def test_another_size_is_a_change_of_everything(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 100, 200, 150), BLUE)
    with (
        screen.window(window.id) as source,
        later(0.1, lambda: (window.configure(width=100), painter.display.sync())),
    ):
        change = source.wait_change(5)
        assert change is not None
        assert change.ratio == 1
        assert change.rects == (Rect(0, 0, 100, 150),)


def test_ctrl_c_ends_a_wait_at_once_and_the_next_is_right(screen: xshm.Screen, painter: Painter) -> None:
    main = threading.main_thread().ident
    assert main is not None
    for _ in range(3):
        begin = time.monotonic()
        with later(0.1, signal.pthread_kill, main, signal.SIGINT), pytest.raises(KeyboardInterrupt):
            screen.wait_change(20)
        assert time.monotonic() - begin < 5
    with later(0.1, painter.noise, (10, 10, 9, 9)):
        assert screen.wait_change(5)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_time_that_is_none_is_refused(screen: xshm.Screen, timeout: float) -> None:
    with pytest.raises(InvalidArgument, match="timeout"):
        screen.wait_change(timeout)


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda screen: screen.wait_change("1"),
        lambda screen: screen.wait_change(True),
        lambda screen: screen.wait_change(0.1, threshold="0.5"),
        lambda screen: screen.wait_stable("0.1"),
        lambda screen: screen.wait_stable(0.1, [1]),
        lambda screen: screen.wait_stable(0.1, ignore=5),
        lambda screen: screen.wait_stable(0.1, ignore="5x5+0+0"),
        lambda screen: screen.wait_stable(0.1, ignore=Rect(0, 0, 5, 5)),
        lambda screen: screen.wait_for(None, 0.1),
        lambda screen: screen.wait_pixel(0, 0, "red", 0.1, "1"),
        lambda screen: screen.wait_image(np.zeros((5, 5, 3), np.uint8), None, None, 0.1),
    ],
)
def test_what_is_of_a_wrong_type_is_refused_at_once(screen: xshm.Screen, call: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidType):
        call(screen)


def test_a_tolerance_that_nothing_meets_is_refused_at_once(screen: xshm.Screen) -> None:
    with pytest.raises(InvalidArgument, match="tolerance"):
        screen.wait_pixel(0, 0, "red", None, -1)


def test_numbers_may_be_numpy_s(screen: xshm.Screen) -> None:
    short: Any = np.float32(0.05)
    long: Any = np.int64(9)
    with pytest.raises(WaitTimeout):
        screen.wait_change(short, threshold=np.float64(0.5))
    assert screen.wait_stable(short, long)
