"""Read a Feed until no pixel is older than another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.record.feeds.feed import Captured, Feed

_TRIES: Final = 4  # while anybody may draw


def read_untorn(feed: Feed, read: Callable[[Captured], None]) -> int | None:
    """Have `read` copy what has changed; return the moment that it shows, or None where nothing has.

    It is called again, with further rectangles, where the pixels were drawn to meanwhile. If that is so again and
    again, the server is grabbed for the moment of one copy.
    """
    at: int | None = None
    for _ in range(_TRIES):
        before, (at, is_torn) = at, _read(feed, read)
        if at is None:
            return before  # what was drawn meanwhile was outside of the region
        if not is_torn:
            return at
    return feed.undisturbed(lambda: _read(feed, read)[0]) or at


def _read(feed: Feed, read: Callable[[Captured], None]) -> tuple[int | None, bool]:
    """Have what has changed copied; return when that was, and whether it was drawn to meanwhile."""
    captured = feed.capture()
    if captured is None:
        return None, False
    try:
        read(captured)
        return captured.at, captured.is_torn()
    finally:
        captured.release()
