"""A surface's events, one at a time: wait for the next one, and redraw what is exposed in the meantime.

The reader serves the swapchain each time before it looks for an event, so a program that only waits for events still
has its window redrawn. A Resize has changed the swapchain's extent when it is returned; Close is the last event.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from xshm.errors import RequestTimeout
from xshm.events import Close, Resize
from xshm.geometry import Rect
from xshm.system.deadlines import holding, within

if TYPE_CHECKING:
    from xshm.events import Event
    from xshm.surface.inbox import Inbox
    from xshm.surface.swapchain import Swapchain
    from xshm.x11.io.wire import Wire


class EventReader:
    """Returns the events of a window, from its inbox. It is a Waitable: `done` while the inbox has any message."""

    def __init__(self, wire: Wire, swapchain: Swapchain, inbox: Inbox) -> None:
        self._wire = wire
        self._swapchain = swapchain
        self._inbox = inbox
        self._ended = False

    @property
    def done(self) -> bool:
        """Whether a message is there, to be sorted or to be returned as an event."""
        return self._inbox.done or bool(self._inbox.input)

    def next_event(self, timeout: float | None) -> Event | None:
        """Wait for the next event and return it; None when `timeout` seconds have passed, or after Close."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        is_last_look = False
        while not self._ended:
            try:
                event = within(end, holding, self._swapchain.lock, self._serve)
            except RequestTimeout:  # a redraw can't be sent
                if time.monotonic() < end:
                    raise
                return None
            if event is not None:
                return event
            left = end - time.monotonic()
            if left <= 0:
                self._wire.pump()  # with a timeout of 0 there is no wait, which would read what has arrived
                if is_last_look or not self.done:
                    return None
                is_last_look = True  # a server that sends without end must not keep this loop going
                continue
            try:
                self._wire.wait_for(self, left)
            except RequestTimeout:
                end = time.monotonic()  # then look once more
        return None

    def _serve(self) -> Event | None:
        """Under the lock: redraw, and return the next event if there is one. Input comes before sizes and the end."""
        self._swapchain.service()
        inbox, extent = self._inbox, self._swapchain.extent
        # In this order, so that a program which closes at Close has had all that was typed before.
        event = inbox.next_input()
        if event is not None:
            return event
        size = inbox.size
        if size is not None and size != (extent.width, extent.height):
            self._swapchain.resize(Rect(0, 0, *size))
            return Resize(*size)
        if inbox.closed:
            self._ended = True
            return Close()
        return None
