"""A frame that was compressed for another machine is the same frame."""

from __future__ import annotations

import pickle
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from xshm import Screen, Surface
from xshm.fleet.nodes.packed import Packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server


@pytest.mark.parametrize("depth", [8, 15, 16, 24, 30])
def test_it_is_the_same_frame(make_server: Callable[..., Server], depth: int) -> None:
    server = make_server("Xvfb", 37, 23, depth)
    with (
        Screen(server.name, xauthority=server.authority) as screen,
        Surface(30, 20, display=server.name, xauthority=server.authority) as surface,
    ):
        surface.show(np.random.default_rng(depth).integers(0, 256, (20, 30, 3), dtype=np.uint8))
        surface.wait()
        frame = screen.grab((1, 1, 33, 21))
        packed = pickle.loads(pickle.dumps(Packed.of(frame)))  # noqa: S301 - our own
        again = packed.frame()
        assert (again.pixels == frame.pixels).all()
        assert (again.rgb() == frame.rgb()).all()
        assert (again.rect, again.format, again.sequence) == (frame.rect, frame.format, frame.sequence)
        assert again.pixels.flags.writeable


def test_it_is_much_smaller(screen: Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), (10, 60, 220))
    frame = screen.grab((0, 0, 400, 300))
    assert sum(map(len, Packed.of(frame).data)) * 20 < frame.pixels.nbytes


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 3)])
def test_the_smallest_have_halves_too(screen: Screen, size: tuple[int, int]) -> None:
    frame = screen.grab((0, 0, *size))
    assert (Packed.of(frame).frame().pixels == frame.pixels).all()


def test_zlib_does_it_where_libisal_is_missing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    frame = screen.grab()
    packed = Packed.of(frame)
    assert zlib.decompress(packed.data[0])
    assert (packed.frame().pixels == frame.pixels).all()
