"""What travels between a Wire's halves: requests on their way, and the places that events go to."""

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

_SEQUENCE = struct.Struct("=2xH")
_HALF: Final = 0x8000  # of the numbers that there are


class Waitable(Protocol):
    """What a thread can wait for."""

    @property
    def done(self) -> bool:
        """Whether it is there."""
        ...


class Request:
    """A request on its way, and what came back: `reply` or `error` as the bytes that the server sent.

    `keep` is held until the server has answered: memory that it may still write to, whatever became of the caller.
    `done` with neither reply nor error: the server has come to a later request. One without a reply was done then; one
    with a reply was passed over, and will have none. `most` is how many bytes may follow the 32 that every reply has.
    """

    most = 64 << 20

    __slots__ = (
        "data",
        "descriptors",
        "done",
        "error",
        "keepalive",
        "on_error",
        "received",
        "replies",
        "reply",
        "serial",
    )

    def __init__(self, data: bytes, keep: object = None, descriptors: Sequence[int] = ()) -> None:
        self.data = data  # let go once it is on its way
        self.keepalive = keep
        self.descriptors = descriptors
        self.serial = 0  # its number in the stream, from when it was queued
        self.reply: bytes | None = None
        self.error: bytes | None = None
        self.done = False
        self.replies: deque[bytes] | None = None  # set for requests that have more than one reply
        self.on_error: Callable[[bytes], None] | None = None  # called by a thread that waits, outside all locks
        self.received: list[Descriptor] | None = None  # set to [] for requests whose reply carries descriptors


class BoundedRequest(Request):
    """A request whose reply is known to be of at most 32 + `most` bytes; a longer one ends the connection."""

    __slots__ = ("most",)


def bounded_request(most: int, data: bytes, keep: object = None, descriptors: Sequence[int] = ()) -> BoundedRequest:
    """Make such a request; a function, since an `__init__` that calls another one takes twice as long."""
    request = BoundedRequest(data, keep, descriptors)
    request.most = most
    return request


class Ledger(deque[Request]):
    """Every request from the last one that the server was heard of on; `sent` is the last that it can know of.

    Requests up to `sent` are on their way, in whole or in part. The server has come to no later one, whatever it says.
    """

    sent = 0


class EventRoute:
    """Events of one code that somebody inside waits for, beside the general queue or (`take`) in place of it.

    `wants` is asked under the lock: it must be quick and send nothing. A method is held weakly, so that the listener,
    which holds the connection, is not held by it. A `queue` of at most one makes a flag of it.
    """

    __slots__ = ("code", "last", "queue", "take", "wants")

    def __init__(
        self, code: int, wants: Callable[[bytes], bool], *, most: int | None = None, take: bool = True
    ) -> None:
        self.code = code
        self.wants = weakly(wants) if isinstance(wants, MethodType) else wants
        self.take = take
        self.queue: deque[bytes] = deque(maxlen=most)
        self.last: Request | None = None  # set where only what the server sends before that request is wanted

    def until(self, last: Request) -> EventRoute:
        """Return the route that takes what this one wants, and drops it, as long as the server has not seen `last`."""
        route = EventRoute(self.code, partial(_wants_before, self.wants, last), most=0)
        route.last = last
        return route


def precedes(message: bytes, request: Request) -> bool:
    """Tell whether the server sent an event before it came to a request, which may not even be sent by now."""
    return not request.serial or 0 < (request.serial - _SEQUENCE.unpack_from(message)[0]) & 0xFFFF <= _HALF


def _wants_before(wants: Callable[[bytes], bool], last: Request, message: bytes) -> bool:
    return precedes(message, last) and wants(message)


def weakly(method: Any, *more: object) -> Callable[[Any], Any]:
    """Return what calls a method with a message, and `more`, for as long as the method's object lives."""
    # Not a WeakMethod, whose own callback is in Python: what a signal handler raises there would be swallowed.
    reference, function = weakref.ref(method.__self__), method.__func__

    def call(message: bytes) -> Any:
        found = reference()
        return None if found is None else function(found, message, *more)

    return call


class QueueNotEmpty:
    """Waiting for a queue to hold something."""

    __slots__ = ("queue",)

    def __init__(self, queue: deque[bytes]) -> None:
        self.queue = queue

    @property
    def done(self) -> bool:
        """Whether it does."""
        return bool(self.queue)
