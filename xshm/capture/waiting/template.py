"""What is looked for on a screen: colours, and which pixels of them count.

What shows at a pixel that is not fully opaque depends on what lies behind it: such a pixel may be anything. Edges that
are smoothed by alpha, and shadows, do so on any background.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm.errors import InvalidArgument, InvalidType
from xshm.image.files import reader
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from xshm.geometry import Rect

    Picture = str | os.PathLike[str] | Image.Image | Frame | NDArray[np.uint8]

_CHANNELS: Final = (3, 4)
_OPAQUE: Final = 255


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """`rgb` is (height, width, 3) uint8; `mask` (height, width) bool, True for the pixels that count; None: all do."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None

    @property
    def width(self) -> int:
        """Pixels in a row, those that may be anything too."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.rgb.shape[0])


def template(picture: Picture, bounds: Rect) -> Template:
    """Return what is to be looked for in `bounds`: a file's picture, a Pillow image, a Frame or an array.

    Arrays are (height, width, 3) uint8 R G B, or R G B A. Raises InvalidArgument for what is larger than `bounds`, and
    a file before it is decoded; for what can't be read; and where no pixel is opaque.
    """
    what, pixels = _pixels(picture, bounds)
    height, width = pixels.shape[:2]
    if width > bounds.width or height > bounds.height:
        raise InvalidArgument(f"{what} of {width}x{height} can't be seen in {bounds}")
    if pixels.shape[2] == 3:  # noqa: PLR2004 - R G B
        return Template(pixels, None)
    mask = pixels[..., 3] == _OPAQUE
    if not mask.any():
        raise InvalidArgument(f"{what} has no pixel that is fully opaque: it would be seen anywhere; look for its RGB")
    return Template(np.ascontiguousarray(pixels[..., :3]), None if mask.all() else mask)


def _pixels(picture: Picture, bounds: Rect) -> tuple[str, NDArray[Any]]:
    """Return a picture's name in messages, and its pixels: (height, width, 3 or 4) uint8."""
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - arrays and frames do without in most programs

    if isinstance(picture, Frame):
        transparent = picture.format.alpha_mask or picture.bounding_shape is not None
        return "a frame", picture.rgba() if transparent else picture.rgb()
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] not in _CHANNELS or picture.dtype != np.uint8 or not picture.size:  # noqa: PLR2004
            raise InvalidArgument(
                f"a picture is (height, width, 3) uint8, R G B, or (height, width, 4), R G B A; "
                f"not {picture.shape} {picture.dtype}"
            )
        return "a picture", picture
    if isinstance(picture, Image.Image):
        return "a picture", _of_image(picture)
    if not isinstance(picture, (str, os.PathLike)):
        raise InvalidType(f"a picture is a path, a Pillow image, a Frame or an array; not {type(picture).__name__}")
    name = os.fsdecode(picture)
    read = reader.read(picture, (bounds.width, bounds.height, f"can't be seen in {bounds}"))
    return f"{name}: a picture", reader.rgba(read.image, name)


def _of_image(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a Pillow image: of several pictures the one that it was brought to (`seek`)."""
    if not image.width or not image.height:
        raise InvalidArgument(f"a picture has at least one pixel; this one is {image.width}x{image.height}")
    try:
        image.load()
    except reader.BROKEN as error:  # it was opened, and is decoded only here
        name = getattr(image, "filename", "")
        raise InvalidArgument(f"the Pillow image {quoted(name)} can't be read: {reader.said(error)}") from error
    return reader.rgba(reader.as_shown(image), "a Pillow image")
