"""A swapchain for one drawable: back buffers in shared memory are acquired, written, and presented to the X server.

The words are those of EGL and Vulkan. To present is to send a request that has the server copy the buffer into the
drawable (`blit`); nothing is flipped, and the buffer is free again when that request is completed. `contents` records
which memory each part of the drawable shows: stale parts of a buffer are copied from there before it is presented, and
exposed parts of the window are redrawn from there. `age` is that of EGL_EXT_buffer_age: 1 for a buffer that holds what
the last present showed, n for one that is n - 1 presents behind, 0 for one whose content is undefined.

Invariants:

1. No memory is written while the server reads it. A buffer is acquired only if no sent request that reads it is
   incomplete, and a request counts among its source's readers before it is sent.
2. `contents` names no memory that may be written. `acquire` discards the acquired part there first. So an exposure
   before the present redraws everything but that part.
3. A presented buffer holds all that is known to be shown: what was stale outside of the presented part is copied from
   `contents` first. So `contents` names this buffer alone afterwards, and frames that were shown before are released.
4. A present is recorded whole, or everything counts as unknown. `_recorded` is False from before the request is sent
   until buffers, contents and the number of presents agree. If an exception comes in between (a signal handler's, a
   timeout), the `service` of the next call forgets: no part of the drawable is known, and every buffer has age 0, until
   all of the drawable is presented again.
5. An exposed part leaves the inbox after it was redrawn: it may be redrawn twice, and is never omitted.
6. A part that was acquired before the drawable became smaller is presented as far as it is still inside.

Locking rules: `lock` guards all state. It is held while requests are sent, but neither while the caller writes nor
while a thread waits for the server; a thread that has waited takes the lock again and checks again. So one thread may
draw while another waits for events. `Blitter.inflight` is also read without the lock: a tuple, replaced as a whole. A
verb with a deadline (`ENDS`) takes the lock by `holding`, which gives up at the deadline; without one a bare `with` is
faster.

What does not work:

- To repeat a present that was cut short. Each step would have to be safe to repeat, which is much to prove for a
  picture that the next present replaces.
- To alternate between two buffers, as a swapchain that flips must: see `buffers`.
- Small helper functions on the path of each present. The server has just copied a picture through the processor's
  cache, so that a call of a function costs 1 to 2 µs. A present of 1080p that is waited for, both processes on one
  core, takes 66 µs in this one with 25 calls; it took 83 with 43 calls, 50 with the least, 6. A bare send and recv take
  30, and a loop in C (tests/bench/put_floor.c) 20. The server takes 510 µs for each of them, so it is not the memory
  that differs. Hence the attributes instead of properties, and checks before calls.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import Closed, InvalidArgument, WindowGone
from xshm.geometry import Rect, subtract
from xshm.shm.shared_pixmap import SharedPixmaps
from xshm.surface.blit import Blitter
from xshm.surface.buffers import Buffer, Buffers
from xshm.surface.contents import Contents, ImageSource
from xshm.surface.frame_memory import FrameMemory
from xshm.system.deadlines import ENDS, holding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.shm.transport import Transport
    from xshm.surface.blit_path import BlitPath
    from xshm.surface.target import TargetDrawable
    from xshm.x11.connection import Connection

# Requests; with more in flight a present waits, so that what is shown is never more than 8 copies late.
_MOST_INFLIGHT: Final = 8
# Frames whose memory `contents` may name at once. Each pins a slot of its Screen's pool, of which there are few.
_MOST_FRAMES: Final = 4
# A buffer, and the array by which the acquired part of it is written: a tuple, since a class would be one call more.
BackBuffer = tuple[Buffer, "NDArray[Any]"]


class Drawing:
    """A context manager: acquire a back buffer; on leaving, present it, or discard it if an exception was raised."""

    __slots__ = ("_back_buffer", "_part", "_swapchain")

    def __init__(self, swapchain: Swapchain, part: Rect) -> None:
        self._swapchain = swapchain
        self._part = part
        self._back_buffer: BackBuffer | None = None

    def __enter__(self) -> NDArray[Any]:
        if self._back_buffer is not None:
            raise InvalidArgument("this draw() was entered before; ask for another")
        self._back_buffer = self._swapchain.acquire(self._part)
        return self._back_buffer[1]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._back_buffer is not None:
            if kind is None:
                self._swapchain.present(self._back_buffer, self._part)
            else:
                self._swapchain.discard(self._back_buffer)


class Swapchain:
    """Back buffers for one drawable, of which `extent` is the rectangle; `age` is that of the last one acquired."""

    def __init__(self, connection: Connection, transport: Transport, opened: TargetDrawable, way: BlitPath) -> None:
        # `part is self.extent` means all of it: an identity is tested faster than four numbers are compared.
        self.extent = Rect(0, 0, *opened.size)
        self.age = 0
        self.lock = Lock()
        self._wire = connection.wire
        self._packets = connection.wire.packets
        self._drawable = opened.drawable
        self._own = opened.own
        self._inbox = opened.inbox
        self._blitter = Blitter(connection, transport, opened.drawable, opened.fmt, way)
        pixmaps = SharedPixmaps(connection, transport, opened.root, opened.fmt.depth) if way == "pixmap" else None
        self._buffers = Buffers(transport, pixmaps, opened.fmt, self.extent)
        self._frames = FrameMemory(transport, pixmaps, opened.fmt)
        self._contents = Contents(self.extent if opened.own else None)
        self._presents = 0  # the number of the last present
        self._recorded = True
        self._serviced = -1  # `PacketReader.arrivals` before `service` last ran to its end
        self._closed = False

    # -- acquire, present, wait ------------------------------------------------------------------------------------

    def acquire(self, part: Rect) -> BackBuffer:
        """Return a back buffer for a part, waiting for the server while it reads all that there are."""
        if self._blitter.inflight:
            self._throttle()
        while True:
            with self.lock:
                self.service()
                if not (part is self.extent or self.extent.contains(part)):  # another thread has resized it since (6)
                    self.age = 0
                    detached = self._buffers.make_detached(part)
                    return detached, detached.acquire(part)
                found = self._buffers.find_free(self._contents)
                if isinstance(found, Buffer):
                    self.age = self._presents + 1 - found.content_of if found.content_of else 0
                    self._contents.discard(part, found.source)  # (2)
                    return found, found.acquire(part)
            self._wire.wait(found)

    def discard(self, back: BackBuffer) -> None:
        """Release a back buffer without presenting it."""
        buffer, pixels = back
        pixels.setflags(write=False)
        buffer.acquired = None

    def present(self, back: BackBuffer, part: Rect) -> None:
        """Show the part of a back buffer that was acquired, and release it."""
        buffer, pixels = back
        pixels.setflags(write=False)
        with self.lock:
            buffer.acquired = None  # first: the buffer is free again, too, if the present is cut short
            if self._closed or not self._recorded:
                self.service()
            if buffer not in self._buffers.all:  # detached, or retired by a resize (6)
                inside = part.intersect(self.extent)
                if inside is not None:
                    self._present(buffer.source, inside, None)
                return
            if buffer.stale:
                self._catch_up(buffer, part)
            self._present(buffer.source, part, buffer)

    def _catch_up(self, buffer: Buffer, but: Rect) -> None:
        """Copy what is stale in a buffer from the contents, all but a part (3)."""
        for stale in subtract(buffer.stale, but):
            buffer.source.copy_from(self._contents, stale)

    def present_frame(self, pixels: NDArray[Any], place: Rect, part: Rect) -> bool:
        """Present a part of a frame, which lies at `place`, from the frame's own memory, and return True.

        The memory is held until the server has read it, and while it is shown. False, and nothing is presented, if the
        server can't read it, or if the memory of `_MOST_FRAMES` frames is held already: then the frame is to be copied.
        """
        if self._blitter.inflight:
            self._throttle()
        with self.lock:
            self.service()
            inside = part if part is self.extent else part.intersect(self.extent)
            if inside is None:  # another thread has resized it since
                return True
            source = self._frames.source(pixels, place) if inside is self.extent or self._may_pin(inside) else None
            if source is not None:
                self._present(source, inside, None)
        return source is not None

    def wait(self, deadline: float | None) -> None:
        """Wait until all that was presented is on the screen, and what the server has exposed by then is redrawn.

        RequestTimeout after `deadline` (time.monotonic), or after the connection's own timeout.
        """
        inflight = self._blitter.inflight
        # The last present is itself what to wait for, unless there is none or an exception came before it was sent.
        if not (inflight and self._recorded and inflight[-1].serial):
            holding(self.lock, self._service_and_fence)
        for _ in range(2):  # for what was presented, then for what had to be redrawn
            inflight = self._blitter.inflight
            if not inflight:
                return
            if ENDS or deadline is not None:
                self._wire.wait(inflight[-1], None if deadline is None else max(0.0, deadline - time.monotonic()))
                holding(self.lock, self.service)
            else:
                self._wire.wait_for(inflight[-1], self._wire.timeout)
                with self.lock:
                    self.service()

    def _service_and_fence(self) -> None:
        self.service()
        if not self._blitter.inflight:
            self._blitter.fence()  # its completion comes behind the Expose events that the server has sent by then

    # -- under the lock --------------------------------------------------------------------------------------------

    def service(self) -> None:
        """Do what each call begins with: raise errors, forget a present that was cut short, redraw what was exposed."""
        arrivals = self._packets.arrivals  # first: what comes from here on is for the next call
        unchanged = arrivals == self._serviced and self._recorded and not self._closed
        if not unchanged:
            self.check_open()
        if self._blitter.inflight:
            self._blitter.reap_completed()
        if unchanged:  # hot path: no event has come since
            return
        if not self._recorded:
            self._forget_contents()
        inbox = self._inbox
        if inbox is not None and (inbox.done or inbox.exposed):
            inbox.sort()
            self.check_open()
            self._redraw(inbox.exposed)
            inbox.exposed = ()  # (5)
        self._serviced = arrivals

    def resize(self, extent: Rect) -> None:
        """Take over the drawable's new size. What was shown and still fits stays."""
        self._buffers.resize(extent)
        self._contents.resize(self.extent, extent, has_background=self._own)
        self.extent = extent

    def check_open(self) -> None:
        """Raise Closed, or WindowGone, if there is nothing to draw into any more."""
        if self._closed:
            raise Closed("this surface was closed")
        if self._inbox is not None and self._inbox.destroyed:
            raise WindowGone(f"the window {self._drawable:#x} was destroyed")

    def close(self) -> None:
        """Release all memory, after the connection was closed. Without the lock: a thread may hold it and wait."""
        self._closed = True
        self._contents.pieces = ()
        self._buffers.drop()
        self._blitter.abandon()

    def _present(self, source: ImageSource, part: Rect, buffer: Buffer | None) -> None:
        """Send a present and record it. `buffer` is the one that holds all that is shown from then on (3), if any."""
        number = self._presents + 1
        self._recorded = False  # (4)
        self._blitter.blit(source, part)
        for other in self._buffers.all:
            if other is not buffer:
                other.mark_stale(part)
        if buffer is not None:
            complete = self._contents.put_all(part, source, self.extent)
            buffer.presented(number, complete=complete)
        else:
            self._contents.put(part, source, self.extent)
        self._presents = number
        self._recorded = True

    def _forget_contents(self) -> None:
        """After a present that was cut short, treat everything as unknown (4). Safe to repeat."""
        # Of several PutImages only the first may have been sent, which no event completes.
        self._blitter.fence()
        self._contents.pieces = ()
        for buffer in self._buffers.all:
            buffer.forget_content()
        self._recorded = True

    def _redraw(self, exposed: tuple[Rect, ...]) -> None:
        """Draw again what is known of these parts. An acquired part is not: it is shown when it is presented (2)."""
        for rect in exposed:
            for piece, source in self._contents.parts(rect):
                if source is not None:
                    self._blitter.blit(source, piece)

    def _may_pin(self, part: Rect) -> bool:
        """Tell whether `contents` may name the memory of one more frame, shown at this part."""
        buffers = [buffer.source for buffer in self._buffers.all]
        left = {source for rect, source in self._contents.pieces if not part.contains(rect)}
        return len(left.difference(buffers, (None,))) < _MOST_FRAMES

    # -- without the lock ----------------------------------------------------------------------------------------

    def _throttle(self) -> None:
        """Read what has arrived, and wait while too many requests are in flight."""
        self.check_open()
        self._wire.pump()
        inflight = self._blitter.inflight
        if inflight and not inflight[-1].serial:  # never sent, because of an exception: `service` removes it
            holding(self.lock, self.service)
        while len(inflight := self._blitter.inflight) > _MOST_INFLIGHT:  # wait for the ninth from the end
            self._wire.wait(inflight[-1 - _MOST_INFLIGHT])
            with self.lock:
                self.service()
