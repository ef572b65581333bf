"""Frames of libav over planes that numpy writes and an encoder reads, without a copy between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm._numpy import np
from xshm.record.libav import codecs, colours
from xshm.record.pictures.picture import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.record.pictures.picture import Layout

_BLACK_Y, _NO_COLOUR = 16, 128  # limited range
_ITU601: Final = 5  # of sws: the matrix


def new_picture(layout: Layout, width: int, height: int) -> Picture:
    """Return a black picture whose `handle` is a VideoFrame over its planes."""
    frame = codecs.libav().VideoFrame(width, height, layout)
    colours.tag(frame, colours.tags_of(layout))
    planes = planes_of(frame, layout)
    if layout == "bgr0":
        planes[0][:] = (0, 0, 0, 255)
    elif layout == "gbrp":
        for plane in planes:
            plane[:] = 0
    else:
        for plane, value in zip(planes, (_BLACK_Y, _NO_COLOUR, _NO_COLOUR), strict=True):
            plane[:] = value
    return Picture(layout, width, height, planes, frame)


def planes_of(frame: Any, layout: Layout) -> tuple[NDArray[np.uint8], ...]:
    """Return the writable planes of a frame; their rows may be padded."""
    found = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        if layout == "bgr0":
            found.append(rows[:, : 4 * plane.width].reshape(plane.height, plane.width, 4))
        else:
            found.append(rows[:, : plane.width])
    return tuple(found)


def copied(frame: Any) -> Any:
    """Return a frame of the same pixels and time in memory of its own."""
    copy = codecs.libav().VideoFrame(frame.width, frame.height, frame.format.name)
    for plane, own in zip(frame.planes, copy.planes, strict=True):
        own.update(plane)
    return _like(copy, frame, frame.format.name)


def converted(frame: Any, pixels: str) -> Any:
    """Return a frame of bgr0 in other pixels, for codecs that know none of a Picture's layouts."""
    full = 2 if pixels.startswith("yuvj") else 1
    made = frame.reformat(
        format=pixels, src_colorspace=_ITU601, dst_colorspace=_ITU601, src_color_range=2, dst_color_range=full
    )
    return _like(made, frame, pixels)


def _like(made: Any, frame: Any, pixels: str) -> Any:
    made.pts, made.time_base, made.pict_type = frame.pts, frame.time_base, frame.pict_type
    colours.tag(made, colours.tags_of(pixels))
    return made
