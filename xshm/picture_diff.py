"""`xshm diff`: compare two pictures, and show where they differ."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

from xshm.atomic_write import replace_file
from xshm.errors import InvalidArgument, XshmError
from xshm.options import number

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

SAME, DIFFERENT = 0, 1
_FAINT = 3  # what is the same is shown at a third of its strength on white


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("a", metavar="A", help="a picture")
    parser.add_argument("b", metavar="B", help="another of the same size")
    parser.add_argument("-o", "--output", metavar="FILE", help="write a picture: what differs is red, the rest faint")
    parser.add_argument(
        "--threshold",
        type=number,
        default=0.0,
        metavar="RATIO",
        help="pixels that may differ for the pictures to count as the same, 0 to 1 of them all (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="tell the result as JSON")
    parser.set_defaults(run=main)


def main(chosen: argparse.Namespace) -> int:
    """Compare; return 0 for the same, 1 for different."""
    from xshm import encode  # noqa: PLC0415 - Pillow is not needed for --help
    from xshm.compare import difference  # noqa: PLC0415

    if not 0 <= chosen.threshold <= 1:
        raise InvalidArgument(f"a threshold is a ratio from 0 to 1, not {chosen.threshold}")
    if chosen.output is not None:
        encode.by_suffix(chosen.output)
    one, other = _read(chosen.a), _read(chosen.b)
    if one.shape[2] != other.shape[2]:
        raise InvalidArgument(f"{chosen.a} and {chosen.b} have different depths and can't be compared")
    if one.shape != other.shape:
        raise InvalidArgument(
            f"pictures of different sizes can't be compared: {chosen.a} is {_size(one)}, {chosen.b} is {_size(other)}"
        )
    mask = (one != other).any(axis=2)
    found = difference(mask)
    if chosen.output is not None:
        _show(one, mask, chosen.output)
    if chosen.json:
        rects = [[rect.x, rect.y, rect.width, rect.height] for rect in found.rects]
        print(json.dumps({"pixels": found.pixels, "ratio": found.ratio, "rects": rects}))
    elif found:
        print(f"{found.pixels} pixels differ ({found.ratio:.4%}) in {' '.join(map(str, found.rects))}")
    return DIFFERENT if found.ratio > chosen.threshold else SAME


def _read(path: str) -> NDArray[Any]:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - not needed for --help

    try:
        with Image.open(path) as picture:
            return _decoded(picture, path)
    except UnidentifiedImageError as error:
        raise InvalidArgument(f"{path} is no picture that can be read") from error
    except (OSError, XshmError):
        raise
    except Exception as error:  # what decoders stumble over in a broken file: SyntaxError, TypeError, RuntimeError, …
        raise InvalidArgument(f"{path} can't be read: {error}") from error


def _decoded(picture: Image.Image, path: str) -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415 - not needed for --help

    pictures = getattr(picture, "n_frames", 1)
    if pictures > 1:
        raise InvalidArgument(f"{path} holds {pictures} pictures; which one is meant can't be told")
    if _is_cut(picture):
        raise InvalidArgument(f"{path} has 16 bits a channel, of which only 8 can be read; compare the arrays instead")
    if picture.mode.startswith(("I", "F")):  # more than 8 bits, which a conversion to RGBA would cut off
        return np.asarray(picture)[..., np.newaxis]
    return np.asarray(picture.convert("RGBA"))


def _is_cut(picture: Image.Image) -> bool:
    """Tell whether Pillow reads but the upper 8 bits of 16 in each of several channels: it would call others equal."""
    return any(re.search(r"(LA|RGB[AXa]?);16[BLN]", str(tile)) for tile in getattr(picture, "tile", ()))


def _size(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _show(pixels: NDArray[Any], mask: NDArray[np.bool_], path: str) -> None:
    import numpy as np  # noqa: PLC0415 - not needed for --help
    from PIL import Image  # noqa: PLC0415

    from xshm.encode import by_suffix  # noqa: PLC0415

    if pixels.shape[2] == 1:  # more than 8 bits: shown in 8, from its darkest to its brightest
        pixels = pixels.astype(float) - pixels.min()
        pixels = np.repeat((pixels * (255 / max(pixels.max(), 1))).astype(np.uint8), 3, axis=2)
    shown = 255 - (255 - pixels[..., :3]) // _FAINT
    shown[mask] = (255, 0, 0)
    written = io.BytesIO()
    Image.fromarray(shown).save(written, by_suffix(path))
    replace_file(path, written.getvalue())
