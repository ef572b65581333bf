"""Tell whether a frame's pixels can be shown on a surface as they are; convert them to RGB or RGBA where they can't.

A frame may come from another window, screen or server, with another layout, colormap, or alpha.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat
    from xshm.pixels.from_rgb import Palette


class FrameColours:
    """Reads frames for a surface of the format `fmt`, and with `palette`, where that format has a colormap."""

    def __init__(self, fmt: PixelFormat, palette: Palette | None) -> None:
        self._format = fmt
        self._palette = palette

    def is_native(self, frame: Frame) -> bool:
        """Tell whether a frame's pixels mean on the surface what they mean in the frame."""
        if frame.bounding_shape is not None and self._format.alpha_mask:
            return False  # outside of the shape they are undefined, and have to be transparent
        if frame.format != self._format:
            return False
        # The same cell numbers mean the same colours only if the frame's colormap is equal.
        palette = self._palette
        return palette is None or (frame.colormap is not None and np.array_equal(frame.colormap, palette.colours))

    def colours(self, frame: Frame) -> NDArray[np.uint8]:
        """Return a frame's colours as `PixelWriter.fill` takes them: with alpha only where the surface has it."""
        return frame._premultiplied() if self._format.alpha_mask else frame.rgb()  # noqa: SLF001 - the library's own
