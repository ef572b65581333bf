"""Encode pixels as picture files: PNG and JPEG by the fastest way there is, and all other kinds that Pillow writes.

The result never shares memory with the pixels. PNG is written by `png`, everything else by Pillow.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm._signal_safety import PILLOW, is_a_handlers
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.geometry import Rect
from xshm.image.files.jpeg import jpeg
from xshm.image.files.png import png, png_of_rgb
from xshm.image.files.shrink import shrink
from xshm.pixels import to_rgb
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster
from xshm.system import limits
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from xshm._arguments import Colours
else:
    from xshm._numpy import np

__all__ = ["Encoded", "by_suffix", "check_colours", "encode", "has_quality", "image", "known", "png"]

# For error messages. Of the others that Pillow lists some are for other kinds of pictures, and some have no writer.
_SUFFIXES = ".png, .jpg, .webp, .tiff, .gif, .bmp, .ppm, .pdf and others that Pillow writes"
_NAMES = "PNG, JPEG, WEBP, TIFF, GIF, BMP, PPM, PDF and others that Pillow writes"
_KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_WITH_QUALITY = ("AVIF", "JPEG", "WEBP")  # others refuse or ignore it
_NEVER_RGB = ("GIF", "SPIDER")  # Pillow makes a palette, or shades, of any picture
_NEVER_GRAY = ("QOI",)
_OVER_BLACK = ("BMP", "DIB", "EPS", "JPEG", "MPO", "PCX", "PPM", "SPIDER")  # Pillow refuses or loses alpha
_JPEG_EDGE = 65_500  # pixels, libjpeg's JPEG_MAX_DIMENSION
_RAW_MODES = ("RGB", "BGR", "RGBX", "BGRX", "XRGB", "XBGR")  # of which Pillow makes RGB
_BEST = 100  # quality, of JPEG, WebP and AVIF


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file, the size of the picture in it, and `source`: what it shows, which is larger with `max_edge`.

    `source` is the frame's `rect`, in the coordinates of the screen, window or pixmap that was grabbed. `kind` is what
    Pillow calls the file: "PNG", "JPEG", "WEBP", ….
    """

    data: bytes
    width: int
    height: int
    source: Rect
    kind: str

    def __repr__(self) -> str:
        same = self.source == Rect(0, 0, self.width, self.height)
        size = f"{self.width}x{self.height}{'' if same else f' of {self.source}'}"
        return f"<Encoded {self.kind} {size}, {len(self.data)} bytes>"

    @property
    def scale(self) -> float:
        """How many of the source's pixels are one of this picture's along the longer edge; 1.0 or more."""
        return max(self.source.width, self.source.height) / max(self.width, self.height)

    def to_source(self, x: int, y: int) -> tuple[int, int]:
        """Return the point of the screen, window or pixmap that is under the middle of this picture's pixel x, y.

        That is where to click. `OutOfBounds` if the picture has no such pixel.
        """
        x, y = (_arguments.integer(each, f"{name} is a whole number") for name, each in (("x", x), ("y", y)))
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise OutOfBounds(f"{quoted(x)}, {quoted(y)} is outside the picture of {self.width}x{self.height}")
        # The middle of pixel x is x + 1/2; in integers, twice that.
        return (
            self.source.x + (2 * x + 1) * self.source.width // (2 * self.width),
            self.source.y + (2 * y + 1) * self.source.height // (2 * self.height),
        )


