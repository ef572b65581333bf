"""`xshm diff`: compare two pictures, and show where they differ."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from xshm import _arguments
from xshm.cli.options import add_json, named, number
from xshm.cli.output import print_json, rect_numbers
from xshm.errors import InvalidArgument
from xshm.image.files import reader
from xshm.system.atomic_write import replace_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
else:
    from xshm._numpy import np

SAME, DIFFERENT = 0, 1
_FAINT = 3  # equal pixels are shown at a third of their strength, on white
_LARGEST: Final = 32767  # what X11 allows a screen or window: coordinates are INT16. Memory is 4 bytes a pixel each.
_BAND: Final = 64  # rows that are compared at once: 8 MB of RGBA at the largest width
_OPAQUE: Final = ("1", "L", "RGB", "CMYK", "YCbCr", "HSV")  # modes that have alpha only with a "transparency"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("a", type=named, metavar="A", help="a picture: PNG, JPEG, WebP, GIF, BMP, plain TIFF or PPM")
    parser.add_argument("b", type=named, metavar="B", help="another of the same size")
    parser.add_argument(
        "-o", "--output", type=named, metavar="FILE", help="write a picture: what differs is red, the rest faint"
    )
    parser.add_argument(
        "--threshold",
        type=number,
        default=0.0,
        metavar="RATIO",
        help="pixels that may differ for the pictures to count as the same, 0 to 1 of them all (default: %(default)s)",
    )
    add_json(parser, "print the result as JSON")


def main(chosen: argparse.Namespace) -> int:
    """Compare; return 0 for the same, 1 for different."""
    from xshm.image.difference import difference  # noqa: PLC0415
    from xshm.image.files import encode  # noqa: PLC0415 - Pillow is not needed for --help

    _arguments.ratio(chosen.threshold, "a threshold")
    if chosen.output is not None:
        encode.by_suffix(chosen.output)  # a name that no picture can have is refused before anything is read
    one, other = _read(chosen.a), _read(chosen.b)
    if one.size != other.size:
        sizes = f"{chosen.a} is {one.width}x{one.height}, {chosen.b} is {other.width}x{other.height}"
        raise InvalidArgument(f"pictures of different sizes can't be compared: {sizes}")
    if reader.is_deep(one) != reader.is_deep(other):
        raise InvalidArgument(f"{chosen.a} and {chosen.b} have different depths and can't be compared")
    mask = _differs(one, other)
    found = difference(mask)
    if chosen.output is not None:
        _show(one, mask, chosen.output)
    if chosen.json:
        rects = [rect_numbers(rect) for rect in found.rects]
        print_json({"pixels": found.pixels, "ratio": found.ratio, "rects": rects}, indent=None)
    elif found:
        print(f"{found.pixels} pixels differ ({found.ratio:.4%}) in {' '.join(map(str, found.rects))}")
    return DIFFERENT if found.ratio > chosen.threshold else SAME


def _read(path: str) -> Image.Image:
    read = reader.read(path, (_LARGEST, _LARGEST, f"is larger than any screen: {_LARGEST}x{_LARGEST}"))
    reader.check_shown(read.image, path)
    if read.halved:  # pictures that differ in the other 8 would be called equal
        raise InvalidArgument(f"{path} has 16 bits a channel, of which only 8 can be read; compare the arrays instead")
    return read.image


def _differs(one: Image.Image, other: Image.Image) -> NDArray[np.bool_]:
    """Return (height, width) bool, True where two pictures of one size and depth differ."""
    mask = np.empty((one.height, one.width), bool)
    for rows in _bands(one):
        mask[rows] = _numbers(_band(one, rows)) != _numbers(_band(other, rows))
    return mask


def _numbers(image: Image.Image) -> NDArray[Any]:
    """Return (height, width) numbers that are the same where pixels are: all 16 bits of grey, or R G B A in one.

    A transparent pixel shows no colour: all transparent pixels are the same.
    """
    if reader.is_deep(image):
        return np.asarray(image)
    rgba = np.asarray(image.convert("RGBA"))
    numbers = rgba.view(np.uint32)[..., 0]
    opaque = image.mode in _OPAQUE and "transparency" not in image.info
    return numbers if opaque else np.where(rgba[..., 3], numbers, 0)


def _bands(image: Image.Image) -> Iterator[slice]:
    """Return bands of rows, whose copies in other formats take little memory beside the pictures."""
    return (slice(top, min(top + _BAND, image.height)) for top in range(0, image.height, _BAND))


def _band(image: Image.Image, rows: slice) -> Image.Image:
    return image.crop((0, rows.start, image.width, rows.stop))


def _show(image: Image.Image, mask: NDArray[np.bool_], path: str) -> None:
    from PIL import Image  # noqa: PLC0415 - not needed for --help

    from xshm.image.files.encode import by_suffix  # noqa: PLC0415

    shown = np.empty((*mask.shape, 3), np.uint8)
    if reader.is_deep(image):  # shown in 8 bits, from its darkest to its brightest
        values = np.asarray(image).astype(float)
        values -= values.min()
        shown[...] = (values * (255 / max(values.max(), 1)))[..., np.newaxis]
    else:
        for rows in _bands(image):
            shown[rows] = np.asarray(_band(image, rows).convert("RGBA"))[..., :3]
    shown = 255 - (255 - shown) // _FAINT
    shown[mask] = (255, 0, 0)
    written = io.BytesIO()
    Image.fromarray(shown).save(written, by_suffix(path))
    replace_file(path, written.getvalue())
