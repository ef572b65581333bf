"""grab_into, which fills the caller's array; and Frame.pixel."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from painter import Painter
from pictures import KNOWN, random_picture
from reference import core_image

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from servers import Server

REGION = xshm.Rect(100, 50, 33, 21)
SHAPE = (21, 33, 4)


@pytest.fixture
def screen(xvfb: Server, painter: Painter) -> Iterator[xshm.Screen]:
    painter.rectangles()
    with xshm.Screen(xvfb.name) as screen:
        yield screen


@pytest.fixture
def truth(painter: Painter) -> NDArray[Any]:
    return core_image(painter.display)[REGION.slices]


def same(array: NDArray[Any], truth: NDArray[Any]) -> None:
    assert np.array_equal(array[..., :3], truth[..., :3])


# -- arrays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_the_array_is_filled_over_every_transport(xvfb: Server, painter: Painter, transport: str) -> None:
    painter.rectangles()
    array = np.full((800, 1280, 4), 7, np.uint8)
    with xshm.Screen(xvfb.name, transport=transport) as screen:
        screen.grab_into(array)
        same(array, core_image(painter.display))
        array[...] = 7
        screen.grab_into(array[REGION.slices], REGION)
    same(array[REGION.slices], core_image(painter.display)[REGION.slices])
    array[REGION.slices] = 7
    assert (array == 7).all(), "outside of the slice nothing was written"


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros(SHAPE, np.uint8, order="F"),
        lambda: np.zeros((21, 33, 4), np.uint8)[::-1],
        lambda: np.zeros((21, 33, 4), np.uint8)[:, ::-1, ::-1],
        lambda: np.zeros((42, 99, 9), np.uint8)[::2, ::3, 1::2],
        lambda: np.zeros((4, 33, 21), np.uint8).transpose(2, 1, 0),
        lambda: np.ma.MaskedArray(np.zeros(SHAPE, np.uint8), mask=False),
        lambda: np.frombuffer(bytearray(21 * 33 * 4), np.uint8).reshape(SHAPE),
    ],
)
def test_any_strides_that_numpy_can_write_are_taken(
    screen: xshm.Screen, truth: NDArray[Any], make: Callable[[], NDArray[Any]]
) -> None:
    array = make()
    assert screen.grab_into(array, REGION) is None  # type: ignore[func-returns-value]
    same(array, truth)


@pytest.mark.parametrize("depth", [8, 15, 16, 30])
def test_other_depths_are_taken_as_they_lie_in_memory(make_server: Callable[..., Server], depth: int) -> None:
    server = make_server("Xvfb", 101, 50, depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.noise((0, 0, 101, 50))
        frame = screen.grab()
        array = np.zeros(frame.pixels.shape, frame.pixels.dtype)
        screen.grab_into(array)
        assert array.any()
        assert np.array_equal(array, frame.pixels)
        with pytest.raises(xshm.InvalidArgument, match=rf"not dtype\('{frame.pixels.dtype}'\)"):
            screen.grab_into(np.zeros(frame.pixels.shape, np.float32))


def _read_only() -> NDArray[Any]:
    array = np.zeros(SHAPE, np.uint8)
    array.flags.writeable = False
    return array


WRONG: list[tuple[Any, type[Exception], str]] = [
    (np.zeros((33, 21, 4), np.uint8), ValueError, r"its shape is \(33, 21, 4\), not \(21, 33, 4\)"),
    (np.zeros((21, 33, 3), np.uint8), ValueError, r"its shape is \(21, 33, 3\), not \(21, 33, 4\)"),
    (np.zeros((1, *SHAPE), np.uint8), ValueError, r"its shape is \(1, 21, 33, 4\)"),
    (np.zeros((), np.uint8), ValueError, r"its shape is \(\)"),
    (np.zeros(SHAPE, np.int8), ValueError, r"its dtype is dtype\('int8'\), not dtype\('uint8'\)"),
    (np.zeros(SHAPE, object), ValueError, "its dtype is"),
    (_read_only(), ValueError, "it is read-only"),
    (as_strided(np.zeros(1, np.uint8), SHAPE, (0, 0, 0)), ValueError, "its elements share memory"),
    (np.zeros((5, 5), np.int8), ValueError, r"shape is .*; its dtype is"),
    (bytearray(21 * 33 * 4), TypeError, "a numpy array, not bytearray"),
    (None, TypeError, "not NoneType"),
]


@pytest.mark.parametrize(("array", "error", "message"), WRONG)
def test_a_wrong_array_is_told_what_is_wrong_with_it_and_stays(
    screen: xshm.Screen, array: Any, error: type[Exception], message: str
) -> None:
    before = np.array(array).tobytes()
    with pytest.raises(error, match=message) as raised:
        screen.grab_into(array, REGION)
    assert isinstance(raised.value, xshm.XshmError)
    assert np.array(array).tobytes() == before
    if error is ValueError:
        assert "33x21+100+50" in str(raised.value)
        assert "depth 24" in str(raised.value)


def test_a_wrong_region_leaves_the_array(screen: xshm.Screen) -> None:
    array = np.full(SHAPE, 7, np.uint8)
    with pytest.raises(xshm.OutOfBounds, match="1270"):
        screen.grab_into(array, (1270, 0, 33, 21))
    screen.close()
    with pytest.raises(xshm.Closed, match="the screen was closed"):
        screen.grab_into(array, REGION)
    assert (array == 7).all()


def test_the_slot_is_free_again_afterwards(screen: xshm.Screen) -> None:
    array = np.zeros(SHAPE, np.uint8)
    for _ in range(3):
        screen.grab_into(array, REGION)
        with pytest.raises(xshm.InvalidArgument):
            screen.grab_into(array)
    assert screen.stats().pool.held == 0  # type: ignore[union-attr]


def test_after_a_resize_the_whole_is_the_new_size(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvnc", 640, 480)
    small, large = np.zeros((480, 640, 4), np.uint8), np.zeros((600, 800, 4), np.uint8)
    with xshm.Screen(server.name) as screen:
        screen.grab_into(small)
        subprocess.run(["xrandr", "-s", "800x600"], env=server.env(), check=True)
        screen.grab_into(large)
        with pytest.raises(xshm.InvalidArgument, match=r"\(480, 640, 4\), not \(600, 800, 4\)"):
            screen.grab_into(small)


# -- one pixel ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_a_pixel_is_what_rgb_has_there_in_every_format(name: str) -> None:
    picture = random_picture(KNOWN[name], 19, 5)
    frame = xshm.Frame(picture.pixels, xshm.Rect(-3, 7, 19, 5), 0, 1, picture.fmt, picture.colormap)
    rgb = frame.rgb()
    got = [[frame.pixel(x, y) for x in range(-3, 16)] for y in range(7, 12)]
    assert got == [[tuple(colour) for colour in row] for row in rgb.tolist()]
    assert {type(value) for row in got for colour in row for value in colour} == {int}


def test_numpy_s_whole_numbers_name_a_pixel_and_fractions_do_not(screen: xshm.Screen) -> None:
    frame = screen.grab(REGION)
    assert frame.pixel(np.int64(101), np.uint16(52)) == frame.pixel(101, 52)  # type: ignore[arg-type]
    for x, y in ((101.0, 52), (101, "52"), (None, 52)):
        with pytest.raises(xshm.InvalidType, match="whole numbers"):
            frame.pixel(x, y)  # type: ignore[arg-type]


@pytest.mark.parametrize(("x", "y"), [(99, 50), (133, 50), (100, 49), (100, 71), (0, 0), (-1, -1)])
def test_a_pixel_outside_of_the_frame_is_refused(screen: xshm.Screen, x: int, y: int) -> None:
    with pytest.raises(xshm.InvalidArgument, match=rf"{x}, {y} is not in this frame, which is 33x21\+100\+50"):
        screen.grab(REGION).pixel(x, y)


def test_a_released_frame_has_no_pixel(screen: xshm.Screen) -> None:
    frame = screen.grab(REGION)
    frame.release()
    with pytest.raises(xshm.Closed):
        frame.pixel(100, 50)
