"""Pictures over HTTP: /frame.png, the newest one, exactly; /stream.mjpeg, one after another as fast as they are taken.

A stream is of the newest picture each time that the line is free for another: what waits in the kernel is bounded too,
so a slow line shows fewer pictures, not older ones. A still screen sends nothing. After each picture come the boundary
and the headers of the next one: Chromium shows a picture when it has those, so it would be one picture late, and a
still screen would never be seen. That is why no picture has a Content-Length.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from xshm.live.pace import LADDER
from xshm.live.pages import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.live.picture import Picture
    from xshm.live.web.audience import Audience, Shown
    from xshm.live.web.visitor import Visitor

_FIRST: Final = 2.0  # seconds for the first picture of a channel that nobody watched
_NEWER: Final = 0.1  # seconds for a newer one than that which viewers have
_TAKEN: Final = 30.0  # seconds for a picture to be taken
_UNSENT: Final = 1 << 14  # bytes that wait in the kernel before the line counts as busy
_KEEP_ALIVE: Final = 20  # seconds
_BOUNDARY: Final = "xshm-frame"
_NEXT: Final = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
# A page of another site may show a picture whose link it has, token included; it can't read its pixels.
_HEADERS: Final = {**SECURITY_HEADERS, "Cross-Origin-Resource-Policy": "cross-origin", "Connection": "close"}


async def send_frame(visitor: Visitor, audience: Audience, shown: Shown) -> None:
    """Answer with a PNG of what the channel shows now; with words where it shows nothing."""
    picture = await _newest(audience, shown)
    if picture is None:
        words = f"{shown.channel.state.words or 'there is no picture yet'}\n".encode()
        head = _head(HTTPStatus.SERVICE_UNAVAILABLE, {"Content-Type": "text/plain; charset=utf-8"}, len(words))
        await _write(visitor, audience, head + words)
        return
    _, data = await audience.in_pool(shown.encoder.file, picture)
    await _write(visitor, audience, _head(HTTPStatus.OK, {"Content-Type": "image/png"}, len(data)) + data)


async def send_stream(visitor: Visitor, audience: Audience, shown: Shown) -> None:
    """Answer with JPEGs, until the viewer goes or the channel ends."""
    if not audience.enter(visitor):
        await _write(visitor, audience, _head(HTTPStatus.SERVICE_UNAVAILABLE, {}, 0))
        return
    changed = asyncio.Event()
    watch = shown.channel.watch(audience.waker(changed))
    try:
        _bound_what_waits(visitor)
        kind = {"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"}
        await _write(visitor, audience, _head(HTTPStatus.OK, kind) + _NEXT)
        before: tuple[Picture, int] | None = None
        while not visitor.is_gone and shown.channel.state.kind != "gone":
            changed.clear()
            picture = shown.channel.picture
            if picture is None or (picture, picture.generation) == before:
                watch.want()
                await _either(changed, visitor)
                continue
            generation, data = await audience.in_pool(shown.encoder.file, picture, LADDER[0])
            before = (picture, generation)
            await _write(visitor, audience, data + b"\r\n" + _NEXT)
    finally:
        watch.close()
        audience.leave(visitor)


async def _newest(audience: Audience, shown: Shown) -> Picture | None:
    """Return the picture as of now; None where there is none to be had."""
    channel = shown.channel
    before = channel.picture  # what viewers have: where something has changed since, it is captured at once
    generation = 0 if before is None else before.generation
    until = time.monotonic() + (_FIRST if before is None else _NEWER)
    changed = asyncio.Event()
    watch = channel.watch(audience.waker(changed))
    try:
        watch.want()
        while True:
            changed.clear()
            picture, left = channel.picture, until - time.monotonic()
            is_newer = picture is not None and (picture is not before or picture.generation > generation)
            if is_newer or left <= 0:
                return picture
            if channel.state.kind in ("gone", "waiting"):
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await changed.wait()
    finally:
        watch.close()


async def _write(visitor: Visitor, audience: Audience, data: bytes) -> None:
    audience.nbytes += len(data)
    async with asyncio.timeout(_TAKEN):
        await visitor.write(data)


async def _either(changed: asyncio.Event, visitor: Visitor) -> None:
    """Wait for a change, or until the viewer has gone."""
    waiting: asyncio.Future[object] = asyncio.ensure_future(changed.wait())
    lost: asyncio.Future[object] = asyncio.shield(visitor.connection_lost_waiter)
    try:
        await asyncio.wait([waiting, lost], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        lost.cancel()


def _bound_what_waits(visitor: Visitor) -> None:
    visitor.transport.set_write_buffer_limits(high=0)
    found = visitor.transport.get_extra_info("socket")
    with suppress(OSError):
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_ALIVE)


def _head(status: HTTPStatus, more: Mapping[str, str], nbytes: int | None = None) -> bytes:
    headers = {**_HEADERS, **more}
    if nbytes is not None:
        headers["Content-Length"] = str(nbytes)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
