"""What a surface shows, and the buffers behind it, in step with the server.

No buffer is written while the server reads it, whatever comes in between: a server that is stopped, a request that
fails, a signal handler that raises. What is shown stays in memory, and is drawn again from there when it was exposed;
only a part that is lent while the server has its last picture is missing, until it is presented.

How it keeps step. A present is decided on by one store (`_begun`); sending it and taking note of it may be done twice,
and whoever comes next does what a signal handler has cut short. Everything but waiting and painting is done under one
lock, so that one thread may draw while another waits for events.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from xshm.errors import Closed, InvalidArgument, WindowGone
from xshm.geometry import Rect
from xshm.shm.shared_pixmap import SharedPixmaps
from xshm.surface.blit import Blitter
from xshm.surface.buffers import Buffer, Buffers
from xshm.surface.contents import Contents, ImageSource, subtract
from xshm.surface.frame_memory import FrameMemory
from xshm.system.deadlines import holding, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.shm.transport import Transport
    from xshm.surface.blit_path import BlitPath
    from xshm.surface.target import Opened
    from xshm.x11.connection import Connection
    from xshm.x11.protocol.requests import Request

_MOST_UNDER_WAY = 8  # requests
_MOST_FRAMES = 4  # whose memory parts of what is shown may pin at once


@dataclass(slots=True)
class BackBuffer:
    """Memory on its way to be shown: a part of a buffer."""

    buffer: Buffer
    part: Rect
    pixels: NDArray[Any]


class Drawing:
    """A loan as a context manager: presented on leaving, or taken back where that is by an exception."""

    __slots__ = ("_loan", "_part", "_presenter")

    def __init__(self, presenter: Swapchain, part: Rect) -> None:
        self._presenter = presenter
        self._part = part
        self._loan: BackBuffer | None = None

    def __enter__(self) -> NDArray[Any]:
        if self._loan is not None:
            raise InvalidArgument("this draw() was entered before; ask for another")
        self._loan = self._presenter.acquire(self._part)
        return self._loan.pixels

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._loan is not None:
            if kind is None:
                self._presenter.present(self._loan)
            else:
                self._presenter.discard(self._loan)


@dataclass(slots=True)
class _Present:
    """A present that is decided on. With `buffer`, that buffer holds all that is shown from then on."""

    number: int
    part: Rect
    source: ImageSource
    requests: tuple[Request, ...]
    buffer: Buffer | None


class Swapchain:
    """`whole` is its rectangle, `age` that of the memory lent last (`Surface.age`), `lock` guards all but waiting."""

    def __init__(self, connection: Connection, transport: Transport, opened: Opened, way: BlitPath) -> None:
        self.whole = Rect(0, 0, *opened.size)
        self.age = 0
        self.lock = Lock()
        self._wire = connection.wire
        self._drawable = opened.drawable
        self._own = opened.own
        self._inbox = opened.inbox
        self._blit = Blitter(connection, transport, opened.drawable, opened.fmt, way)
        pixmaps = SharedPixmaps(connection, transport, opened.root, opened.fmt.depth) if way == "pixmap" else None
        self._buffers = Buffers(transport, pixmaps, opened.fmt, self.whole)
        self._frames = FrameMemory(transport, pixmaps, opened.fmt)
        self._picture = Contents(self.whole if opened.own else None)
        self._presents = 0
        self._begun: _Present | None = None
        self._closed = False

    # -- presenting ------------------------------------------------------------------------------------------------

    def acquire(self, part: Rect) -> BackBuffer:
        """Find a buffer that may be written, waiting for the server if there is none."""
        if self._blit.inflight:
            self._make_room()
        while True:
            with self.lock:
                self.service()
                if not (part is self.whole or self.whole.contains(part)):  # another thread has taken in a new size
                    self.age = 0
                    apart = self._buffers.make_detached(part)
                    return BackBuffer(apart, part, apart.lend(part))
                found = self._buffers.find(self._picture)
                if isinstance(found, Buffer):
                    self.age = self._presents + 1 - found.shown if found.shown else 0
                    self._picture.forget(part, found.source)
                    return BackBuffer(found, part, found.lend(part))
            self._blit.wait(found)

    def discard(self, loan: BackBuffer) -> None:
        """Take memory back without presenting it."""
        loan.pixels.flags.writeable = False
        loan.buffer.give_back()

    def present(self, loan: BackBuffer) -> None:
        """Present what was lent, after the rest of the buffer was brought up to what is shown."""
        loan.pixels.flags.writeable = False
        buffer, part = loan.buffer, loan.part
        with self.lock:
            if self._closed or self._begun is not None:
                self.service()
            if buffer not in self._buffers.all:  # of a former size
                inside = part.intersect(self.whole)
                buffer.give_back()
                if inside is not None:
                    self._present(buffer.source, inside, None)
                return
            if buffer.stale:
                self._complete(buffer, part)
            self._present(buffer.source, part, buffer)

    def present_frame(self, pixels: NDArray[Any], place: Rect, part: Rect) -> bool:
        """Present a part of a frame's memory that lies at `place`; False where the server can't read it.

        It is held until the server has read it, and while it is shown.
        """
        if self._blit.inflight:
            self._make_room()
        with self.lock:
            self.service()
            inside = part if part is self.whole else part.intersect(self.whole)
            if inside is None:  # another thread has taken in a new size
                return True
            source = self._frames.source(pixels, place) if inside is self.whole or self._may_pin(inside) else None
            if source is not None:
                self._present(source, inside, None)
        return source is not None

    def wait(self, timeout: float | None) -> None:
        """Return when the server has read all that was presented, and what it has told of as exposed is drawn again."""
        deadline = None if timeout is None else time.monotonic() + timeout
        within(math.inf if deadline is None else deadline, self._wait, deadline)

    def _wait(self, deadline: float | None) -> None:
        if self._begun is not None or not self._blit.inflight:
            holding(self.lock, self._attend_and_ask)
        for _ in range(2):  # what was presented, then what had to be drawn again
            inflight = self._blit.inflight
            if not inflight:
                return
            self._blit.wait(inflight[-1], None if deadline is None else max(0.0, deadline - time.monotonic()))
            holding(self.lock, self.service)

    def _attend_and_ask(self) -> None:
        self.service()
        if not self._blit.inflight:
            self._blit.fence()  # the answer comes behind the word of what was exposed

    def resize(self, whole: Rect) -> None:
        """Under the lock: be of another size. What was shown and still fits stays."""
        self._buffers.resize(whole)
        self._picture.resize(whole, has_background=self._own)
        self.whole = whole

    def service(self) -> None:
        """Under the lock, before all else: finish what was begun, raise what has failed, redraw what was exposed."""
        inbox = self._inbox
        if self._closed or (inbox is not None and inbox.destroyed):
            self.check_open()
        if self._begun is not None:
            self._finish(self._begun)
        if self._blit.inflight:
            self._blit.reap_completed()
        if inbox is not None and (inbox.done or inbox.exposed):
            inbox.sort()
            self.check_open()
            self._redraw(inbox.exposed)
            inbox.exposed = ()

    def check_open(self) -> None:
        """Raise what every call raises once there is nothing to draw into."""
        if self._closed:
            raise Closed("this surface was closed")
        if self._inbox is not None and self._inbox.destroyed:
            raise WindowGone(f"the window {self._drawable:#x} was destroyed")

    def close(self) -> None:
        """Let go of all memory."""
        self._closed = True
        self._begun = None
        self._picture.pieces = ()
        self._buffers.forget()
        self._blit.forget()

    # -- behind it ---------------------------------------------------------------------------------------------------

    def _complete(self, buffer: Buffer, part: Rect) -> None:
        """Bring a buffer up to what is shown, but for a part."""
        for lacking in subtract(buffer.stale, part):
            buffer.source.copy_from(self._picture, lacking)

    def _may_pin(self, part: Rect) -> bool:
        """Tell whether one frame more may be part of what is shown."""
        buffers = [buffer.source for buffer in self._buffers.all]
        left = {source for rect, source in self._picture.pieces if not part.contains(rect)}
        return len(left.difference(buffers, (None,))) < _MOST_FRAMES

    def _redraw(self, exposed: tuple[Rect, ...]) -> None:
        """Draw what is known of these parts again. A part that is lent is shown when it is given back."""
        for rect in exposed:
            for piece, source in self._picture.parts(rect):
                if source is not None:
                    self._blit.send(self._blit.requests(source, piece))

    def _present(self, source: ImageSource, part: Rect, buffer: Buffer | None) -> None:
        self._begun = _Present(self._presents + 1, part, source, self._blit.requests(source, part), buffer)
        self._finish(self._begun)

    def _finish(self, begun: _Present) -> None:
        """Send a present and take note of it. All of this may be done twice."""
        self._blit.send(begun.requests)
        for other in self._buffers.all:
            if other is not begun.buffer:
                other.mark_stale(begun.part)
        if begun.buffer is not None:
            complete = self._picture.put_all(begun.part, begun.source, self.whole)
            begun.buffer.presented(begun.number, complete=complete)
        else:
            self._picture.put(begun.part, begun.source, self.whole)
        self._presents = begun.number
        self._begun = None

    def _make_room(self) -> None:
        """Take in what has arrived; wait while a loop that only shows is about to run away from the server."""
        self.check_open()
        self._wire.pump()
        while len(inflight := self._blit.inflight) > _MOST_UNDER_WAY:
            self._blit.wait(inflight[-1 - _MOST_UNDER_WAY])
            with self.lock:
                self.service()
