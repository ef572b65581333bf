"""Frames of libav as planes: any size, black at first, and what is painted is what libav reads."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from xshm.record.libav.frames import new_frame
from xshm.record.pictures.picture import LAYOUTS, Picture, new_planes, plane_shapes

if TYPE_CHECKING:
    from xshm.record.pictures.picture import Layout

av = pytest.importorskip("av")
SIZES = ((2, 2), (66, 98), (64, 102), (1366, 768))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES)
def test_libav_reads_what_is_written_to_the_planes(layout: Layout, size: tuple[int, int]) -> None:
    frame, planes = new_frame(layout, *size)
    assert (frame.width, frame.height, frame.format.name) == (*size, layout)
    assert frame.to_ndarray(format="rgb24").max() <= 1
    random = np.random.default_rng(0)
    for plane in planes:
        plane[...] = random.integers(0, 256, plane.shape)
    if layout == "bgr0":
        assert np.array_equal(frame.to_ndarray(format="bgra")[..., :3], planes[0][..., :3])
    elif layout == "gbrp":
        green, blue, red = planes
        assert np.array_equal(frame.to_ndarray(format="rgb24"), np.dstack([red, green, blue]))
    else:
        flat = frame.to_ndarray().reshape(-1)
        assert np.array_equal(flat, np.concatenate([plane.reshape(-1) for plane in planes]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_planes_keep_the_memory_alive(layout: Layout) -> None:
    frame, planes = new_frame(layout, 640, 480)
    del frame
    gc.collect()
    for plane in planes:
        plane[...] = 9
        assert (plane == 9).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_planes_without_libav_are_one_piece_of_memory(layout: Layout) -> None:
    planes = new_planes(layout, 66, 98)
    assert [plane.shape for plane in planes] == plane_shapes(layout, 66, 98)
    assert all(plane.flags.c_contiguous and plane.flags.writeable for plane in planes)
    starts = [plane.__array_interface__["data"][0] for plane in planes]
    assert [start - starts[0] for start in starts] == [
        sum(each.nbytes for each in planes[:at]) for at in range(len(planes))
    ]
    assert Picture(layout, 66, 98, planes).handle is None
