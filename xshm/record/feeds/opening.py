"""Choose a Feed: the live memory of a screen where it is at hand, else frames in shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from xshm.record.feeds.live_feed import LiveFeed
from xshm.record.feeds.tracker_feed import TrackerFeed
from xshm.x11.protocol import xfixes
from xshm.x11.server.damage import NAME as DAMAGE

if TYPE_CHECKING:
    from xshm.capture.session import LiveMemory
    from xshm.capture.source import Source
    from xshm.geometry import Rect

OpenedFeed: TypeAlias = LiveFeed | TrackerFeed

_PURPOSE: Final = "a recording, which follows what is drawn,"
_INSTEAD: Final = "take frames at points in time, by stream(fps=…), and encode these"


def open_feed(source: Source, region: Rect | None, *, cursor: bool) -> OpenedFeed:
    """Open the best Feed for a region of a source (None: all). `Feed.how` says which, and why.

    Raises ExtensionMissing, OutOfBounds, WindowGone, WindowNotViewable, InvalidArgument for a pixmap's pointer.
    """
    connection = source._session.connection
    connection.require(xfixes.NAME, xfixes.VERSION, _PURPOSE, _INSTEAD)
    connection.require(DAMAGE, (1, 1), _PURPOSE, _INSTEAD)
    live = source._session.live if source._drawable == connection.setup.root.id else None
    if live is None:
        return TrackerFeed(source, region, cursor=cursor)
    why_not = _refuse(live, source, cursor=cursor)
    if not why_not:
        return LiveFeed(source, live, region)
    feed = TrackerFeed(source, region, cursor=cursor)
    feed.how += f"; not the screen's own memory: {why_not}"
    return feed


def _refuse(live: LiveMemory, source: Source, *, cursor: bool) -> str:
    """Return why the live memory of a screen is not what is to be recorded; "" where it is."""
    if cursor:
        return "the pointer is to be drawn"
    if live.has_pointer:
        return "the server paints the pointer there"
    height, width = live.pixels.shape[:2]
    extent = source._current()
    if live.format != source._format or width < extent.width or height < extent.height:
        return f"that is {width}x{height} {live.format}, and the screen is {extent} {source._format}"
    return ""
