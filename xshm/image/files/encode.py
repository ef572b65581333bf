"""Pictures as files: PNG and JPEG by the shortest way there is, and whatever else Pillow writes.

Everything here makes memory of its own: what is returned shares nothing with the pixels.
"""

from __future__ import annotations

import io
import operator
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.image.bounding_shape import clear_outside
from xshm.image.files import png_stdlib
from xshm.image.files.png import png
from xshm.pixels import to_rgb
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.system import limits
from xshm.system.atomic_write import replace_file
from xshm.system.kernel_errors import PILLOW, is_a_handlers
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from xshm._arguments import Colours
    from xshm.image.frame import Frame
else:
    from xshm._numpy import np

__all__ = [
    "Encoded",
    "by_suffix",
    "check_colours",
    "encode",
    "encode_frame",
    "image",
    "jpeg",
    "known",
    "png",
    "save",
    "save_frame",
]

# What errors name: of the rest of what Pillow lists some are for other pictures, and some have no writer.
_SUFFIXES = ".png, .jpg, .webp, .tiff, .gif, .bmp, .ppm, .pdf and others that Pillow writes"
_NAMES = "PNG, JPEG, WEBP, TIFF, GIF, BMP, PPM, PDF and others that Pillow writes"
_KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_WITH_QUALITY = ("AVIF", "WEBP")  # of those that Pillow writes; others refuse or ignore it
_NEVER_RGB = ("GIF", "SPIDER")  # Pillow makes a palette, or shades, of any picture; what else has no RGB it refuses
_NEVER_GRAY = ("QOI",)
_OVER_BLACK = ("BMP", "DIB", "EPS", "MPO", "PCX", "PPM", "SPIDER")  # Pillow refuses or loses alpha; JPEG: see `jpeg`
_JPEG_EDGE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
_BEST = 100

_GRAY = PixelFormat(8, 8, 8, "little", 0, 0, 0, VisualClass.StaticGray)
_RGBX = PixelFormat(24, 32, 32, "little", 0xFF, 0xFF00, 0xFF0000, VisualClass.TrueColor)
_RGBA = PixelFormat(32, 32, 32, "little", 0xFF, 0xFF00, 0xFF0000, VisualClass.TrueColor)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file, the size of the picture in it, and that of the picture it was made of (larger with `max_edge`).

    `kind` is what Pillow calls it: "PNG", "JPEG", "WEBP", ….
    """

    data: bytes
    width: int
    height: int
    source_width: int
    source_height: int
    kind: str

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height}"
        source = f"{self.source_width}x{self.source_height}"
        return f"<Encoded {self.kind} {size}{f' of {source}' if source != size else ''}, {len(self.data)} bytes>"

    @property
    def scale(self) -> float:
        """How many of the source's pixels make one of this picture's along the longer edge; 1.0 or more."""
        return max(self.source_width, self.source_height) / max(self.width, self.height)

    def to_source(self, x: int, y: int) -> tuple[int, int]:
        """Return the source's pixel under the middle of this picture's pixel x, y; `OutOfBounds` if there is none."""
        x, y = _whole("x", x), _whole("y", y)
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise OutOfBounds(f"{quoted(x)}, {quoted(y)} is outside the picture of {self.width}x{self.height}")
        return (2 * x + 1) * self.source_width // (2 * self.width), (2 * y + 1) * self.source_height // (
            2 * self.height
        )


def encode(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    kind: str = "PNG",
    *,
    max_edge: int | None = None,
    level: int = 1,
    quality: int = 85,
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    colours: Colours = "auto",
) -> Encoded:
    """Return a file of `kind`: "PNG", "JPEG" or another of Pillow's names ("WEBP", "TIFF", …), in any case.

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
    source_height, source_width = to_rgb.size(pixels, fmt, width)
    if max_edge is not None:
        pixels, fmt, colormap, width = _within(max_edge, pixels, fmt, colormap, source_width, colours)
    height, width = to_rgb.size(pixels, fmt, width)
    if name == "PNG":
        data = png(pixels, fmt, level=level, colormap=colormap, width=width, colours=colours)
    elif name == "JPEG":
        data = jpeg(pixels, fmt, quality=quality, colormap=colormap, width=width, colours=colours)
    else:
        options = {"quality": _checked(quality)} if name in _WITH_QUALITY else {}
        picture = (_opaque if name in _OVER_BLACK else _image)(pixels, fmt, colormap, width, colours)
        data = _written(picture, name, **options)
    return Encoded(data, width, height, source_width, source_height, name)