def encode(
    raster: Raster,
    kind: str = "PNG",
    *,
    source: Rect | None = None,
    max_edge: int | None = None,
    level: int = 1,
    quality: int = 85,
    colours: Colours = "auto",
) -> Encoded:
    """Return a file of `kind`: "PNG", "JPEG" or another of Pillow's names ("WEBP", "TIFF", …), in any case.

    `source` is where the picture is from, of its size; None is a picture of its own, whose corner is 0, 0.

    With `max_edge` a picture with a longer edge is made smaller first (Pillow's Hamming filter, 8 bits a channel),
    never larger. `level` is for PNG, `quality` (1 to 100) for JPEG, WebP and AVIF.

    With colours="auto" a file has the channels that its picture needs: a PNG is gray, palette or RGB, other files are
    gray for formats of shades, else RGB. With "rgb" every file reads back as three channels, and GIF and SPIDER, which
    can't hold them, are refused with InvalidArgument. In both cases depth 32 adds alpha, where the kind has it; others
    (JPEG, BMP, PPM, …) have the picture over black.
    """
    name = known(kind)
    check_colours(colours, name)
    colours = "rgb" if name in _NEVER_GRAY else colours
    source = Rect(0, 0, *raster.size) if source is None else source
    size = raster.size if max_edge is None else _within(max_edge, raster.size)
    shades = raster.format.is_gray and colours == "auto"
    if size != raster.size:
        if name == "PNG" and not shades and not raster.format.alpha_mask:
            data = png_of_rgb(size, partial(_shrink_rgb, raster), level=level, colours=colours)
            return Encoded(data, *size, source, name)
        raster = smaller(raster, size, colours)
    if name == "PNG":
        data = png(raster, level=level, colours=colours)
    else:
        if name == "JPEG" and max(raster.size) > _JPEG_EDGE:
            raise InvalidArgument(
                f"a JPEG has at most {_JPEG_EDGE} pixels along an edge, not {raster.width}x{raster.height}"
            )
        options = {"quality": _checked(quality)} if has_quality(name) else {}
        picture = partial(_opaque if name in _OVER_BLACK else image, colours=colours)
        data = jpeg(raster, options["quality"], picture) if name == "JPEG" else b""
        if not data:
            data = _written(picture(raster), name, **options)
    return Encoded(data, *raster.size, source, name)


def by_suffix(path: str | os.PathLike[str]) -> str:
    """Return the kind of file that a path's suffix names: "PNG", "JPEG", or what Pillow calls it."""
    try:
        suffix = os.path.splitext(os.fsdecode(path))[1].lower()  # noqa: PTH122 - pathlib is slow to import
    except TypeError:
        raise InvalidType(f"a path is a str or os.PathLike, not {type(path).__name__}: {quoted(path)}") from None
    if suffix in _KINDS:  # without importing Pillow
        return _KINDS[suffix]
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - as in `image`

    kinds = {each: kind for each, kind in Image.registered_extensions().items() if kind in Image.SAVE}
    if suffix not in kinds:
        named = f"the suffix {quoted(suffix)}" if suffix else f"{quoted(os.fsdecode(path))} has no suffix, which"
        raise InvalidArgument(f"{named} names no kind of picture that can be written; {_SUFFIXES} do")
    return kinds[suffix]


def known(kind: str) -> str:
    """Return Pillow's name for a kind of file, whatever its case; raise `InvalidArgument` for what can't be written."""
    if not isinstance(kind, str):
        raise InvalidType(f"a kind of file is a name like 'PNG', not {type(kind).__name__}: {quoted(kind)}")
    name = {"JPG": "JPEG"}.get(kind.upper(), kind.upper())
    if name not in _KINDS.values():
        with limits.loading():
            from PIL import Image  # noqa: PLC0415 - as in `image`

        Image.init()  # imports all of Pillow's plugins, which only rare kinds need
        if name not in Image.SAVE:
            raise InvalidArgument(f"{quoted(kind)} can't be written; {_NAMES} can")
    return name


def check_colours(colours: object, kind: str) -> None:
    """Raise InvalidArgument or InvalidType for no choice of channels, or "rgb" for a kind that can't hold it."""
    _arguments.colours(colours)
    if colours == "rgb" and kind in _NEVER_RGB:
        raise InvalidArgument(f"a {kind} can't be RGB; write a PNG or another kind, or pass colours='auto'")


def has_quality(kind: str) -> bool:
    """Return whether a kind of file, as `known` names it, is written with a `quality`."""
    return kind in _WITH_QUALITY


