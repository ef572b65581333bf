"""A ScreenShot by mss's names is what mss's own is: its bytes, arrays, images, and what programs do with them."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import signal
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Self

import cv2
import mss as theirs
import numpy as np
import pytest
from forked import in_child
from PIL import Image

from xshm.compat import mss
from xshm.compat.mss import screenshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from painter import Painter
    from servers import Server

_REGION = {"left": 90, "top": 40, "width": 64, "height": 48}


@pytest.fixture
def sct(xvfb: Server, painter: Painter) -> Iterator[mss.MSS]:
    painter.rectangles()
    painter.noise((100, 50, 30, 20))
    with mss.MSS(display=xvfb.name) as sct:
        yield sct


@pytest.fixture
def shots(xvfb: Server, sct: mss.MSS) -> tuple[Any, mss.ScreenShot]:
    """Give the same screenshot by mss and by ours."""
    with theirs.MSS(display=xvfb.name) as real:
        return real.grab(_REGION), sct.grab(_REGION)


def test_the_recipes_of_mss_s_documentation_give_the_same(shots: tuple[Any, mss.ScreenShot]) -> None:
    one, other = shots
    for recipe in (
        np.array,
        np.asarray,
        lambda shot: np.asarray(shot)[..., 2::-1],
        lambda shot: np.frombuffer(shot.bgra, np.uint8),
        lambda shot: np.frombuffer(shot.rgb, np.uint8).reshape(shot.height, shot.width, 3),
        lambda shot: cv2.cvtColor(np.array(shot), cv2.COLOR_BGRA2GRAY),
        lambda shot: np.array(Image.frombytes("RGB", shot.size, shot.bgra, "raw", "BGRX")),
        lambda shot: np.array(Image.frombytes("RGB", shot.size, shot.rgb)),
        lambda shot: np.array(Image.frombuffer("RGB", shot.size, shot.bgra, "raw", "BGRX", 0, 1)),
        lambda shot: np.array(shot.pixels),
        lambda shot: np.array([pixel for row in shot.pixels for pixel in row]),
    ):
        expected, found = recipe(one), recipe(other)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert np.array_equal(found, expected)
        assert len(np.unique(found)) > 2


def test_pixels_and_places_are_those_of_mss(shots: tuple[Any, mss.ScreenShot]) -> None:
    one, other = shots
    assert other.pixels == one.pixels
    assert [type(each) for each in (other.pixels, other.pixels[0], other.pixels[0][0])] == [list, tuple, tuple]
    for name in ("left", "top", "width", "height", "pos", "size"):
        assert getattr(other, name) == getattr(one, name)
    assert repr(other.pos) == repr(one.pos) == "Pos(left=90, top=40)"
    assert repr(other.size) == repr(one.size)
    assert repr(other) == repr(one) == "<ScreenShot pos=90,40 size=64x48>"
    for x, y in ((0, 0), (13, 21), (63, 47), (-1, -1), (-64, -48)):
        assert other.pixel(x, y) == one.pixel(x, y)
    for x, y in ((64, 0), (0, 48), (-65, 0), (0, -49)):
        with pytest.raises(theirs.ScreenShotError):
            one.pixel(x, y)
        with pytest.raises(mss.ScreenShotError, match=r"there is no pixel .* in a screenshot of 64x48"):
            other.pixel(x, y)
    with pytest.raises(TypeError):
        other.pixel(1.0, 2)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        setattr(other, "title", "no such attribute")  # noqa: B010 - a type checker refuses it, too


@pytest.mark.parametrize("count", [1, 5000])
def test_rgb_is_the_same_for_few_pixels_and_for_many(count: int) -> None:
    data = bytearray(np.random.default_rng(2).integers(0, 256, 4 * count, dtype=np.uint8).tobytes())
    shot = mss.ScreenShot.from_size(data, count, 1)
    assert shot.raw is data
    assert (shot.pos, shot.size) == ((0, 0), (count, 1))
    assert shot.rgb == theirs.ScreenShot.from_size(data, count, 1).rgb
    assert shot.rgb is shot.rgb


def test_raw_is_the_picture_once_it_was_read(sct: mss.MSS) -> None:
    shot = sct.grab(_REGION)
    raw = shot.raw
    assert shot.raw is raw
    raw[:4] = bytes((11, 22, 33, 44))
    assert shot.bgra[:4] == bytes((11, 22, 33, 44))
    assert shot.rgb[:3] == bytes((33, 22, 11))
    assert shot.pixel(0, 0) == (33, 22, 11)
    array = np.asarray(shot)
    array[0, 1] = 9
    assert raw[4:8] == bytes((9, 9, 9, 9))
    shot.raw = bytearray(len(raw))
    assert shot.pixel(0, 0) == (0, 0, 0)
    assert not np.asarray(shot).any()


@pytest.mark.usefixtures("no_collector")
def test_an_array_is_a_view_that_can_be_written_and_outlives_all(sct: mss.MSS, painter: Painter) -> None:
    painter.fill((90, 40, 64, 48), (10, 20, 30))
    shot = sct.grab(_REGION)
    array = np.asarray(shot)
    array[0, 0] = 77
    assert shot.rgb[:3] == bytes((77, 77, 77))  # read before `raw`, it shows what was written
    del shot
    painter.fill((90, 40, 64, 48), (200, 100, 50))
    for _ in range(100):
        assert sct.grab(_REGION).pixel(5, 5) == (200, 100, 50)
    stats = sct._screen.stats()
    assert stats.copies == 0
    assert stats.pool is not None
    assert stats.pool.held == 1  # the array's
    sct.close()
    assert (array[1:, :, :3] == (30, 20, 10)).all()


def test_more_screenshots_than_there_are_slots_keep_their_pictures(sct: mss.MSS, painter: Painter) -> None:
    kept = []
    for shade in range(100):
        painter.fill((0, 0, 8, 8), (shade, 0, 0))
        kept.append(sct.grab((0, 0, 8, 8)))
    assert [shot.pixel(7, 7) for shot in kept] == [(shade, 0, 0) for shade in range(100)]


def test_it_is_copied_and_pickled_with_pixels_of_its_own(sct: mss.MSS) -> None:
    makers: tuple[Any, ...] = (copy.copy, copy.deepcopy, lambda shot: pickle.loads(pickle.dumps(shot)))  # noqa: S301
    for make in makers:
        shot = sct.grab(_REGION)
        other = make(shot)
        assert (other.raw, other.pos, other.size) == (shot.raw, shot.pos, shot.size)
        assert type(other) is mss.ScreenShot


def test_it_goes_through_a_queue_to_another_process_as_in_mss_s_example(sct: mss.MSS) -> None:
    context = multiprocessing.get_context("spawn")
    queue, answers = context.Queue(), context.Queue()
    other = context.Process(target=_answer, args=(queue, answers))
    other.start()
    shots = [sct.grab((at, 0, at + 100, 80)) for at in range(0, 60, 20)]
    for shot in (*shots, None):
        queue.put(shot)
    assert [answers.get(timeout=30) for _ in shots] == [(shot.rgb, shot.left) for shot in shots]
    other.join()


def _answer(queue: Any, answers: Any) -> None:
    for shot in iter(queue.get, None):
        answers.put((shot.rgb, shot.left))


def test_a_class_of_the_program_s_own_is_called_as_mss_calls_it(xvfb: Server, sct: mss.MSS) -> None:
    def make(base: Any) -> Any:
        class Simple(base):  # type: ignore[misc]
            def __init__(self, data: bytearray, monitor: dict[str, Any], **_: object) -> None:
                self.data, self.monitor = data, monitor

        return Simple

    def make_with_more(base: Any) -> Any:
        class More(base):  # type: ignore[misc]
            def corner(self) -> Any:
                return self.pixel(0, 0), self.left

        return More

    class Counted(mss.ScreenShot):
        made: ClassVar[list[object]] = []

        def __new__(cls, data: bytearray, monitor: dict[str, Any]) -> Self:
            cls.made.append((type(data), monitor))
            return super().__new__(cls)

    sct.cls_image = Counted
    assert sct.grab(_REGION).size == (64, 48)
    assert Counted.made == [(bytearray, _REGION)]
    with theirs.MSS(display=xvfb.name) as real:
        for region in (_REGION, (90, 40, 154, 88)):
            real.cls_image, sct.cls_image = make(theirs.ScreenShot), make(mss.ScreenShot)
            one, other = real.grab(region), sct.grab(region)
            assert type(other.data) is bytearray  # type: ignore[attr-defined]
            assert (other.data, other.monitor) == (one.data, one.monitor)  # type: ignore[attr-defined]
            real.cls_image, sct.cls_image = make_with_more(theirs.ScreenShot), make_with_more(mss.ScreenShot)
            one, other = real.grab(region), sct.grab(region)
            assert other.corner() == one.corner()  # type: ignore[attr-defined]
            assert repr(other) == repr(one) == "<More pos=90,40 size=64x48>"


@pytest.mark.timeout(10)
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_copies_reads_pixels(sct: mss.MSS) -> None:
    shot, may_end = sct.grab(_REGION), threading.Event()
    is_held = threading.Event()

    def copy_slowly() -> None:
        with screenshot._copying:
            is_held.set()
            may_end.wait(8)

    copier = threading.Thread(target=copy_slowly)
    copier.start()
    is_held.wait()
    expected = shot.bgra
    try:
        assert in_child(lambda: signal.alarm(5) == 0 and shot.raw == expected) == "True"
    finally:
        may_end.set()
        copier.join()


@pytest.mark.timeout(10)
def test_a_signal_handler_reads_pixels_and_monitors_while_its_thread_does(sct: mss.MSS) -> None:
    shot, read = sct.grab(_REGION), []
    former = signal.signal(signal.SIGUSR1, lambda *_: read.extend([len(shot.raw), len(sct.monitors)]))
    try:
        with screenshot._copying, sct._listing:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert read == [4 * 64 * 48, 2]
