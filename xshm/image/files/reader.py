"""Decode untrusted picture files by Pillow: return what a viewer shows, or raise one error that names the file.

`read` is for a file; `rgba`, `as_shown` and `check_shown` are also for Pillow images that a caller has opened. Used by
`wait_image` (`capture.waiting.template`) and the command `xshm diff`.

Always true:

1. The kind is that of the file's first bytes (`headers.KINDS`), not of its suffix. None of these kinds is decoded by
   another program, as EPS and PDF are.
2. No picture larger than the caller's `Bound` is decoded.
3. No warning is issued, and no global state of Pillow or Python is changed: any thread may read at any time.
4. A file that is no picture, or a broken one, is InvalidArgument, and only the system's refusal is OSError. What a
   signal handler raises meanwhile passes unchanged (`_signal_safety.is_a_handlers`).

What does not work: `Image.open` refuses 13,500x13,500 pixels by the global `Image.MAX_IMAGE_PIXELS` and warns from
half of that on, and `warnings.catch_warnings` is global too, up to Python 3.13. So the classes of Pillow's plugins are
called directly, most of which check no size, and `headers.check` finds before that what they would warn of.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import PILLOW, is_a_handlers
from xshm.errors import InvalidArgument, XshmError
from xshm.image.files import headers
from xshm.system import limits
from xshm.system.printable import printable, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from PIL.ImageFile import ImageFile
else:
    from xshm._numpy import np

# The greatest width and height to decode, and how the error message about a larger picture ends.
Bound = tuple[int, int, str]

# What decoders raise for broken files. Not Exception, which would swallow what a signal handler raises meanwhile.
BROKEN: Final = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, zlib.error),
)
# Kinds for which Pillow's classes check Image.MAX_IMAGE_PIXELS themselves, and would warn: `_check_size` refuses first.
_BOUND_BY_PILLOW: Final = ("WebP", "GIF", "TIFF")
# Modes that convert("RGBA") converts correctly. Not "I" and "F", where white may be any number, nor "LAB", which needs
# a colour profile.
_SHOWN: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
# EXIF's orientation → the transposition that undoes it.
_TURNS: Final = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_ORIENTATION: Final = 0x0112
# Pixels of the largest screen that graphics cards support, 16384x16384; as R G B A that is 1 GiB.
_MOST_PIXELS: Final = 1 << 28
# Pillow scales greys of 2 and 4 bits to 8, but not the one that PNG's tRNS names as transparent.
_GREY_STEPS: Final = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file's picture, decoded and turned; `halved` is whether Pillow has dropped the lower 8 of 16 bits a channel."""

    image: Image.Image
    halved: bool


def read(path: str | os.PathLike[str], most: Bound) -> PictureFile:
    """Return a file's picture, decoded, and turned as its EXIF block says.

    Raises OSError where the file can't be read; InvalidArgument for a file that is no picture, is broken, holds several
    pictures, or one larger than `most`, which is not decoded.
    """
    name = os.fsdecode(path)
    data, kind = _bytes(path, name)
    try:
        headers.check(kind, data)
        size = headers.size(kind, data)
        if size is not None:
            _check_size(kind, size, most, name)
        picture = _opened(kind, data)
        _check_size(kind, picture.size, most, name)
        pictures = getattr(picture, "n_frames", 1)
        if pictures > 1:
            raise InvalidArgument(f"{name} holds {pictures} pictures; which one is meant can't be told")
        return _decoded(picture)
    except XshmError:
        raise
    except BROKEN as error:
        if is_a_handlers(error, *PILLOW):
            raise
        raise InvalidArgument(f"{name} can't be read as {kind}: {message(error)}") from error


def message(error: BaseException) -> str:
    """Return an error's message in one line, made printable, since it may quote the file's bytes."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def is_deep(image: Image.Image) -> bool:
    """Return whether a picture from `read` or `as_shown` is grey of 16 bits."""
    return image.mode.startswith("I;16")


def check_shown(image: Image.Image, name: str) -> None:
    """Raise InvalidArgument for a mode whose values have no agreed colours."""
    if image.mode not in _SHOWN and not is_deep(image):
        raise InvalidArgument(
            f"{name} has the mode {image.mode!r} of Pillow's, whose colours can't be told; convert it to RGB first"
        )


def rgba(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Return (height, width, 4) uint8 R G B A of a Pillow image, the upper 8 bits where it has 16."""
    check_shown(image, name)
    if not is_deep(image):
        return np.asarray(image.convert("RGBA"))
    values = np.asarray(image)
    shown = np.full((*values.shape, 4), 255, np.uint8)
    shown[..., :3] = (values >> 8)[..., np.newaxis]
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        shown[values == transparent, 3] = 0
    return shown