def _checked(quality: int) -> int:
    quality = _arguments.integer(quality, "quality is a whole number")
    if not 1 <= quality <= _BEST:
        raise InvalidArgument(f"quality is 1 (smallest) to {_BEST} (best), not {quoted(quality)}")
    return quality


def image(raster: Raster, colours: Colours = "auto") -> Image.Image:
    """Return a Pillow image: "L" for formats of shades, "RGBA" at depth 32 (straight alpha), else "RGB".

    With colours="rgb" formats of shades are "RGB" too.
    """
    if not raster.format.alpha_mask:
        return _opaque(raster, colours)
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - Pillow takes as long to import as a grab of ten frames

    return Image.fromarray(to_rgb.rgba(raster))


def _opaque(raster: Raster, colours: Colours) -> Image.Image:
    """Return a Pillow image without alpha."""
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - as in `image`

    fmt = raster.format
    if fmt.is_gray and colours == "auto":
        return Image.fromarray(to_rgb.gray(raster))
    raw = _raw_mode(fmt)
    if raw is None:
        return Image.fromarray(to_rgb.rgb(raster))
    # Pillow's decoder converts the server's order to RGB while it copies: 0.9 ms of a 1080p picture.
    return Image.frombytes("RGB", raster.size, np.ascontiguousarray(raster.pixels).data, "raw", raw, 0, 1)


def _raw_mode(fmt: PixelFormat) -> str | None:
    """Return Pillow's raw mode for pixels whose channels are bytes, in an order that it knows; None for others."""
    if fmt.byte_offsets is None or fmt.needs_colormap:
        return None
    order = dict(zip(fmt.byte_offsets, "RGB", strict=True))
    raw = "".join(order.get(at, "X") for at in range(fmt.bits_per_pixel // 8))
    return raw if raw in _RAW_MODES else None


def _written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, kind, **options)
    except (OSError, ValueError, KeyError, OverflowError, RuntimeError, struct.error) as error:
        if is_a_handlers(error, *PILLOW):
            raise
        raise InvalidArgument(f"Pillow can't write {picture.mode} {picture.size} as {kind}: {error}") from error
    return buffer.getvalue()


def _within(max_edge: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a picture with no edge longer than `max_edge`."""
    max_edge = _arguments.integer(max_edge, "max_edge is a whole number")
    if max_edge < 1:
        raise InvalidArgument(f"max_edge is at least 1, not {quoted(max_edge)}")
    longer = max(size)
    if longer <= max_edge:
        return size
    width, height = (max(round(edge * max_edge / longer), 1) for edge in size)
    return width, height


def smaller(raster: Raster, size: tuple[int, int], colours: Colours = "auto") -> Raster:
    """Return the picture in a smaller (width, height), 8 bits a channel, in memory of its own; see `shrink`."""
    fmt, (width, height) = raster.format, size
    if fmt.is_gray and colours == "auto":
        gray = np.empty((height, width), np.uint8)
        shrink(to_rgb.gray(raster), "L", "L", gray)
        return Raster(gray, PixelFormat.GRAY)
    if fmt.byte_offsets is not None and fmt.bits_per_pixel == 32 and not fmt.needs_colormap:  # noqa: PLR2004
        # Channels are scaled each for itself, so their order in memory can stay. So can premultiplied alpha, and must:
        # with straight alpha the colours of nearly transparent pixels would bleed into those beside them.
        source, fmt_after = raster.pixels, fmt
    else:
        source = to_rgb.premultiplied(raster)
        fmt_after = PixelFormat.RGBA if fmt.alpha_mask else PixelFormat.RGBX
    found = np.empty((height, width, 4), np.uint8)
    shrink(source, "RGBX", "RGBX", found)
    return Raster(found, fmt_after)


def _shrink_rgb(raster: Raster, out: NDArray[np.uint8]) -> None:
    """Write the picture, which has no alpha, in a smaller size into `out`, (height, width, 3)."""
    raw = _raw_mode(raster.format)
    if raw is None:
        shrink(to_rgb.rgb(raster), "RGB", "RGB", out)
    else:
        shrink(raster.pixels, "RGB", raw, out)