def encode_frame(
    frame: Frame,
    kind: str = "PNG",
    *,
    max_edge: int | None = None,
    level: int = 1,
    quality: int = 85,
    colours: Colours = "auto",
) -> Encoded:
    """Return a file of a frame's picture, as `encode` does, without importing numpy where that can be avoided."""
    name = known(kind)
    check_colours(colours, name)
    width, height = frame.rect.width, frame.rect.height
    memory = frame.memory
    whole = max_edge is None or _whole("max_edge", max_edge) >= max(width, height)
    unshaped = frame.bounding_shape is None
    if memory is not None and whole and unshaped and name == "PNG" and png_stdlib.serves(frame.format):
        data = png_stdlib.png(*memory, width, height, frame.format, level, colours)
        if data is not None:
            return Encoded(data, width, height, width, height, name)
    pixels, fmt, colormap = _shown(frame)
    with limits.loading():  # numpy loads parts of itself when they are first used
        return encode(
            pixels,
            fmt,
            name,
            max_edge=max_edge,
            level=level,
            quality=quality,
            colormap=colormap,
            width=width,
            colours=colours,
        )


def jpeg(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    quality: int = 85,
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    colours: Colours = "auto",
) -> bytes:
    """Return a JPEG file, `quality` 1 to 100; gray for formats of shades unless colours="rgb", else RGB.

    Alpha is left out: what shows is the picture over black.
    """
    _arguments.colours(colours)
    quality = _checked(quality)
    height, width = to_rgb.size(pixels, fmt, width)
    if max(width, height) > _JPEG_EDGE:
        raise InvalidArgument(f"a JPEG has at most {_JPEG_EDGE} pixels along an edge, not {width}x{height}")
    return _written(_opaque(pixels, fmt, colormap, width, colours), "JPEG", quality=quality)


def image(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    colours: Colours = "auto",
) -> Image.Image:
    """Return a Pillow image: "L" for formats of shades, "RGBA" at depth 32 (straight alpha), else "RGB".

    With colours="rgb" formats of shades are "RGB" too.
    """
    _arguments.colours(colours)
    return _image(pixels, fmt, colormap, width, colours)


def image_of(frame: Frame) -> Image.Image:
    """Return a Pillow image of a frame as `image` does, "RGBA" where the frame has a shape."""
    pixels, fmt, colormap = _shown(frame)
    return image(pixels, fmt, colormap=colormap, width=frame.rect.width)


def save(
    path: str | os.PathLike[str],
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    level: int = 1,
    quality: int = 85,
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    colours: Colours = "auto",
) -> None:
    """Write a file of the kind that its suffix names: all of it, or none and OSError with the file's name.

    What was there before stays as it is until all bytes are on the disk; `atomic_write.replace_file` says how.
    """
    kind = by_suffix(path)
    made = encode(pixels, fmt, kind, level=level, quality=quality, colormap=colormap, width=width, colours=colours)
    replace_file(path, made.data)


def save_frame(
    path: str | os.PathLike[str], frame: Frame, *, level: int = 1, quality: int = 85, colours: Colours = "auto"
) -> None:
    """Write a frame's picture as `save` does, and without numpy where `encode_frame` can do without."""
    replace_file(path, encode_frame(frame, by_suffix(path), level=level, quality=quality, colours=colours).data)


def by_suffix(path: str | os.PathLike[str]) -> str:
    """Return the kind of file that a path's suffix names: "PNG", "JPEG", or what Pillow calls it."""
    try:
        suffix = os.path.splitext(os.fsdecode(path))[1].lower()  # noqa: PTH122 - pathlib is slow to import
    except TypeError:
        raise InvalidType(f"a path is a str or os.PathLike, not {type(path).__name__}: {quoted(path)}") from None
    if suffix in _KINDS:
        return _KINDS[suffix]
    with limits.loading():
        from PIL import Image  # noqa: PLC0415  as above

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
            from PIL import Image  # noqa: PLC0415  as above

        Image.init()
        if name not in Image.SAVE:
            raise InvalidArgument(f"{quoted(kind)} can't be written; {_NAMES} can")
    return name


def check_colours(colours: object, kind: str) -> None:
    """Refuse what is no choice of channels, and "rgb" for kinds (as `known` returns them) that can't hold it."""
    _arguments.colours(colours)
    if colours == "rgb" and kind in _NEVER_RGB:
        raise InvalidArgument(f"a {kind} can't be RGB; write a PNG or another kind, or pass colours='auto'")


def has_quality(kind: str) -> bool:
    """Tell whether a kind of file, as `known` names it, is written with a `quality`."""
    return kind == "JPEG" or kind in _WITH_QUALITY


