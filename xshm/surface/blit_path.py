"""The request that copies from shared memory into a drawable: CopyArea or ShmPutImage, chosen when a surface is opened.

CopyArea from a shared pixmap and ShmPutImage run different loops of the server. Which is the faster depends on the
processor: for pictures of 8 MB and more CopyArea took 0.77 to 1.09 times as long (Xvfb 21.1, two machines), for small
ones there was no difference. So for large ones it is measured: a few copies into a pixmap that is not shown.

What does not work: to measure on the window itself. It would flicker, and a covered window costs nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from xshm import _arguments
from xshm._signal_safety import is_the_kernels
from xshm.errors import ServerError, TransportUnavailable
from xshm.geometry import Rect
from xshm.shm.segment import Segment
from xshm.shm.shared_pixmap import SharedPixmaps
from xshm.system.printable import quoted
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.shm.transport import Transport
    from xshm.surface.target import TargetDrawable
    from xshm.x11.connection import Connection

BlitPath = Literal["pixmap", "put", "core"]
# Bytes of a picture from which on it is measured. The measurement takes 2 ms at this size, and 6 ms at 1080p.
_WORTH_MEASURING: Final = 4 << 20
_TRIALS: Final = 2  # copies by each request; the better time counts
_CLEARLY: Final = 0.95  # of the time that ShmPutImage takes; a smaller difference is noise


@dataclass(frozen=True, slots=True)
class ChosenPath:
    """The path, and the reason for it, which `Surface.way_reason` returns."""

    way: BlitPath
    reason: str


def check_path(transport: Transport, wanted: str) -> None:
    """Raise InvalidArgument for an unknown path, TransportUnavailable, with the reason, for one that can't be had."""
    _arguments.choice(wanted, ("auto", "pixmap", "put"), "a way is one of")
    if transport.kind == "core" and wanted != "auto":
        raise TransportUnavailable(f"way={quoted(wanted)} takes shared memory, and there is none: {transport.reason}")
    if wanted == "pixmap" and not transport.shared_pixmaps:
        raise TransportUnavailable("this server has no shared pixmaps; way='put' works without")


def choose_path(connection: Connection, transport: Transport, opened: TargetDrawable, wanted: str) -> ChosenPath:
    """Return the path that was asked for, which has passed `check_path`, or for "auto" the fastest."""
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
    except (ServerError, OSError) as error:  # no memory for a second picture, for example
        if not (isinstance(error, ServerError) or is_the_kernels(error)):
            raise
        return ChosenPath("put", f"it could not be measured: {error}")
    # A tie goes to ShmPutImage, which takes no second resource of the server.
    figures = f"measured: {put * 1e6:,.0f} µs by ShmPutImage, {pixmap * 1e6:,.0f} by CopyArea"
    return ChosenPath("pixmap" if pixmap < _CLEARLY * put else "put", figures)


def _measure(connection: Connection, transport: Transport, opened: TargetDrawable) -> tuple[float, float]:
    """Return the least seconds for one copy of the whole picture: by CopyArea, by ShmPutImage."""
    width, height = opened.size
    depth = opened.fmt.depth
    segment = Segment(transport.segment_kind, opened.fmt.nbytes(width, height))
    shmseg = transport.attach(segment)
    pixmaps = SharedPixmaps(connection, transport, opened.root, depth)
    source = pixmaps.make(shmseg, width, height)
    target, gc = connection.resources.new_id(core.FreePixmap, "pixmap"), connection.resources.new_id(core.FreeGC, "gc")
    whole = Rect(0, 0, width, height)
    copy = core.pack_copy_area(source, target, gc, 0, 0, 0, 0, width, height)
    put = mit_shm.pack_put_image(transport.opcode, target, gc, depth, shmseg, whole, whole)

    def seconds(request: bytes) -> float:
        start = time.perf_counter()
        connection.check(connection.wire.send(Request(request)), doing="measuring which way is the faster")
        return time.perf_counter() - start

    try:
        made = connection.send(
            core.CreatePixmap, depth=depth, pid=target, drawable=opened.root, width=width, height=height
        )
        connection.check(made, doing="CreatePixmap")
        connection.check(connection.send(core.CreateGC, cid=gc, drawable=target, attrs={"graphics_exposures": 0}))
        seconds(copy)  # not counted: both memories' pages are touched for the first time
        times = [(seconds(copy), seconds(put)) for _ in range(_TRIALS)]
    finally:
        connection.resources.free(gc, target, source)
        transport.detach(shmseg)
    return min(copied for copied, _ in times), min(put for _, put in times)