def as_shown(image: Image.Image) -> Image.Image:
    """Return a Pillow image turned as its EXIF block says; grey of 16 bits in the mode "I;16"."""
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - as in `_opened`

    if image.mode == "I" and image.format in ("PNG", "PPM"):  # in these it is 16 bits; else it can be any number
        image = image.convert("I;16")
    exif = image.info.get("exif")
    turn = _TURNS.get(headers.orientation(exif) if isinstance(exif, bytes) else 1)
    return image if turn is None else image.transpose(Image.Transpose[turn])


def _bytes(path: str | os.PathLike[str], name: str) -> tuple[bytes, str]:
    """Return a file's bytes and kind. Of a file that is no picture only the first bytes are read: it may be endless."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path from a PathLike may be bytes, which pathlib refuses
            begin = file.read(headers.LONGEST_MAGIC)
            kind = headers.kind(begin)
            if kind is not None:
                return begin + file.read(), kind
    except OSError as error:
        if limits.explain(error):
            raise OSError(error.errno, limits.describe(error), name) from error
        if error.filename is None:  # `open` sets it, `read` does not
            error.filename = name
        raise
    except ValueError as error:  # a path with a NUL
        if is_a_handlers(error):
            raise
        raise InvalidArgument(f"{quoted(name)} is no path: {error}") from None
    raise InvalidArgument(f"{name} is no picture that can be read: it begins like none of {', '.join(headers.KINDS)}")


def _opened(kind: str, data: bytes) -> ImageFile:
    """Return Pillow's object for a file: its header is read, its pixels are not decoded."""
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - it takes as long to import as a grab of ten frames

    name = kind if kind == "WebP" else kind.capitalize()  # as in Pillow's PngImagePlugin.PngImageFile
    plugin: Any = getattr(importlib.import_module(f"PIL.{name}ImagePlugin"), f"{name}ImageFile")

    class OrientationOnly(plugin):  # type: ignore[misc]
        """Pillow's class, but with EXIF's orientation only: for other broken tags Pillow would issue warnings."""

        def getexif(self) -> Image.Exif:
            exif = Image.Exif()
            tags = getattr(self, "tag_v2", {})
            if _ORIENTATION in tags:  # a TIFF, which Pillow turns itself
                exif[_ORIENTATION] = tags[_ORIENTATION]
            return exif

    opened: ImageFile = OrientationOnly(io.BytesIO(data))
    return opened


def _decoded(picture: ImageFile) -> PictureFile:
    # How many bits a channel has in the file is only in the arguments of Pillow's decoders, which `load` empties.
    tiles = " ".join(str(tile) for tile in picture.tile)
    halved = re.search(r"(LA|CMYK|RGB[AXa]?);16[BLN]", tiles) is not None
    if picture.format == "PPM" and picture.mode == "RGB":
        halved = any(isinstance(tile[3], tuple) and tile[3][-1] > 0xFF for tile in picture.tile)  # noqa: PLR2004
    if "I;12" in tiles:
        raise ValueError("it has 12 bits a pixel")
    transparent = picture.info.get("transparency")
    if halved and transparent is not None:
        raise ValueError("which of its colours of 16 bits is transparent can't be told from 8 of them")
    step = _GREY_STEPS.get(str(picture.tile[0][3])) if picture.tile else None
    with picture:  # releases the file's bytes
        picture.load()
    if step is not None and isinstance(transparent, int):
        picture.info["transparency"] = transparent * step
    return PictureFile(as_shown(picture), halved)


def _check_size(kind: str, size: tuple[int, int], most: Bound, name: str) -> None:
    """Raise InvalidArgument for a picture too large both upright and turned: EXIF's orientation is read after this."""
    width, height = size
    if not (width <= most[0] and height <= most[1]) and not (height <= most[0] and width <= most[1]):
        raise InvalidArgument(f"{name}: a picture of {width}x{height} {most[2]}")
    if width * height > _MOST_PIXELS:
        raise InvalidArgument(f"{name}: a picture of {width}x{height} has more than {_MOST_PIXELS:,} pixels")
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - as in `_opened`

    limit = Image.MAX_IMAGE_PIXELS
    if kind in _BOUND_BY_PILLOW and limit is not None and width * height > limit:
        raise InvalidArgument(f"{name}: a {kind} of {width}x{height} has more than {limit} pixels; a PNG may have them")
