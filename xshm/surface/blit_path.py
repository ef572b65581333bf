"""Which way pixels take from shared memory into a drawable: chosen once, and the reason kept.

CopyArea from a shared pixmap and ShmPutImage end in different loops of the server. Which of them is the faster depends
on its processor: for pictures of 8 MB and more we saw from 0.77 to 1.09 (Xvfb 21.1, two machines), for small ones no
difference. So where it matters it is measured, when a surface is opened: a handful of copies into a pixmap.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from xshm import _arguments
from xshm.errors import ServerError, TransportUnavailable
from xshm.shm.segment import Segment
from xshm.shm.shared_pixmap import SharedPixmaps
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.printable import quoted
from xshm.x11.protocol import core, mit_shm

if TYPE_CHECKING:
    from xshm.shm.transport import Transport
    from xshm.surface.target import Opened
    from xshm.x11.connection import Connection

BlitPath = Literal["pixmap", "put", "core"]
_WORTH_MEASURING: Final = 4 << 20  # bytes; 2 milliseconds then, 6 at 1080p
_TRIALS: Final = 2
_CLEARLY: Final = 0.95  # of the time that ShmPutImage takes; what is closer is noise


@dataclass(frozen=True, slots=True)
class ChosenPath:
    """The way, and why."""

    way: BlitPath
    reason: str


def check_path(transport: Transport, wanted: str) -> None:
    """Raise InvalidArgument for what is no way, TransportUnavailable for one that is not to be had, with the reason."""
    _arguments.choice(wanted, ("auto", "pixmap", "put"), "a way is one of")
    if transport.kind == "core" and wanted != "auto":
        raise TransportUnavailable(f"way={quoted(wanted)} takes shared memory, and there is none: {transport.reason}")
    if wanted == "pixmap" and not transport.shared_pixmaps:
        raise TransportUnavailable("this server has no shared pixmaps; way='put' works without")


def choose_path(connection: Connection, transport: Transport, opened: Opened, wanted: str) -> ChosenPath:
    """Take the way wanted by name, which `check_path` has passed, or find the fastest."""
    if transport.kind == "core":
        return ChosenPath("core", f"no memory is shared: {transport.reason}")
    if wanted != "auto":
        return ChosenPath("pixmap" if wanted == "pixmap" else "put", "asked for by name")
    if not transport.shared_pixmaps:
        return ChosenPath("put", "this server has no shared pixmaps")
    if opened.fmt.nbytes(*opened.size) < _WORTH_MEASURING:
        return ChosenPath("put", "at this size both ways take the same")
    try:
        pixmap, put = _measure(connection, transport, opened)
    except (ServerError, OSError) as error:  # no room for a second picture, say
        if not (isinstance(error, ServerError) or is_the_kernels(error)):
            raise
        return ChosenPath("put", f"it could not be measured: {error}")
    figures = f"measured: {put * 1e6:,.0f} µs by ShmPutImage, {pixmap * 1e6:,.0f} by CopyArea"
    return ChosenPath("pixmap" if pixmap < _CLEARLY * put else "put", figures)


def _measure(connection: Connection, transport: Transport, opened: Opened) -> tuple[float, float]:
    """Return the seconds that one copy of the whole takes, at best: by CopyArea, by ShmPutImage."""
    width, height = opened.size
    depth = opened.fmt.depth
    segment = Segment("sysv" if transport.kind == "sysv" else "memfd", opened.fmt.nbytes(width, height))
    shmseg = transport.attach(segment)
    pixmaps = SharedPixmaps(connection, transport, opened.root, depth)
    source = pixmaps.make(shmseg, width, height)
    target, gc = connection.holdings.id(core.FreePixmap, "pixmap"), connection.holdings.id(core.FreeGC, "gc")
    corners = {"src_x": 0, "src_y": 0, "dst_x": 0, "dst_y": 0}
    copy = {"src_drawable": source, "dst_drawable": target, "gc": gc, **corners, "width": width, "height": height}
    size = {"total_width": width, "total_height": height, "src_width": width, "src_height": height}
    kind = {"depth": depth, "format": core.Z_PIXMAP, "send_event": 0, "shmseg": shmseg, "offset": 0}
    put = {"opcode": transport.opcode, "drawable": target, "gc": gc} | corners | size | kind

    def took(request: Any, fields: dict[str, Any]) -> float:
        start = time.perf_counter()
        connection.check(connection.send(request, **fields), doing="measuring which way is the faster")
        return time.perf_counter() - start

    try:
        made = connection.send(
            core.CreatePixmap, depth=depth, pid=target, drawable=opened.root, width=width, height=height
        )
        connection.check(made, doing="CreatePixmap")
        connection.check(connection.send(core.CreateGC, cid=gc, drawable=target, attrs={"graphics_exposures": 0}))
        took(core.CopyArea, copy)  # the memory's first time
        times = [(took(core.CopyArea, copy), took(mit_shm.PutImage, put)) for _ in range(_TRIALS)]
    finally:
        connection.holdings.free(gc, target, source)
        transport.detach(shmseg)
    return min(copied for copied, _ in times), min(put for _, put in times)
