"""Golden pictures: what tests expect to see, as PNG files in a directory beside the test's file.

`test_login.py` has its pictures in `test_login-snapshots/`, as Playwright has them, and beside `form.png` lies
`form.json`: the surroundings that it was taken in. Both are written whole or not at all, and only when asked for.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.image.files import encode, reader
from xshm.pixels.alpha import premultiply
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster
from xshm.system.atomic_write import replace_file
from xshm.system.printable import quoted
from xshm.testing.pictures.surroundings import Surroundings

if TYPE_CHECKING:
    from xshm.testing.pictures.matching import Colours

_DIRECTORY: Final = "-snapshots"
_LEVEL: Final = 6  # of compression: the file goes into a repository
_LARGEST: Final = 32767  # what X11 allows a screen or window: coordinates are INT16
# What a repository that is checked out on any system may hold; "/" parts directories.
_SAFE: Final = re.compile(r"[\w\[\]()+,=@ -][\w\[\]()+,=@. -]*")
_MOST: Final = 100  # bytes of a name: 255 is what file systems take, and the names of the test's output are longer


class Golden:
    """The picture that a test names; `path` is its file, which need not exist. Raises InvalidArgument for bad names."""

    def __init__(self, test: Path, name: object) -> None:
        self.name = _checked(name)
        self.path = test.with_name(test.stem + _DIRECTORY) / self.name
        self._record = self.path.with_suffix(".json")

    @property
    def label(self) -> str:
        """The name as a part of other files' names: "menus/file.png" is "menus-file"."""
        return self.name.removesuffix(".png").replace("/", "-")

    def read(self) -> Colours | None:
        """Return the picture, (height, width, 3) R G B, over black; None where there is none.

        Raises InvalidArgument for a file that is no picture, OSError for one that can't be read.
        """
        try:
            picture = reader.read(self.path, (_LARGEST, _LARGEST, f"is larger than any screen, {_LARGEST}x{_LARGEST}"))
        except FileNotFoundError:
            return None
        return np.ascontiguousarray(premultiply(reader.rgba(picture.image, str(self.path)))[..., :3])

    def surroundings(self) -> Surroundings | None:
        """Return what was noted when the picture was written; None where that is missing or can't be read."""
        return Surroundings.read(self._record)

    def write(self, picture: Colours, surroundings: Surroundings) -> None:
        """Write the picture and its surroundings. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, png(picture))
        replace_file(self._record, surroundings.as_json())


def png(picture: Colours) -> bytes:
    """Return a picture's PNG."""
    return encode.png(Raster(picture, PixelFormat.RGB), level=_LEVEL)


def _checked(name: object) -> str:
    """Return the name of a picture's file, relative to the directory; raise InvalidArgument."""
    text = _arguments.path(name, "a picture's name")
    path = PurePosixPath(text)
    if path.suffix != ".png":
        raise InvalidArgument(f"a picture's name ends in .png, as 'form.png' does; not {quoted(text)}")
    if path.is_absolute() or not all(_SAFE.fullmatch(part) for part in path.parts):
        raise InvalidArgument(
            f"a picture's name is a file below the test's own directory, of letters, digits and no '..', 'form.png' or "
            f"'menus/file.png'; not {quoted(text)}"
        )
    size = len(os.fsencode(text))
    if size > _MOST:
        raise InvalidArgument(f"a picture's name has at most {_MOST} bytes, not {size}: {quoted(text)}")
    return str(path)
