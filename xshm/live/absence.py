"""Absence: why there is no picture of a source now, in words for a person, and the wait until it may be there again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from xshm.errors import Closed, DisplayGone, RequestTimeout, WindowGone
from xshm.system.printable import printable
from xshm.x11.protocol.core import SYNC
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from xshm.capture.source import Source


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What a channel shows: "live"; else why its picture is not what is there now, in words for a person."""

    kind: Literal["live", "hidden", "stopped", "gone", "waiting"]
    words: str = ""


class Appearance:
    """What is waited for while a source has no picture: an event about it, or `wake`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._wire = source._session.connection.wire
        self._seen = source._geometry_events
        self._is_woken = False

    @property
    def done(self) -> bool:
        """Whether to look again. Called by any thread that reads events."""
        return self._is_woken or self._source._closed or self._source._geometry_events != self._seen

    def wait(self, seconds: float) -> None:
        """Wait until it is done, or so long."""
        with suppress(RequestTimeout):
            self._wire.wait_for(self, seconds)

    def wake(self) -> None:
        """End a wait in another thread, as `Feed.wake`."""
        self._is_woken = True
        self._wire.queue(Request(SYNC))
        self._wire.pump()


def ended(error: BaseException, source: Source) -> ChannelState:
    """Return the state after an error that ends the source."""
    if isinstance(error, WindowGone):
        return ChannelState("gone", "the pixmap was freed" if "pixmap" in str(error) else "the window was closed")
    if isinstance(error, DisplayGone):
        return ChannelState("gone", f"{display_of(source)} has ended")
    if isinstance(error, Closed):
        return ChannelState("gone", "its program does not show it any more")
    return ChannelState("gone", printable(f"{type(error).__name__}: {error}"))


def display_of(source: Source) -> str:
    """Return what to call the display of a source."""
    return printable(f"the display {source._session.connection.display_name}")
