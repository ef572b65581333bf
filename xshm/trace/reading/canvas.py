"""TraceCanvas: the pictures of a trace as pixels, brought from any one to any other by their rectangles.

Always true:

1. `pixels` is the picture `index`, whole; bits without meaning are the same everywhere, so that equal colours are equal
   numbers.
2. A picture is a key picture and what changes it up to there. Going forward decodes what comes between; going back
   begins at the nearest of the key picture and the copies that were kept on the way.
3. What later rectangles cover is not decoded.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol

from xshm._signal_safety import PILLOW, is_a_handlers
from xshm.errors import InvalidArgument, XshmError
from xshm.geometry import Rect
from xshm.image.difference import bounds
from xshm.image.files import png_decode
from xshm.image.files.reader import BROKEN, message
from xshm.pixels import channels
from xshm.pixels.alpha import premultiply
from xshm.pixels.from_rgb import PixelWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.image.files.png_decode import Samples
    from xshm.pixels.format import PixelFormat
else:
    from xshm._numpy import np

_COVERS: Final = 8  # rectangles that an older one is compared with: those of full motion are one or two
# After more records than these at once a copy of the picture half-way is kept: going back step by step then takes
# half of the way each time, and soon a few records.
_FAR: Final = 64
_KEPT_BYTES: Final = 64 << 20  # of copies; two are kept in any case
_FULL: Final = 0xFF
_DEEP: Final = 65535
_SECOND: Final = 10**9


class TracePicture(Protocol):
    """A picture of a trace: what differs from the one before, or all of it."""

    @property
    def at(self) -> int:
        """Its time, nanoseconds."""

    @property
    def is_key(self) -> bool:
        """Whether it is whole."""

    def patches(self) -> Iterator[tuple[Rect, bytes]]:
        """Yield its rectangles, and their pixels as PNG files."""


class TraceCanvas:
    """The pictures of a trace, the first of them whole; for one thread at a time.

    `index` is the one that `pixels` shows, and `memory` is what they lie in; -1: none yet.
    """

    def __init__(self, fmt: PixelFormat, size: tuple[int, int], pictures: Sequence[TracePicture]) -> None:
        self.format: Final = fmt
        self.size: Final = size
        self._whole = Rect(0, 0, *size)
        self._pictures = pictures
        self._keys = [at for at, each in enumerate(pictures) if each.is_key]
        self._writer = PixelWriter(fmt)
        self._nbytes = fmt.nbytes(*size)
        self._copies: OrderedDict[int, bytes] = OrderedDict()
        self.memory = bytearray()
        self.pixels: NDArray[Any]
        self.index = -1
        self._own(bytearray(self._nbytes))

    def _own(self, memory: bytearray) -> None:
        shape, dtype, strides = self.format.layout(*self.size)
        self.memory, self.pixels = memory, np.ndarray(shape, dtype, memory, 0, strides)

    def __len__(self) -> int:
        return len(self._pictures)

    def fresh(self) -> TraceCanvas:
        """Return another one of the same pictures, which shows none yet."""
        return TraceCanvas(self.format, self.size, self._pictures)

    # -- from picture to picture ---------------------------------------------------------------------------------------

    def move(self, index: int) -> None:
        """Show a picture. Raises InvalidArgument where its rectangles are none; then none is shown."""
        start = self._start(index)
        if index - start > _FAR:
            middle = (start + index) // 2
            self._paint(start, middle)
            self._keep(middle)
            start = self._start(index)
        self._paint(start, index)

    def step(self) -> list[Rect]:
        """Show the next picture; return the rectangles where it may differ from the one before."""
        index = self.index + 1
        picture = self._pictures[index]
        if index == 0 or not picture.is_key:
            self.move(index)
            return [rect for rect, _ in self._patches(picture)]
        before = self.pixels.copy()
        self.move(index)
        differs = self.pixels != before
        changed = bounds(differs.any(axis=2) if differs.ndim == 3 else differs)  # noqa: PLR2004 - samples of a pixel
        return [] if changed is None else [changed]

    def _start(self, index: int) -> int:
        """Return the first record to paint for a picture, on what is shown then."""
        key = self._keys[bisect.bisect_right(self._keys, index) - 1]
        kept = max((each for each in self._copies if key <= each <= index), default=-1)
        if key <= self.index <= index and self.index >= kept:
            return self.index + 1
        if kept >= 0:
            self._copies.move_to_end(kept)
            self._own(bytearray(self._copies[kept]))
            self.index = kept
            return kept + 1
        return key

    def _keep(self, index: int) -> None:
        self._copies[index] = bytes(self.memory)
        while len(self._copies) > max(_KEPT_BYTES // self._nbytes, 2):
            self._copies.popitem(last=False)

    def _paint(self, start: int, index: int) -> None:
        """Paint the rectangles of these records, both ends included, but for those that later ones cover."""
        wanted: list[tuple[TracePicture, Rect, bytes]] = []
        covers: list[Rect] = []
        for picture in self._pictures[start : index + 1][::-1]:
            for rect, png in reversed(self._patches(picture)):
                if not any(cover.contains(rect) for cover in covers):
                    wanted.append((picture, rect, png))
                    covers = sorted((*covers, rect), key=_area)[-_COVERS:]
        if wanted:
            self.index = -1  # until it is whole again
        for picture, rect, png in reversed(wanted):
            self._decode(picture, rect, png)
        self.index = index

    # -- the pixels of a region ----------------------------------------------------------------------------------------

    def group(self, index: int) -> tuple[int, int]:
        """Return the key picture that a picture begins with, and the picture before the next one."""
        place = bisect.bisect_right(self._keys, index)
        return self._keys[place - 1], (self._keys[place] if place < len(self._keys) else len(self._pictures)) - 1

    def pixels_of(self, region: Rect, first: int, last: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the pixels of a region in a key picture, and in those up to `last` that draw to it.

        It is the same array each time.
        """
        shape, dtype, _ = self.format.layout(region.width, region.height)
        found: NDArray[Any] = np.zeros(shape, dtype)
        for index in range(first, last + 1):
            picture = self._pictures[index]
            is_drawn = False
            for rect, png in self._patches(picture):
                common = rect.intersect(region)
                if common is None:
                    continue
                part = self._blank(rect)
                self._decode(picture, rect, png, part)
                inner = common.moved(-rect.x, -rect.y)
                found[common.moved(-region.x, -region.y).slices] = part[inner.slices]
                is_drawn = True
            if is_drawn:
                yield index, found

    def _blank(self, rect: Rect) -> NDArray[Any]:
        shape, dtype, _ = self.format.layout(rect.width, rect.height)
        return np.zeros(shape, dtype)

    # -- one rectangle -------------------------------------------------------------------------------------------------

    def _patches(self, picture: TracePicture) -> list[tuple[Rect, bytes]]:
        """Return a picture's rectangles. Raises InvalidArgument for a key picture that is not whole."""
        found = list(picture.patches())
        if picture.is_key and [rect for rect, _ in found] != [self._whole]:
            what = f"the picture of {picture.at / _SECOND:.3f} s can't be decoded: it is a key, and not {self._whole}"
            raise InvalidArgument(what)
        return found

    def _decode(self, picture: TracePicture, rect: Rect, png: bytes, target: NDArray[Any] | None = None) -> None:
        """Write a rectangle's pixels into the canvas, or into `target`. Raises InvalidArgument for what is none."""
        try:
            samples = png_decode.decode(png)
            if samples.size != (rect.width, rect.height) or not self._whole.contains(rect):
                raise InvalidArgument(f"{samples.size} pixels are no {rect} of {self._whole}")
            self._fill(self.pixels[rect.slices] if target is None else target, samples)
        except (*BROKEN, XshmError) as error:
            if is_a_handlers(error, *PILLOW):
                raise
            what = f"the picture of {picture.at / _SECOND:.3f} s can't be decoded: {message(error)}"
            raise InvalidArgument(what) from error

    def _fill(self, target: NDArray[Any], samples: Samples) -> None:
        if samples.table is None:
            self._convert(target, samples.values)
            return
        # The colours become pixels, and then one look-up a pixel.
        shape, dtype, _ = self.format.layout(len(samples.table), 1)
        colours: NDArray[Any] = np.zeros(shape, dtype)
        self._convert(colours, samples.table[None])
        if colours.ndim == 3 and colours.shape[2] == 4:  # noqa: PLR2004 - numbers are looked up faster than bytes
            target.view(np.uint32)[..., 0] = colours.view(np.uint32)[0, :, 0].take(samples.values)
        else:
            target[...] = colours[0].take(samples.values, axis=0)

    def _convert(self, target: NDArray[Any], values: NDArray[Any]) -> None:
        """Write gray, R G B or R G B A samples as pixels of the format."""
        if values.dtype == np.uint8:
            samples = premultiply(values) if values.shape[2:] == (4,) else values
            self._writer.fill(target, samples, "rgb")
            rest = self.format.fourth_byte
            if rest is not None and not self.format.alpha_mask:
                target[..., rest] = _FULL
            return
        fmt = self.format
        masks = (fmt.red_mask, fmt.green_mask, fmt.blue_mask, fmt.alpha_mask) if fmt.has_masks else (fmt.colour_mask,)
        parts = [values] * 3 if values.ndim == 2 else [values[..., at] for at in range(values.shape[2])]  # noqa: PLR2004
        pixels = np.zeros(values.shape[:2], np.uint32)
        for at, (mask, part) in enumerate(zip(masks, parts, strict=False)):
            low = max(mask & -mask, 1)
            shades = part.astype(np.uint64)
            if len(parts) == 4 and at < 3:  # noqa: PLR2004 - straight alpha
                shades = (2 * shades * parts[3] + _DEEP) // (2 * _DEEP)
            # Rounded to the nearest, so that what was scaled up to 16 bits is what it was.
            pixels |= ((2 * shades * (mask // low) + _DEEP) // (2 * _DEEP) * low).astype(np.uint32)
        channels.store(pixels, target, fmt)


def _area(rect: Rect) -> int:
    return rect.width * rect.height
