"""Write JPEG by libjpeg-turbo, Pillow's or OpenCV's: a large picture in strips, on two threads, which are joined.

A JPEG may have restart markers, behind which its decoder begins anew (ITU-T T.81, E.1.4). So strips can be encoded each
for itself, and the data of the next one follow behind such a marker: the picture is that of one piece, to the last bit.
Milliseconds of a 1080p page on two processors: 4.1 by Pillow, and 6.2 as one piece; 2.9 and 4.9 by OpenCV
(tests/bench/pixels.py). The strips do not depend on the number of processors.

Where they are not what can be joined, or one can't be written, there is the way of one piece: `jpeg` returns b"".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm._signal_safety import PILLOW, Descriptor, is_a_handlers
from xshm.image.files.two_threads import together
from xshm.pixels import opencv
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

_STRIP: Final = 1 << 18  # pixels, at most: a smaller picture in strips takes as long as in one piece
_BLOCK: Final = 8  # rows and columns that are transformed together
_ROWS: Final = 16  # of a strip are a multiple of this: 4:2:0 has two blocks above each other
_MOST_UNITS: Final = 0xFFFF  # between two restart markers
_START, _END = b"\xff\xd8", b"\xff\xd9"
_BASELINE, _SCAN, _RESTART_INTERVAL, _RESTART = 0xC0, 0xDA, 0xDD, 0xD0  # second bytes of markers
_RESTARTS: Final = 8  # restart markers are counted


def jpeg(raster: Raster, quality: int, picture: Callable[[Raster], Image.Image]) -> bytes:
    """Return a JPEG; b"" where Pillow's ordinary way is the best, or the only one.

    `picture` makes of a Raster what Pillow is to encode.
    """
    cv2 = _opencv_for(raster)

    def encode(part: Raster) -> bytes:
        return _by_pillow(picture(part), quality) if cv2 is None else _by_opencv(cv2, part, quality)

    return _in_strips(raster, encode) or (b"" if cv2 is None else _by_opencv(cv2, raster, quality))


# -- a part ------------------------------------------------------------------------------------------------------------


def _opencv_for(raster: Raster) -> Any:
    """Return OpenCV where this process has imported it, and it reads the pixels as they are, which saves a copy."""
    if raster.format.byte_offsets != (2, 1, 0) or raster.pixels.shape[2:] != (4,):
        return None
    return opencv.loaded(raster.width * raster.height)


def _by_opencv(cv2: Any, raster: Raster, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", raster.pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes() if done else b""


def _by_pillow(picture: Image.Image, quality: int) -> bytes:
    """Return a JPEG, by way of a file in memory: while it writes to a descriptor, Pillow lets other threads run.

    Raises OSError where there is no descriptor or memory for it.
    """
    opened: list[Descriptor] = []
    opened.extend(map(Descriptor, map(os.memfd_create, ("xshm-jpeg",))))  # a handler may raise behind any call
    with open(opened[0], "w+b", buffering=0, closefd=False) as file:
        picture.save(file, "JPEG", quality=quality)
        return os.pread(opened[0], file.tell(), 0)


# -- strips ------------------------------------------------------------------------------------------------------------


class _Parsed(NamedTuple):
    """A JPEG of one scan: its file, where the frame's header is in it, the scan's, and the scan's data."""

    data: bytes
    frame: int
    scan: int
    body: int

    def head(self, height: int) -> bytes:
        """Return all before the scan's data, of a picture of so many rows."""
        head = bytearray(self.data[: self.body])
        head[self.frame + 5 : self.frame + 7] = height.to_bytes(2)
        return bytes(head)

    def unit(self) -> tuple[int, int]:
        """Return the pixels across and down of what is encoded as one: the blocks that belong together."""
        # Marker, length, precision, height, width, the number of components, then three bytes of each: number, sampling
        # (across and down, in four bits each), table.
        count = self.data[self.frame + 9]
        if count == 1:
            return _BLOCK, _BLOCK  # a single component is not sampled
        samplings = self.data[self.frame + 11 : self.frame + 11 + 3 * count : 3]
        return _BLOCK * max(each >> 4 for each in samplings), _BLOCK * max(each & 15 for each in samplings)


def _in_strips(raster: Raster, encode: Callable[[Raster], bytes]) -> bytes:
    """Return a JPEG of several strips; b"" where there is none."""
    count = -(-raster.width * raster.height // _STRIP)
    rows = -(-raster.height // (count * _ROWS)) * _ROWS
    if rows >= raster.height:
        return b""
    tops = range(0, raster.height, rows)
    encoded = [b""] * len(tops)
    # Each thread takes the next strip: a page's lower half may be empty.
    waiting = iter(enumerate(tops))

    def work() -> None:
        for number, top in waiting:
            pixels = raster.pixels[top : top + rows]
            encoded[number] = encode(Raster(pixels, raster.format, raster.colormap, raster.width))

    try:
        together(work, work)
    except OSError as error:  # no descriptor, a limit of file sizes
        if is_a_handlers(error, *PILLOW):
            raise
        return b""
    strips = [parsed for each in encoded if (parsed := _parse(each)) is not None]
    return _joined(strips, raster.size, rows) if len(strips) == len(tops) else b""


def _parse(data: bytes) -> _Parsed | None:
    """Return where the parts of a JPEG are, or None for one that is not of a single scan, baseline."""
    at, frame = 2, 0
    if data[:2] != _START or data[-2:] != _END:
        return None
    while data[at : at + 1] == b"\xff":
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker == _BASELINE:
            frame = at
        if marker == _RESTART_INTERVAL:
            return None
        if marker == _SCAN:
            return _Parsed(data, frame, at, at + 2 + length) if frame else None
        at += 2 + length
    return None


def _joined(strips: list[_Parsed], size: tuple[int, int], rows: int) -> bytes:
    """Return one file of strips, which have to be alike in all but their heights; b"" where they are not."""
    width, height = size
    first = strips[0]
    head, (across, down) = first.head(height), first.unit()
    units = -(-width // across) * (rows // down)
    if rows % down or units > _MOST_UNITS or any(each.head(height) != head for each in strips):
        return b""
    pieces = [head[: first.scan], bytes((0xFF, _RESTART_INTERVAL, 0, 4)), units.to_bytes(2), head[first.scan :]]
    for number, each in enumerate(strips):
        pieces += [each.data[each.body : -2], bytes((0xFF, _RESTART + number % _RESTARTS))]
    return b"".join((*pieces[:-1], _END))