def _shown(frame: Frame) -> tuple[NDArray[Any], PixelFormat, NDArray[Any] | None]:
    """Return a frame's pixels, their format and colormap; those of a shape as premultiplied R G B A, 0 outside."""
    if frame.bounding_shape is None:
        return frame.pixels, frame.format, frame.colormap
    rgba = to_rgb.premultiplied(frame.pixels, frame.format, colormap=frame.colormap, width=frame.rect.width)
    clear_outside(rgba, frame.bounding_shape)
    return rgba, _RGBA, None


def _whole(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidType(f"{name} is a whole number, not {quoted(value)}") from None


def _checked(quality: int) -> int:
    quality = _whole("quality", quality)
    if not 1 <= quality <= _BEST:
        raise InvalidArgument(f"quality is 1 (smallest) to {_BEST} (best), not {quoted(quality)}")
    return quality


def _image(
    pixels: NDArray[Any], fmt: PixelFormat, colormap: NDArray[Any] | None, width: int | None, colours: Colours
) -> Image.Image:
    if not fmt.alpha_mask:
        return _opaque(pixels, fmt, colormap, width, colours)
    with limits.loading():
        from PIL import Image  # noqa: PLC0415  Pillow takes as long to import as a grab of ten frames

    return Image.fromarray(to_rgb.rgba(pixels, fmt, colormap=colormap, width=width))


def _opaque(
    pixels: NDArray[Any], fmt: PixelFormat, colormap: NDArray[Any] | None, width: int | None, colours: Colours
) -> Image.Image:
    with limits.loading():
        from PIL import Image  # noqa: PLC0415  as above

    height, columns = to_rgb.size(pixels, fmt, width)
    if fmt.is_gray and colours == "auto":
        return Image.fromarray(to_rgb.gray(pixels, fmt, colormap=colormap, width=width))
    if fmt.byte_offsets is None or fmt.needs_colormap:
        return Image.fromarray(to_rgb.rgb(pixels, fmt, colormap=colormap, width=width))
    # Pillow's decoder goes from the server's order to its own in one step: 0.9 ms of a 1080p picture.
    order = dict(zip(fmt.byte_offsets, "RGB", strict=True))
    raw = "".join(order.get(at, "X") for at in range(fmt.bits_per_pixel // 8))
    return Image.frombytes("RGB", (columns, height), np.ascontiguousarray(pixels).data, "raw", raw, 0, 1)


def _written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, kind, **options)
    except (OSError, ValueError, KeyError, OverflowError, RuntimeError, struct.error) as error:
        if is_a_handlers(error, *PILLOW):
            raise
        raise InvalidArgument(f"Pillow can't write {picture.mode} {picture.size} as {kind}: {error}") from error
    return buffer.getvalue()


def _within(
    max_edge: int,
    pixels: NDArray[Any],
    fmt: PixelFormat,
    colormap: NDArray[Any] | None,
    width: int,
    colours: Colours,
) -> tuple[NDArray[Any], PixelFormat, NDArray[Any] | None, int]:
    """Return the picture with no edge longer than `max_edge`, its format, colormap and width."""
    max_edge = _whole("max_edge", max_edge)
    if max_edge < 1:
        raise InvalidArgument(f"max_edge is at least 1, not {quoted(max_edge)}")
    height = len(pixels)
    longer = max(width, height)
    if longer <= max_edge:
        return pixels, fmt, colormap, width
    with limits.loading():
        from PIL import Image  # noqa: PLC0415  as above

    if fmt.is_gray and colours == "auto":
        mode, source, fmt_after = "L", to_rgb.gray(pixels, fmt, colormap=colormap, width=width), _GRAY
    elif fmt.byte_offsets is not None and fmt.bits_per_pixel == 32 and not fmt.needs_colormap:  # noqa: PLR2004
        # Channels are scaled each for itself, so their order in memory can stay. So can premultiplied alpha, and must:
        # straight, the colours of pixels that are hardly there would bleed into those beside them.
        mode, source, fmt_after = "RGBX", np.ascontiguousarray(pixels), fmt
    else:
        source = to_rgb.premultiplied(pixels, fmt, colormap=colormap, width=width)
        mode, fmt_after = "RGBX", _RGBA if fmt.alpha_mask else _RGBX
    small = (max(round(width * max_edge / longer), 1), max(round(height * max_edge / longer), 1))
    # Hamming is as crisp as text needs it, and takes half the time of bicubic, a third of Lanczos (15, 25, 40 ms).
    picture = Image.frombuffer(mode, (width, height), source, "raw", mode, 0, 1)
    return np.asarray(picture.resize(small, Image.Resampling.HAMMING)), fmt_after, None, small[0]
