"""Colours: the tags by which a decoder knows what the numbers of a picture mean.

Planes of Y, U and V are BT.601 in limited range, with primaries and transfer curve of BT.709, as screens have them.
With these tags pure colours are decoded within 2 of 255 by ffmpeg and by browsers; without, browsers take BT.709 for
granted in anything as large as a screen and are off by 40.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Tags:
    """Numbers of ITU-T H.273: matrix, range (1 limited, 2 full), primaries, transfer characteristics."""

    matrix: int
    range: int
    primaries: int
    transfer: int


_LIMITED, _FULL = 1, 2
_ITU601: Final = 5  # libswscale's number of the matrix

BT601: Final = Tags(6, _LIMITED, 1, 1)
BT601_FULL: Final = Tags(6, _FULL, 1, 1)  # JPEG
RGB: Final = Tags(0, _FULL, 1, 13)  # 13: sRGB


def tags_of(pixel_format: str) -> Tags:
    """Return the tags of pixels by libav's name of their format."""
    if pixel_format.startswith("yuvj"):
        return BT601_FULL
    return BT601 if pixel_format.startswith("yuv") else RGB


def tag(target: Any, tags: Tags) -> None:
    """Tag a codec context or a frame of libav."""
    target.colorspace = tags.matrix
    target.color_range = tags.range
    target.color_primaries = tags.primaries
    target.color_trc = tags.transfer


def converted(frame: Any, pixels: str) -> Any:
    """Return a frame of bgr0 in Y, U and V of another format, for codecs that take none of a Picture's layouts."""
    made = frame.reformat(
        format=pixels,
        src_colorspace=_ITU601,
        dst_colorspace=_ITU601,
        src_color_range=_FULL,
        dst_color_range=tags_of(pixels).range,
    )
    return alike(made, frame)


def alike(made: Any, frame: Any) -> Any:
    """Give a frame that was made of another one its time and kind, and the tags of its own pixels."""
    made.pts, made.time_base, made.pict_type = frame.pts, frame.time_base, frame.pict_type
    tag(made, tags_of(made.format.name))
    return made
