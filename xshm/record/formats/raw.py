"""bgr0: the exact pixels as a stream, four bytes each, without a header: the reader is told size and rate.

ffmpeg -f rawvideo -pixel_format bgr0 -video_size 1920x1080 -framerate 30 -i -
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from xshm.record.formats.streamed import Streamed
from xshm.record.pictures.picture import Picture, new_planes

if TYPE_CHECKING:
    from xshm.record.pictures.picture import Layout


class RawSink(Streamed):
    """A recording as B G R and 255 of each pixel, in every quality."""

    kind: ClassVar = "bgr0"
    layout: Layout = "bgr0"

    @property
    def how(self) -> str:
        """What was chosen and why, in words; with what a reader has to be told."""
        width, height = self.size
        return (
            f"bgr0: the exact pixels, {width}x{height}, four bytes each, at a constant {self.fps:g} pictures a second; "
            f"no chapters"
        )

    def new_picture(self) -> Picture:
        """Return a black picture."""
        (plane,) = new_planes(self.layout, *self.size)
        return Picture(self.layout, *self.size, (plane,), plane.reshape(-1).data)
