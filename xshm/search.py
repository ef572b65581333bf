"""Finding a small picture in a large one: to the last bit with numpy, or about the same with OpenCV."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm import opencv
from xshm.alpha import premultiply
from xshm.convert import bands
from xshm.errors import InvalidArgument, InvalidType
from xshm.frame import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    Picture = str | os.PathLike[str] | Image.Image | Frame | NDArray[np.uint8]

# So many of the picture's pixels are looked at before a place is compared as a whole: a place where a share p of the
# pixels is wrong gets that far with a probability of (1 - p) ** 256. Only time hangs on it: what is left is compared.
_PROBES: Final = 256
_FEW: Final = 8
# Where much is alike, an empty page for one, probes alone take long; then places are told apart by how often each of
# the picture's commonest colours comes, which costs the same for any picture (20 ms for one colour at 1080p).
_PROBES_BEFORE_COUNTING: Final = 16
_COLOURS_COUNTED: Final = 3


def as_rgb(picture: Picture) -> NDArray[np.uint8]:
    """Return (height, width, 3) uint8 R G B of a file's path, a Pillow image, a Frame or such an array.

    What has alpha is seen over black, as `Frame.rgb` returns it.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only here

    if isinstance(picture, Frame):
        return picture.rgb()
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:  # noqa: PLR2004
            raise InvalidArgument(f"a picture is (height, width, 3) uint8, R G B; not {picture.shape} {picture.dtype}")
        return picture
    if isinstance(picture, Image.Image):
        return _over_black(picture)
    if not isinstance(picture, (str, os.PathLike)):
        raise InvalidType(f"a picture is a path, a Pillow image, a Frame or an array; not {type(picture).__name__}")
    try:
        with Image.open(picture) as opened:
            return _over_black(opened)
    except UnidentifiedImageError as error:
        raise InvalidArgument(f"{os.fspath(picture)} is no picture that can be read") from error


def find(inside: NDArray[np.uint8], picture: NDArray[np.uint8], threshold: float) -> tuple[int, int, float] | None:
    """Return x, y of the picture's corner, and how much differs there; None where it is nowhere.

    Both are (height, width, 3) uint8. With threshold 0.0 each pixel is the same, and the first place from the top is
    returned. Else the best place is, if the root of the mean square of what differs is at most `threshold` of full
    brightness; raises MissingExtra without OpenCV.
    """
    (height, width), (rows, columns) = inside.shape[:2], picture.shape[:2]
    if rows > height or columns > width:
        return None
    if threshold == 0:
        found = _find_exactly(_packed(inside), _packed(picture))
        return None if found is None else (*found, 0.0)
    cv2: Any = opencv.required()
    differing = cv2.matchTemplate(np.ascontiguousarray(inside), np.ascontiguousarray(picture), cv2.TM_SQDIFF)
    least, _, place, _ = cv2.minMaxLoc(differing)
    difference = float(np.sqrt(max(least, 0.0) / picture.size)) / 255
    return None if difference > threshold else (int(place[0]), int(place[1]), difference)


def _over_black(image: Image.Image) -> NDArray[np.uint8]:
    if not (image.mode.endswith("A") or "transparency" in image.info):
        return np.asarray(image.convert("RGB"))
    rgba = np.asarray(image.convert("RGBA"))
    return np.ascontiguousarray(premultiply(rgba, bands(*rgba.shape[:2]))[..., :3])


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    packed = rgb[..., 0].astype(np.uint32)
    packed <<= 8
    packed |= rgb[..., 1]
    packed <<= 8
    packed |= rgb[..., 2]
    return packed


def _find_exactly(inside: NDArray[np.uint32], picture: NDArray[np.uint32]) -> tuple[int, int] | None:
    rows, columns = picture.shape
    last_row, last_column = inside.shape[0] - rows + 1, inside.shape[1] - columns + 1
    values, where, counts = np.unique(picture, return_index=True, return_counts=True)
    rarest = int(where[np.argmin(counts)])
    order = np.random.default_rng(len(values)).permutation(picture.size)[:_PROBES]
    row, column = divmod(rarest, columns)
    ys, xs = np.nonzero(inside[row : row + last_row, column : column + last_column] == picture[row, column])
    for count, probe in enumerate(order.tolist()):
        if len(ys) <= _FEW:
            break
        if count == _PROBES_BEFORE_COUNTING:
            alike = _counted_alike(inside, picture, values[np.argsort(-counts)][:_COLOURS_COUNTED])[ys, xs]
            ys, xs = ys[alike], xs[alike]
        row, column = divmod(probe, columns)
        same = inside[ys + row, xs + column] == picture[row, column]
        ys, xs = ys[same], xs[same]
    for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
        if np.array_equal(inside[y : y + rows, x : x + columns], picture):
            return x, y
    return None


def _counted_alike(
    inside: NDArray[np.uint32], picture: NDArray[np.uint32], colours: NDArray[np.uint32]
) -> NDArray[np.bool_]:
    """Tell for each place whether as many pixels of each of these colours are there as in the picture."""
    rows, columns = picture.shape
    sums = np.zeros((inside.shape[0] + 1, inside.shape[1] + 1), np.int32)
    alike = np.ones((inside.shape[0] - rows + 1, inside.shape[1] - columns + 1), bool)
    for colour in colours:
        np.cumsum(np.cumsum(inside == colour, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
        there = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
        alike &= there == np.count_nonzero(picture == colour)
    return alike
