"""The wire of a connection: send requests, wait for replies and errors, take events, on any number of threads.

Requests are sent in the order in which they were queued, each once. Every wait sends all queued requests first. Which
thread reads the socket, and the locking rules, are in `shared_socket`; how requests become bytes, and bytes messages,
in `write_buffer` and `packet_reader`.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from xshm.errors import RequestTimeout
from xshm.system.deadlines import ENDS, bounded
from xshm.x11.io.shared_socket import NOT_WAITING, SharedSocket
from xshm.x11.protocol.core import SYNC
from xshm.x11.protocol.requests import EventRoute, QueueNotEmpty, Request, Waitable

if TYPE_CHECKING:
    import _socket
    from collections import deque
    from collections.abc import Callable

    from xshm.x11.io.deferred import Deferred

# Sequence numbers have 16 bits: the full number of a message is known as long as fewer than 1 << 16 requests are
# unanswered. Half of that leaves room for requests that other threads queue before the round trip is over.
_MOST_UNANSWERED: Final = 0x8000


class Wire(SharedSocket):
    """A stream to an X server. `timeout` (seconds, None for no limit) bounds the wait for any one reply.

    Where the thread has a nearer deadline (`system.deadlines`), that one bounds the wait.
    """

    def __init__(self, sock: _socket.socket, timeout: float | None = None) -> None:
        super().__init__(sock)
        self.timeout = timeout
        self.events = self.packets.events

    # -- requests ----------------------------------------------------------------------------------------------------

    def call(  # noqa: C901, PLR0912 - in one piece, since it is the hot path
        self, data: bytes, keepalive: object = None
    ) -> Request:
        """Send one request, after all that was queued before it, and wait until it is done: the hot path."""
        request = Request(data, keepalive)  # it is also the token of this wait
        try:  # `_as_reader`, written out: its calls would take 0.2 µs more
            with self._lock:
                if self._ended is not None:
                    raise self._ended()
                try:
                    sent = self._out.send_one(request)
                except OSError as error:
                    self._broken(error)
                reads = sent and self._reader is None
                if reads:
                    self._reader = request
            if reads:
                if self._skips:  # it will take longer, see `_spin`: a look that is in vain delays a server on this core
                    self._skips -= 1
                else:
                    self._read(None, NOT_WAITING)  # mostly it brings the reply where both share a core
                    if not request.done:
                        self._spin(request)
            if not request.done:
                timeout = bounded(self.timeout) if ENDS else self.timeout
                deadline = None if timeout is None else time.monotonic() + timeout
                if reads and not self._deferred:
                    self._read(deadline)
                if not request.done:
                    self._wait_until_done(request, sent, request, deadline)
        finally:
            if self._reader is request:  # signal-safe (2): no call that could be cut short
                self._reader = None
            if self._sleepers:
                self._wake_next_reader()
        if self._deferred:
            self.run_deferred()
        return request

    def send(self, request: Request) -> Request:
        """Queue a request. `flush` sends it, and so does every wait."""
        self.prevent_sequence_wrap()
        self.queue(request)
        return request

    def queue(self, request: Request) -> None:
        """Queue a request and wait for nothing; to be called after `prevent_sequence_wrap`."""
        with self._lock:
            if self._ended is not None:
                raise self._ended()
            self._out.queue(request)

    def send_all(self, batch: tuple[Request, ...]) -> None:
        """Queue requests that belong together: all of them, or none if a signal handler raises."""
        self.prevent_sequence_wrap()
        with self._lock:
            if self._ended is not None:
                raise self._ended()
            self._out.queue_all(batch)

    def send_now(self, request: Request) -> None:
        """Queue a request and give it to the kernel."""
        # `prevent_sequence_wrap`, written out: each present of a swapchain calls this.
        if self._ledger and self._ledger[-1].serial - self.packets.seen > _MOST_UNANSWERED:
            self.sync()
        with self._lock:
            if self._ended is not None:
                raise self._ended()
            try:
                sent = self._out.send_one(request)
            except OSError as error:
                self._broken(error)
        if not sent:  # the kernel's buffer is full
            self.flush()

    def flush(self, timeout: float | None = None) -> None:
        """Give the kernel all that is queued; RequestTimeout after `timeout` seconds, or the Wire's own."""
        if not self._flush_now(None):
            timeout = self._bounded(timeout)
            self._as_reader(self._flush, None if timeout is None else time.monotonic() + timeout)

    def prevent_sequence_wrap(self) -> None:
        """Make a round trip where so many requests are unanswered that sequence numbers could become ambiguous."""
        if self._ledger and self._ledger[-1].serial - self.packets.seen > _MOST_UNANSWERED:
            self.sync()

    # -- replies -----------------------------------------------------------------------------------------------------

    def wait(self, request: Request, timeout: float | None = None) -> Request:
        """Send what is queued and wait until a request is done; RequestTimeout after `timeout` or the Wire's own."""
        self.wait_for(request, self._bounded(timeout))
        return request

    def wait_for(self, what: Waitable, timeout: float | None) -> None:
        """Send what is queued and wait until `what` is done; RequestTimeout after `timeout` seconds."""
        me = object()
        deadline = None if timeout is None else time.monotonic() + timeout
        try:  # `_as_reader`, written out as in `call`: each frame of a stream waits here
            with self._lock:
                if self._ended is not None:
                    raise self._ended()
                # Mostly all that was queued is with the kernel.
                ledger = self._ledger
                sent = bool(ledger) and ledger[-1].serial == ledger.sent and not self._out.tail
                if not sent:
                    try:
                        sent = self._out.flush()
                    except OSError as error:
                        self._broken(error)
                if self._reader is None:
                    self._reader = me
            if sent and deadline is None and self._reader is me and not what.done:
                self._read(None)  # as in `call`
            if not (sent and what.done):
                self._wait_until_done(me, sent, what, deadline)
        finally:
            if self._reader is me:  # signal-safe (2): no call that could be cut short
                self._reader = None
            if self._sleepers:
                self._wake_next_reader()
        if self._deferred:
            self.run_deferred()

    def sync(self, timeout: float | None = None) -> None:
        """Make a round trip: then the server has processed all sent requests, and their error handlers have run."""
        if timeout is None:  # the hot path bounds a wait by the Wire's timeout alone
            request = self.call(SYNC)
        else:
            request = Request(SYNC)
            self.queue(request)
            self.wait(request, timeout)
        if request.reply is None and request.error is None:
            raise self.nonsense("GetInputFocus", explain_missing_reply(request))

    def expect_descriptors(self) -> None:
        """From now on, receive the descriptors that come with replies. Call it before the request: one round trip."""
        self._takes_descriptors = True
        # Another thread may be in a recv already, which would drop the descriptors: this reply ends it.
        self.sync()

    def is_processed(self, request: Request) -> bool:
        """Return whether the server has processed a later request: no reply or error to this one will follow."""
        return 0 < request.serial < self.packets.seen

    def _bounded(self, timeout: float | None) -> float | None:
        """Return the least of a timeout, the Wire's own, and the time left until this thread's deadline."""
        limit = self.timeout
        if timeout is None or (limit is not None and limit < timeout):
            timeout = limit
        return bounded(timeout) if ENDS else timeout

    # -- deferred work -----------------------------------------------------------------------------------------------

    def set_error_handler(self, handler: Callable[[bytes], None]) -> None:
        """Call `handler` with each error that no request's own handler takes."""
        self.packets.error_handler = handler

    def finalizer(self, work: Deferred) -> Callable[[], None]:
        """Return a function written in C that defers a call, which the next thread that waits then makes."""
        return partial(self._deferred.append, work)

    # -- events ------------------------------------------------------------------------------------------------------

    def keep_events(self, *, keep: bool) -> None:
        """Put events that no route takes into `events`, or drop them, while no caller reads `events`."""
        self.packets.keeps_events = keep
        if not keep:
            self.events.clear()

    def add_route(self, route: EventRoute) -> None:
        """From now on, put the events of the route's code that it wants into its queue."""
        with self._lock:
            self.packets.routes[route.code] = (*self._other_routes(route), route)

    def remove_route(self, route: EventRoute, last: Request | None = None) -> None:
        """Put no more events into the route's queue; those in it stay there.

        With `last`, the request that deselects the events, the events that the server sends before it processes that
        request are dropped; without, they go to the general queue.
        """
        with self._lock:
            others = self._other_routes(route)
            self.packets.routes[route.code] = others if last is None else (*others, route.until(last))

    def _other_routes(self, route: EventRoute) -> tuple[EventRoute, ...]:
        """Return the other routes of a route's code, without those that drop events until a request, now processed."""
        return tuple(
            other
            for other in self.packets.routes.get(route.code, ())
            if other is not route and not (other.last is not None and self.is_processed(other.last))
        )

    def next_event(self, queue: deque[bytes], timeout: float | None = None) -> bytes | None:
        """Take the next message out of `queue`, waiting for it; None when `timeout` seconds have passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.wait_event(queue, None if deadline is None else max(0.0, deadline - time.monotonic())):
            if queue:  # another thread may have been faster
                message = queue[0]
                del queue[0]
                return message
        return None

    def wait_event(self, queue: deque[bytes], timeout: float | None = None) -> bool:
        """Wait until `queue` holds a message; False when `timeout` seconds have passed. Zero reads what has arrived."""
        if not queue:
            with contextlib.suppress(RequestTimeout):
                self.wait_for(QueueNotEmpty(queue), timeout)
        return bool(queue)

    def pump(self) -> None:
        """Send as much as the kernel takes, and dispatch what has arrived, without waiting."""
        self._as_reader(self._read_available)
        self.run_deferred()
        self.check()


def explain_missing_reply(request: Request) -> str:
    """Return the reason for a ServerNonsense where a request that should have a reply is done without one."""
    return f"it has answered a later request, and passed over this one, number {request.serial & 0xFFFF}"
