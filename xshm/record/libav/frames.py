"""Frames of libav as planes that are painted, in the memory that an encoder reads.

Planes are views of the frame's own memory: `VideoFrame.from_numpy_buffer` would lay a frame over other memory, but not
of each layout (bgr0 is refused, gbrp is copied), and as yuv420p its height is wrong unless it is a multiple of 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.record.pictures.picture import blacken, plane_shapes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.record.pictures.picture import Layout
else:
    from xshm._numpy import np


def new_frame(layout: Layout, width: int, height: int) -> tuple[Any, tuple[NDArray[np.uint8], ...]]:
    """Return an av.VideoFrame, black, and its planes, which keep its memory alive; rows are padded as libav likes it.

    yuv420p's width and height are even.
    """
    import av  # noqa: PLC0415 - optional, and its import takes longer than a screenshot

    frame = av.VideoFrame(width, height, layout)
    planes = []
    for plane, shape in zip(frame.planes, plane_shapes(layout, width, height), strict=True):
        strides = (plane.line_size, *((4, 1) if layout == "bgr0" else (1,)))
        planes.append(np.ndarray(shape, np.uint8, memoryview(plane), 0, strides))
    blacken(layout, planes)
    return frame, tuple(planes)
