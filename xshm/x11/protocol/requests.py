"""Requests with their replies or errors, the ledger of requests in flight, and the routes of events. No I/O.

An encoder makes a Request, the Wire sends it (`x11.io`), and the thread that reads stores the reply or the error in it.
An event goes to the queue of the EventRoute that wants it.
"""

from __future__ import annotations

import struct
import weakref
from collections import deque
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm._signal_safety import Descriptor

HEADER: Final = 32  # bytes of every error and event, and of every reply before its data
_SEQUENCE = struct.Struct("=2xH")
_HALF: Final = 0x8000  # half of the 16-bit sequence numbers: a number is later than one that is up to this far behind


class Waitable(Protocol):
    """What a thread can wait for on a Wire."""

    @property
    def done(self) -> bool:
        """Whether the wait is over."""
        ...


class Request:
    """A request, and its `reply` or `error` as the bytes that the server sent.

    `keepalive` is referred to until the server has replied: memory that the server may still read or write, even if the
    caller has given up. A request that is `done` with neither reply nor error is one that the server has processed
    before a later request. If its kind has no reply, it succeeded; if its kind has one, the server skipped it.
    """

    # What only a BoundedRequest may have otherwise, and a CompletedByEvent; not set in each request.
    most = 64 << 20  # bytes that may follow the header of the reply; a longer one ends the connection
    descriptors: Sequence[int] = ()  # that are sent with it
    received: list[Descriptor] | None = None  # [] for requests whose reply brings descriptors
    replies: deque[bytes] | None = None  # a deque for requests that have more than one reply
    on_error: Callable[[bytes], None] | None = None  # deferred work: called by a thread that waits, unlocked
    completed_by: tuple[int, ...] = ()

    __slots__ = ("data", "done", "error", "keepalive", "reply", "serial")

    def __init__(self, data: bytes, keepalive: object = None) -> None:
        self.data = data  # b"" once the write buffer has joined it to its tail
        self.keepalive = keepalive
        self.serial = 0  # its number on the connection, from 1, once it is queued
        self.reply: bytes | None = None
        self.error: bytes | None = None
        self.done = False


class BoundedRequest(Request):
    """A request with a limit of its own to its reply, and all else that few requests have.

    A class of its own, since one class can't have a default value and a slot of the same name.
    """

    __slots__ = ("descriptors", "most", "on_error", "received", "replies")


def bounded_request(
    most: int, data: bytes, keepalive: object = None, descriptors: Sequence[int] = ()
) -> BoundedRequest:
    """Make a BoundedRequest. A function, since an `__init__` that calls the base class's takes twice as long."""
    request = BoundedRequest(data, keepalive)
    request.most = most
    request.descriptors = descriptors
    request.received = request.replies = request.on_error = None
    return request


class CompletedByEvent(Request):
    """A request without a reply that an event of one of the codes `completed_by` completes, as a reply would.

    Such an event has the number of its request, as ShmPutImage's Completion and CopyArea's NoExpose have; it goes to no
    queue. A class of its own for the reason that BoundedRequest is.
    """

    __slots__ = ("completed_by",)


class Ledger(deque[Request]):
    """The queued and sent requests in order, without gaps, from the one that the last message was about.

    `sent` is the serial of the last request of which any byte was sent: no message can be about a later one.
    """

    sent = 0


class EventRoute:
    """A listener: the events of one `code` for which `wants` returns true are put into `queue`.

    With `take`, the default, they are in no other queue; without, in the general one too. `wants` is called by the
    thread that reads, under the Wire's lock: it must be quick, and must not use the Wire. A method is referred to
    weakly, since its object refers to the connection, and the connection to the route. `most` bounds the queue, the
    oldest events are dropped: with 1 it is a flag.
    """

    __slots__ = ("code", "last", "queue", "take", "wants")

    def __init__(
        self, code: int, wants: Callable[[bytes], bool], *, most: int | None = None, take: bool = True
    ) -> None:
        self.code = code
        self.wants = weakly(wants) if isinstance(wants, MethodType) else wants
        self.take = take
        self.queue: deque[bytes] = deque(maxlen=most)
        self.last: Request | None = None  # set where only events from before that request are wanted

    def until(self, last: Request) -> EventRoute:
        """Return a route that drops the events that this one wants and the server sends before it processes `last`."""
        route = EventRoute(self.code, partial(_wants_before, self.wants, last), most=0)
        route.last = last
        return route


def precedes(message: bytes, request: Request) -> bool:
    """Return whether the server sent an event before it processed a request, which may not even be queued yet."""
    # An event has the number of the last request that was processed; serial 0 is a request that is not queued.
    return not request.serial or 0 < (request.serial - _SEQUENCE.unpack_from(message)[0]) & 0xFFFF <= _HALF


def _wants_before(wants: Callable[[bytes], bool], last: Request, message: bytes) -> bool:
    return precedes(message, last) and wants(message)


def weakly(method: Any, *more: object) -> Callable[[Any], Any]:
    """Return a function that calls a method with a message and `more`, or does nothing once the object has died."""
    # Not a WeakMethod: its callback is in Python, where a signal handler's exception is swallowed.
    reference, function = weakref.ref(method.__self__), method.__func__

    def call(message: bytes) -> Any:
        found = reference()
        return None if found is None else function(found, message, *more)

    return call


class QueueNotEmpty:
    """A Waitable: done while a queue holds a message."""

    __slots__ = ("queue",)

    def __init__(self, queue: deque[bytes]) -> None:
        self.queue = queue

    @property
    def done(self) -> bool:
        """Whether the queue holds a message."""
        return bool(self.queue)
