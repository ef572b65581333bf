"""Blit requests from shared memory into one drawable, and their completions: the server has read the memory.

A completion is what the server sends when it has executed a request: the Completion event for ShmPutImage, NoExpose or
GraphicsExpose for CopyArea (each copy has one where the graphics context has `graphics-exposures`), an error for a
request that failed. Core PutImage has none: there it is the reply to a GetInputFocus behind it. The server executes
one client's requests in order, so a completion of one request completes all requests before it.

Always true:

1. A request is in `inflight` before it is sent, so that its completion finds it there, however early that comes. Until
   the completion, the request keeps the memory that it reads alive.
2. A request in flight without a serial was not sent: an exception came first. It will never be completed, so nothing
   waits for it, and `reap_completed` removes it. If there is one, the last request in flight is one.
3. The swapchain calls from one thread at a time. `inflight` is also read by other threads: it is a tuple, replaced as a
   whole. The thread that reads the socket knows a completion by its number, from the ledger (`CompletedByEvent`).
4. An error is raised once, by the `reap_completed` after it came, as the error of all that was in flight.

What does not work:

- A round trip after each present, instead of events: it costs two more process switches.
- Completion events for CopyArea: only ShmPutImage has them, hence NoExpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.errors import BadDrawable, BadWindow, ServerError, WindowGone
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.core import GRAPHICS_EXPOSE, NO_EXPOSE, SYNC, pack_copy_area, pack_put_images
from xshm.x11.protocol.requests import CompletedByEvent, Request

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat
    from xshm.shm.transport import Transport
    from xshm.surface.blit_path import BlitPath
    from xshm.surface.contents import ImageSource
    from xshm.x11.connection import Connection


class Blitter:
    """Copies from ImageSources into `drawable`; `inflight` are the requests that are not completed, oldest first."""

    def __init__(
        self, connection: Connection, transport: Transport, drawable: int, fmt: PixelFormat, way: BlitPath
    ) -> None:
        self._connection = connection
        self._post = connection.wire.send_now
        self._opcode = transport.opcode
        self._drawable = drawable
        self._format = fmt
        self._depth = fmt.depth
        self.way: BlitPath = way
        self.inflight: tuple[Request, ...] = ()
        self._failed: bytes | None = None  # the first error that was not raised yet
        self._most = connection.longest_request if way == "core" else 0
        # GraphicsExpose comes in place of NoExpose where a part of the source could not be read.
        self._completions = (transport.completion_event, NO_EXPOSE, GRAPHICS_EXPOSE)
        self._gc = connection.resources.new_id(core.FreeGC, "gc")
        made = connection.send(core.CreateGC, cid=self._gc, drawable=drawable, attrs={"graphics_exposures": 1})
        connection.check(made, doing="CreateGC")

    def blit(self, source: ImageSource, part: Rect) -> None:
        """Send what copies a part of a source to the drawable; when that is completed, all of the part was read."""
        if not (source.shmseg or source.pixmap):
            self._send(self._core_requests(source, part))
            return
        # The whole of a source is mostly what is sent again and again.
        data = source.packed if part is source.place else b""
        if not data:
            data = self._pack(source, part)
            if part is source.place:
                source.packed = data
        request = CompletedByEvent(data, source.rows)
        request.completed_by = self._completions
        source.add_reader(request)
        self.inflight += (request,)  # (1)
        self._post(request)

    def fence(self) -> None:
        """Send a request that draws nothing: its completion means that everything before it was executed."""
        self._send((Request(SYNC),))

    def reap_completed(self) -> None:
        """Remove what is completed, or was never sent, from what is in flight; raise the error of a failed request."""
        inflight = self.inflight
        if len(inflight) == 1 and inflight[0].done and inflight[0].error is None and self._failed is None:
            self.inflight = ()  # hot path: one present, waited for
            return
        inflight = tuple(pending for pending in inflight if pending.serial)
        done = 0
        for index, pending in enumerate(inflight, start=1):
            if pending.done:  # and so are all before it
                done = index
                if pending.error is not None and self._failed is None:
                    self._failed = pending.error
        self.inflight = inflight[done:]
        failed = self._failed
        if failed is not None:
            self._failed = None
            raise self._error(failed)

    def abandon(self) -> None:
        """Release the memory of requests in flight, when the connection is closed and no completion will come."""
        for pending in self.inflight:
            pending.keepalive = None
        self.inflight = ()

    def _send(self, requests: tuple[Request, ...]) -> None:
        self.inflight += requests  # (1)
        for pending in requests:  # one by one, so that those with a serial are just those that were queued (2)
            self._post(pending)

    def _pack(self, source: ImageSource, part: Rect) -> bytes:
        if source.pixmap:
            at = part.x - source.place.x, part.y - source.place.y
            return pack_copy_area(source.pixmap, self._drawable, self._gc, *at, part.x, part.y, part.width, part.height)
        return mit_shm.pack_put_image(
            self._opcode, self._drawable, self._gc, self._depth, source.shmseg, source.place, part
        )

    def _core_requests(self, source: ImageSource, part: Rect) -> tuple[Request, ...]:
        stride = self._format.stride(part.width)
        rows = source.bytes_at(part)
        bands = pack_put_images(self._drawable, self._gc, self._depth, part, rows, stride, self._most)
        # The requests hold copies of the rows, so that the source has no readers. The reply is their completion.
        return (*map(Request, bands), Request(SYNC))

    def _error(self, message: bytes) -> ServerError | WindowGone:
        """Decode an error; one that names the drawable itself means that the drawable is gone."""
        error = self._connection.error(message, "drawing into the surface")
        if isinstance(error, (BadDrawable, BadWindow)) and error.value == self._drawable:
            gone = WindowGone(f"the drawable {self._drawable:#x} was destroyed")
            gone.__cause__ = error
            return gone
        return error
