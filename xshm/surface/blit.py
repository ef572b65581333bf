"""Requests that draw memory into one drawable, and the proof that the server has read it.

The proof is the message that the server sends when it is done: Completion for ShmPutImage, NoExpose for CopyArea (a
graphics context that reports exposures has one sent for every copy), an error for a request that failed, the reply to
a request behind it for core PutImage. The server does one client's requests in order, so each proves all before it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from xshm.errors import BadDrawable, BadWindow, ServerError, WindowGone
from xshm.x11.protocol import core
from xshm.x11.protocol.put import GRAPHICS_EXPOSE, NO_EXPOSE, most_bytes, pack_copy_area, pack_shm_put_image, put_images
from xshm.x11.protocol.requests import EventRoute, Request

if TYPE_CHECKING:
    from xshm.geometry import Rect
    from xshm.pixels.format import PixelFormat
    from xshm.shm.transport import Transport
    from xshm.surface.blit_path import BlitPath
    from xshm.surface.contents import ImageSource
    from xshm.x11.connection import Connection

_SEQUENCE = struct.Struct("=2xH")
_SYNC: Final = struct.pack("=BBH", 43, 0, 1)  # GetInputFocus: the shortest request that has a reply


class Blitter:
    """Draws sources into `drawable`, and knows which of its requests the server has not done yet.

    Its owner sees to it that one thread at a time calls it, but for `wait`.
    """

    def __init__(
        self, connection: Connection, transport: Transport, drawable: int, fmt: PixelFormat, way: BlitPath
    ) -> None:
        self._connection = connection
        self._post = connection.wire.post
        self._opcode = transport.opcode
        self._drawable = drawable
        self._format = fmt
        self._depth = fmt.depth
        self.way: BlitPath = way
        # What is under way. Not a deque: the thread that reads looks through it, while another may add to it.
        self.inflight: tuple[Request, ...] = ()
        self._failed: bytes | None = None
        self._most = most_bytes(connection) if way == "core" else 0
        codes = (NO_EXPOSE, GRAPHICS_EXPOSE, *((transport.completion_event,) if way != "core" else ()))
        routes = [EventRoute(code, self._is_ours, most=0) for code in codes]
        self._gc = connection.holdings.id(core.FreeGC, "gc", *routes)
        made = connection.send(core.CreateGC, cid=self._gc, drawable=drawable, attrs={"graphics_exposures": 1})
        connection.check(made, doing="CreateGC")
        for route in routes:
            connection.wire.add_route(route)

    def requests(self, source: ImageSource, part: Rect) -> tuple[Request, ...]:
        """Return what draws a part of a source; the last of them is what proves that it was read."""
        if source.pixmap:
            data = pack_copy_area(source.pixmap, self._drawable, self._gc, source.place, part)
        elif source.shmseg:
            data = pack_shm_put_image(
                self._opcode, self._drawable, self._gc, self._depth, source.shmseg, source.place, part
            )
        else:
            return self._core_requests(source, part)
        pending = Request(data, keep=source.rows)
        source.is_read_by(pending)
        return (pending,)

    def send(self, requests: tuple[Request, ...]) -> None:
        """Send what `requests` made; those that were sent already, before a signal handler raised, are left out."""
        if requests[0] not in self.inflight:
            self.inflight += requests
        for pending in requests:
            if not pending.serial:  # one by one: only so does a serial say for sure that it was queued
                self._post(pending)

    def fence(self) -> None:
        """Have something under way whose proof is the server's answer to nothing in particular."""
        self.send((Request(_SYNC),))

    def reap_completed(self) -> None:
        """Forget what the server has done, and what was never sent; raise the error of a request that failed."""
        inflight = [pending for pending in self.inflight if pending.serial]
        done = 0
        for index, pending in enumerate(inflight, start=1):
            if pending.done:
                done = index
                if pending.error is not None and self._failed is None:
                    self._failed = pending.error
        self.inflight = tuple(inflight[done:])
        failed = self._failed
        if failed is not None:
            self._failed = None
            raise self._error(failed)

    def wait(self, pending: Request, timeout: float | None = None) -> None:
        """Wait until the server has done a request; RequestTimeout when `timeout` seconds have passed."""
        self._connection.wire.wait(pending, timeout)

    def forget(self) -> None:
        """Let go of the memory of requests whose proof will not come any more."""
        for pending in self.inflight:
            pending.keepalive = None
        self.inflight = ()

    def _core_requests(self, source: ImageSource, part: Rect) -> tuple[Request, ...]:
        stride = self._format.stride(part.width)
        rows = source.bytes_at(part)
        bands = put_images(self._drawable, self._gc, self._depth, part, rows, stride, self._most)
        # The bytes are copied here: nothing reads the source any more. The reply tells that the server has followed.
        return (*map(Request, bands), Request(_SYNC))

    def _is_ours(self, message: bytes) -> bool:
        """Take note of a proof. Called by the reader, under the Wire's lock; twice for one message does no harm."""
        sequence = _SEQUENCE.unpack_from(message)[0]
        for pending in self.inflight:
            if pending.serial & 0xFFFF == sequence and pending.serial:
                pending.keepalive = None
                pending.done = True
                return True
        return False

    def _error(self, message: bytes) -> ServerError | WindowGone:
        error = self._connection.error(message, "drawing into the surface")
        if isinstance(error, (BadDrawable, BadWindow)) and error.value == self._drawable:
            gone = WindowGone(f"the drawable {self._drawable:#x} was destroyed")
            gone.__cause__ = error
            return gone
        return error
