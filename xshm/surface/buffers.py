"""The two or three buffers of a surface: which one may be written, and what it lacks of what is shown.

A buffer is lent when nobody has it, and the server has read it: the proof has come (`blit`). The one that was
shown last goes first: it lacks nothing, and it is still in the processor's cache (1080p, each present waited for: two
buffers in turn take 1.4 times as long as one). So a second one comes when the first is still being read, and a third
likewise.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm.errors import InvalidArgument
from xshm.shm.segment import Segment, round_up
from xshm.surface.contents import ImageSource, subtract

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat
    from xshm.shm.shared_pixmap import SharedPixmaps
    from xshm.shm.transport import Transport
    from xshm.surface.contents import Contents
    from xshm.x11.protocol.requests import Request

_MOST: Final = 3
_MOST_STALE: Final = 16


class Buffer:
    """Memory for a surface, and what it held last.

    `latest` is the number of the present that it was shown by last; `shown` too, but 0 where some of its content is
    undefined; `stale` the parts that are undefined, or were presented from elsewhere since.
    """

    __slots__ = ("_lent", "_owner", "_part", "latest", "pixels", "shown", "source", "stale")

    def __init__(self, owner: Any, pixels: NDArray[Any], source: ImageSource) -> None:
        self._owner = owner
        self.pixels = pixels
        self.source = source
        self.latest = 0
        self.shown = 0
        self.stale = [source.place]
        self._lent: weakref.ref[NDArray[Any]] | None = None
        self._part: Rect | None = None  # lent, and not presented since

    @property
    def is_lent(self) -> bool:
        """Whether somebody has it to write. A loan ends with the array that was lent, if not before."""
        return self._lent is not None and self._lent() is not None

    def lend(self, part: Rect) -> NDArray[Any]:
        """Lend the memory of a part, as an array; until it is presented its content counts as undefined."""
        lent = self.pixels[:] if part is self.source.place else self.pixels[part.slices]
        self._lent = weakref.ref(lent)
        if self._part is not None:
            self.mark_stale(self._part)
        self._part = part
        self.shown = 0
        return lent

    def give_back(self) -> None:
        """End the loan."""
        self._lent = None

    def presented(self, number: int, *, complete: bool) -> None:
        """Take note that it holds all that is known to be shown since that present; `complete`: that is the whole."""
        self.latest = number
        self.shown = number if complete else 0
        self.stale = []
        self._part = None
        self._lent = None

    def mark_stale(self, part: Rect) -> None:
        """Take note that a part was presented from elsewhere."""
        left = subtract(self.stale, part)
        self.stale = [*left, part] if len(left) < _MOST_STALE else [self.source.place]


class Buffers:
    """All buffers of one surface, and those of a former size that are lent or shown."""

    def __init__(self, transport: Transport, pixmaps: SharedPixmaps | None, fmt: PixelFormat, whole: Rect) -> None:
        self._transport = transport
        self._pixmaps = pixmaps
        self._format = fmt
        self._whole = whole
        self._retired: list[Buffer] = []
        self.all: list[Buffer] = []

    def resize(self, whole: Rect) -> None:
        """From now on, lend buffers of this size."""
        self._retired = [*self._retired, *self.all]
        self.all = []
        self._whole = whole

    def find(self, picture: Contents) -> Buffer | Request:
        """Return the buffer to lend next, the one that lacks least, or the request to wait for until there is one."""
        if self._retired:
            self._free_retired(picture)
        best: Buffer | None = None
        for each in self.all:
            if (best is None or each.latest > best.latest) and not each.is_lent and not each.source.readers():
                best = each
        if best is not None:
            return best
        if len(self.all) < _MOST:
            buffer = self._make(self._whole)
            self.all = [*self.all, buffer]
            return buffer
        readers = [each.source.readers()[-1] for each in self.all if not each.is_lent]
        if not readers:
            raise InvalidArgument(f"all {_MOST} buffers are lent; leave one draw() before the next")
        return min(readers, key=lambda request: request.serial)

    def make_detached(self, part: Rect) -> Buffer:
        """Return a buffer for a part that leaves the surface, which was larger when that was asked for."""
        buffer = self._make(part)
        self._retired = [*self._retired, buffer]
        return buffer

    def forget(self) -> None:
        """Let go of all memory; the connection is over."""
        self.all = []
        self._retired = []

    def _make(self, place: Rect) -> Buffer:
        width, height = place.width, place.height
        fmt = self._format
        size = fmt.nbytes(width, height)
        memory, shmseg = self._memory(size)
        owner: Any = (ctypes.c_ubyte * size).from_buffer(memory)
        shape, dtype, strides = fmt.layout(width, height)
        pixels: NDArray[Any] = np.ndarray(shape, dtype, owner, 0, strides)
        rows = np.frombuffer(owner, np.uint8).reshape(height, fmt.stride(width))
        source = ImageSource(place, rows, fmt.bits_per_pixel // 8, shmseg)
        if self._pixmaps is not None:
            source.pixmap = self._pixmaps.make(shmseg, width, height)
        return Buffer(owner, pixels, source)

    def _memory(self, size: int) -> tuple[Any, int]:
        """Return memory, zeroed, and the shmseg that the server knows it by, 0 without shared memory."""
        kind = self._transport.kind
        if kind == "core":
            return bytearray(size), 0
        segment = Segment("sysv" if kind == "sysv" else "memfd", round_up(size))
        return segment.memory, self._transport.attach(segment)

    def _free_retired(self, picture: Contents) -> None:
        """Let go of buffers of a former size once nothing of them is shown. What was sent is read before that."""
        kept = [each for each in self._retired if each.is_lent or picture.shows(each.source)]
        for source in [each.source for each in self._retired if each not in kept]:  # now, and not when all have let go
            if self._pixmaps is not None and source.pixmap is not None:
                self._pixmaps.free(source.pixmap)
            if source.shmseg:
                self._transport.detach(source.shmseg)
        self._retired = kept
