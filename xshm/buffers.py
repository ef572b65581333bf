"""The two or three buffers of a surface: which one may be written, and what it lacks of what is shown.

A buffer is lent when nobody has it, and the server has read it: the proof has come (`xshm.blit`). The one that was
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
from xshm.memory import Segment, round_up
from xshm.picture import Source, subtract
from xshm.x11 import core, mit_shm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.blit import Way
    from xshm.geometry import Rect
    from xshm.picture import Picture
    from xshm.pixels import PixelFormat
    from xshm.transport import Transport
    from xshm.x11.connection import Connection
    from xshm.x11.messages import Pending

_MOST: Final = 3
_MOST_STALE: Final = 16


class Buffer:
    """Memory for the whole surface, and what it held last.

    `shown` is the number of the present by which all of it became what is shown, 0 where its content is undefined;
    `stale` the parts that are undefined, or were presented from elsewhere since.
    """

    __slots__ = ("_lent", "_owner", "_part", "pixels", "shown", "source", "stale")

    def __init__(self, owner: Any, pixels: NDArray[Any], source: Source) -> None:
        self._owner = owner
        self.pixels = pixels
        self.source = source
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
            self.lacks(self._part)
        self._part = part
        self.shown = 0
        return lent

    def give_back(self) -> None:
        """End the loan."""
        self._lent = None

    def presented(self, number: int) -> None:
        """Take note that all of it is shown, by that present; 0 where some of what is shown is not known."""
        self.shown = number
        self.stale = []
        self._part = None
        self._lent = None

    def lacks(self, part: Rect) -> None:
        """Take note that a part was presented from elsewhere."""
        left = subtract(self.stale, part)
        self.stale = [*left, part] if len(left) < _MOST_STALE else [self.source.place]


class Buffers:
    """All buffers of one surface, and those of a former size that are still shown."""

    def __init__(
        self, connection: Connection, transport: Transport, root: int, form: PixelFormat, way: Way, whole: Rect
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._root = root
        self._format = form
        self._way = way
        self._whole = whole
        self._former: list[Buffer] = []
        self.all: list[Buffer] = []

    def resize(self, whole: Rect) -> None:
        """From now on, lend buffers of this size."""
        self._former = [*self._former, *self.all]
        self.all = []
        self._whole = whole

    def find(self, picture: Picture) -> Buffer | Pending:
        """Return the buffer to lend next, the one that lacks least, or the request to wait for until there is one."""
        if self._former:
            self._tidy(picture)
        free = [each for each in self.all if not each.is_lent]
        ready = [each for each in free if not each.source.readers()]
        if ready:
            return max(ready, key=lambda each: each.shown)
        if len(self.all) < _MOST:
            buffer = self._make()
            self.all = [*self.all, buffer]
            return buffer
        if not free:
            raise InvalidArgument(f"all {_MOST} buffers are lent; leave one draw() before the next")
        return min((each.source.readers()[-1] for each in free), key=lambda request: request.serial)

    def forget(self) -> None:
        """Let go of all memory; the connection is over."""
        self.all = []
        self._former = []

    def _make(self) -> Buffer:
        width, height = self._whole.width, self._whole.height
        form = self._format
        size = form.nbytes(width, height)
        memory, shmseg = self._memory(size)
        owner: Any = (ctypes.c_ubyte * size).from_buffer(memory)
        shape, dtype, strides = form.layout(width, height)
        pixels: NDArray[Any] = np.ndarray(shape, dtype, owner, 0, strides)
        rows = np.frombuffer(owner, np.uint8).reshape(height, form.stride(width))
        place = self._whole
        source = Source(place, rows, form.bits_per_pixel // 8, shmseg)
        if self._way == "pixmap":
            source.pixmap = self._pixmap(shmseg, place)
        return Buffer(owner, pixels, source)

    def _memory(self, size: int) -> tuple[Any, int]:
        """Return memory, zeroed, and the shmseg that the server knows it by, 0 without shared memory."""
        if self._way == "core":
            return bytearray(size), 0
        kind = self._transport.kind
        segment = Segment("sysv" if kind == "sysv" else "memfd", round_up(size))
        return segment.memory, self._transport.attach(segment)

    def _pixmap(self, shmseg: int, place: Rect) -> int:
        pixmap = self._connection.allocate_resource_id()
        made = self._connection.send(
            mit_shm.CreatePixmap,
            opcode=self._transport.opcode,
            pid=pixmap,
            drawable=self._root,
            width=place.width,
            height=place.height,
            depth=self._format.depth,
            shmseg=shmseg,
            offset=0,
        )
        self._connection.check(made, doing="ShmCreatePixmap")
        return pixmap

    def _tidy(self, picture: Picture) -> None:
        """Let go of buffers of a former size once nothing of them is shown. What was sent is read before that."""
        gone = [each for each in self._former if not each.is_lent and not picture.shows(each.source)]
        for buffer in gone:
            self._former = [each for each in self._former if each is not buffer]
            source = buffer.source
            if source.pixmap:
                self._connection.send(core.FreePixmap, pixmap=source.pixmap)
                self._connection.free_resource_id(source.pixmap)
            if source.shmseg:
                self._transport.detach(source.shmseg)
