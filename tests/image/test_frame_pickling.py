"""Frames in a pickle: by value, and by protocol 5 with the pixels as a buffer of their own."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from xshm import Frame, Screen, errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server


def _apart(frame: Frame) -> tuple[bytes, list[bytes]]:
    """Return a pickle and the buffers beside it, as a store of objects keeps them."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(frame, 5, buffer_callback=buffers.append)
    return data, [bytes(each.raw()) for each in buffers]


def test_the_pixels_are_a_buffer_of_their_own_and_not_in_the_pickle(screen: Screen) -> None:
    frame = screen.grab()
    data, buffers = _apart(frame)
    assert [len(each) for each in buffers] == [frame.pixels.nbytes]
    assert len(data) < 2000


def test_no_copy_is_made_of_them_by_us(screen: Screen) -> None:
    frame = screen.grab()
    buffers: list[pickle.PickleBuffer] = []
    pickle.dumps(frame, 5, buffer_callback=buffers.append)
    assert np.shares_memory(np.frombuffer(buffers[0].raw(), np.uint8), frame.pixels)


@pytest.mark.parametrize("depth", [8, 15, 16, 24, 30])
def test_a_frame_of_any_depth_is_the_same_over_a_read_only_buffer(
    make_server: Callable[..., Server], depth: int
) -> None:
    server = make_server("Xvfb", 37, 23, depth)  # rows are padded
    with Screen(server.name, xauthority=server.authority) as screen:
        frame = screen.grab((3, 2, 31, 20))
        data, buffers = _apart(frame)
        again = pickle.loads(data, buffers=buffers)  # noqa: S301 - our own
        assert not again.pixels.flags.writeable
        assert again.diff(frame).ratio == 0
        assert (again.rgb() == frame.rgb()).all()
        assert again.png() == frame.png()
        assert again.image().tobytes() == frame.image().tobytes()
        assert again.copy().pixels.flags.writeable
        seen = (again.rect, again.monotonic_ns, again.sequence, again.format, again.changed)
        assert seen == (frame.rect, frame.monotonic_ns, frame.sequence, frame.format, frame.changed)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_in_one_piece_has_memory_of_its_own(screen: Screen, painter: Painter, protocol: int) -> None:
    painter.fill((0, 0, 50, 50), (18, 52, 86))
    frame = screen.grab()
    before = frame.rgb()
    again = pickle.loads(pickle.dumps(frame, protocol))  # noqa: S301 - our own
    again.pixels[...] = 0
    assert (frame.rgb() == before).all()


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, Frame.copy])
def test_a_copy_has_memory_of_its_own(screen: Screen, make: Callable[[Frame], Frame]) -> None:
    frame = screen.grab()
    again = make(frame)
    assert not np.shares_memory(again.pixels, frame.pixels)
    assert not again.shared


def test_a_frame_of_a_stream_comes_as_a_plain_array(screen: Screen, painter: Painter) -> None:
    painter.fill((0, 0, 50, 50), (101, 67, 33))
    with screen.stream(on_change=True) as stream:
        frame = next(stream)
    assert type(frame.pixels) is not np.ndarray
    again: Any = pickle.loads(pickle.dumps(frame, 5))  # noqa: S301 - our own
    assert type(again.pixels) is np.ndarray
    assert (again.rgb() == frame.rgb()).all()


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_released_frame_says_so(screen: Screen, protocol: int) -> None:
    frame = screen.grab()
    frame.release()
    with pytest.raises(errors.Closed):
        pickle.dumps(frame, protocol)
