"""Changes: what a screen shows, for readers elsewhere, each of which asks for what is newer than what it has.

Always true:

1. A Delta is of one state of the screen, at or after the moment at which it was asked for.
2. A state is an epoch and a generation. Within an epoch each Delta has all that differs since the generation that it
   was asked for; another epoch, or a generation that is forgotten, is answered by the whole screen.
3. There is no thread: who asks captures, one at a time; who waits for a change sleeps on the connection. A screen that
   nobody asks about costs nothing.

Locking rules: `_capturing` is held while the screen is captured, and nothing else is waited for under it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import threading
import time
from typing import TYPE_CHECKING, Final

from xshm.errors import Closed, RequestTimeout, XshmError
from xshm.fleet.picture import EPOCH_COUNT_BITS, Delta, Seen
from xshm.live.picture import Picture
from xshm.record.feeds.opening import OpenedFeed, open_feed
from xshm.record.feeds.untorn import read_untorn
from xshm.x11.protocol.core import SYNC
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.capture.source import Source

_ORIGIN_BITS: Final = 47  # by chance: no two Changes have the same


class Changes:
    """The changes of a screen, window or pixmap. Any thread may call `delta`; `close` ends what it waits for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._wire = source._session.connection.wire  # noqa: SLF001 - Source's members are hooks for such as this
        self._capturing = threading.Lock()
        self._waiting = 0
        self._is_closed = False
        self._feed: OpenedFeed | None = None
        self._picture: Picture | None = None
        self._epoch = secrets.randbits(_ORIGIN_BITS) << EPOCH_COUNT_BITS

    def delta(self, since: Seen | None, timeout: float = 0) -> Delta:
        """Return what is newer than a state (None: all); where nothing is, after a change or `timeout` seconds.

        Raises Closed, DisplayGone, RequestTimeout, ExtensionMissing.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self._capturing:
                feed, picture = self._look()
                found = self._since(picture, since)
            left = deadline - time.monotonic()
            if found.rects or left <= 0:
                return found
            self._wait(feed, picture, found.generation, left)

    def close(self) -> None:
        """End it. What waits in another thread raises Closed. Closing twice is fine."""
        self._is_closed = True
        self._nudge()
        with self._capturing:
            feed, self._feed, self._picture = self._feed, None, None
        if feed is not None:
            with contextlib.suppress(XshmError, OSError):  # the server may have ended
                feed.close()

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _look(self) -> tuple[OpenedFeed, Picture]:
        """Bring the picture up to date; begin another where the screen has another size."""
        while True:
            if self._is_closed:
                raise Closed("the display was closed meanwhile")
            feed, picture = self._feed, self._picture
            if feed is None or picture is None or self._source._current() != feed.rect:  # noqa: SLF001 - as above
                feed, picture = self._begin()
            at = read_untorn(feed, picture.read)
            if self._source._extent != feed.rect:  # noqa: SLF001 - as above
                continue  # resized meanwhile: the capture has noticed that, so that no event is left to wait for
            if at is not None and picture.commit(at) and self._waiting:
                self._nudge()
            if picture.generation:
                return feed, picture

    def _begin(self) -> tuple[OpenedFeed, Picture]:
        before, self._feed = self._feed, None
        if before is not None:
            before.close()
        feed = open_feed(self._source, None, cursor=False)
        self._feed, self._picture = feed, Picture(feed.size, feed.format)
        self._epoch += 1
        return feed, self._picture

    def _since(self, picture: Picture, since: Seen | None) -> Delta:
        base = since.generation if since is not None and since.epoch == self._epoch else 0
        copied = picture.copy(base)
        is_whole = copied.rects == (picture.whole,)
        # The Picture's format is the screen's but for alpha, which is in its pixels all the same; or R G B X.
        fmt = self._source._format  # noqa: SLF001 - as above
        fmt = fmt if dataclasses.replace(fmt, opaque=True) == picture.format else picture.format
        return Delta(
            *(self._epoch, 0 if is_whole else base, copied.generation, copied.changed_ns, picture.size, fmt),
            *(copied.rects, tuple(raster.pixels for raster in copied.rasters)),
        )

    def _wait(self, feed: OpenedFeed, picture: Picture, generation: int, seconds: float) -> None:
        """Sleep until there may be something newer than a generation, or the time is over."""
        with self._capturing:
            self._waiting += 1
        try:
            with contextlib.suppress(RequestTimeout):  # the time is over
                self._wire.wait_for(_Newer(self, feed, picture, generation), seconds)
        finally:
            with self._capturing:
                self._waiting -= 1

    def _nudge(self) -> None:
        """Have all that wait on the connection look again at what they wait for."""
        with contextlib.suppress(XshmError, OSError):  # where the connection has ended, they look by that
            self._wire.queue(Request(SYNC))
            self._wire.pump()


class _Newer:
    """What a reader waits for, as a Waitable: drawing, another reader's capture that found something, the end."""

    def __init__(self, changes: Changes, feed: OpenedFeed, picture: Picture, generation: int) -> None:
        self._changes, self._feed, self._picture = changes, feed, picture
        # What the reader has looked at, not the newest: another reader may have taken a change since then.
        self._generation = generation

    @property
    def done(self) -> bool:
        """Whether to look again. Called by any thread that reads events."""
        if self._changes._is_closed or self._picture.generation != self._generation:  # noqa: SLF001 - it is its own
            return True
        return self._changes._feed is not self._feed or bool(self._feed.done)  # noqa: SLF001 - as above
