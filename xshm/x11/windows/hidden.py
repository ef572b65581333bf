"""Which part of a window cannot be seen (XFIXES 2.0, Composite 0.2): as the server reckons it, shapes and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from Xlib.ext.composite import CreateRegionFromBorderClip
from Xlib.protocol import rq

from xshm.x11.cookie import Cookie
from xshm.x11.protocol import xfixes

if TYPE_CHECKING:
    from xshm.x11.connection import Connection, Extension

_BOUNDING: Final = 0


class CreateRegionFromWindow(rq.Request):
    """Make a region of a window's shape, its border included, in the window's coordinates."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(7),
        rq.RequestLength(),
        rq.Card32("region"),
        rq.Window("window"),
        rq.Card8("kind"),
        rq.Pad(3),
    )


class SubtractRegion(rq.Request):
    """Make `destination` what is in `source1` and not in `source2`."""

    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(15),
        rq.RequestLength(),
        rq.Card32("source1"),
        rq.Card32("source2"),
        rq.Card32("destination"),
    )


def query_obscured(connection: Connection, composite: Extension, window: int) -> Cookie | None:
    """Ask for the part of a window that other windows or the screen's edges hide; None without XFIXES.

    The reply's `rectangles` are it, in the window's coordinates. Nothing is left on the server.
    """
    fixes = connection.extension(xfixes.NAME)
    if fixes is None:
        return None
    # Until it has been told a version the server answers BadRequest.
    connection.send(xfixes.QueryVersion, opcode=fixes.major, major_version=5, minor_version=0)
    shape, seen = xfixes.new_region(connection, fixes.major), xfixes.new_region(connection, fixes.major)
    connection.send(CreateRegionFromWindow, opcode=fixes.major, region=shape, window=window, kind=_BOUNDING)
    connection.send(CreateRegionFromBorderClip, opcode=composite.major, region=seen, window=window)
    connection.send(SubtractRegion, opcode=fixes.major, source1=shape, source2=seen, destination=shape)
    hidden = Cookie(connection, xfixes.FetchRegion, opcode=fixes.major, region=shape)
    connection.holdings.free(shape, seen)
    return hidden
