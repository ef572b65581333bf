"""The buffers of a swapchain, at most three: which one is free to be written, and which of its parts are stale.

A buffer is acquired to be written, then presented, or released without being presented. It is free when it is not
acquired and the server has completed every request that reads it (`blit`). The swapchain calls Buffers under its lock,
but for `drop`; the event that completes a request may come meanwhile, in another thread.

Always true:

1. The free buffer that was presented last is acquired first. It has no stale parts, and it is still in the processor's
   cache: at 1080p, with a wait after each present, two alternating buffers take 1.4 times as long as one.
2. A buffer is made only when all others are acquired or being read. So a program that waits after each present has one
   buffer, and a program that does not has two or three.
3. A buffer that is neither presented nor released counts as acquired until the caller's array is gone.
4. A resize retires all buffers. A retired one is freed when it is not acquired and no part of it is shown.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm.errors import InvalidArgument
from xshm.geometry import subtract
from xshm.shm.segment import Segment, round_up
from xshm.surface.contents import ImageSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat
    from xshm.shm.shared_pixmap import SharedPixmaps
    from xshm.shm.transport import Transport
    from xshm.surface.contents import Contents
    from xshm.x11.protocol.requests import Request

# Buffers: one that is written, one that the server reads, and one whose request waits behind that.
_MOST: Final = 3
# Rectangles that a buffer's stale parts are kept as; with more of them all of it counts as stale, and is copied.
_MOST_STALE: Final = 16


class Buffer:
    """Memory for one whole picture, and what is in it.

    `last_present` is the number of the last present from this buffer. `content_of` is the same number as long as the
    buffer holds the whole picture that was shown then; 0: some of its content is undefined. `stale` are the parts that
    are undefined, or that were presented from other memory since.
    """

    __slots__ = ("_part", "acquired", "content_of", "last_present", "pixels", "source", "stale")

    def __init__(self, pixels: NDArray[Any], source: ImageSource) -> None:
        self.pixels = pixels
        self.source = source
        self.last_present = 0
        self.content_of = 0
        self.stale = [source.place]
        self.acquired: weakref.ref[NDArray[Any]] | None = None  # weak: (3)
        self._part: Rect | None = None  # what was acquired and not presented yet

    @property
    def is_acquired(self) -> bool:
        """Whether a caller may be writing to it."""
        return self.acquired is not None and self.acquired() is not None

    def acquire(self, part: Rect) -> NDArray[Any]:
        """Return the memory of a part as an array to write; its content is undefined until it is presented."""
        # Always a view of its own: the weak reference has to end with the caller's array, and `pixels` stays.
        acquired = self.pixels[:] if part is self.source.place else self.pixels[part.slices]
        self.acquired = weakref.ref(acquired)
        if self._part is not None:  # that one was never presented: what was written to it is shown nowhere
            self.mark_stale(self._part)
        self._part = part
        self.content_of = 0
        return acquired

    def presented(self, number: int, *, complete: bool) -> None:
        """Record that the buffer holds all that is known of the drawable; with `complete`, the whole drawable."""
        self.last_present = number
        self.content_of = number if complete else 0
        self.stale = []
        self._part = None

    def forget_content(self) -> None:
        """Count all of the content as undefined."""
        self.content_of = 0
        self.stale = [self.source.place]

    def mark_stale(self, part: Rect) -> None:
        """Record that a part was presented from other memory."""
        left = subtract(self.stale, part)
        self.stale = [*left, part] if len(left) < _MOST_STALE else [self.source.place]


class Buffers:
    """The buffers of the present size, `all`, and the retired ones that are still acquired or shown."""

    def __init__(self, transport: Transport, pixmaps: SharedPixmaps | None, fmt: PixelFormat, extent: Rect) -> None:
        self._transport = transport
        self._pixmaps = pixmaps
        self._format = fmt
        self._extent = extent
        self._retired: list[Buffer] = []
        self.all: list[Buffer] = []

    def resize(self, extent: Rect) -> None:
        """Retire all buffers; new ones have this size."""
        self._retired = [*self._retired, *self.all]
        self.all = []
        self._extent = extent

    def find_free(self, contents: Contents) -> Buffer | Request:
        """Return the buffer to acquire next; if none is free, the request whose completion frees the first one."""
        if self._retired:
            self._free_retired(contents)
        best: Buffer | None = None
        awaited: list[Request] = []
        for each in self.all:
            # (1) The numbers are compared before the calls: a buffer that was presented earlier is not looked at.
            if best is not None and each.last_present <= best.last_present:
                continue
            acquired, reading = each.acquired, each.source.reading
            if acquired is not None and acquired() is not None:
                continue
            # Called once: the thread that reads the socket may complete a request at any moment.
            if reading and not reading[-1].done and (readers := each.source.readers()):
                awaited.append(readers[-1])
            else:
                best = each
        if best is not None:
            return best
        if len(self.all) < _MOST:  # (2)
            buffer = self._allocate(self._extent)
            self.all = [*self.all, buffer]
            return buffer
        if not awaited:
            raise InvalidArgument(f"all {_MOST} buffers are in use; leave one draw() before the next")
        return min(awaited, key=lambda request: request.serial)

    def make_detached(self, part: Rect) -> Buffer:
        """Make a buffer for a part that leaves the extent, which was larger when the part was asked for."""
        buffer = self._allocate(part)
        self._retired = [*self._retired, buffer]
        return buffer

    def drop(self) -> None:
        """Release all memory. The server's side of it went with the connection."""
        self.all = []
        self._retired = []

    def _allocate(self, place: Rect) -> Buffer:
        width, height = place.width, place.height
        fmt = self._format
        size = fmt.nbytes(width, height)
        memory, shmseg = self._allocate_memory(size)
        shape, dtype, strides = fmt.layout(width, height)
        pixels: NDArray[Any] = np.ndarray(shape, dtype, memory, 0, strides)
        rows = np.frombuffer(memory, np.uint8, size).reshape(height, fmt.stride(width))
        source = ImageSource(place, rows, fmt.bits_per_pixel // 8, shmseg)
        if self._pixmaps is not None:
            source.pixmap = self._pixmaps.make(shmseg, width, height)
        return Buffer(pixels, source)

    def _allocate_memory(self, size: int) -> tuple[Any, int]:
        """Return memory, zeroed, and the server's shmseg for it, 0 without shared memory."""
        kind = self._transport.kind
        if kind == "core":
            return bytearray(size), 0
        segment = Segment("sysv" if kind == "sysv" else "memfd", round_up(size))
        return segment.memory, self._transport.attach(segment)

    def _free_retired(self, contents: Contents) -> None:
        """Free what is retired and not needed (4). The server frees its side after the requests sent before."""
        kept = [each for each in self._retired if each.is_acquired or contents.shows(each.source)]
        # At once, and not with the last reference: requests in flight and the caller's old arrays still have some.
        for source in [each.source for each in self._retired if each not in kept]:
            if self._pixmaps is not None and source.pixmap is not None:
                self._pixmaps.free(source.pixmap)
            if source.shmseg:
                self._transport.detach(source.shmseg)
        self._retired = kept
