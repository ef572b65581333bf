"""Template: the picture that `wait_image` searches for, from a file, a Pillow image, a Frame or an array.

Pixels that are not fully opaque are masked out: what they look like on a screen depends on the background. So a picture
with edges smoothed by alpha, or with a shadow, is found on any background.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType
from xshm.image.files import reader
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from xshm.geometry import Rect

    Picture = str | os.PathLike[str] | Image.Image | Frame | NDArray[np.uint8]

_CHANNELS: Final = (3, 4)  # R G B, R G B A
_LEAST_SCALE: Final = 0.1
_GREATEST_SCALE: Final = 10
_MOST_SCALES: Final = 64  # each is a search of its own
_OPAQUE: Final = 255  # alpha; 254 is already a mixture with the background


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """`rgb` is (height, width, 3) uint8; `mask` is (height, width) bool, True where pixels are compared (None: all).

    `scale` is the factor by which it is larger than the picture that was loaded.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    scale: float = 1.0

    @property
    def width(self) -> int:
        """Pixels in a row, masked ones included."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.rgb.shape[0])


def load_template(picture: Picture, bounds: Rect) -> Template:
    """Load the picture to search for in `bounds`: a file's, a Pillow image, a Frame or an array.

    Arrays are (height, width, 3) uint8 R G B, or R G B A. Raises InvalidArgument for a picture larger than `bounds`
    (a file's before it is decoded), for one that can't be read, and for one without an opaque pixel.
    """
    (template,) = load_templates(picture, bounds, (1.0,))
    return template


def check_scales(scales: Iterable[float]) -> tuple[float, ...]:
    """Return the factors of `wait_image`, each once; raise InvalidType or InvalidArgument."""
    wanted = "scales is a list of factors, such as (1, 1.5, 2)"
    factors = [_arguments.number(each, wanted) for each in _arguments.several(scales, wanted)]
    wrong = [each for each in factors if not _LEAST_SCALE <= each <= _GREATEST_SCALE]
    if wrong:
        raise InvalidArgument(f"{wanted}, from {_LEAST_SCALE} to {_GREATEST_SCALE}; not {quoted(wrong[0])}")
    if not 0 < len(factors) <= _MOST_SCALES:
        raise InvalidArgument(f"{wanted}, of 1 to {_MOST_SCALES}; not of {len(factors)}")
    return tuple(dict.fromkeys(factors))


def load_templates(picture: Picture, bounds: Rect, scales: Sequence[float]) -> list[Template]:
    """Load a picture, as `load_template` does, at these scales; those that are larger than `bounds` are left out.

    Raises InvalidArgument where all are. Scaling interpolates: bilinear, or the mean where a picture gets smaller.
    """
    least = min(scales)
    # A file's size is compared before it is decoded: with the largest that fits at the least scale.
    what, pixels = _load_pixels(picture, (int(bounds.width / least + 1), int(bounds.height / least + 1)), bounds)
    height, width = pixels.shape[:2]
    sizes = {scale: (round(width * scale), round(height * scale)) for scale in scales}
    fitting = [
        scale for scale, (columns, rows) in sizes.items() if 0 < columns <= bounds.width and 0 < rows <= bounds.height
    ]
    if not fitting:
        scaled = "" if list(scales) == [1] else f", scaled to {' or '.join(f'{x}x{y}' for x, y in sizes.values())},"
        raise InvalidArgument(f"{what} of {width}x{height}{scaled} can't be seen in {bounds}")
    template = _masked(what, pixels)
    return [_scaled(template, scale, sizes[scale]) for scale in fitting]


def _scaled(template: Template, scale: float, size: tuple[int, int]) -> Template:
    """Return a template at another size. A pixel is compared only if all that it is made of is."""
    if scale == 1:
        return template
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - as below

    rgb = np.asarray(Image.fromarray(template.rgb).resize(size, Image.Resampling.BILINEAR))
    if template.mask is None:
        return Template(rgb, None, scale)
    alpha = Image.fromarray(template.mask.astype(np.uint8) * _OPAQUE).resize(size, Image.Resampling.BILINEAR)
    mask = np.asarray(alpha) == _OPAQUE
    if not mask.any():
        raise InvalidArgument(f"at scale {scale:g} the picture has no pixel that is fully opaque")
    return Template(rgb, None if mask.all() else mask, scale)


def _masked(what: str, pixels: NDArray[Any]) -> Template:
    if pixels.shape[2] == 3:  # noqa: PLR2004 - R G B
        return Template(pixels, None)
    mask = pixels[..., 3] == _OPAQUE
    # A search with a mask is slower, and one that masks everything would match at the first place.
    if not mask.any():
        raise InvalidArgument(f"{what} has no pixel that is fully opaque: it would be seen anywhere; look for its RGB")
    return Template(np.ascontiguousarray(pixels[..., :3]), None if mask.all() else mask)


def _load_pixels(picture: Picture, most: tuple[int, int], bounds: Rect) -> tuple[str, NDArray[Any]]:
    """Return a picture's name in messages, and its pixels: (height, width, 3 or 4) uint8.

    Raises InvalidArgument for a file whose picture is larger than `most`, which can't be seen in `bounds`.
    """
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - loading Pillow is slow, and needed for no other wait

    if isinstance(picture, Frame):
        # Without alpha the fourth byte is padding, and undefined.
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
        return "a picture", _load_image(picture)
    if not isinstance(picture, (str, os.PathLike)):
        raise InvalidType(f"a picture is a path, a Pillow image, a Frame or an array; not {type(picture).__name__}")
    name = os.fsdecode(picture)
    read = reader.read(picture, (*most, f"can't be seen in {bounds}"))
    return f"{name}: a picture", reader.rgba(read.image, name)


def _load_image(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a Pillow image: of a file with several pictures the current one (`Image.seek`)."""
    if not image.width or not image.height:
        raise InvalidArgument(f"a picture has at least one pixel; this one is {image.width}x{image.height}")
    try:
        image.load()  # a second call does nothing
    except reader.BROKEN as error:  # Image.open reads the header alone; the pixels are decoded here
        name = getattr(image, "filename", "")
        raise InvalidArgument(f"the Pillow image {quoted(name)} can't be read: {reader.message(error)}") from error
    return reader.rgba(reader.as_shown(image), "a Pillow image")
