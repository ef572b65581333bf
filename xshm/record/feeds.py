"""Choose the Feed of a recording: the live memory of a screen where it is at hand, else frames in shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm.record.tracker_feed import TrackerFeed
from xshm.x11.protocol import xfixes
from xshm.x11.server.damage import NAME as DAMAGE

if TYPE_CHECKING:
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.record.feed import Feed

_PURPOSE: Final = "a recording, which follows what is drawn,"
_INSTEAD: Final = "take frames at points in time, by stream(fps=…), and encode these"


def open_feed(source: Source, region: Rect | None, *, cursor: bool) -> Feed:
    """Open the best Feed for a region of a source (None: all). `Feed.how` says which, and why.

    Raises ExtensionMissing, OutOfBounds, WindowGone, WindowNotViewable, InvalidArgument for a pixmap's pointer.
    """
    connection = source._session.connection
    connection.require(xfixes.NAME, xfixes.VERSION, _PURPOSE, _INSTEAD)
    connection.require(DAMAGE, (1, 1), _PURPOSE, _INSTEAD)
    return TrackerFeed(source, region, cursor=cursor)
